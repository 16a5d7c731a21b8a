//! `asclepius model ..`: models on disk.

use std::path::Path;

use anyhow::{Context, anyhow};
use asclepius_model::{Decoder, MicroBatch, ModelConfig, evaluate, parameter_shapes};
use asclepius_text::TextTokenizer;
use candle_core::{DType, Device};
use serde_json::json;

use crate::args::ModelCommand;
use crate::commands::{adapter_directory, model_directory};
use crate::failure::{Failure, Outcome};
use crate::output;
use crate::training::start::refuse_unmerged;

/// Dispatches.
pub fn run(command: ModelCommand) -> Outcome {
    match command {
        ModelCommand::Info { model, json } => info(&model, json),
        ModelCommand::Merge { model, adapter, out } => merge(&model, &adapter, &out),
        ModelCommand::Check { model, adapter } => check(&model, adapter.as_deref()),
    }
}

fn info(directory: &Path, as_json: bool) -> Outcome {
    model_directory("model info", directory)?;
    let config = ModelConfig::from_file(directory)?;
    let shapes = parameter_shapes(&config);
    let parameters: usize = shapes.values().map(|shape| shape.iter().product::<usize>()).sum();
    let facts = json!({
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
    });
    if as_json {
        output::data(&serde_json::to_string_pretty(&facts)?)?;
    } else {
        let rows: Vec<String> =
            facts.as_object().into_iter().flatten().map(|(key, value)| format!("{key:<20} {value}")).collect();
        output::data(&rows.join("\n"))?;
    }
    Ok(())
}

fn merge(model: &Path, adapter: &Path, out: &Path) -> Outcome {
    if out.exists() {
        return Err(Failure::usage(anyhow!("--out {}: exists already", out.display())));
    }
    model_directory("--model", model)?;
    adapter_directory("--adapter", adapter)?;
    refuse_unmerged(model, adapter)?;
    let mut decoder = Decoder::load(model, DType::F32, &Device::Cpu)?;
    decoder.load_adapter(adapter)?;
    decoder.merge()?;
    decoder.save(out, Some(model)).with_context(|| format!("cannot write {}", out.display()))?;
    output::data(&format!("{}", out.display()))?;
    Ok(())
}

/// Loads strictly and runs one forward pass, with the tokenizer's own ids where there is one.
fn check(model: &Path, adapter: Option<&Path>) -> Outcome {
    model_directory("model check", model)?;
    if let Some(adapter) = adapter {
        adapter_directory("--adapter", adapter)?;
        refuse_unmerged(model, adapter)?;
    }
    let mut decoder = Decoder::load(model, DType::F32, &Device::Cpu)?;
    if let Some(adapter) = adapter {
        decoder.load_adapter(adapter)?;
    }
    let tokenizer = TextTokenizer::load(model)?;
    if tokenizer.vocab_size() > decoder.config().vocab_size {
        return Err(Failure::Failed(anyhow!(
            "{}: the tokenizer knows {} tokens, the model {}",
            model.display(),
            tokenizer.vocab_size(),
            decoder.config().vocab_size
        )));
    }
    let ids = tokenizer.encode_text("The patient was admitted with chest pain and discharged on day three.")?;
    let labels: Vec<Option<u32>> = ids.iter().skip(1).copied().map(Some).chain([None]).collect();
    let count = ids.len() as u32;
    let batch = MicroBatch::new(ids, (0..count).collect(), vec![0, count], &labels)?;
    let loss = evaluate(&decoder, &batch)? / f64::from(count - 1);
    if !loss.is_finite() {
        return Err(Failure::Failed(anyhow!("{}: the loss of a plain sentence is {loss}", model.display())));
    }
    output::data(&format!("ok: every tensor is there and used; loss on one plain sentence {loss:.4} nats a token"))
}
