//! One runner a stage: it joins the stage's crate to the dataset's readers and writers, and holds no domain logic.

pub mod asking;
pub mod dataset;
mod encoding;
pub mod eval;
pub mod ingest;
pub mod instruct;
pub mod judging;
pub mod notes;
pub mod report;
pub mod training;
mod watch;

use asclepius_schema::Manifest;
use asclepius_train::TrainStage;

use crate::failure::Outcome;
use crate::run::Run;
use crate::stage::Stage;

/// What decides whether the stage's result still stands.
pub fn fingerprint(run: &Run, stage: Stage) -> Outcome<String> {
    match stage {
        Stage::Ingest => ingest::fingerprint(run),
        Stage::Notes => notes::fingerprint(run),
        Stage::Instruct => instruct::fingerprint(run),
        Stage::Dataset => dataset::fingerprint(run),
        Stage::Pretrain => training::fingerprint(run, TrainStage::Pretrain),
        Stage::Sft => training::fingerprint(run, TrainStage::Sft),
        Stage::Eval => eval::fingerprint(run),
        Stage::Report => report::fingerprint(run),
    }
}

/// Does the stage's work.
pub fn execute(run: &Run, stage: Stage, fingerprint: &str) -> Outcome<Manifest> {
    match stage {
        Stage::Ingest => ingest::execute(run, fingerprint),
        Stage::Notes => notes::execute(run, fingerprint),
        Stage::Instruct => instruct::execute(run, fingerprint),
        Stage::Dataset => dataset::execute(run, fingerprint),
        Stage::Pretrain => training::execute(run, TrainStage::Pretrain, fingerprint),
        Stage::Sft => training::execute(run, TrainStage::Sft, fingerprint),
        Stage::Eval => eval::execute(run, fingerprint),
        Stage::Report => report::execute(run, fingerprint),
    }
}
