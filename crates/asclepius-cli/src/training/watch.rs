//! What a person sees of a training run, and how it is stopped.

use asclepius_model::TrainableParameters;
use asclepius_train::{Control, EvaluationRow, StepRow, TrainStage};

use crate::failure::Outcome;
use crate::progress::{self, StageBar};
use crate::run::Run;

/// The stage's bar, and the user's wish to stop.
#[derive(Debug)]
pub struct Watch<'a> {
    run: &'a Run,
    bar: StageBar,
}

impl<'a> Watch<'a> {
    /// Starts the stage's bar.
    pub fn start(run: &'a Run, stage: TrainStage) -> Self {
        Self { run, bar: StageBar::start(stage.table(), 0) }
    }

    /// Says how many rows are tokens by now, and stops where the user asked to.
    pub fn tokenised(&self, rows: u64) -> Outcome {
        self.bar.say(format!("{rows} rows are tokens"));
        self.run.check_interrupt()
    }

    /// Removes it.
    pub fn finish(&self) {
        self.bar.finish();
    }
}

impl Control for Watch<'_> {
    fn started(&self, steps_done: u64, total_steps: u64, parameters: TrainableParameters) {
        self.bar.set_total(total_steps);
        self.bar.set(steps_done);
        progress::line(&format!("{:>9}  {parameters}", ""));
        if steps_done > 0 {
            progress::line(&format!("{:>9}  goes on after step {steps_done}", ""));
        }
    }

    fn stepped(&self, row: &StepRow, _total_steps: u64) {
        self.bar.set(row.step);
        self.bar.say(format!("loss {:.3}, {:.0} tokens/s", row.loss, row.tokens_per_second));
    }

    fn evaluated(&self, row: &EvaluationRow) {
        tracing::info!(step = row.step, eval_loss = row.eval_loss, "evaluated");
    }

    fn should_stop(&self) -> bool {
        self.run.interrupt.is_set()
    }
}
