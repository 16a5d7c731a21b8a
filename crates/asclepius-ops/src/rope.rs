//! Rotary position embedding (Su et al., "RoFormer", 2021), of all features of a head or of the first `r`.

use candle_core::Tensor;

use crate::linear::expect;
use crate::{OpsError, Result, reference};

/// Which features make a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeLayout {
    /// Feature `i` with `i + r/2`: the layout of Hugging Face checkpoints.
    Halves,
    /// Feature `2i` with `2i + 1`: the layout of the original Llama weights and of GGUF.
    Interleaved,
}

/// Rotates `x [t, h, d]` by the angles whose cosines and sines are `cos`, `sin [t, r/2]`; features from `r` on pass.
/// `(a, b) -> (a cos - b sin, b cos + a sin)`. Backward: the rotation by the opposite angles.
///
/// # Errors
/// When the shapes do not fit.
pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor> {
    let (t, _, d) = x.dims3()?;
    let half = cos.dims().last().copied().unwrap_or(0);
    expect("rope", "cos", &[t, half], cos.dims())?;
    expect("rope", "sin", &[t, half], sin.dims())?;
    if 2 * half > d {
        return Err(OpsError::Shape {
            operation: "rope",
            what: "cos, which turns more features than there are,",
            expected: vec![t, d / 2],
            found: cos.dims().to_vec(),
        });
    }
    reference::rope(x, cos, sin, layout)
}
