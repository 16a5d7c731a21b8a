//! A block: attention and feed-forward around the residual, one after the other or side by side, of whatever projections
//! and norms a family gives it.

use asclepius_ops::{AttentionOptions, Gelu, Parameter, PhiloxKey, RopeLayout, attention, dropout, gelu, rope, swiglu};
use candle_core::Tensor;

use crate::layers::{Linear, Norm, Projections};
use crate::{Context, ModelConfig, Result};

/// Attention and feed-forward, each added to what comes in.
#[derive(Clone, Debug)]
pub struct Block {
    pub(crate) input_norm: Norm,
    pub(crate) attention: Attention,
    /// The feed-forward layer's own norm, after attention; none where it stands beside attention, on the same input.
    pub(crate) feed_forward_norm: Option<Norm>,
    pub(crate) feed_forward: FeedForward,
    /// Probability of dropping an added feature in training.
    pub(crate) residual_dropout: f32,
}

/// Causal self-attention inside documents.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Queries, keys and values.
    pub(crate) projections: Projections<3>,
    /// Norms over each head's features of queries and of keys.
    pub(crate) head_norms: Option<(Norm, Norm)>,
    pub(crate) output: Linear,
    pub(crate) options: AttentionOptions,
    pub(crate) head_dim: usize,
}

/// The layer that works on each token alone.
#[derive(Clone, Debug)]
pub enum FeedForward {
    /// `down(silu(gate x) * up x)`.
    Gated {
        /// Gate and up.
        inner: Projections<2>,
        /// Back to the hidden size.
        down: Linear,
    },
    /// `output(gelu(inner x))`.
    Plain {
        /// To the features inside.
        inner: Linear,
        /// Which formula.
        activation: Gelu,
        /// Back to the hidden size.
        output: Linear,
    },
}

/// Keys and values of one block's earlier tokens, `[s, g, d]` each.
#[derive(Clone, Debug, Default)]
pub struct Cache(Option<(Tensor, Tensor)>);

impl Cache {
    /// Tokens held.
    pub fn tokens(&self) -> usize {
        self.0.as_ref().map_or(0, |(keys, _)| keys.dims()[0])
    }

    /// Adds keys and values of one document's next tokens; gives all so far.
    fn extend(&mut self, keys: &Tensor, values: &Tensor) -> Result<(Tensor, Tensor)> {
        let (keys, values) = (keys.detach(), values.detach());
        let all = match self.0.take() {
            Some((earlier_keys, earlier_values)) => {
                (Tensor::cat(&[&earlier_keys, &keys], 0)?, Tensor::cat(&[&earlier_values, &values], 0)?)
            }
            None => (keys, values),
        };
        Ok(self.0.insert(all).clone())
    }
}

impl Block {
    /// `x [t, d]` -> `[t, d]`.
    pub(crate) fn forward(&self, x: &Tensor, context: &Context, cache: Option<&mut Cache>) -> Result<Tensor> {
        let normed = self.input_norm.forward(x)?;
        let attended = self.dropped(self.attention.forward(&normed, context, cache)?, "attention", context)?;
        let x = (x + attended)?;
        let normed = match &self.feed_forward_norm {
            Some(norm) => norm.forward(&x)?,
            None => normed,
        };
        let fed = self.dropped(self.feed_forward.forward(&normed, context)?, "feed_forward", context)?;
        Ok((x + fed)?)
    }

    /// The residual dropout of training, drawn for this block and `part` of it.
    fn dropped(&self, y: Tensor, part: &str, context: &Context) -> Result<Tensor> {
        let Some(key) = self.residual_key(part, context.dropout) else { return Ok(y) };
        Ok(dropout(&y, self.residual_dropout, key)?)
    }

    /// What draws the residual dropout of a part of this block; none where nothing is dropped.
    pub(crate) fn residual_key(&self, part: &str, dropout: Option<PhiloxKey>) -> Option<PhiloxKey> {
        let key = dropout.filter(|_| self.residual_dropout > 0.0)?;
        Some(key.fold_name(self.input_norm.weight.name()).fold_name(part))
    }

