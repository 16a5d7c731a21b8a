//! Phi-1, Phi-1.5 and Phi-2 (Li et al., "Textbooks Are All You Need II", 2023): attention and feed-forward side by side on
//! one layer norm's output, heads of which a part turns, biases everywhere, the head's among them.
//!
//! Checkpoints come in two layouts. Today's have q, k and v apart, under the names most families share. The first ones
//! (`model_type` phi-msft) stack them in `Wqkv`, with names and configuration keys of their own.

use std::ops::Range;

use asclepius_ops::Gelu;
use serde_json::{Map, Value, json};

use super::{Activation, OUTER, Outer, Traits, Weights};
use crate::block::{Attention, Block, FeedForward, attention_options};
use crate::config::Keys;
use crate::layers::Projections;
use crate::{ModelConfig, Result};

/// The `model_type` of the first checkpoints.
pub(crate) const FIRST_MODEL_TYPE: &str = "phi-msft";

/// The keys of the first checkpoints' `config.json` that today's have other names for.
const FIRST_KEYS: [&str; 12] = [
    "n_embd",
    "n_layer",
    "n_head",
    "n_head_kv",
    "n_inner",
    "n_positions",
    "rotary_dim",
    "activation_function",
    "layer_norm_epsilon",
    "attn_pdrop",
    "auto_map",
    "torch_dtype",
];

/// How a checkpoint's tensors are cut and named; only Phi's differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// As transformers has them.
    #[default]
    Current,
    /// As the first Phi checkpoints have them: q, k and v stacked in `Wqkv`.
    First,
}

/// The layout of a checkpoint with tensors of these names.
pub(crate) fn layout<'a>(mut names: impl Iterator<Item = &'a str>) -> Layout {
    if names.any(|name| name.ends_with(".mixer.Wqkv.weight")) { Layout::First } else { Layout::Current }
}

/// The first checkpoints' `config.json` in today's keys.
pub(crate) fn current_keys(first: &Map<String, Value>) -> Map<String, Value> {
    let mut current = first.clone();
    for (old, new) in [
        ("n_embd", "hidden_size"),
        ("n_layer", "num_hidden_layers"),
        ("n_head", "num_attention_heads"),
        ("n_head_kv", "num_key_value_heads"),
        ("n_inner", "intermediate_size"),
        ("n_positions", "max_position_embeddings"),
        ("activation_function", "hidden_act"),
        ("layer_norm_epsilon", "layer_norm_eps"),
        ("attn_pdrop", "attention_dropout"),
    ] {
        if let Some(value) = first.get(old) {
            current.insert(new.to_owned(), value.clone());
        }
    }
    let size = |key: &str| first.get(key).and_then(Value::as_u64);
    if let Some(hidden) = size("n_embd") {
        if size("n_inner").is_none() {
            current.insert("intermediate_size".to_owned(), json!(4 * hidden));
        }
        if let (Some(turned), Some(heads)) = (size("rotary_dim"), size("n_head")) {
            // Half a feature more, so that the product with the head's size rounds down to the whole number it was.
            let share = (turned as f64 + 0.5) * heads as f64 / hidden as f64;
            current.insert("partial_rotary_factor".to_owned(), json!(share));
        }
    }
    current
}

/// The configuration of the same model in today's layout, its `config.json` in today's keys.
pub(crate) fn in_current_layout(config: &ModelConfig) -> Result<ModelConfig> {
    if config.layout == Layout::Current {
        return Ok(config.clone());
    }
    let Value::Object(mut raw) = config.to_json() else { unreachable!("a configuration is an object") };
    if raw.get("model_type").and_then(Value::as_str) == Some(FIRST_MODEL_TYPE) {
        raw = current_keys(&raw);
        raw.retain(|key, _| !FIRST_KEYS.contains(&key.as_str()));
        raw.insert("model_type".to_owned(), json!("phi"));
        raw.insert("architectures".to_owned(), json!(["PhiForCausalLM"]));
    }
    ModelConfig::from_json(Value::Object(raw))
}

