//! Normalisation over the last dimension.

use candle_core::Tensor;

use crate::linear::expect;
use crate::{Parameter, Result, reference};

/// `x / sqrt(mean(x^2) + epsilon) * w`: `x [.., d]`, `w [d]` (Zhang and Sennrich, "Root Mean Square Layer
/// Normalization", 2019).
///
/// # Errors
/// When the shapes do not fit.
pub fn rms_norm(x: &Tensor, w: &Parameter, epsilon: f64) -> Result<Tensor> {
    expect("rms_norm", "w", &x.dims()[x.rank().saturating_sub(1)..], w.value().dims())?;
    reference::rms_norm(x, w.value(), epsilon)
}

/// `(x - mean) / sqrt(variance + epsilon) * w + b`: `x [.., d]`, `w [d]`, `b [d]` (Ba, Kiros and Hinton, "Layer
/// Normalization", 2016).
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm(x: &Tensor, w: &Parameter, b: &Parameter, epsilon: f64) -> Result<Tensor> {
    let last = &x.dims()[x.rank().saturating_sub(1)..];
    expect("layer_norm", "w", last, w.value().dims())?;
    expect("layer_norm", "b", last, b.value().dims())?;
    reference::layer_norm(x, w.value(), b.value(), epsilon)
}
