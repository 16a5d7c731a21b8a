//! Rows to the filtered, split dataset.

use std::time::Instant;

use asclepius_dataset::{Inputs, Models, build_with};
use asclepius_schema::{DroppedWriter, Fingerprint, Manifest, StageDir};
use serde_json::{Map, Value, json};

use crate::failure::Outcome;
use crate::progress::StageBar;
use crate::run::Run;
use crate::stage::{Stage, input_file};
use crate::stages::encoding::{self, Encoder};
use crate::stages::ingest::REPORTS;
use crate::stages::instruct::INSTRUCTIONS;
use crate::stages::judging::{self, ChatJudge};
use crate::stages::notes::NOTES;

/// Instructions from the stage's input; notes and reports lie beside it, as in a run's directory.
fn inputs(run: &Run) -> Outcome<Inputs> {
    let instructions = run.input_dir(run.config().dataset.input.as_deref(), Stage::Instruct);
    let beside = |stage: Stage| instructions.parent().map(|parent| parent.join(stage.directory())).unwrap_or_default();
    let file = |made_by, directory: &std::path::Path, name| {
        input_file(Stage::Dataset, made_by, directory, name, &run.pipeline.label)
    };
    Ok(Inputs {
        reports: file(Stage::Ingest, &beside(Stage::Ingest), REPORTS)?,
        notes: file(Stage::Notes, &beside(Stage::Notes), NOTES)?,
        instructions: file(Stage::Instruct, &instructions, INSTRUCTIONS)?,
    })
}

/// The three files, the evaluation sets, the models, the gates and the seed of the split.
pub fn fingerprint(run: &Run) -> Outcome<String> {
    let inputs = inputs(run)?;
    let config = &run.config().dataset;
    let mut fingerprint = Fingerprint::new("dataset")
        .file("reports", &inputs.reports)?
        .file("notes", &inputs.notes)?
        .file("instructions", &inputs.instructions)?;
    for set in &config.evaluation_sets {
        fingerprint = fingerprint.file("evaluation set", set)?;
    }
    let fingerprint = fingerprint.setting("validation_fraction", &config.validation_fraction);
    let mut gates = match serde_json::to_value(&config.gates)? {
        Value::Object(gates) => gates,
        _ => Map::new(),
    };
    let fingerprint = judging::fingerprint(run, &mut gates, fingerprint)?;
    let fingerprint = encoding::fingerprint(run, &mut gates, fingerprint)?;
    Ok(fingerprint.setting("gates", &gates).setting("seed", &run.config().seed).finish())
}

/// Scores, filters, splits and writes.
pub fn execute(run: &Run, fingerprint: &str) -> Outcome<Manifest> {
    let started = Instant::now();
    let (inputs, mut encoder, mut judge) = (inputs(run)?, Encoder::open(run)?, ChatJudge::open(run)?);
    let bar = StageBar::start("dataset", 0);
    let directory = StageDir::begin(&run.directory, Stage::Dataset.directory())?;
    let mut dropped = DroppedWriter::create(directory.path())?;
    let progress = |done, total| {
        bar.set_total(total);
        bar.set(done);
    };
    let config = run.config();
    let models = Models { judge: judge.as_mut(), encoder: encoder.as_mut().map(|encoder| encoder as _) };
    let (out, rows) = (directory.path(), &config.dataset);
    let summary = build_with(&inputs, rows, config.seed, out, &mut dropped, &progress, models)?;
    dropped.finish()?;
    bar.finish();
    let terms = summary.terms();
    if let Some(problem) = terms.problem() {
        tracing::warn!("the dataset cannot be published under one licence: {problem}");
    }
    let mut manifest = Manifest::new(Stage::Dataset.name(), fingerprint.to_owned(), "instruction");
    manifest.counts = summary.instructions.clone();
    manifest.also.insert("note".to_owned(), summary.notes.clone());
    if let Some(judge) = judge {
        judge.finish(&mut manifest, &summary)?;
    }
    manifest.seconds = started.elapsed().as_secs_f64();
    let sets: Vec<_> = config.dataset.evaluation_sets.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    for (key, value) in [
        ("licence", json!(terms.name())),
        ("licence_sources", json!(terms.sources())),
        ("licence_terms", json!(terms.consequences())),
        ("summary", json!(format!("licence: {}", terms.name()))),
        ("files", json!(summary.files)),
        ("sides", json!(summary.sides)),
        ("words", json!(summary.words)),
        ("gates", json!(summary.gates)),
        ("evaluation_sets", json!({ "files": sets, "sequences": summary.evaluation_sequences })),
        ("membership", json!(summary.membership)),
    ] {
        manifest.details.insert(key.to_owned(), value);
    }
    directory.commit(&manifest)?;
    Ok(manifest)
}
