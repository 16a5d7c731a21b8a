//! What training will take, from a configuration alone: before a weight is read.

use asclepius_ops::cross_entropy::SCORES_ON_CARD;
use serde::Serialize;

use crate::families::{self, Activation};
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
    /// Whether the optimizer's moments are held in 8-bit blocks.
    pub eight_bit: bool,
    /// Whether trained weights are kept in f32 as well.
    pub master_weights: bool,
    /// Whether it is a card that trains.
    pub on_card: bool,
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
    /// Bytes of the optimizer's two moments (f32, or a byte and 1/64 a number) and of master weights, where they are kept.
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
    let blocks = families::outer(config).blocks;
    let linears: Vec<(&str, &[usize])> = shapes
        .iter()
        .filter(|(name, shape)| name.starts_with(blocks) && shape.len() == 2)
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
            // NF4: half a byte a number, a byte for the scale of every 64 and an f32 for every 256 scales; only the blocks'
            // matrices are quantised.
            let quantised: u64 = linears.iter().map(|(_, shape)| count(shape)).sum();
            let added = adapters(lora)?;
            (added, added, quantised / 2 + quantised / 64 + quantised / 4096 + (base - quantised) * bytes)
        }
    };
    Ok(Plan {
        parameters: base + added,
        trainable,
        weight_bytes: base_bytes + 4 * added,
        gradient_bytes: 4 * trainable,
        optimizer_bytes: if options.eight_bit { 2 * trainable + 8 * trainable.div_ceil(256) } else { 8 * trainable }
            + if options.master_weights { 4 * trainable } else { 0 },
        activation_bytes: if options.on_card {
            let dense = match method {
                Method::Qlora(_) => linears.iter().map(|(_, shape)| count(shape)).max().unwrap_or(0),
                _ => 0,
            };
            (activations_on_card(config, options) + dense) * bytes
        } else {
            activations(config, options) * bytes
        },
    })
}

/// Numbers of 2 or 4 bytes beside weights, gradients and moments at the worst moment of a step on a card: what is kept for
/// the way back, as tapes keep it, and the head's scores or a block's gradients, whichever is more.
fn activations_on_card(config: &ModelConfig, options: &PlanOptions) -> u64 {
    let (d, f) = (config.hidden_size as u64, config.intermediate_size as u64);
    let (tokens, layers, vocabulary) = (options.tokens as u64, config.layers as u64, config.vocab_size as u64);
    let (queries, keys) = (config.query_features() as u64, config.key_features() as u64);
    let projections = if config.activation == Activation::SwiGlu { 2 * f } else { f };
    // Side by side, the branches share one norm of one input.
    let streams = if config.family == Family::Phi { 1 } else { 2 };
    let plain_heads = if config.family == Family::Qwen3 { queries + keys } else { 0 };
    // A softmax's normaliser is f32.
    let normalisers = config.heads as u64 * 4 / options.bytes as u64;
    let products = streams * d + 2 * queries + 2 * keys + normalisers + projections + plain_heads;
    let kept = match options.recompute {
        Recompute::None => layers * (products + streams * d + f),
        Recompute::Selective => layers * products,
        Recompute::Block => layers * d,
    };
    let head = (tokens * vocabulary).min(SCORES_ON_CARD as u64) + tokens * 4 * d;
    // The gradients of the stream, of attention's parts and of the feed-forward layer's, and the queries' in f32, which
    // blocks of keys sum on their own.
    let back = 4 * d + projections + f + 4 * queries * 4 / options.bytes as u64;
    let again = if options.recompute == Recompute::Block { products } else { 0 };
    tokens * kept + head.max(tokens * (back + again))
}

