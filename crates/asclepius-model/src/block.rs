//! The pre-norm block of Llama and the families that differ from it by a bias, a window or a norm of heads.

use asclepius_ops::{AttentionOptions, Parameter, RopeLayout, attention, rms_norm, rope, swiglu};
use candle_core::Tensor;

use crate::layers::Linear;
use crate::{Context, ModelConfig, Result};

/// Attention and feed-forward, each behind a norm and around a residual.
#[derive(Clone, Debug)]
pub struct Block {
    pub(crate) input_norm: Parameter,
    pub(crate) attention: Attention,
    pub(crate) feed_forward_norm: Parameter,
    pub(crate) feed_forward: FeedForward,
    pub(crate) epsilon: f64,
}

/// Causal self-attention inside documents.
#[derive(Clone, Debug)]
pub struct Attention {
    pub(crate) query: Linear,
    pub(crate) key: Linear,
    pub(crate) value: Linear,
    pub(crate) output: Linear,
    /// Norms over each head's features of queries and of keys.
    pub(crate) head_norms: Option<(Parameter, Parameter)>,
    pub(crate) options: AttentionOptions,
    pub(crate) head_dim: usize,
    pub(crate) epsilon: f64,
}

/// `down(silu(gate x) * up x)`.
#[derive(Clone, Debug)]
pub struct FeedForward {
    pub(crate) gate: Linear,
    pub(crate) up: Linear,
    pub(crate) down: Linear,
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
        let normed = rms_norm(x, &self.input_norm, self.epsilon)?;
        let x = (x + self.attention.forward(&normed, context, cache)?)?;
        let normed = rms_norm(&x, &self.feed_forward_norm, self.epsilon)?;
        Ok((&x + self.feed_forward.forward(&normed, context)?)?)
    }

    pub(crate) fn linears(&self) -> [&Linear; 7] {
        let (attention, feed_forward) = (&self.attention, &self.feed_forward);
        [
            &attention.query,
            &attention.key,
            &attention.value,
            &attention.output,
            &feed_forward.gate,
            &feed_forward.up,
            &feed_forward.down,
        ]
    }

    pub(crate) fn linears_mut(&mut self) -> [&mut Linear; 7] {
        let (attention, feed_forward) = (&mut self.attention, &mut self.feed_forward);
        [
            &mut attention.query,
            &mut attention.key,
            &mut attention.value,
            &mut attention.output,
            &mut feed_forward.gate,
            &mut feed_forward.up,
            &mut feed_forward.down,
        ]
    }

    /// Every parameter, adapters included, to look at or to replace.
    pub(crate) fn parameters_mut(&mut self) -> Vec<&mut Parameter> {
        let mut parameters = vec![&mut self.input_norm, &mut self.feed_forward_norm];
        let (attention, feed_forward) = (&mut self.attention, &mut self.feed_forward);
        if let Some((queries, keys)) = &mut attention.head_norms {
            parameters.extend([queries, keys]);
        }
        for linear in [
            &mut attention.query,
            &mut attention.key,
            &mut attention.value,
            &mut attention.output,
            &mut feed_forward.gate,
            &mut feed_forward.up,
            &mut feed_forward.down,
        ] {
            parameters.push(&mut linear.weight);
            parameters.extend(linear.bias.as_mut());
            if let Some(adapter) = &mut linear.adapter {
                parameters.extend([&mut adapter.a, &mut adapter.b]);
            }
        }
        parameters
    }
}

impl Attention {
    fn forward(&self, x: &Tensor, context: &Context, cache: Option<&mut Cache>) -> Result<Tensor> {
        let t = x.dim(0)?;
        let key = context.dropout;
        let heads = |x: Tensor| x.reshape((t, (), self.head_dim));
        let mut q = heads(self.query.forward(x, key)?)?;
        let mut k = heads(self.key.forward(x, key)?)?;
        let v = heads(self.value.forward(x, key)?)?;
        if let Some((queries, keys)) = &self.head_norms {
            q = rms_norm(&q, queries, self.epsilon)?;
            k = rms_norm(&k, keys, self.epsilon)?;
        }
        let q = rope(&q, &context.cos, &context.sin, RopeLayout::Halves)?;
        let k = rope(&k, &context.cos, &context.sin, RopeLayout::Halves)?;
        let (k, v) = match cache {
            Some(cache) => cache.extend(&k, &v)?,
            None => (k, v),
        };
        let y = attention(&q, &k, &v, &context.documents, &self.options)?;
        self.output.forward(&y.reshape((t, ()))?, key)
    }
}

impl FeedForward {
    fn forward(&self, x: &Tensor, context: &Context) -> Result<Tensor> {
        let key = context.dropout;
        let inner = swiglu(&self.gate.forward(x, key)?, &self.up.forward(x, key)?)?;
        self.down.forward(&inner, key)
    }
}

/// Attention's constants by configuration.
pub(crate) fn attention_options(config: &ModelConfig) -> AttentionOptions {
    AttentionOptions { scale: 1.0 / (config.head_dim as f64).sqrt(), window: config.window }
}
