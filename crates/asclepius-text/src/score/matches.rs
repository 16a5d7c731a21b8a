//! Things found against things expected, as counts: they add up over rows, so that a corpus has one (micro) F1.

use serde::{Deserialize, Serialize};

/// How many of what an answer gives are also in its reference.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matches {
    /// In both.
    pub matched: usize,
    /// In the answer.
    pub predicted: usize,
    /// In the reference.
    pub expected: usize,
}

impl Matches {
    /// Of two sets of normalised things.
    pub fn of_sets<T: Ord>(
        predicted: &std::collections::BTreeSet<T>,
        expected: &std::collections::BTreeSet<T>,
    ) -> Self {
        let matched = predicted.intersection(expected).count();
        Self { matched, predicted: predicted.len(), expected: expected.len() }
    }

    /// matched / predicted; nothing where nothing was predicted.
    pub fn precision(self) -> Option<f64> {
        (self.predicted > 0).then(|| self.matched as f64 / self.predicted as f64)
    }

    /// matched / expected; nothing where nothing was expected.
    pub fn recall(self) -> Option<f64> {
        (self.expected > 0).then(|| self.matched as f64 / self.expected as f64)
    }

    /// Harmonic mean of both, 2 matched / (predicted + expected); nothing where there is nothing on either side.
    pub fn f1(self) -> Option<f64> {
        let both = self.predicted + self.expected;
        (both > 0).then(|| 2.0 * self.matched as f64 / both as f64)
    }
}
