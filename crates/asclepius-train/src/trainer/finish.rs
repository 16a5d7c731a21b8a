//! What a run leaves: step directories on the way, the finished model, and a summary.

use std::path::PathBuf;

use tracing::{info, warn};

use super::Run;
use crate::TrainError;
use crate::checkpoint::step_name;
use crate::guards::idle_adapters;
use crate::job::Summary;
use crate::metrics::{MetricsRow, TrainerState, write_trainer_state};
use crate::persist;

impl Run<'_> {
    /// A checkpoint of the last whole step, if there is not one yet.
    pub(super) fn save(&mut self) -> Result<(), TrainError> {
        let step = self.state.step;
        if step == 0 || self.checkpoint.as_ref().is_some_and(|(saved, _)| *saved == step) {
            return Ok(());
        }
        if !idle_adapters(self.gradients.parameters())?.is_empty() {
            // Nothing has moved yet (a warm-up begins at rate 0), and starting over repeats these steps exactly.
            warn!(step, "no checkpoint: the adapter changes nothing yet");
            return Ok(());
        }
        self.metrics.sync()?;
        let path = persist::save_step(self.decoder, &self.optimizer, self.job, self.control, &self.state)?;
        self.checkpoint = Some((step, path));
        self.write_trainer_state()
    }

    /// Writes the last weights, or with early stopping the best, as the result.
    pub(super) fn finish(&self) -> Result<Summary, TrainError> {
        if let Some(best) = self.state.patience.best.filter(|best| best.step != self.state.step) {
            info!(step = best.step, eval_loss = best.eval_loss, "the best weights are kept");
            persist::restore_weights(self.decoder, &self.job.directory.join(step_name(best.step)))?;
        }
        let directory = persist::save_final(self.decoder, self.job, self.control)?;
        self.summary(Some(directory))
    }

    fn write_trainer_state(&self) -> Result<(), TrainError> {
        let state = TrainerState {
            total_steps: self.state.total_steps,
            epochs: self.state.total_steps as f64 / self.steps_per_epoch as f64,
            micro_batch: self.job.config.micro_batch,
            best: self.state.patience.best,
        };
        write_trainer_state(self.job.directory, self.metrics.rows(), &state)
    }

    pub(super) fn summary(&self, final_directory: Option<PathBuf>) -> Result<Summary, TrainError> {
        self.metrics.sync()?;
        self.write_trainer_state()?;
        let mut losses = Vec::new();
        let mut evaluations = Vec::new();
        for row in self.metrics.rows() {
            match row {
                MetricsRow::Step(row) => losses.push(row.loss),
                MetricsRow::Evaluation(row) => evaluations.push(*row),
            }
        }
        Ok(Summary {
            steps: self.state.step,
            total_steps: self.state.total_steps,
            resumed_from: self.resumed_from,
            first_loss: losses.first().copied(),
            final_loss: losses.last().copied(),
            best: self.state.patience.best,
            stopped_early: self.has_stopped_early() && self.state.step < self.state.total_steps,
            evaluations,
            tokens: self.state.tokens,
            seconds: self.state.seconds,
            parameters: self.decoder.trainable_parameters(),
            interrupted: !self.is_done(),
            final_directory,
        })
    }
}
