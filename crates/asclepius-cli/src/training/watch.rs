//! What a person sees of a training run, and how it is stopped.

use std::sync::{Mutex, PoisonError};

use asclepius_train::profile::Profile;
use asclepius_train::{Beginning, Control, EvaluationRow, StepRow, TrainConfig, TrainStage};

use crate::failure::Outcome;
use crate::progress::{self, StageBar};
use crate::run::Run;
use crate::training::table;

/// The stage's bar, and the user's wish to stop.
#[derive(Debug)]
pub struct Watch<'a> {
    run: &'a Run,
    stage: TrainStage,
    bar: StageBar,
    /// Steps of this process, and the seconds they took.
    pace: Mutex<(u64, f64)>,
}

impl<'a> Watch<'a> {
    /// Starts the stage's bar.
    pub fn start(run: &'a Run, stage: TrainStage) -> Self {
        Self { run, stage, bar: StageBar::start(stage.table(), 0), pace: Mutex::default() }
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
    fn started(&self, beginning: &Beginning) {
        let Beginning { steps_done, total_steps, parameters, .. } = *beginning;
        self.bar.set_total(total_steps);
        self.bar.set(steps_done);
        progress::line(&format!("{:>9}  {parameters}", ""));
        if let Ok(table) = table(self.run, self.stage) {
            progress::line(&format!("{:>9}  {}", "", arithmetic(table, beginning)));
        }
        if steps_done > 0 {
            progress::line(&format!("{:>9}  goes on after step {steps_done}", ""));
        }
    }

    fn stepped(&self, row: &StepRow, total_steps: u64) {
        let (steps, seconds) = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            *pace = (pace.0 + 1, pace.1 + row.seconds);
            *pace
        };
        let left = total_steps.saturating_sub(row.step) as f64 * seconds / steps as f64;
        self.bar.set(row.step);
        self.bar.say(format!(
            "loss {:.3}, rate {:.1e}, {:.0} tokens/s, {} left",
            row.loss,
            row.learning_rate,
            row.tokens_per_second,
            duration(left)
        ));
    }

    fn evaluated(&self, row: &EvaluationRow) {
        tracing::info!(step = row.step, eval_loss = row.eval_loss, "evaluated");
    }

    fn profiled_steps(&self) -> std::ops::Range<u64> {
        // The first one compiles, allocates and warms caches.
        if self.run.profile { 1..4 } else { 0..0 }
    }

    fn profiled(&self, profile: &Profile) {
        let share = |(kind, share): &(&str, f64)| format!("{kind} {:.1} %", 100.0 * share);
        let shares: Vec<String> = profile.shares.iter().map(share).collect();
        let [first, last] = profile.steps;
        progress::line(&format!(
            "{:>9}  steps {first} to {last}, {:.3} s each: {}; {}",
            "profile",
            profile.step_seconds,
            shares.join(", "),
            profile.path.display()
        ));
    }

    fn should_stop(&self) -> bool {
        self.run.interrupt.is_set()
    }
}

/// What the settings multiply to, so that a slip in one of them is seen before hours have passed.
fn arithmetic(table: &TrainConfig, beginning: &Beginning) -> String {
    let Beginning { total_steps, steps_per_epoch, sequences_per_epoch, .. } = *beginning;
    let accumulation = table.global_batch / table.micro_batch;
    format!(
        "a step: {} sequences a micro-batch x {accumulation} = {} sequences x {} = at most {} tokens; \
         {total_steps} steps = {:.2} epochs of {sequences_per_epoch} sequences",
        table.micro_batch,
        table.global_batch,
        table.sequence_length,
        table.global_batch * table.sequence_length,
        total_steps as f64 / steps_per_epoch as f64,
    )
}

/// Seconds as a person says them.
fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}
