//! When training ends: after so many passes, steps or tokens, known before the first step so that the schedule is; and
//! earlier, once the held-out loss has stopped falling.

use asclepius_dataset::Plan;
use serde::{Deserialize, Serialize};

use crate::config::{TrainConfig, TrainStage};
use crate::error::{Problem, TrainError};

impl TrainConfig {
    /// Passes over the data where nothing else ends training: the paper's.
    fn default_epochs(stage: TrainStage) -> u32 {
        match stage {
            TrainStage::Pretrain => 1,
            TrainStage::Sft => 3,
        }
    }

    /// Passes over the data, if they end training.
    pub fn bounding_epochs(&self, stage: TrainStage) -> Option<u32> {
        let unbounded = self.max_steps.is_none() && self.max_tokens.is_none();
        self.epochs.or_else(|| unbounded.then(|| Self::default_epochs(stage)))
    }

    /// Optimizer steps of the whole run over `plan`: whichever of `epochs`, `max_steps` and `max_tokens` comes first.
    pub fn total_steps(&self, stage: TrainStage, plan: &Plan) -> u64 {
        let by_epochs = self.bounding_epochs(stage).map(|epochs| u64::from(epochs) * plan.steps_per_epoch() as u64);
        let others = [by_epochs, self.max_steps];
        let bound = others.into_iter().flatten().min();
        let by_tokens = self.max_tokens.map(|tokens| steps_of_tokens(plan, tokens, bound));
        others.into_iter().chain([by_tokens]).flatten().min().unwrap_or(0)
    }

    /// Checks what `early_stop` leans on.
    pub(crate) fn validate_early_stop(&self, stage: TrainStage) -> Result<(), TrainError> {
        let missing = |key, because| {
            Err(TrainError::Setting { table: stage.table(), key, problem: Problem::Missing { because } })
        };
        match self.early_stop {
            None if self.early_stop_threshold > 0.0 => {
                let problem = Problem::Conflict { with: "an absent early_stop, which it is the threshold of" };
                Err(TrainError::Setting { table: stage.table(), key: "early_stop_threshold", problem })
            }
            Some(_) if self.eval_every == 0 => missing("eval_every", "early_stop counts evaluations"),
            Some(_) if self.data_is_file(stage) && self.validation_fraction == 0.0 => {
                missing("validation_fraction", "early_stop needs held-out data")
            }
            _ => Ok(()),
        }
    }
}

/// The steps it takes until `tokens` have gone through the model, at least one; `bound` ends the count early.
///
/// An epoch sees every token once, so only the last one is walked.
fn steps_of_tokens(plan: &Plan, tokens: u64, bound: Option<u64>) -> u64 {
    let per_epoch = plan.tokens_per_epoch() as u64;
    let whole_epochs = tokens.saturating_sub(1) / per_epoch;
    let mut step = whole_epochs * plan.steps_per_epoch() as u64;
    let mut seen = whole_epochs * per_epoch;
    while seen < tokens && bound.is_none_or(|bound| step < bound) {
        let micro_batches = 0..plan.micro_batches(step as usize);
        seen += micro_batches.map(|micro| plan.batch(step as usize, micro).tokens() as u64).sum::<u64>();
        step += 1;
    }
    step
}

/// The best evaluation so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The step whose weights they are; its step directory is kept.
    pub step: u64,
    /// Its held-out loss.
    pub eval_loss: f64,
}

/// What early stopping remembers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Patience {
    /// The best evaluation of trained weights; none before the first.
    pub best: Option<Best>,
    /// Evaluations since then.
    pub waited: u64,
}

impl Patience {
    /// Takes an evaluation in; true if it is the best. The model as it came is not asked: its weights are no result.
    pub fn observe(&mut self, step: u64, eval_loss: f64, threshold: f64) -> bool {
        let better = self.best.is_none_or(|best| eval_loss < best.eval_loss - threshold);
        if better {
            *self = Self { best: Some(Best { step, eval_loss }), waited: 0 };
        } else {
            self.waited += 1;
        }
        better
    }

