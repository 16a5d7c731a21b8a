//! What training will take, from a configuration alone: before a weight is read.

use serde::Serialize;

use crate::{Family, LoraConfig, ModelConfig, Recompute, Result, parameter_shapes};

/// What is trained.
#[derive(Clone, Debug, PartialEq)]
pub enum Method {
    /// Every weight.
    Full,
    /// Adapters on frozen weights.
    Lora(LoraConfig),
    /// Adapters on frozen weights held in 4 bits.
    Qlora(LoraConfig),
}

/// What the memory depends on beside the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlanOptions {
    /// Tokens of a micro-batch.
    pub tokens: usize,
    /// Bytes of a weight and of an activation: 4 for f32, 2 for bf16.
    pub bytes: usize,
    /// What is kept of the forward pass.
    pub recompute: Recompute,
}

/// Parameters and memory, each kind apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Numbers in all tensors, adapters included.
    pub parameters: u64,
    /// Numbers in trained tensors.
    pub trainable: u64,
    /// Bytes of the weights.
    pub weight_bytes: u64,
    /// Bytes of the gradients, f32.
    pub gradient_bytes: u64,
    /// Bytes of the optimizer's two moments, f32.
    pub optimizer_bytes: u64,
    /// Bytes of activations kept for the way back, and of the largest transient beside them; an estimate.
    pub activation_bytes: u64,
}

impl Plan {
    /// All bytes together.
    pub fn total_bytes(&self) -> u64 {
        self.weight_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes
    }
}

/// What `method` takes on a model of `config`.
///
/// # Errors
/// When a LoRA target matches nothing.
pub fn plan(config: &ModelConfig, method: &Method, options: &PlanOptions) -> Result<Plan> {
    let shapes = parameter_shapes(config);
    let count = |shape: &[usize]| shape.iter().map(|&size| size as u64).product::<u64>();
    let base: u64 = shapes.values().map(|shape| count(shape)).sum();
    let linears: Vec<(&str, &[usize])> = shapes
        .iter()
        .filter(|(name, shape)| name.starts_with("model.layers.") && shape.len() == 2)
        .filter_map(|(name, shape)| Some((name.strip_suffix(".weight")?, shape.as_slice())))
        .collect();
    let adapters = |lora: &LoraConfig| -> Result<u64> {
        lora.validate()?;
        let names: Vec<&str> = linears.iter().map(|(name, _)| *name).collect();
        let selected = lora.select(&names)?;
        let chosen = linears.iter().filter(|(name, _)| selected.contains(name));
        Ok(chosen.map(|(_, shape)| lora.rank as u64 * (shape[0] + shape[1]) as u64).sum())
    };
    let bytes = options.bytes as u64;
    let (added, trainable, base_bytes) = match method {
        Method::Full => (0, base, base * bytes),
        Method::Lora(lora) => (adapters(lora)?, adapters(lora)?, base * bytes),
        Method::Qlora(lora) => {
            // NF4: half a byte a number and a scale in f32 for every 64; only the blocks' matrices are quantised.
            let quantised: u64 = linears.iter().map(|(_, shape)| count(shape)).sum();
            let added = adapters(lora)?;
            (added, added, quantised / 2 + quantised / 16 + (base - quantised) * bytes)
        }
    };
    Ok(Plan {
        parameters: base + added,
        trainable,
        weight_bytes: base_bytes + 4 * added,
        gradient_bytes: 4 * trainable,
        optimizer_bytes: 8 * trainable,
        activation_bytes: activations(config, options, matches!(method, Method::Full)) * bytes,
    })
}

/// Numbers kept for the way back: a block's graph for each block, or each block's input and one graph.
fn activations(config: &ModelConfig, options: &PlanOptions, full: bool) -> u64 {
    let (d, f) = (config.hidden_size as u64, config.intermediate_size as u64);
    let queries = (config.heads * config.head_dim) as u64;
    let keys = (config.key_value_heads * config.head_dim) as u64;
    // Input twice (leaf and residual), two norms, q and k before and after rotation, v, the attention's output and its
    // projection, then the feed-forward layer's gate, up and product, and the output.
    let inner = if config.family == Family::Phi { 2 * f } else { 3 * f };
    let block = 6 * d + 3 * queries + 3 * keys + inner;
    let tokens = options.tokens as u64;
    let layers = config.layers as u64;
    let kept = match options.recompute {
        Recompute::None => layers * block,
        Recompute::Block => layers * d + block,
    };
    // The head works on chunks of scores and keeps the gradient of its own weight while it is made.
    let scores = 2 * (1 << 22).max(128 * config.vocab_size as u64);
    let head_gradient = if full { config.vocab_size as u64 * d } else { 0 };
    tokens * (kept + 2 * d) + scores + head_gradient
}

impl Method {
    /// The adapters' settings.
    pub fn lora(&self) -> Option<&LoraConfig> {
        match self {
            Self::Full => None,
            Self::Lora(lora) | Self::Qlora(lora) => Some(lora),
        }
    }
}