    pub(crate) fn linears(&self) -> Vec<&Linear> {
        let mut linears: Vec<&Linear> = self.attention.projections.linears().iter().collect();
        linears.push(&self.attention.output);
        match &self.feed_forward {
            FeedForward::Gated { inner, down } => linears.extend(inner.linears().iter().chain([down])),
            FeedForward::Plain { inner, output, .. } => linears.extend([inner, output]),
        }
        linears
    }

    /// Whether any of its parameters is trained.
    pub(crate) fn is_trained(&self) -> bool {
        let mut copy = self.clone();
        copy.parameters_mut().into_iter().any(|parameter| parameter.is_trainable())
    }

    pub(crate) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        self.parts_mut().1
    }

    /// Every parameter, adapters included, to look at or to replace.
    pub(crate) fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let (norms, linears) = self.parts_mut();
        let norms = norms.into_iter().flat_map(Norm::parameters_mut);
        norms.chain(linears.into_iter().flat_map(Linear::parameters_mut)).collect()
    }

    fn parts_mut(&mut self) -> (Vec<&mut Norm>, Vec<&mut Linear>) {
        let Attention { projections, head_norms, output, .. } = &mut self.attention;
        let mut norms = vec![&mut self.input_norm];
        norms.extend(self.feed_forward_norm.as_mut());
        if let Some((queries, keys)) = head_norms {
            norms.extend([queries, keys]);
        }
        let mut linears: Vec<&mut Linear> = projections.linears_mut().iter_mut().collect();
        linears.push(output);
        match &mut self.feed_forward {
            FeedForward::Gated { inner, down } => linears.extend(inner.linears_mut().iter_mut().chain([down])),
            FeedForward::Plain { inner, output, .. } => linears.extend([inner, output]),
        }
        (norms, linears)
    }
}

impl Attention {
    fn forward(&self, x: &Tensor, context: &Context, cache: Option<&mut Cache>) -> Result<Tensor> {
        let t = x.dim(0)?;
        let heads = |x: &Tensor| x.reshape((t, (), self.head_dim));
        let [q, k, v] = self.projections.forward(x, context.dropout)?;
        let (mut q, mut k, v) = (heads(&q)?, heads(&k)?, heads(&v)?);
        if let Some((queries, keys)) = &self.head_norms {
            (q, k) = (queries.forward(&q)?, keys.forward(&k)?);
        }
        let q = rope(&q, &context.cos, &context.sin, RopeLayout::Halves)?;
        let k = rope(&k, &context.cos, &context.sin, RopeLayout::Halves)?;
        let (k, v) = match cache {
            Some(cache) => cache.extend(&k, &v)?,
            None => (k, v),
        };
        let y = attention(&q, &k, &v, &context.documents, &self.options)?;
        self.output.forward(&y.reshape((t, ()))?, context.dropout)
    }
}

impl FeedForward {
    fn forward(&self, x: &Tensor, context: &Context) -> Result<Tensor> {
        let key = context.dropout;
        match self {
            Self::Gated { inner, down } => {
                let [gate, up] = inner.forward(x, key)?;
                down.forward(&swiglu(&gate, &up)?, key)
            }
            Self::Plain { inner, activation, output } => {
                output.forward(&gelu(&inner.forward(x, key)?, *activation)?, key)
            }
        }
    }
}

impl Attention {
    /// Whether a gradient is wanted that needs the branch's input.
    pub(crate) fn needs_input(&self) -> bool {
        self.projections.linears().iter().any(Linear::needs_input)
    }
}

impl FeedForward {
    /// Whether a gradient is wanted that needs the branch's input.
    pub(crate) fn needs_input(&self) -> bool {
        match self {
            Self::Gated { inner, .. } => inner.linears().iter().any(Linear::needs_input),
            Self::Plain { inner, .. } => inner.needs_input(),
        }
    }
}

/// Attention's constants by configuration.
pub(crate) fn attention_options(config: &ModelConfig) -> AttentionOptions {
    AttentionOptions { scale: 1.0 / (config.head_dim as f64).sqrt(), window: config.window }
}
