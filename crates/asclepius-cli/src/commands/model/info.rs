//! `asclepius model info`: what a model directory, a GGUF file or an adapter directory holds.

use std::path::Path;

use anyhow::Context;
use asclepius_model::checkpoint::TensorFile;
use asclepius_model::gguf::config::{architecture, read_config};
use asclepius_model::gguf::value::GgufValue;
use asclepius_model::{ModelConfig, gguf, parameter_shapes};
use candle_core::DType;
use serde_json::{Value, json};

use crate::commands::model_directory;
use crate::failure::Outcome;
use crate::output;

pub(super) fn run(path: &Path, as_json: bool) -> Outcome {
    let facts = if path.is_file() {
        gguf_facts(path)?
    } else if path.join("adapter_config.json").is_file() && !path.join("config.json").is_file() {
        adapter_facts(path)?
    } else {
        model_directory("model info", path)?;
        model_facts(&ModelConfig::from_file(path)?)
    };
    if as_json {
        return output::data(&serde_json::to_string_pretty(&facts)?);
    }
    let rows: Vec<String> =
        facts.as_object().into_iter().flatten().map(|(key, value)| format!("{key:<20} {value}")).collect();
    output::data(&rows.join("\n"))
}

fn model_facts(config: &ModelConfig) -> Value {
    let shapes = parameter_shapes(config);
    let parameters: usize = shapes.values().map(|shape| shape.iter().product::<usize>()).sum();
    json!({
        "model_type": config.family.model_type(),
        "parameters": parameters,
        "tensors": shapes.len(),
        "hidden_size": config.hidden_size,
        "layers": config.layers,
        "heads": config.heads,
        "key_value_heads": config.key_value_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.intermediate_size,
        "vocab_size": config.vocab_size,
        "max_positions": config.max_positions,
        "tied_embeddings": config.tied,
        "bytes_bf16": parameters * 2,
        "bytes_f32": parameters * 4,
    })
}

/// The facts of the model a file would be imported as, and what is the file's own.
fn gguf_facts(path: &Path) -> Outcome<Value> {
    let mut file = gguf::GgufFile::open(path)?;
    let architecture = architecture(&file)?;
    let mut facts = model_facts(&read_config(&mut file, DType::F32)?);
    let (types, bytes) = file.types();
    let text = |key: &str| match file.metadata().get(key) {
        Some(GgufValue::Text(text)) => json!(text),
        _ => Value::Null,
    };
    facts["format"] = json!("gguf");
    facts["architecture"] = json!(architecture.name());
    facts["name"] = text("general.name");
    facts["licence"] = text("general.license");
    facts["tokenizer"] = text("tokenizer.ggml.model");
    facts["pre_tokenizer"] = text("tokenizer.ggml.pre");
    facts["chat_template"] = json!(text("tokenizer.chat_template").is_string());
    facts["tensor_types"] = json!(types);
    facts["bytes"] = json!(bytes);
    Ok(facts)
}

fn adapter_facts(directory: &Path) -> Outcome<Value> {
    let path = directory.join("adapter_config.json");
    let config: Value = serde_json::from_str(&fs_err::read_to_string(&path)?)
        .with_context(|| format!("{}: not readable JSON", path.display()))?;
    let file = TensorFile::open(&directory.join("adapter_model.safetensors"))?;
    let names: Vec<&str> = file.names().collect();
    let count = |name: &&str| file.shape(name).map_or(0, |shape| shape.iter().product::<usize>());
    Ok(json!({
        "format": "peft",
        "base": config["base_model_name_or_path"],
        "rank": config["r"],
        "alpha": config["lora_alpha"],
        "dropout": config["lora_dropout"],
        "rslora": config["use_rslora"],
        "targets": config["target_modules"],
        "layers": names.iter().filter(|name| name.contains("lora_A")).count(),
        "tensors": names.len(),
        "parameters": names.iter().map(count).sum::<usize>(),
    }))
}
