//! The layers blocks are made of.

use asclepius_ops::{Parameter, PhiloxKey, linear, lora};
use candle_core::Tensor;

use crate::Result;

/// `x Wᵀ + b`, with a low-rank adapter where one is attached.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`.
    pub weight: Parameter,
    /// `[out]`.
    pub bias: Option<Parameter>,
    /// What is added to the weight.
    pub adapter: Option<Adapter>,
}

/// A low-rank addition to a weight: `scaling * B A`.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// `[r, in]`.
    pub a: Parameter,
    /// `[out, r]`.
    pub b: Parameter,
    /// `alpha / r`, or `alpha / sqrt r`.
    pub scaling: f64,
    /// Probability of dropping an input of `A` in training.
    pub dropout: f32,
}

impl Linear {
    /// `x [t, in]` -> `[t, out]`; `key` draws the adapter's dropout in training.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor, key: Option<PhiloxKey>) -> Result<Tensor> {
        let Some(adapter) = &self.adapter else {
            return Ok(linear(x, &self.weight, self.bias.as_ref())?);
        };
        let dropped =
            key.filter(|_| adapter.dropout > 0.0).map(|key| (adapter.dropout, key.fold_name(adapter.a.name())));
        let y = lora(x, &self.weight, &adapter.a, &adapter.b, adapter.scaling, dropped)?;
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias.value())?,
            None => y,
        })
    }

    /// The layer's name: its weight's without `.weight`.
    pub fn name(&self) -> &str {
        self.weight.name().strip_suffix(".weight").unwrap_or(self.weight.name())
    }
}
