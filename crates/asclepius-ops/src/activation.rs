//! Elementwise non-linearities of the feed-forward layers.

use candle_core::Tensor;

use crate::linear::expect;
use crate::{Result, reference};

/// Which formula of the Gaussian error linear unit a checkpoint was trained with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// `x/2 (1 + erf(x / sqrt 2))`, `gelu` in Hugging Face configurations.
    Erf,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, `gelu_new` and `gelu_pytorch_tanh` there.
    Tanh,
}

/// `silu(gate) * up`, all of one shape (Shazeer, "GLU Variants Improve Transformer", 2020).
///
/// # Errors
/// When the shapes differ.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    expect("swiglu", "up", gate.dims(), up.dims())?;
    reference::swiglu(gate, up)
}

/// The Gaussian error linear unit of `x`, any shape (Hendrycks and Gimpel, 2016).
///
/// # Errors
/// When the device fails.
pub fn gelu(x: &Tensor, kind: Gelu) -> Result<Tensor> {
    reference::gelu(x, kind)
}
