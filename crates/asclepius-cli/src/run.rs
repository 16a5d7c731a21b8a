//! Running stages: which are selected, which are already done, and what the summary says.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow};
use asclepius_schema::{Manifest, Shard, Standing, write_atomically};

use crate::args::{RunArgs, StageArgs, SynthArgs};
use crate::failure::{Failure, Hinted, Outcome};
use crate::interrupt::Interrupt;
use crate::pipeline::{Pipeline, PipelineConfig};
use crate::progress;
use crate::stage::Stage;
use crate::stages;
use crate::teacher::{JUDGE, TEACHER};

/// What every stage runner is given.
#[derive(Debug)]
pub struct Run {
    /// The checked pipeline.
    pub pipeline: Pipeline,
    /// `<workdir>/<name>`, or a shard's directory below it.
    pub directory: PathBuf,
    /// Where all processes of the run keep their calls.
    pub ledger: PathBuf,
    /// Which share of the reports is asked for, where it is not all.
    pub shard: Option<Shard>,
    /// The teacher's name, once it is known; see [`crate::teacher::name`].
    pub teacher: std::sync::OnceLock<String>,
    /// The judge's, likewise.
    pub judge: std::sync::OnceLock<String>,
    /// Whether training is traced.
    pub profile: bool,
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

    /// Whether the stage's result stands: finished, made from the same inputs and settings, and all there.
    pub fn stands(&self, stage: Stage, fingerprint: &str) -> Outcome<bool> {
        let directory = self.stage_dir(stage);
        let again = || format!("{stage}: delete {} to make it anew", directory.display());
        let Some(manifest) = Manifest::read(&directory).with_context(again)? else { return Ok(false) };
        if manifest.fingerprint != fingerprint || manifest.pending() > 0 || manifest.counts.out == 0 {
            return Ok(false);
        }
        match manifest.standing(&directory)? {
            Standing::Whole => Ok(true),
            Standing::Missing { .. } => Ok(false),
            damaged @ Standing::Damaged { .. } => Err(damage(&damaged, again())),
        }
    }
}

/// The error about a file that is not as long as it was when its stage finished.
pub fn damage(standing: &Standing, hint: String) -> Failure {
    let message = match standing {
        Standing::Damaged { path, bytes, written } => {
            format!("{} is damaged: {bytes} bytes, but {written} when it was written", path.display())
        }
        Standing::Missing { path } => format!("{} is missing", path.display()),
        Standing::Whole => "nothing is damaged".to_owned(),
    };
    Failure::Failed(Hinted::new(message, hint).into())
}

/// `asclepius run`: everything that is missing or out of date.
pub fn pipeline(args: &RunArgs) -> Outcome {
    let selected = |config: &PipelineConfig| -> Vec<Stage> {
        Stage::ALL
            .into_iter()
            .filter(|stage| if args.only.is_empty() { config.has(*stage) } else { args.only.contains(stage) })
            .filter(|stage| args.from.is_none_or(|from| *stage >= from))
            .collect()
    };
    execute(&args.stage, None, &selected, true)
}

/// Each stage alone.
pub fn stages(args: &StageArgs, stages: &[Stage]) -> Outcome {
    execute(args, None, &|_| stages.to_vec(), false)
}

/// `asclepius synth`: a shard asks and leaves its replies in the ledger; what needs all rows is made without one.
pub fn synth(args: &SynthArgs) -> Outcome {
    let stages = if args.shard.is_some() { &Stage::SYNTH[..3] } else { &Stage::SYNTH[..] };
    execute(&args.stage, args.shard, &|_| stages.to_vec(), false)
}

fn execute(
    args: &StageArgs,
    shard: Option<Shard>,
    select: &dyn Fn(&PipelineConfig) -> Vec<Stage>,
    summary: bool,
) -> Outcome {
    let pipeline = Pipeline::load(&args.pipeline.pipeline, &args.pipeline.set)?;
    let resolved = toml::to_string(&pipeline.config).context("the configuration cannot be written as TOML")?;
    if args.dry_run {
        crate::output::data(&resolved)?;
        return Ok(());
    }
    let selected = select(&pipeline.config);
    let mut run = open(pipeline)?;
    run.profile = args.profile;
    if let Some(shard) = shard {
        run.directory = run.directory.join("shards").join(shard.name());
        run.shard = Some(shard);
    }
    refuse_early(&run, &selected, args.fresh)?;
    fs_err::create_dir_all(&run.directory)?;
    let _alone = lock(&run.directory, "wait for it, or give this run another name with `--set name=NEW`")?;
    let record = run.directory.join("config.resolved.toml");
    if fs_err::read(&record).is_ok_and(|earlier| earlier == resolved.as_bytes()) {
        tracing::debug!("the configuration is the one of the last run");
    } else {
        write_atomically(&record, resolved.as_bytes())?;
    }
    for stage in &selected {
        run.check_interrupt()?;
        one(&run, *stage, args.fresh)?;
    }
    if summary {
        crate::summary::print(&run, &selected)?;
    }
    Ok(())
}

