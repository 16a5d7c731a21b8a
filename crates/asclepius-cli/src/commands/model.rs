//! `asclepius model ..`: models on disk.

mod card;
mod info;
mod push;

use std::path::Path;

use anyhow::{Context, anyhow};
use asclepius_model::checkpoint::publish_directory;
use asclepius_model::{Decoder, MicroBatch, Source, evaluate, export_directory, gguf};
use asclepius_text::TextTokenizer;
use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device};

use crate::adapter::refuse_unmerged;
use crate::args::{ModelCommand, WeightType};
use crate::commands::{adapter_directory, model_directory, pull};
use crate::failure::{Failure, Hinted, Outcome};
use crate::hub::Kind;
use crate::output;

/// Endings of the files that a model or an adapter on the hub consists of: settings, weights, templates, vocabularies, the
/// card, the sources to credit.
pub const ENDINGS: [&str; 7] = [".json", ".safetensors", ".jinja", ".model", ".md", ".txt", ".tsv"];

/// Dispatches.
pub fn run(command: ModelCommand) -> Outcome {
    match command {
        ModelCommand::Info { model, json } => info::run(&model, json),
        ModelCommand::Import { file, out, dtype } => import(&file, &out, dtype),
        ModelCommand::Export { model, adapter, out, dtype } => export(&model, adapter.as_deref(), &out, dtype),
        ModelCommand::Merge { model, adapter, out } => merge(&model, &adapter, &out),
        ModelCommand::Card { pipeline, card, out } => card::run(&pipeline, &card, out.as_deref()),
        ModelCommand::Push { model, set, card, hub } => push::run(&model, &set, &card, &hub),
        ModelCommand::Pull(args) => pull::run(&args, Kind::Model),
        ModelCommand::Check { model, adapter } => check(&model, adapter.as_deref()),
    }
}

fn import(file: &Path, out: &Path, dtype: Option<WeightType>) -> Outcome {
    refuse_existing(out)?;
    let dtype = dtype.map(|dtype| plain(dtype).ok_or_else(quantised_directory)).transpose()?;
    let imported = gguf::import(file, out, dtype)?;
    if !imported.tokenizer {
        output::message(&format!("{}: holds no tokenizer, so the directory has none\n", file.display()));
    }
    output::data(&format!("{}", out.display()))
}

fn export(model: &Path, adapter: Option<&Path>, out: &Path, dtype: Option<WeightType>) -> Outcome {
    refuse_existing(out)?;
    model_directory("model export", model)?;
    let mut source = match adapter {
        Some(adapter) => Source::of(&merged(model, adapter)?)?,
        None => Source::open(model)?,
    };
    if out.extension().is_some_and(|extension| extension == "gguf") {
        let dtype = match dtype {
            Some(WeightType::F32) => GgmlDType::F32,
            Some(WeightType::F16) => GgmlDType::F16,
            Some(WeightType::Bf16) => GgmlDType::BF16,
            Some(WeightType::Q8Zero) => GgmlDType::Q8_0,
            None => match source.dtype() {
                DType::F16 => GgmlDType::F16,
                DType::BF16 => GgmlDType::BF16,
                _ => GgmlDType::F32,
            },
        };
        gguf::export(&mut source, model, out, dtype)?;
        if !model.join("tokenizer.json").is_file() {
            output::message(&format!("{}: holds no tokenizer.json, so the file has no tokenizer\n", model.display()));
        }
    } else {
        let dtype = match dtype {
            Some(dtype) => plain(dtype).ok_or_else(quantised_directory)?,
            None => source.dtype(),
        };
        export_directory(&mut source, model, out, dtype)?;
    }
    output::data(&format!("{}", out.display()))
}

fn merge(model: &Path, adapter: &Path, out: &Path) -> Outcome {
    refuse_existing(out)?;
    model_directory("--model", model)?;
    let decoder = merged(model, adapter)?;
    // In the base's own layout: an adapter trained on the merged model names its layers by it.
    publish_directory(out, |dir| decoder.save(dir, Some(model)))
        .with_context(|| format!("cannot write {}", out.display()))?;
    output::data(&format!("{}", out.display()))
}

/// A model in f32 with an adapter's addition in its weights.
fn merged(model: &Path, adapter: &Path) -> Outcome<Decoder> {
    adapter_directory("--adapter", adapter)?;
    refuse_unmerged(model, adapter)?;
    let mut decoder = Decoder::load(model, DType::F32, &Device::Cpu)?;
    decoder.load_adapter(adapter)?;
    decoder.merge()?;
    Ok(decoder)
}

fn refuse_existing(out: &Path) -> Outcome {
    if out.exists() {
        return Err(Failure::usage(anyhow!("--out {}: exists already", out.display())));
    }
    Ok(())
}

fn plain(dtype: WeightType) -> Option<DType> {
    match dtype {
        WeightType::F32 => Some(DType::F32),
        WeightType::F16 => Some(DType::F16),
        WeightType::Bf16 => Some(DType::BF16),
        WeightType::Q8Zero => None,
    }
}

fn quantised_directory() -> Failure {
    Failure::usage(Hinted::new("--dtype q8_0: a Hugging Face directory holds no such weights", "--out FILE.gguf does"))
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