    /// Whether training should end.
    pub fn is_exhausted(&self, early_stop: Option<u64>) -> bool {
        early_stop.is_some_and(|evaluations| self.waited >= evaluations)
    }
}

#[cfg(test)]
mod tests {
    use asclepius_dataset::{Document, Packing, PlanConfig};
    use proptest::prelude::*;

    use super::*;

    /// 23 ragged documents, five steps an epoch without packing.
    fn plan(config: &TrainConfig) -> Plan {
        let documents: Vec<Document> = (0..23)
            .map(|index| {
                let length = 2 + (index * 5) % 11;
                Document { ids: vec![3; length], supervised: vec![true; length], id: format!("document-{index}") }
            })
            .collect();
        let plan = PlanConfig { packing: Packing::None, sequence_length: 16, ..config.train_plan(1) };
        Plan::new(documents, plan).expect("the documents fit")
    }

    fn config() -> TrainConfig {
        TrainConfig { global_batch: 5, ..TrainConfig::default() }
    }

    #[test]
    fn the_horizon_is_whichever_comes_first() {
        let steps = |epochs, max_steps, max_tokens, stage| {
            let config = TrainConfig { epochs, max_steps, max_tokens, ..config() };
            config.total_steps(stage, &plan(&config))
        };
        assert_eq!(steps(None, None, None, TrainStage::Pretrain), 5);
        assert_eq!(steps(None, None, None, TrainStage::Sft), 15);
        assert_eq!(steps(Some(2), None, None, TrainStage::Pretrain), 10);
        assert_eq!(steps(None, Some(45), None, TrainStage::Pretrain), 45);
        assert_eq!(steps(Some(2), Some(45), None, TrainStage::Pretrain), 10);
        assert_eq!(steps(Some(2), Some(7), None, TrainStage::Pretrain), 7);
        let epoch = plan(&config()).tokens_per_epoch() as u64;
        assert_eq!(steps(None, None, Some(1), TrainStage::Sft), 1);
        assert_eq!(steps(None, None, Some(4 * epoch), TrainStage::Sft), 20);
        assert_eq!(steps(None, None, Some(4 * epoch + 1), TrainStage::Sft), 21);
        assert_eq!(steps(Some(2), Some(45), Some(4 * epoch), TrainStage::Sft), 10);
        assert_eq!(steps(Some(2), Some(7), Some(4 * epoch), TrainStage::Sft), 7);
    }

    proptest! {
        #[test]
        fn the_last_step_is_the_one_that_reaches_the_tokens(tokens in 1_u64..800) {
            let config = TrainConfig { max_tokens: Some(tokens), ..config() };
            let plan = plan(&config);
            let steps = config.total_steps(TrainStage::Pretrain, &plan);
            let seen = |steps: u64| -> u64 {
                (0..steps as usize)
                    .flat_map(|step| (0..plan.micro_batches(step)).map(move |micro| (step, micro)))
                    .map(|(step, micro)| plan.batch(step, micro).tokens() as u64)
                    .sum()
            };
            prop_assert!(seen(steps) >= tokens && seen(steps - 1) < tokens);
        }
    }

    #[test]
    fn patience_counts_what_is_not_better_by_the_threshold() {
        let mut patience = Patience::default();
        let losses = [3.0, 2.0, 1.95, 1.85, 1.9, 1.80];
        let better: Vec<bool> = (1_u64..).zip(losses).map(|(step, loss)| patience.observe(step, loss, 0.1)).collect();
        assert_eq!(better, [true, true, false, true, false, false]);
        assert_eq!(patience, Patience { best: Some(Best { step: 4, eval_loss: 1.85 }), waited: 2 });
        assert!(patience.is_exhausted(Some(2)) && !patience.is_exhausted(Some(3)) && !patience.is_exhausted(None));
    }
}