/// Operations that a training step must do for each token: two for every number of a matrix that the token is multiplied
/// with, on the way forward, for the input's gradient and, where the weights are `trained`, for theirs (Chowdhery et al.,
/// "PaLM", 2022, appendix B, without the part of attention). Looking an embedding up multiplies nothing; the head does.
/// What is computed twice to save memory counts once.
pub fn operations_per_token(config: &ModelConfig, trained: bool) -> f64 {
    let outer = families::outer(config);
    let head = config.vocab_size * config.hidden_size;
    let shapes = parameter_shapes(config);
    let blocks = shapes.iter().filter(|(name, shape)| name.starts_with(outer.blocks) && shape.len() == 2);
    let numbers = head + blocks.map(|(_, shape)| shape.iter().product::<usize>()).sum::<usize>();
    if trained { 6.0 * numbers as f64 } else { 4.0 * numbers as f64 }
}

/// Numbers kept for the way back, as `direct` keeps them: a block's for each block, or each block's input and one block's.
fn activations(config: &ModelConfig, options: &PlanOptions) -> u64 {
    let (d, f) = (config.hidden_size as u64, config.intermediate_size as u64);
    let queries = (config.heads * config.head_dim) as u64;
    let keys = (config.key_value_heads * config.head_dim) as u64;
    // The input, queries, keys and values, attention's output and normalisers, what lies between the branches, and the
    // feed-forward layer's projections; two norms where they are kept.
    let inner = if config.activation == Activation::SwiGlu { 2 * f } else { f };
    let products = 2 * d + 2 * queries + 2 * keys + config.heads as u64 + inner;
    let tokens = options.tokens as u64;
    let layers = config.layers as u64;
    let kept = match options.recompute {
        Recompute::None => layers * (products + 2 * d),
        Recompute::Selective => layers * products,
        Recompute::Block => layers * d + products,
    };
    // On one block's way back: the gradients of its branches' insides and of its stream.
    let passing = 3 * d + inner + f;
    // The head works on chunks of scores.
    let scores = (1 << 22).max(256 * config.vocab_size as u64);
    tokens * (kept + passing) + scores
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::{LoraTargets, ModelError};

    fn config(value: Value) -> ModelConfig {
        ModelConfig::from_json(value).expect("a published configuration")
    }

    fn phi_2() -> ModelConfig {
        config(json!({
            "model_type": "phi", "hidden_act": "gelu_new", "vocab_size": 51200, "hidden_size": 2560,
            "intermediate_size": 10240, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 32, "partial_rotary_factor": 0.4, "layer_norm_eps": 1e-5,
            "tie_word_embeddings": false,
        }))
    }

    const OPTIONS: PlanOptions = PlanOptions {
        tokens: 2048,
        bytes: 2,
        recompute: Recompute::Block,
        eight_bit: false,
        master_weights: false,
        on_card: false,
    };

    #[test]
    fn parameters_are_those_the_models_are_published_with() {
        let llama_3_8b = json!({
            "model_type": "llama", "vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "rope_theta": 500_000.0,
        });
        let smollm2_135m = json!({
            "model_type": "llama", "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536,
            "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": true,
        });
        let qwen_2_5_half_b = json!({
            "model_type": "qwen2", "vocab_size": 151_936, "hidden_size": 896, "intermediate_size": 4864,
            "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": true,
        });
        let phi_3_mini = json!({
            "model_type": "phi3", "vocab_size": 32064, "hidden_size": 3072, "intermediate_size": 8192,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "sliding_window": 2047,
        });
        for (config, parameters) in [
            (config(llama_3_8b), 8_030_261_248),
            (config(smollm2_135m), 134_515_008),
            (config(qwen_2_5_half_b), 494_032_768),
            (config(phi_3_mini), 3_821_079_552),
            (phi_2(), 2_779_683_840),
        ] {
            let plan = plan(&config, &Method::Full, &OPTIONS).expect("no targets to miss");
            assert_eq!(plan.parameters, parameters, "{}", config.family.model_type());
            assert_eq!(plan.weight_bytes, 2 * parameters);
            assert_eq!(plan.optimizer_bytes, 8 * parameters);
            let masters = PlanOptions { master_weights: true, ..OPTIONS };
            let bytes = self::plan(&config, &Method::Full, &masters).expect("no targets to miss").optimizer_bytes;
            assert_eq!(bytes, 12 * parameters);
            let eight_bit = PlanOptions { eight_bit: true, ..OPTIONS };
            let bytes = self::plan(&config, &Method::Full, &eight_bit).expect("no targets to miss").optimizer_bytes;
            assert!((bytes as f64 / parameters as f64 - 2.03125).abs() < 1e-6, "2.03 bytes a number");
        }
    }

    #[test]
    fn adapters_are_counted_by_their_targets() {
        let named = |names: &[&str]| LoraConfig {
            rank: 4,
            targets: LoraTargets::Names(names.iter().map(|&name| name.to_owned()).collect()),
            ..LoraConfig::default()
        };
        let qlora = plan(&phi_2(), &Method::Qlora(named(&["q_proj", "fc1", "fc2"])), &OPTIONS).expect("they match");
        assert_eq!(qlora.trainable, 32 * 4 * (2 * 2560 + 2 * (2560 + 10240)));
        let lora = plan(&phi_2(), &Method::Lora(named(&["q_proj"])), &OPTIONS).expect("it matches");
        assert!(qlora.weight_bytes * 2 < lora.weight_bytes);
        let missing = plan(&phi_2(), &Method::Lora(named(&["Wqkv"])), &OPTIONS);
        assert!(matches!(missing, Err(ModelError::NoSuchTarget { .. })));
    }

    #[test]
    fn a_card_holds_what_was_measured_on_one() {
        let llama = |d: usize, f: usize, layers: usize, head: usize, tied: bool| {
            config(json!({
                "model_type": "llama", "vocab_size": 128_256, "hidden_size": d, "intermediate_size": f,
                "num_hidden_layers": layers, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": head,
                "rms_norm_eps": 1e-5, "max_position_embeddings": 8192, "tie_word_embeddings": tied,
            }))
        };
        let phi = config(json!({
            "model_type": "phi", "vocab_size": 51_200, "hidden_size": 2560, "intermediate_size": 10_240,
            "num_hidden_layers": 32, "num_attention_heads": 32, "hidden_act": "gelu_new", "layer_norm_eps": 1e-5,
            "partial_rotary_factor": 0.4, "max_position_embeddings": 2048, "tie_word_embeddings": false,
        }));
        let lora = LoraConfig { rank: 16, ..LoraConfig::default() };
        let large = llama(4096, 14_336, 32, 128, false);
        let small = config(json!({
            "model_type": "llama", "vocab_size": 49_152, "hidden_size": 576, "intermediate_size": 1536,
            "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64,
            "rms_norm_eps": 1e-5, "max_position_embeddings": 8192, "tie_word_embeddings": true,
        }));
        // The most that tensors held, of bench/results' run on an H100: model, method, tokens, recomputation, 8-bit moments,
        // bytes.
        let adapters = || Method::Lora(lora.clone());
        for (model, method, tokens, recompute, eight_bit, measured) in [
            (&large, adapters(), 4096, Recompute::None, false, 35_535_007_748_u64),
            (&large, Method::Full, 2048, Recompute::None, true, 73_956_006_980),
            (&phi, Method::Qlora(lora.clone()), 1024, Recompute::Block, false, 2_529_012_100),
            (&llama(2048, 8192, 16, 64, true), Method::Full, 8192, Recompute::None, false, 27_721_234_080),
            (&large, Method::Full, 4096, Recompute::Block, true, 66_457_611_772),
            (&large, adapters(), 8192, Recompute::Block, false, 20_664_233_988),
            (&small, Method::Full, 16_384, Recompute::None, false, 10_550_752_244),
            (&phi, adapters(), 4096, Recompute::None, false, 15_766_201_556),
        ] {
            let options = PlanOptions { tokens, bytes: 2, recompute, eight_bit, master_weights: false, on_card: true };
            let planned = plan(model, &method, &options).expect("a published configuration").total_bytes();
            let apart = planned as f64 / measured as f64 - 1.0;
            assert!(apart.abs() < 0.05, "{method:?}: {planned} planned, {measured} measured");
        }
    }
}
