//! Dynamic loss scaling for f16 (Micikevicius et al., "Mixed Precision Training", 2018, section 3.2): activations' gradients
//! are computed times a power of two, since half of them would be 0 in f16 otherwise.
//!
//! The loss is summed here, not averaged, so a gradient is already times the number of supervised tokens, and the scale
//! begins lower than PyTorch's. Where a scale turns out too large, the same micro-batches are run again with half of it:
//! no step is skipped and no data lost.

use serde::{Deserialize, Serialize};

const FIRST: f64 = 1024.0;
const MOST: f64 = (1u64 << 24) as f64;
/// Steps in a row without an overflow after which the scale doubles, as in PyTorch's `GradScaler`.
const PATIENCE: u32 = 2000;

/// The scale of the next step, and how long it has held.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossScale {
    /// A power of two, at least 1.
    pub scale: f64,
    /// Steps in a row that did not overflow.
    pub sound_steps: u32,
}

impl Default for LossScale {
    fn default() -> Self {
        Self { scale: FIRST, sound_steps: 0 }
    }
}

impl LossScale {
    /// Halves the scale after an overflow; false where it is 1 already, and the overflow not its doing.
    pub(crate) fn halve(&mut self) -> bool {
        let can = self.scale > 1.0;
        if can {
            *self = Self { scale: self.scale / 2.0, sound_steps: 0 };
        }
        can
    }

    /// Counts a step that did not overflow.
    pub(crate) fn held(&mut self) {
        self.sound_steps += 1;
        if self.sound_steps >= PATIENCE {
            *self = Self { scale: (self.scale * 2.0).min(MOST), sound_steps: 0 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_halves_down_to_one_and_doubles_after_long_peace() {
        let mut scale = LossScale::default();
        let halved = std::iter::from_fn(|| scale.halve().then_some(scale.scale)).count();
        assert_eq!((halved, scale.scale), (10, 1.0));
        for _ in 0..PATIENCE {
            assert_eq!(scale.scale, 1.0);
            scale.held();
        }
        assert_eq!(scale, LossScale { scale: 2.0, sound_steps: 0 });
        for _ in 0..100 * PATIENCE {
            scale.held();
        }
        assert_eq!(scale.scale, MOST);
    }
}
