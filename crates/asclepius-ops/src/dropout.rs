//! Dropout whose mask is a function of a key, so that running a block again draws the same one.

use candle_core::Tensor;

use crate::{PhiloxKey, Result, reference};

/// Zeroes each element of `x` (any shape) with probability `p` in `[0, 1)` and scales the others by `1 / (1 - p)`.
/// Element `i` is kept where `key.uniform(i) >= p`. Backward: the same mask and scale.
///
/// # Errors
/// When the device fails.
pub fn dropout(x: &Tensor, p: f32, key: PhiloxKey) -> Result<Tensor> {
    if p <= 0.0 { Ok(x.clone()) } else { reference::dropout(x, p, key) }
}
