//! Evaluation on held-out data, and what early stopping learns from it.

use std::time::Instant;

use asclepius_model::evaluate;

use super::{Run, micro_batch};
use crate::TrainError;
use crate::guards::idle_adapters;
use crate::metrics::{EvaluationRow, MetricsRow};

impl Run<'_> {
    /// The mean loss over everything held out, a micro-batch at a time.
    pub(super) fn evaluate(&mut self) -> Result<(), TrainError> {
        let Some(plan) = self.job.held_out else { return Ok(()) };
        let started = Instant::now();
        let (mut loss, mut supervised) = (0.0, 0);
        for batch in plan.first_epoch() {
            if batch.supervised > 0 {
                supervised += batch.supervised as u64;
                let sum = evaluate(self.decoder, &micro_batch(&batch)?)?;
                if !sum.is_finite() {
                    return Err(self.broken_loss("held-out loss", sum, &batch)?);
                }
                loss += sum;
            }
        }
        if supervised == 0 {
            return Err(TrainError::NothingHeldOut);
        }
        let eval_loss = loss / supervised as f64;
        let row = EvaluationRow {
            step: self.state.step,
            epoch: self.epoch(),
            eval_loss,
            eval_supervised_tokens: supervised,
            best: self.observe(eval_loss)?,
            eval_seconds: started.elapsed().as_secs_f64(),
        };
        self.record(MetricsRow::Evaluation(row))?;
        self.control.evaluated(&row);
        Ok(())
    }

    /// Whether these weights are the best so far; `None` without early stopping, and of weights that nothing has moved.
    fn observe(&mut self, eval_loss: f64) -> Result<Option<bool>, TrainError> {
        let config = self.job.config;
        let step = self.state.step;
        if config.early_stop.is_none() || step == 0 || !idle_adapters(self.gradients.parameters())?.is_empty() {
            return Ok(None);
        }
        Ok(Some(self.state.patience.observe(step, eval_loss, config.early_stop_threshold)))
    }
}