/// The tensor of the first layout that holds the one of that name in today's, and its rows where it is a part.
pub(crate) fn first_name(config: &ModelConfig, current: &str) -> (String, Option<Range<usize>>) {
    let (module, kind) = current.rsplit_once('.').unwrap_or((current, ""));
    let (queries, keys) = (config.query_features(), config.key_features());
    let renamed = |name: &str| (format!("{name}.{kind}"), None);
    match module {
        "model.embed_tokens" => return renamed("transformer.embd.wte"),
        "model.final_layernorm" => return renamed("lm_head.ln"),
        "lm_head" => return renamed("lm_head.linear"),
        _ => {}
    }
    let block = module.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
    let Some((layer, part)) = block else { return (current.to_owned(), None) };
    let part_of = |rows| (format!("transformer.h.{layer}.mixer.Wqkv.{kind}"), Some(rows));
    match part {
        "self_attn.q_proj" => part_of(0..queries),
        "self_attn.k_proj" => part_of(queries..queries + keys),
        "self_attn.v_proj" => part_of(queries + keys..queries + 2 * keys),
        "self_attn.dense" => renamed(&format!("transformer.h.{layer}.mixer.out_proj")),
        "input_layernorm" => renamed(&format!("transformer.h.{layer}.ln")),
        _ => renamed(&format!("transformer.h.{layer}.{part}")),
    }
}

pub(super) fn traits(keys: &Keys<'_>) -> Result<Traits> {
    let gelu = keys.activation(&[("gelu_new", Gelu::Tanh), ("gelu_pytorch_tanh", Gelu::Tanh), ("gelu", Gelu::Erf)])?;
    if keys.flag("qk_layernorm")?.unwrap_or(false) {
        return Err(keys.problem("qk_layernorm", "is not supported"));
    }
    Ok(Traits {
        activation: Activation::Gelu(gelu.unwrap_or(Gelu::Tanh)),
        epsilon_key: "layer_norm_eps",
        turned: 0.5,
        window: None,
        query_bias: true,
        output_bias: true,
        feed_forward_bias: true,
        residual_dropout: residual_dropout(keys)?,
    })
}

/// The probability of dropping a feature that attention or feed-forward adds to the residual, in training. The other
/// two dropouts there are keys for are 0 in every published configuration.
pub(super) fn residual_dropout(keys: &Keys<'_>) -> Result<f32> {
    for key in ["embd_pdrop", "attention_dropout"] {
        if keys.number(key)?.is_some_and(|p| p != 0.0) {
            return Err(keys.problem(key, "dropout other than resid_pdrop is not supported"));
        }
    }
    match keys.number("resid_pdrop")? {
        Some(p) if !(0.0..1.0).contains(&p) => {
            Err(keys.problem("resid_pdrop", format!("{p} is no probability below 1")))
        }
        p => Ok(p.unwrap_or(0.0) as f32),
    }
}

pub(super) fn outer(layout: Layout) -> Outer {
    match layout {
        Layout::Current => Outer { norm: "model.final_layernorm", norm_bias: true, head_bias: true, ..OUTER },
        Layout::First => Outer {
            embedding: "transformer.embd.wte",
            blocks: "transformer.h",
            norm: "lm_head.ln",
            norm_bias: true,
            head: "lm_head.linear",
            head_bias: true,
        },
    }
}

pub(super) fn block(config: &ModelConfig, weights: &mut Weights<'_>, name: &str) -> Block {
    let (d, f) = (config.hidden_size, config.intermediate_size);
    let (queries, keys) = (config.query_features(), config.key_features());
    let (norm, attention, output) = match config.layout {
        Layout::Current => ("input_layernorm", "self_attn", "dense"),
        Layout::First => ("ln", "mixer", "out_proj"),
    };
    let attention = format!("{name}.{attention}");
    let projections = match config.layout {
        Layout::Current => Projections::Apart([
            weights.linear(&format!("{attention}.q_proj"), queries, d, true),
            weights.linear(&format!("{attention}.k_proj"), keys, d, true),
            weights.linear(&format!("{attention}.v_proj"), keys, d, true),
        ]),
        Layout::First => Projections::Stacked(
            weights.linear(&format!("{attention}.Wqkv"), queries + 2 * keys, d, true),
            [queries, keys, keys],
        ),
    };
    let Activation::Gelu(activation) = config.activation else { unreachable!("`traits` gives no other") };
    Block {
        input_norm: weights.norm(&format!("{name}.{norm}"), d, config.norm_epsilon, true),
        attention: Attention {
            projections,
            head_norms: None,
            output: weights.linear(&format!("{attention}.{output}"), d, queries, true),
            options: attention_options(config),
            head_dim: config.head_dim,
        },
        feed_forward_norm: None,
        feed_forward: FeedForward::Plain {
            inner: weights.linear(&format!("{name}.mlp.fc1"), f, d, true),
            activation,
            output: weights.linear(&format!("{name}.mlp.fc2"), d, f, true),
        },
        residual_dropout: config.residual_dropout,
    }
}
