//! `asclepius report`: the stage, and its result on stdout where a format is named.

use crate::args::{ReportFormat, StageArgs};
use crate::failure::Outcome;
use crate::pipeline::Pipeline;
use crate::stage::Stage;
use crate::{output, run};

/// Makes the report, then prints the file of that format.
pub fn run(args: &StageArgs, format: Option<ReportFormat>) -> Outcome {
    run::stages(args, &[Stage::Report])?;
    let Some(format) = format.filter(|_| !args.dry_run) else { return Ok(()) };
    let pipeline = Pipeline::load(&args.pipeline.pipeline, &args.pipeline.set)?;
    let name = match format {
        ReportFormat::Html => "index.html",
        ReportFormat::Md => "report.md",
    };
    let path = pipeline.run_dir().join(Stage::Report.directory()).join(name);
    output::data(fs_err::read_to_string(path)?.trim_end())
}
