//! The report page over whatever stages have run.

use std::path::PathBuf;
use std::time::Instant;

use asclepius_eval::{RunFacts, markdown, render};
use asclepius_schema::{Counts, Fingerprint, Manifest, StageDir, write_atomically};

use crate::failure::{Failure, Hinted, Outcome};
use crate::pipeline::PipelineConfig;
use crate::run::Run;
use crate::stage::Stage;

/// The page depends on what the other stages left behind, and on nothing else.
pub fn fingerprint(run: &Run) -> Outcome<String> {
    // A run's directory may be moved.
    let config = PipelineConfig { workdir: PathBuf::new(), ..run.config().clone() };
    let mut fingerprint = Fingerprint::new("report").setting("config", &config);
    for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Report) {
        let manifest = Manifest::read(&run.stage_dir(stage))?;
        fingerprint = fingerprint.setting(stage.name(), &manifest);
    }
    Ok(fingerprint.finish())
}

/// Gathers the run's files and writes `index.html` and `report.md`.
pub fn execute(run: &Run, fingerprint: &str) -> Outcome<Manifest> {
    let started = Instant::now();
    let configuration = toml::to_string(run.config())?;
    let facts = RunFacts::gather(&run.directory, &run.config().name, &configuration)?;
    if facts.stages.is_empty() {
        return Err(Failure::usage(Hinted::new(
            format!("report: no stage has finished in {}", run.directory.display()),
            format!("`asclepius run {}` makes everything that is missing", run.pipeline.label),
        )));
    }
    let page = render(&facts)?;
    let directory = StageDir::begin(&run.directory, Stage::Report.directory())?;
    write_atomically(&directory.path().join("index.html"), page.as_bytes())?;
    write_atomically(&directory.path().join("report.md"), markdown::render(&facts).as_bytes())?;
    let mut manifest = Manifest::new(Stage::Report.name(), fingerprint.to_owned(), "stage");
    let stages = facts.stages.len() as u64;
    manifest.counts = Counts { input: stages, out: stages, ..Counts::default() };
    manifest.seconds = started.elapsed().as_secs_f64();
    directory.commit(&manifest)?;
    Ok(manifest)
}
