//! The layers blocks are made of.

use asclepius_ops::{Parameter, PhiloxKey, layer_norm, linear, lora, rms_norm};
use candle_core::{D, Tensor};

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

impl Adapter {
    /// With what probability inputs of `A` are dropped, and what draws them; none in evaluation.
    pub(crate) fn dropped(&self, key: Option<PhiloxKey>) -> Option<(f32, PhiloxKey)> {
        key.filter(|_| self.dropout > 0.0).map(|key| (self.dropout, key.fold_name(self.a.name())))
    }
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
        let y = lora(x, &self.weight, &adapter.a, &adapter.b, adapter.scaling, adapter.dropped(key))?;
        Ok(match &self.bias {
            Some(bias) => y.broadcast_add(bias.value())?,
            None => y,
        })
    }

    /// Whether a gradient is wanted that needs the layer's input.
    pub(crate) fn needs_input(&self) -> bool {
        self.weight.is_trainable() || self.adapter.as_ref().is_some_and(|adapter| adapter.a.is_trainable())
    }

    pub(crate) fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        let adapter = self.adapter.as_mut().map(|adapter| [&mut adapter.a, &mut adapter.b]);
        std::iter::once(&mut self.weight).chain(self.bias.as_mut()).chain(adapter.into_iter().flatten())
    }

    /// The layer's name: its weight's without `.weight`.
    pub fn name(&self) -> &str {
        self.weight.name().strip_suffix(".weight").unwrap_or(self.weight.name())
    }
}

/// Projections of one input: a matrix each, or one matrix that holds their rows one after the other.
#[derive(Clone, Debug)]
pub enum Projections<const N: usize> {
    /// A layer each.
    Apart([Linear; N]),
    /// One layer, and how many features each projection has.
    Stacked(Linear, [usize; N]),
}

impl<const N: usize> Projections<N> {
    /// `x [t, in]` -> `N` times `[t, out]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor, key: Option<PhiloxKey>) -> Result<[Tensor; N]> {
        let parts = match self {
            Self::Apart(linears) => linears.iter().map(|linear| linear.forward(x, key)).collect::<Result<Vec<_>>>()?,
            Self::Stacked(linear, sizes) => {
                let y = linear.forward(x, key)?;
                let mut start = 0;
                let part = |&size: &usize| {
                    start += size;
                    Ok(y.narrow(D::Minus1, start - size, size)?)
                };
                sizes.iter().map(part).collect::<Result<Vec<_>>>()?
            }
        };
        Ok(parts.try_into().expect("either way there is one tensor a projection"))
    }

    /// The layers: `N`, or one.
    pub fn linears(&self) -> &[Linear] {
        match self {
            Self::Apart(linears) => linears,
            Self::Stacked(linear, _) => std::slice::from_ref(linear),
        }
    }

    /// The layers: `N`, or one.
    pub fn linears_mut(&mut self) -> &mut [Linear] {
        match self {
            Self::Apart(linears) => linears,
            Self::Stacked(linear, _) => std::slice::from_mut(linear),
        }
    }
}

/// A norm over the last dimension: of the root mean square, or, with a bias, a layer norm.
#[derive(Clone, Debug)]
pub struct Norm {
    /// `[d]`.
    pub weight: Parameter,
    /// `[d]`.
    pub bias: Option<Parameter>,
    /// Added under the root.
    pub epsilon: f64,
}

impl Norm {
    /// `x [.., d]` -> `[.., d]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        Ok(match &self.bias {
            Some(bias) => layer_norm(x, &self.weight, bias, self.epsilon)?,
            None => rms_norm(x, &self.weight, self.epsilon)?,
        })
    }

    pub(crate) fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        std::iter::once(&mut self.weight).chain(self.bias.as_mut())
    }
}
