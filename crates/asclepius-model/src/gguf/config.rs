//! A decoder's sizes as GGUF keys and as `config.json`, each from the other.

use std::collections::BTreeMap;

use asclepius_ops::Gelu;
use candle_core::DType;
use serde_json::{Map, Value, json};

use super::architecture::Architecture;
use super::file::GgufFile;
use super::rope;
use super::value::GgufValue;
use crate::config::dtype_name;
use crate::families::Activation;
use crate::rotary::{Rotary, RotaryScaling};
use crate::{Family, ModelConfig, ModelError, Result};

/// The architecture of a file.
///
/// # Errors
/// When the key is missing, or names one that is not known.
pub fn architecture(file: &GgufFile) -> Result<Architecture> {
    let key = "general.architecture";
    let metadata = file.metadata();
    let found = metadata.required(key, metadata.text(key)?)?;
    Architecture::ALL.into_iter().find(|known| known.name() == found).ok_or_else(|| {
        let names = Architecture::ALL.map(Architecture::name).join(", ");
        metadata.problem(key, format!("{found:?} is not known; known are {names}"))
    })
}

/// The `config.json` that a file's keys and tensors describe, with weights in `dtype`.
///
/// # Errors
/// When a key is missing, is of another type, or holds what this version cannot compute with.
pub fn read_config(file: &mut GgufFile, dtype: DType) -> Result<ModelConfig> {
    let architecture = architecture(file)?;
    let prefix = architecture.name();
    let metadata = file.metadata().clone();
    let key = |name: &str| format!("{prefix}.{name}");
    let size = |name: &str| -> Result<usize> {
        let value = metadata.required(&key(name), metadata.size(&key(name))?)?;
        if value == 0 { Err(metadata.problem(&key(name), "is 0")) } else { Ok(value) }
    };
    if metadata.size(&key("expert_count"))?.is_some_and(|experts| experts > 0) {
        return Err(metadata.problem(&key("expert_count"), "mixtures of experts are not supported"));
    }
    let hidden_size = size("embedding_length")?;
    let layers = size("block_count")?;
    let heads = size("attention.head_count")?;
    let key_value_heads = metadata.size(&key("attention.head_count_kv"))?.unwrap_or(heads);
    let head_dim = match metadata.size(&key("attention.key_length"))? {
        Some(length) => length,
        None if hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            let text = format!("{heads} heads do not divide {} = {hidden_size}", key("embedding_length"));
            return Err(metadata.problem(&key("attention.head_count"), text));
        }
    };
    if metadata.size(&key("attention.value_length"))?.is_some_and(|length| length != head_dim) {
        let text = format!("differs from the keys' {head_dim}, which is not supported");
        return Err(metadata.problem(&key("attention.value_length"), text));
    }
    let features = metadata.size(&key("rope.dimension_count"))?.unwrap_or(head_dim);
    let partial = matches!(architecture, Architecture::Phi2 | Architecture::Phi3);
    if features == 0 || features > head_dim || !features.is_multiple_of(2) || (features < head_dim && !partial) {
        let text = format!("{features} of {head_dim} features of a head do not turn in a {prefix}");
        return Err(metadata.problem(&key("rope.dimension_count"), text));
    }
    let theta = metadata.number(&key("rope.freq_base"))?.unwrap_or(10_000.0);
    let epsilon = key(architecture.epsilon_key());
    let epsilon = metadata.required(&epsilon, metadata.number(&epsilon)?)?;
    let max_positions = size("context_length")?;
    let window = metadata.size(&key("attention.sliding_window"))?.filter(|&window| window > 0);
    let vocab_size = match file.shape("token_embd.weight") {
        Some(&[rows, _]) => rows,
        Some(other) => return Err(tensor_problem(file, "token_embd.weight", format!("has shape {other:?}"))),
        None => return Err(tensor_problem(file, "token_embd.weight", "is not there".to_owned())),
    };
    let rotary = Rotary { theta, features, scaling: RotaryScaling::None };
    let scaling = rope::read(file, prefix, &rotary, max_positions)?;

    let family = match (architecture, window) {
        (Architecture::Llama, None) => Family::Llama,
        (Architecture::Llama, Some(_)) => Family::Mistral,
        (Architecture::Qwen2, _) => Family::Qwen2,
        (Architecture::Qwen3, _) => Family::Qwen3,
        (Architecture::Phi2, _) => Family::Phi,
        (Architecture::Phi3, _) => Family::Phi3,
    };
    let mut config = Map::new();
    let mut set = |name: &str, value: Value| config.insert(name.to_owned(), value);
    set("architectures", json!([class_name(family)]));
    set("model_type", json!(family.model_type()));
    set("vocab_size", json!(vocab_size));
    set("hidden_size", json!(hidden_size));
    set("intermediate_size", json!(size("feed_forward_length")?));
    set("num_hidden_layers", json!(layers));
    set("num_attention_heads", json!(heads));
    set("num_key_value_heads", json!(key_value_heads));
    if !partial {
        set("head_dim", json!(head_dim));
    } else if head_dim * heads != hidden_size {
        return Err(metadata.problem(&key("attention.key_length"), format!("a {prefix} has heads of one size only")));
    }
    set("max_position_embeddings", json!(max_positions));
    set(if family == Family::Phi { "layer_norm_eps" } else { "rms_norm_eps" }, json!(epsilon));
    set("hidden_act", json!(if family == Family::Phi { "gelu_new" } else { "silu" }));
    set("rope_theta", json!(theta));
    if partial {
        let share = features as f64 / head_dim as f64;
        // Where the quotient rounds down, half a feature more keeps the whole number it stands for.
        let exact = (share * head_dim as f64) as usize == features;
        let share = if exact { share } else { (features as f64 + 0.5) / head_dim as f64 };
        set("partial_rotary_factor", json!(share));
    }
    if let (Family::Phi3, None, Some(original)) =
        (family, &scaling, metadata.size(&key("rope.scaling.original_context_length"))?)
    {
        set("original_max_position_embeddings", json!(original));
    }
    set("rope_scaling", scaling.map_or(Value::Null, Value::Object));
    match family {
        Family::Llama => {
            set("attention_bias", json!(file.shape("blk.0.attn_q.bias").is_some()));
            set("mlp_bias", json!(file.shape("blk.0.ffn_up.bias").is_some()));
        }
        Family::Mistral | Family::Phi3 => {
            set("sliding_window", json!(window));
        }
        Family::Qwen2 | Family::Qwen3 => {
            set("use_sliding_window", json!(window.is_some()));
            set("sliding_window", json!(window));
            if window.is_some() {
                set("max_window_layers", json!(0));
            }
            if family == Family::Qwen3 {
                set("attention_bias", json!(file.shape("blk.0.attn_q.bias").is_some()));
            }
        }
        Family::Phi => {
            set("resid_pdrop", json!(0.0));
        }
    }
    if family == Family::Phi3 {
        set("resid_pdrop", json!(0.0));
    }
    set("tie_word_embeddings", json!(file.shape("output.weight").is_none()));
    let id = |name: &str| metadata.size(&format!("tokenizer.ggml.{name}_token_id"));
    set("bos_token_id", json!(id("bos")?));
    set("eos_token_id", ends(id("eos")?, id("eot")?, id("eom")?));
    set("pad_token_id", json!(id("padding")?));
    set("torch_dtype", json!(dtype_name(dtype)));
    set("use_cache", json!(true));
    ModelConfig::from_json(Value::Object(config))
}

