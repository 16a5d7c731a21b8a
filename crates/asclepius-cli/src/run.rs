//! Running stages: which are selected, which are already done, and what the summary says.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use asclepius_schema::{Manifest, write_atomically};

use crate::args::{RunArgs, StageArgs};
use crate::failure::{Failure, Hinted, Outcome};
use crate::interrupt::Interrupt;
use crate::pipeline::{Pipeline, PipelineConfig};
use crate::progress;
use crate::stage::Stage;
use crate::stages;

/// What every stage runner is given.
#[derive(Debug)]
pub struct Run {
    /// The checked pipeline.
    pub pipeline: Pipeline,
    /// `<workdir>/<name>`.
    pub directory: PathBuf,
    /// Set by Ctrl-C.
    pub interrupt: Interrupt,
    /// Where async stages run.
    pub runtime: tokio::runtime::Runtime,
}

impl Run {
    /// The configuration.
    pub fn config(&self) -> &PipelineConfig {
        &self.pipeline.config
    }

    /// Where `stage` keeps its result.
    pub fn stage_dir(&self, stage: Stage) -> PathBuf {
        self.directory.join(stage.directory())
    }

    /// The directory a stage reads: its own `input`, or its predecessor's result.
    pub fn input_dir(&self, input: Option<&Path>, predecessor: Stage) -> PathBuf {
        input.map_or_else(|| self.stage_dir(predecessor), Path::to_owned)
    }

    /// Fails with [`Failure::Interrupted`] once the user asked to stop.
    pub fn check_interrupt(&self) -> Outcome {
        if self.interrupt.is_set() { Err(Failure::Interrupted) } else { Ok(()) }
    }

    /// The manifest of a finished stage whose fingerprint still matches.
    fn finished(&self, stage: Stage, fingerprint: &str) -> Outcome<Option<Manifest>> {
        let directory = self.stage_dir(stage);
        let manifest = Manifest::read(&directory)
            .with_context(|| format!("{stage}: delete {} to make it anew", directory.display()))?;
        Ok(manifest.filter(|manifest| manifest.fingerprint == fingerprint && manifest.counts.pending == 0))
    }
}

/// `asclepius run`: everything that is missing or out of date.
pub fn pipeline(args: &RunArgs) -> Outcome {
    let selected = |config: &PipelineConfig| -> Vec<Stage> {
        Stage::ALL
            .into_iter()
            .filter(|stage| args.only.is_empty() || args.only.contains(stage))
            .filter(|stage| args.from.is_none_or(|from| *stage >= from))
            .filter(|stage| match stage {
                Stage::Pretrain => config.pretrain.is_some(),
                Stage::Sft => config.sft.is_some(),
                _ => true,
            })
            .collect()
    };
    execute(&args.stage, &selected, true)
}

/// `asclepius synth` and each stage alone.
pub fn stages(args: &StageArgs, stages: &[Stage]) -> Outcome {
    execute(args, &|_| stages.to_vec(), false)
}

fn execute(args: &StageArgs, select: &dyn Fn(&PipelineConfig) -> Vec<Stage>, summary: bool) -> Outcome {
    let pipeline = Pipeline::load(&args.pipeline.pipeline, &args.pipeline.set)?;
    let resolved = toml::to_string(&pipeline.config).context("the configuration cannot be written as TOML")?;
    if args.dry_run {
        crate::output::data(&resolved);
        return Ok(());
    }
    let selected = select(&pipeline.config);
    let run = open(pipeline)?;
    refuse_early(&run, &selected)?;
    fs_err::create_dir_all(&run.directory)?;
    write_atomically(&run.directory.join("config.resolved.toml"), resolved.as_bytes())?;
    for stage in &selected {
        run.check_interrupt()?;
        one(&run, *stage, args.fresh)?;
    }
    if summary {
        crate::summary::print(&run, &selected);
    }
    Ok(())
}

/// The process's surroundings for a checked pipeline.
pub fn open(pipeline: Pipeline) -> Outcome<Run> {
    let threads = match pipeline.config.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    // A second pool in one process (tests of commands) keeps the first one's size, which changes no result.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads.min(4)).enable_all().build()?;
    let interrupt = Interrupt::listen(&runtime);
    let directory = pipeline.run_dir();
    Ok(Run { pipeline, directory, interrupt, runtime })
}

/// Everything that can be refused before the first stage does any work.
fn refuse_early(run: &Run, selected: &[Stage]) -> Outcome {
    if selected.iter().any(|stage| matches!(stage, Stage::Notes | Stage::Instruct)) {
        crate::teacher::check(&run.config().teacher)?;
    }
    for stage in selected.iter().filter(|stage| stage.is_training()) {
        stages::training::check(run, *stage)?;
    }
    Ok(())
}

/// Runs one stage unless its result stands.
fn one(run: &Run, stage: Stage, fresh: bool) -> Outcome {
    let directory = run.stage_dir(stage);
    let fingerprint = stages::fingerprint(run, stage)?;
    if fresh && directory.exists() {
        fs_err::remove_dir_all(&directory)?;
    }
    if run.finished(stage, &fingerprint)?.is_some() {
        progress::line(&format!("{:>9}  up to date", stage.name()));
        return Ok(());
    }
    if stage.is_training() {
        refuse_stale_training(run, stage, &fingerprint)?;
    }
    let started = Instant::now();
    let manifest = stages::execute(run, stage, &fingerprint)?;
    progress::line(&crate::summary::stage_line(&manifest, started.elapsed().as_secs_f64()));
    if manifest.counts.pending > 0 {
        return Err(Failure::Limit(anyhow!(
            "{stage}: {} of {} {}s are still pending; the same command asks for them again",
            manifest.counts.pending,
            manifest.counts.input,
            manifest.unit
        )));
    }
    Ok(())
}

/// A training directory made from other data or settings is hours of work: it goes only when asked to.
fn refuse_stale_training(run: &Run, stage: Stage, fingerprint: &str) -> Outcome {
    let directory = run.stage_dir(stage);
    let began = stages::training::fingerprint_of(&directory)?;
    match began {
        Some(began) if began != fingerprint => Err(Failure::usage(Hinted::new(
            format!("{stage}: {} was made from other data or settings", directory.display()),
            format!(
                "`asclepius {stage} {} --fresh` throws it away and trains anew; or give the run another name with `--set name=NEW`",
                run.pipeline.label
            ),
        ))),
        _ => Ok(()),
    }
}
