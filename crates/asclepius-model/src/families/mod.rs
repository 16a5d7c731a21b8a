//! What tells the families apart, one file each. Everything else is shared: a block's shape, the way through it, loading,
//! adapters. A family says how it reads `config.json` ([`Traits`]), what its tensors outside the blocks are called
//! ([`Outer`]), and what a block is made of.

mod llama;
mod mistral;
pub(crate) mod phi;
mod phi3;
mod qwen2;
mod qwen3;

use asclepius_ops::{Gelu, Parameter};

use crate::block::Block;
use crate::config::Keys;
use crate::layers::{Linear, Norm};
use crate::{Family, ModelConfig, Result};

/// The feed-forward layer's non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `silu(gate) * up`, of two projections.
    SwiGlu,
    /// The Gaussian error linear unit of one projection.
    Gelu(Gelu),
}

/// What a family reads from `config.json` in its own way; the default is Llama's without any bias.
pub(crate) struct Traits {
    pub(crate) activation: Activation,
    /// The key of the norms' epsilon.
    pub(crate) epsilon_key: &'static str,
    /// The share of a head's features that turn, where the file does not say.
    pub(crate) turned: f64,
    pub(crate) window: Option<usize>,
    pub(crate) query_bias: bool,
    pub(crate) output_bias: bool,
    pub(crate) feed_forward_bias: bool,
    pub(crate) residual_dropout: f32,
}

impl Default for Traits {
    fn default() -> Self {
        Self {
            activation: Activation::SwiGlu,
            epsilon_key: "rms_norm_eps",
            turned: 1.0,
            window: None,
            query_bias: false,
            output_bias: false,
            feed_forward_bias: false,
            residual_dropout: 0.0,
        }
    }
}

/// The names around the blocks, and whether norm and head have biases.
#[derive(Clone, Copy)]
pub(crate) struct Outer {
    pub(crate) embedding: &'static str,
    /// Block `n` is `<blocks>.n`.
    pub(crate) blocks: &'static str,
    pub(crate) norm: &'static str,
    pub(crate) norm_bias: bool,
    pub(crate) head: &'static str,
    pub(crate) head_bias: bool,
}

const OUTER: Outer = Outer {
    embedding: "model.embed_tokens",
    blocks: "model.layers",
    norm: "model.norm",
    norm_bias: false,
    head: "lm_head",
    head_bias: false,
};

pub(crate) fn traits(family: Family, keys: &Keys<'_>) -> Result<Traits> {
    match family {
        Family::Llama => llama::traits(keys),
        Family::Mistral => mistral::traits(keys),
        Family::Qwen2 => qwen2::traits(keys),
        Family::Qwen3 => qwen3::traits(keys),
        Family::Phi => phi::traits(keys),
        Family::Phi3 => phi3::traits(keys),
    }
}

pub(crate) fn outer(config: &ModelConfig) -> Outer {
    if config.family == Family::Phi { phi::outer(config.layout) } else { OUTER }
}

/// The block of that name, as `model.layers.0`.
pub(crate) fn block(config: &ModelConfig, weights: &mut Weights<'_>, name: &str) -> Block {
    match config.family {
        Family::Llama | Family::Mistral | Family::Qwen2 => llama::block(config, weights, name),
        Family::Qwen3 => qwen3::block(config, weights, name),
        Family::Phi => phi::block(config, weights, name),
        Family::Phi3 => phi3::block(config, weights, name),
    }
}

/// Where a decoder under construction gets its parameters: by name as in the checkpoint, and shape.
pub(crate) struct Weights<'a>(pub(crate) &'a mut dyn FnMut(String, &[usize]) -> Parameter);

impl Weights<'_> {
    pub(crate) fn weight(&mut self, module: &str, shape: &[usize]) -> Parameter {
        (self.0)(format!("{module}.weight"), shape)
    }

    pub(crate) fn bias(&mut self, module: &str, size: usize) -> Parameter {
        (self.0)(format!("{module}.bias"), &[size])
    }

    pub(crate) fn linear(&mut self, module: &str, out: usize, input: usize, bias: bool) -> Linear {
        Linear { weight: self.weight(module, &[out, input]), bias: bias.then(|| self.bias(module, out)), adapter: None }
    }

    /// A norm over `size` features: a layer norm where it has a bias.
    pub(crate) fn norm(&mut self, module: &str, size: usize, epsilon: f64, bias: bool) -> Norm {
        Norm { weight: self.weight(module, &[size]), bias: bias.then(|| self.bias(module, size)), epsilon }
    }
}
