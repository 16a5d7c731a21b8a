//! Both training stages: rows to documents, a start to train from, the loop, and a manifest about it.

use std::path::Path;

use anyhow::anyhow;
use asclepius_dataset::Plan;
use asclepius_schema::{Fingerprint, Manifest, write_atomically};
use asclepius_train::{Job, TrainError, TrainStage};

use crate::adapter;
use crate::failure::{Failure, Outcome};
use crate::run::Run;
use crate::stage::Stage;
use crate::training::outcome::{account, describe};
use crate::training::rows::{self, TrainingRows};
use crate::training::start::{self, Start};
use crate::training::watch::Watch;
use crate::training::{stage_of, table};

/// Says what the directory was begun with, before anything else is in it.
const FINGERPRINT_FILE: &str = "fingerprint";

/// Refuses devices and bases that do not exist, before any stage runs.
pub fn check(run: &Run, stage: Stage) -> Outcome {
    let stage = if stage == Stage::Pretrain { TrainStage::Pretrain } else { TrainStage::Sft };
    let table = table(run, stage)?;
    crate::device::device(&table.device).map_err(|error| {
        Failure::Usage(anyhow!(error).context(format!("{}.device = {:?}", stage.table(), table.device)))
    })?;
    match &table.base {
        Some(base) => crate::base::check(&format!("{}.base", stage.table()), base),
        None => Ok(()),
    }
}

/// What a training directory was begun with, if there is one.
pub fn fingerprint_of(directory: &Path) -> Outcome<Option<String>> {
    let path = directory.join(FINGERPRINT_FILE);
    Ok(if path.is_file() { Some(fs_err::read_to_string(path)?.trim().to_owned()) } else { None })
}

/// Data, start and every setting that can change the weights; not where they are computed or how often they are saved.
pub fn fingerprint(run: &Run, stage: TrainStage) -> Outcome<String> {
    let table = table(run, stage)?;
    let mut settings = serde_json::to_value(table)?;
    if let Some(settings) = settings.as_object_mut() {
        for key in ["input", "base", "device", "recompute", "save_every", "keep", "tensorboard"] {
            settings.remove(key);
        }
        // Early stopping makes the weights depend on when they are looked at.
        if table.early_stop.is_none() {
            settings.remove("eval_every");
        }
    }
    let mut fingerprint =
        Fingerprint::new(stage.table()).setting("settings", &settings).setting("seed", &run.config().seed);
    for file in rows::files(run, stage, table)?.all() {
        fingerprint = fingerprint.file("rows", file)?;
    }
    if let Some(template) = table.template.as_deref().map(Path::new).filter(|path| path.is_file()) {
        fingerprint = fingerprint.file("template", template)?;
    }
    Ok(start::identify(run, stage, table, fingerprint)?.finish())
}

/// Trains, or goes on training.
pub fn execute(run: &Run, stage: TrainStage, fingerprint: &str) -> Outcome<Manifest> {
    let table = table(run, stage)?;
    let directory = run.stage_dir(stage_of(stage));
    fs_err::create_dir_all(&directory)?;
    let watch = Watch::start(run, stage);
    let seed = table.seed.unwrap_or(run.config().seed);
    let rows = TrainingRows::open(run, stage, table)?;
    let mut start = Start::prepare(run, stage, table, &rows, &directory)?;
    if stage == TrainStage::Sft {
        start.speak(table, &directory)?;
    }
    let cache = rows::cache(run, stage);
    let tokens = rows.tokens(&start.tokenizer, &cache, &cache, &|rows| watch.tokenised(rows))?;
    let tally = tokens.train.tally();
    let facts = (account(&directory, tally)?, tally.shortened, tally.split);
    let plan = Plan::new(tokens.train, table.train_plan(seed))?;
    let held_out = match tokens.held_out.is_empty() {
        true => None,
        false => Some(Plan::new(tokens.held_out, table.evaluation_plan())?),
    };
    // Only now: a typo in a key of the data must not stand in the way of its correction.
    write_atomically(&directory.join(FINGERPRINT_FILE), fingerprint.as_bytes())?;
    let base = adapter::name_of_base(&start.base)?;
    let job = Job {
        stage,
        config: table,
        seed,
        train: &plan,
        held_out: held_out.as_ref(),
        directory: &directory,
        identity: fingerprint,
        base: &base,
        tokenizer: Some(&start.tokenizer_dir),
    };
    let summary = asclepius_train::run(&mut start.decoder, &job, &watch).map_err(refused)?;
    watch.finish();
    let Some(last) = &summary.final_directory else { return Err(Failure::Interrupted) };
    // An adapter is talked to through the template it was trained with, whatever its base brings.
    start.tokenizer.save(last)?;
    if last.join(adapter::CONFIG_FILE).is_file() {
        adapter::record_origin(last, &base, start.merged_adapter.as_deref())?;
    }
    let manifest = describe(stage, fingerprint, &summary, facts, &start);
    manifest.write(&directory)?;
    Ok(manifest)
}

fn refused(error: TrainError) -> Failure {
    match error {
        TrainError::Stale { .. } | TrainError::Setting { .. } => Failure::usage(error),
        TrainError::NoRoom { .. } => Failure::Limit(error.into()),
        other => Failure::Failed(other.into()),
    }
}
