//! Low-rank adaptation of a linear layer (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021).

use candle_core::Tensor;

use crate::{Parameter, PhiloxKey, Result, dropout, linear};

/// `x Wᵀ + scaling * (dropout(x) Aᵀ) Bᵀ`: `x [.., in]`, `w [out, in]` (usually frozen), `a [r, in]`, `b [out, r]` ->
/// `[.., out]`. `dropped` is the probability and the key; none in evaluation.
///
/// # Errors
/// When the shapes do not fit.
pub fn lora(
    x: &Tensor,
    w: &Parameter,
    a: &Parameter,
    b: &Parameter,
    scaling: f64,
    dropped: Option<(f32, PhiloxKey)>,
) -> Result<Tensor> {
    let input = match dropped {
        Some((p, key)) => dropout(x, p, key)?,
        None => x.clone(),
    };
    let low = (linear(&input, a, None)? * scaling)?;
    Ok((linear(x, w, None)? + linear(&low, b, None)?)?)
}
