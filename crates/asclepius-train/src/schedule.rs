//! Learning rate as a function of the step: warm-up, then cosine, linear or constant, by the formulas of transformers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the learning rate does after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// Half a cosine down to 0 at the last step.
    Cosine,
    /// A straight line down to 0 at the last step.
    Linear,
    /// Stays at its peak.
    Constant,
}

/// A schedule with its horizon: a pure function of the step, so resume needs no state but the step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LearningRate {
    peak: f64,
    schedule: Schedule,
    warmup_steps: u64,
    total_steps: u64,
}

impl LearningRate {
    /// `warmup_ratio` of `total_steps`, rounded up, is warm-up, as transformers' `get_warmup_steps` counts it.
    pub fn new(peak: f64, schedule: Schedule, warmup_ratio: f64, total_steps: u64) -> Self {
        Self { peak, schedule, warmup_steps: (total_steps as f64 * warmup_ratio).ceil() as u64, total_steps }
    }

    /// The rate of the update that follows `steps_done` finished ones; the first update under a warm-up has rate 0.
    ///
    /// `steps_done / warmup_steps` in the warm-up, then with `p` the share of the remaining steps done:
    /// cosine `(1 + cos(pi p)) / 2`, linear `1 - p`, constant 1, each times the peak
    /// (`get_cosine_schedule_with_warmup`, `get_linear_schedule_with_warmup`, `get_constant_schedule_with_warmup`).
    pub fn at(&self, steps_done: u64) -> f64 {
        let after_warmup = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        let factor = if steps_done < self.warmup_steps {
            steps_done as f64 / self.warmup_steps as f64
        } else {
            match self.schedule {
                Schedule::Constant => 1.0,
                Schedule::Linear => (self.total_steps.saturating_sub(steps_done) as f64 / after_warmup).max(0.0),
                Schedule::Cosine => {
                    let progress = (steps_done - self.warmup_steps) as f64 / after_warmup;
                    (0.5 * (1.0 + (std::f64::consts::PI * progress).cos())).max(0.0)
                }
            }
        };
        self.peak * factor
    }

    /// Steps until the peak is reached.
    pub fn warmup_steps(&self) -> u64 {
        self.warmup_steps
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() <= 1e-15
    }

    #[test]
    fn every_schedule_starts_at_zero_and_peaks_when_the_warmup_ends() {
        for schedule in [Schedule::Cosine, Schedule::Linear, Schedule::Constant] {
            let rate = LearningRate::new(2e-5, schedule, 0.03, 100);
            assert_eq!(rate.warmup_steps(), 3);
            assert_eq!(rate.at(0), 0.0);
            assert!(close(rate.at(1), 2e-5 / 3.0));
            assert_eq!(rate.at(3), 2e-5);
        }
    }

    #[test]
    fn without_warmup_the_first_update_already_has_the_peak() {
        assert_eq!(LearningRate::new(1.0, Schedule::Cosine, 0.0, 10).at(0), 1.0);
        assert_eq!(LearningRate::new(1.0, Schedule::Linear, 0.0, 10).at(0), 1.0);
    }

    #[test]
    fn the_way_down_follows_the_closed_forms() {
        let cosine = LearningRate::new(1.0, Schedule::Cosine, 0.2, 10);
        assert!(close(cosine.at(6), 0.5));
        assert!(close(cosine.at(4), 0.5 + std::f64::consts::SQRT_2 / 4.0));
        assert!(close(cosine.at(10), 0.0));
        let linear = LearningRate::new(1.0, Schedule::Linear, 0.2, 10);
        assert!(close(linear.at(4), 0.75));
        assert!(close(linear.at(9), 0.125));
        assert_eq!(linear.at(10), 0.0);
        assert_eq!(LearningRate::new(1.0, Schedule::Constant, 0.2, 10).at(9), 1.0);
    }

    #[test]
    fn warmup_steps_are_rounded_up() {
        assert_eq!(LearningRate::new(1.0, Schedule::Cosine, 0.03, 10).warmup_steps(), 1);
        assert_eq!(LearningRate::new(1.0, Schedule::Cosine, 0.03, 101).warmup_steps(), 4);
    }

    proptest! {
        #[test]
        fn the_rate_never_leaves_zero_to_peak(total in 1_u64..500, ratio in 0.0..=1.0_f64, step in 0_u64..600) {
            for schedule in [Schedule::Cosine, Schedule::Linear, Schedule::Constant] {
                let rate = LearningRate::new(3e-4, schedule, ratio, total).at(step);
                prop_assert!((0.0..=3e-4).contains(&rate));
            }
        }
    }
}
