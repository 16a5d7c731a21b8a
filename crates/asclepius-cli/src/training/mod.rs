//! What both training stages, evaluation and preview share: the rows, the model to start from, and the view of a run.

pub mod outcome;
pub mod rows;
pub mod start;
pub mod watch;

use anyhow::anyhow;
use asclepius_train::{TrainConfig, TrainStage};

use crate::failure::{Failure, Outcome};
use crate::run::Run;
use crate::stage::Stage;

/// The runner's stage of a training stage.
pub fn stage_of(stage: TrainStage) -> Stage {
    match stage {
        TrainStage::Pretrain => Stage::Pretrain,
        TrainStage::Sft => Stage::Sft,
    }
}

/// The stage's table; a pipeline without it has no such stage.
pub fn table(run: &Run, stage: TrainStage) -> Outcome<&TrainConfig> {
    let config = run.config();
    let table = match stage {
        TrainStage::Pretrain => &config.pretrain,
        TrainStage::Sft => &config.sft,
    };
    table
        .as_ref()
        .ok_or_else(|| Failure::usage(anyhow!("pipeline {} has no [{}] table", run.pipeline.label, stage.table())))
}
