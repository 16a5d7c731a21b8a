//! What a training run is given, what it tells while it runs, and what it hands back.

use std::path::{Path, PathBuf};

use asclepius_dataset::{Order, Plan, PlanConfig};
use asclepius_model::TrainableParameters;

use crate::config::{TrainConfig, TrainStage};
use crate::horizon::Best;
use crate::metrics::{EvaluationRow, StepRow};
use crate::profile::Profile;

/// A run to be made, or to be gone on with.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Which table the settings are.
    pub stage: TrainStage,
    /// The settings.
    pub config: &'a TrainConfig,
    /// Seed of dropout and of new adapters; shuffling has its own in `train`.
    pub seed: u64,
    /// The training data, laid out by [`TrainConfig::train_plan`].
    pub train: &'a Plan,
    /// Held-out data, laid out by [`TrainConfig::evaluation_plan`].
    pub held_out: Option<&'a Plan>,
    /// The stage's directory; step directories found there are gone on from.
    pub directory: &'a Path,
    /// Fingerprint of data and settings: a step directory of another one is refused.
    pub identity: &'a str,
    /// Where the base lies, as an adapter's configuration should name it.
    pub base: &'a str,
    /// A directory whose tokenizer files go into the model's.
    pub tokenizer: Option<&'a Path>,
}

impl TrainConfig {
    /// How the training data is dealt out.
    pub fn train_plan(&self, seed: u64) -> PlanConfig {
        PlanConfig {
            sequence_length: self.sequence_length,
            packing: self.packing,
            micro_batch: self.micro_batch,
            global_batch: self.global_batch,
            order: Order::Shuffled { seed },
        }
    }

    /// How held-out data is dealt out: as given, so that every evaluation sees the same batches.
    pub fn evaluation_plan(&self) -> PlanConfig {
        PlanConfig { order: Order::AsGiven, ..self.train_plan(0) }
    }
}

/// What is known before the first step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Beginning {
    /// Optimizer steps done by earlier processes.
    pub steps_done: u64,
    /// Optimizer steps of the whole run.
    pub total_steps: u64,
    /// Optimizer steps of a pass over the data.
    pub steps_per_epoch: u64,
    /// Sequences of a pass over the data.
    pub sequences_per_epoch: u64,
    /// What is trained.
    pub parameters: TrainableParameters,
}

/// The caller's side of a run. Every method has a default that does nothing, or asks the machine.
pub trait Control {
    /// The run begins, or goes on.
    fn started(&self, beginning: &Beginning) {
        let _ = beginning;
    }

    /// A step is done.
    fn stepped(&self, row: &StepRow, total_steps: u64) {
        let _ = (row, total_steps);
    }

    /// An evaluation is done.
    fn evaluated(&self, row: &EvaluationRow) {
        let _ = row;
    }

    /// Which of this process's steps to trace, counted from 0; none are by default.
    fn profiled_steps(&self) -> std::ops::Range<u64> {
        0..0
    }

    /// The trace is written.
    fn profiled(&self, profile: &Profile) {
        let _ = profile;
    }

    /// Whether to stop at the next micro-batch; what the step has summed is then dropped and a checkpoint of the last
    /// whole step is written.
    fn should_stop(&self) -> bool {
        false
    }

    /// Bytes the file system below `directory` has room for, for this user.
    ///
    /// # Errors
    /// When the file system does not say.
    fn available_bytes(&self, directory: &Path) -> std::io::Result<u64> {
        let status = rustix::fs::statvfs(directory)?;
        Ok(status.f_bavail.saturating_mul(status.f_frsize))
    }
}

/// A run that nobody watches and nobody stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unattended;

impl Control for Unattended {}

/// How a run went.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// Optimizer steps done, those of earlier processes included.
    pub steps: u64,
    /// Optimizer steps of the whole run.
    pub total_steps: u64,
    /// The step this process went on from.
    pub resumed_from: Option<u64>,
    /// Training loss of the first step.
    pub first_loss: Option<f64>,
    /// Training loss of the last step.
    pub final_loss: Option<f64>,
    /// With early stopping, the evaluation whose weights were kept.
    pub best: Option<Best>,
    /// Early stopping ended the run before its last step.
    pub stopped_early: bool,
    /// Every evaluation, in order.
    pub evaluations: Vec<EvaluationRow>,
    /// Tokens that went through the model, evaluations not counted.
    pub tokens: u64,
    /// Time spent in training, over all processes.
    pub seconds: f64,
    /// What is trained.
    pub parameters: TrainableParameters,
    /// Stopped by [`Control::should_stop`] before the last step; the next call goes on.
    pub interrupted: bool,
    /// The trained model or adapter (with early stopping, the best one); none when interrupted.
    pub final_directory: Option<PathBuf>,
}
