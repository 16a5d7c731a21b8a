//! AdamW by the card's kernels: one pass over memory, in place, nothing waited for.

use asclepius_ops::PhiloxKey;
use asclepius_ops::dynamic_code::{CODES, SIGNED, UNSIGNED};
use asclepius_ops::gpu::{self, EightBitMoments, Rounding};
use candle_core::{DType, Device, Result, Tensor};

use crate::adamw::{Factors, Moments, check_shapes};
use crate::adamw8bit::QuantisedMoments;

/// How new values are rounded: a bf16 weight would stand still under updates below half its last place.
fn rounding(value: &Tensor, key: PhiloxKey) -> Rounding {
    if value.dtype() == DType::BF16 { Rounding::Stochastic(key) } else { Rounding::Nearest }
}

/// Updates `value` and `moments`, all on one card.
pub(crate) fn update(
    value: &Tensor,
    gradient: &Tensor,
    moments: &Moments,
    factors: &Factors,
    key: PhiloxKey,
) -> Result<()> {
    check_shapes(value, gradient, &moments.first)?;
    gpu::adamw(value, gradient, [&moments.first, &moments.second], factors.on_card(), rounding(value, key))
}

/// The same with moments in 8 bits; `books` as [`books`] makes them.
pub(crate) fn update_quantised(
    value: &Tensor,
    gradient: &Tensor,
    moments: &QuantisedMoments,
    books: &Tensor,
    factors: &Factors,
    key: PhiloxKey,
) -> Result<()> {
    check_shapes(value, gradient, &moments.first.codes)?;
    let moments = EightBitMoments {
        codes: [&moments.first.codes, &moments.second.codes],
        scales: [&moments.first.scales, &moments.second.scales],
        books,
    };
    gpu::adamw_8bit(value, gradient, &moments, factors.on_card(), rounding(value, key))
}

/// Both codes' numbers, then the midpoints between each one's: f32, `[4, 256]`.
pub(crate) fn books(device: &Device) -> Result<Tensor> {
    let rows = [SIGNED.values(), UNSIGNED.values(), SIGNED.midpoints(), UNSIGNED.midpoints()];
    Tensor::from_vec(rows.into_iter().flatten().copied().collect::<Vec<f32>>(), (rows.len(), CODES), device)
}