/// The process's surroundings for a checked pipeline.
pub fn open(pipeline: Pipeline) -> Outcome<Run> {
    surrounded(pipeline, Interrupt::listen)
}

/// The same for a command that only looks at the run, and sees to interrupts itself.
pub fn look(pipeline: Pipeline) -> Outcome<Run> {
    surrounded(pipeline, |_| Interrupt::never())
}

fn surrounded(pipeline: Pipeline, interrupt: fn(&tokio::runtime::Runtime) -> Interrupt) -> Outcome<Run> {
    let threads = match pipeline.config.threads {
        0 => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        threads => threads,
    };
    // A second pool in one process (tests of commands) keeps the first one's size, which changes no result.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads.min(4)).enable_all().build()?;
    let interrupt = interrupt(&runtime);
    let directory = pipeline.run_dir();
    let ledger = directory.join("ledger");
    let (teacher, judge) = Default::default();
    Ok(Run { pipeline, directory, ledger, shard: None, teacher, judge, profile: false, interrupt, runtime })
}

/// Keeps other processes out of a directory until it is dropped: two of them would take turns at removing each other's
/// half-made files. `hint` says what to do when one is there.
pub fn lock(directory: &Path, hint: &str) -> Outcome<Option<std::fs::File>> {
    let path = directory.join(".lock");
    let file = match fs_err::OpenOptions::new().create(true).append(true).open(&path) {
        Ok(file) => file.into_parts().0,
        // Where nothing can be written, nothing can be harmed; a stage that has work to do will say so.
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(Failure::Failed(
            Hinted::new(format!("another process is working in {}", directory.display()), hint).into(),
        )),
        Err(std::fs::TryLockError::Error(error)) => {
            Err(Failure::Failed(anyhow!(error).context(format!("{} cannot be locked", path.display()))))
        }
    }
}

/// Everything that can be refused before the first stage does any work, or leaves a trace.
fn refuse_early(run: &Run, selected: &[Stage], fresh: bool) -> Outcome {
    if selected.contains(&Stage::Ingest) {
        asclepius_corpus::sources(&run.config().corpus).map_err(Failure::usage)?;
    }
    if selected.iter().any(|stage| matches!(stage, Stage::Notes | Stage::Instruct)) {
        crate::teacher::check(&run.config().teacher, TEACHER)?;
    }
    if let Some(judge) = run.config().dataset.judge.as_ref().filter(|_| selected.contains(&Stage::Dataset)) {
        crate::teacher::check(judge, JUDGE)?;
    }
    for stage in selected.iter().filter(|stage| stage.is_training()) {
        stages::training::check(run, *stage)?;
    }
    // A first stage's input is there or missing for good; what a later one reads is still to be made.
    match selected.first() {
        Some(first) if first.is_training() && !fresh => {
            refuse_stale_training(run, *first, &stages::fingerprint(run, *first)?)
        }
        None | Some(Stage::Ingest) => Ok(()), // its sources were looked at above
        Some(first) => stages::fingerprint(run, *first).map(drop),
    }
}

/// Runs one stage unless its result stands.
fn one(run: &Run, stage: Stage, fresh: bool) -> Outcome {
    let directory = run.stage_dir(stage);
    let fingerprint = stages::fingerprint(run, stage)?;
    if fresh && directory.exists() {
        fs_err::remove_dir_all(&directory)?;
    }
    if run.stands(stage, &fingerprint)? {
        progress::line(&format!("{:>9}  up to date", stage.name()));
        return Ok(());
    }
    if stage.is_training() {
        refuse_stale_training(run, stage, &fingerprint)?;
    }
    let started = Instant::now();
    let _span = tracing::info_span!("stage", name = stage.name()).entered();
    let manifest = stages::execute(run, stage, &fingerprint)?;
    progress::line(&crate::summary::stage_line(&manifest, started.elapsed().as_secs_f64()));
    // A shard of a small corpus may have nothing to do.
    let idle = run.shard.is_some() && manifest.counts.input == 0;
    if manifest.counts.out == 0 && manifest.pending() == 0 && !idle {
        let kept = if stage == Stage::Ingest { "admitted" } else { "kept" };
        return Err(Failure::Failed(
            Hinted::new(
                format!("{stage}: none of {} {}s was {kept}", manifest.counts.input, manifest.unit),
                format!("{} says why, one by one", directory.join("dropped.jsonl").display()),
            )
            .into(),
        ));
    }
    let asked = if stage == Stage::Dataset { JUDGE } else { TEACHER };
    let all = std::iter::once((&manifest.unit, &manifest.counts)).chain(&manifest.also);
    if let Some((unit, counts)) = all.into_iter().find(|(_, counts)| counts.pending > 0) {
        return Err(Failure::Limit(anyhow!(
            "{stage}: {} of {} {unit}s are still pending; the same command asks for them again (where {asked}.budget_usd is used up, raise it)",
            counts.pending,
            counts.input,
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