/// One end token, several in the order of the keys, or none.
fn ends(eos: Option<usize>, eot: Option<usize>, eom: Option<usize>) -> Value {
    let mut ends: Vec<usize> = Vec::new();
    for id in [eos, eot, eom].into_iter().flatten() {
        if !ends.contains(&id) {
            ends.push(id);
        }
    }
    match ends.as_slice() {
        [] => Value::Null,
        [end] => json!(end),
        _ => json!(ends),
    }
}

/// The class of transformers that computes a family.
fn class_name(family: Family) -> &'static str {
    match family {
        Family::Llama => "LlamaForCausalLM",
        Family::Mistral => "MistralForCausalLM",
        Family::Qwen2 => "Qwen2ForCausalLM",
        Family::Qwen3 => "Qwen3ForCausalLM",
        Family::Phi => "PhiForCausalLM",
        Family::Phi3 => "Phi3ForCausalLM",
    }
}

fn tensor_problem(file: &GgufFile, tensor: &str, problem: String) -> ModelError {
    ModelError::Gguf { path: file.path().to_owned(), place: tensor.to_owned(), problem }
}

/// The keys of a configuration's sizes, as llama.cpp reads them.
///
/// # Errors
/// [`ModelError::NoGgufForm`] for what its architectures cannot compute.
pub fn write_config(config: &ModelConfig) -> Result<BTreeMap<String, GgufValue>> {
    let architecture = Architecture::of(config.family);
    let no_form = |what: &str| ModelError::NoGgufForm { what: what.to_owned() };
    match config.activation {
        Activation::Gelu(Gelu::Erf) => return Err(no_form("hidden_act \"gelu\" (llama.cpp computes gelu_new)")),
        Activation::Gelu(Gelu::Tanh) | Activation::SwiGlu => {}
    }
    if config.family == Family::Phi && config.tied {
        return Err(no_form("tie_word_embeddings of a phi"));
    }
    if config.family == Family::Qwen3 && (config.query_bias || config.output_bias) {
        return Err(no_form("attention_bias of a qwen3"));
    }
    let mut keys = BTreeMap::new();
    keys.insert("general.architecture".to_owned(), GgufValue::Text(architecture.name().to_owned()));
    keys.insert("general.type".to_owned(), GgufValue::Text("model".to_owned()));
    let mut set = |name: &str, value: GgufValue| keys.insert(format!("{}.{name}", architecture.name()), value);
    set("vocab_size", GgufValue::size(config.vocab_size));
    set("context_length", GgufValue::size(config.max_positions));
    set("embedding_length", GgufValue::size(config.hidden_size));
    set("block_count", GgufValue::size(config.layers));
    set("feed_forward_length", GgufValue::size(config.intermediate_size));
    set("attention.head_count", GgufValue::size(config.heads));
    set("attention.head_count_kv", GgufValue::size(config.key_value_heads));
    if config.head_dim * config.heads != config.hidden_size || config.family == Family::Qwen3 {
        set("attention.key_length", GgufValue::size(config.head_dim));
        set("attention.value_length", GgufValue::size(config.head_dim));
    }
    set(architecture.epsilon_key(), GgufValue::F32(config.norm_epsilon as f32));
    set("rope.dimension_count", GgufValue::size(config.rotary.features));
    set("rope.freq_base", GgufValue::F32(config.rotary.theta as f32));
    for (name, value) in rope::written(&config.rotary).map_err(no_form)? {
        set(&format!("rope.scaling.{name}"), value);
    }
    if let Some(window) = config.window {
        set("attention.sliding_window", GgufValue::size(window));
    }
    Ok(keys)
}
