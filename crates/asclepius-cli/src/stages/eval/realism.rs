//! `[eval.realism]`: a model trained on real notes, and the three kinds of text it is shown.

use asclepius_eval::realism::RealismConfig;
use asclepius_eval::sets::Losses;
use asclepius_eval::{Kind, ModelOutcome, RealismTexts};
use asclepius_schema::Fingerprint;

use super::held_out;
use super::tested::{Tested, Weights, directory};
use crate::failure::{Failure, Outcome};
use crate::progress::StageBar;
use crate::run::Run;
use crate::stage::{Stage, input_file};
use crate::stages::ingest::REPORTS;
use crate::training::start::fingerprint_files;

/// What a model behind `eval.realism.model` is called beside those under test.
const NAME: &str = "realism";

/// The texts, and the model they are shown.
pub struct Shown {
    pub texts: RealismTexts,
    model: Tested,
    sequence_length: usize,
}

/// Adds the table, its model's files and all texts to a fingerprint.
pub fn identify(run: &Run, config: &RealismConfig, fingerprint: Fingerprint) -> Outcome<Fingerprint> {
    let model = directory("eval.realism.model", &config.model)?;
    let real = fingerprint.setting("realism", &(&config.text_column, config.rows)).file("real notes", &config.notes);
    let mut fingerprint = fingerprint_files(&model, real.map_err(Failure::usage)?)?;
    for path in notes(run)?.iter().chain([&reports(run)?]) {
        fingerprint = fingerprint.file("realism", path)?;
    }
    Ok(fingerprint)
}

/// All notes of the dataset: the model behind the table was trained on none of them.
fn notes(run: &Run) -> Outcome<[std::path::PathBuf; 2]> {
    Ok([held_out(run, "notes-train.parquet")?, held_out(run, "notes-validation.parquet")?])
}

fn reports(run: &Run) -> Outcome<std::path::PathBuf> {
    input_file(Stage::Eval, Stage::Ingest, &run.stage_dir(Stage::Ingest), REPORTS, &run.pipeline.label)
}

impl Shown {
    /// Reads what the table names; nothing where there is none.
    pub fn gather(run: &Run) -> Outcome<Option<Self>> {
        let Some(config) = &run.config().eval.realism else { return Ok(None) };
        let texts = RealismTexts::read(config, &notes(run)?, &reports(run)?)?;
        let model = Tested {
            name: NAME.to_owned(),
            kind: Kind::Compared,
            source: config.model.clone(),
            shots: 0,
            weights: Weights::Directory(directory("eval.realism.model", &config.model)?),
        };
        let length = run.config().pretrain.as_ref().map_or(usize::MAX, |table| table.sequence_length);
        Ok(Some(Self { texts, model, sequence_length: length }))
    }

    /// The model's loss on every text.
    pub fn put_to(&self, run: &Run, bar: &StageBar) -> Outcome<ModelOutcome> {
        bar.say(NAME);
        let candidate = self.model.load(run)?;
        let rows = self.texts.losses(&candidate, self.sequence_length, || {
            bar.set(bar.position().0 + 1);
            run.check_interrupt()
        })?;
        Ok(ModelOutcome::new(self.model.described(), Vec::new()).with_losses(Losses { rows, too_long: Vec::new() }))
    }
}
