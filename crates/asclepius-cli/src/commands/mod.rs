//! Everything that is not a stage.

pub mod chat;
pub mod data;
pub mod gpu_check;
pub mod model;
pub mod plan;
pub mod preview;
pub mod publish;
pub mod pull;
pub mod reach;
pub mod report;
pub mod serve;
mod served;

use std::path::Path;

use asclepius_dataset::DatasetConfig;
use asclepius_llm::TeacherConfig;
use asclepius_model::LoraConfig;
use asclepius_train::{InitConfig, TrainConfig};
use serde_json::Value;

use crate::failure::{Failure, Hinted, Outcome};
use crate::keys;
use crate::pipeline::PipelineConfig;

/// Refuses a path that holds no model.
pub fn model_directory(what: &str, path: &Path) -> Outcome {
    if path.join("config.json").is_file() {
        return Ok(());
    }
    let hint = if path.join("adapter_config.json").is_file() {
        "it is an adapter: its base goes first, the adapter with --adapter"
    } else {
        "a model directory holds config.json, the weights and the tokenizer"
    };
    Err(Failure::usage(Hinted::new(format!("{what} {}: no model directory", path.display()), hint)))
}

/// Refuses a path that holds no adapter.
pub fn adapter_directory(what: &str, path: &Path) -> Outcome {
    if path.join("adapter_config.json").is_file() {
        return Ok(());
    }
    let hint = "an adapter directory holds adapter_config.json and adapter_model.safetensors";
    Err(Failure::usage(Hinted::new(format!("{what} {}: no adapter directory", path.display()), hint)))
}

/// The defaults with every optional table filled in, so that the reference can show theirs, too.
pub fn reference_defaults() -> PipelineConfig {
    let table =
        TrainConfig { init: Some(InitConfig::default()), lora: Some(LoraConfig::default()), ..TrainConfig::default() };
    let dataset = DatasetConfig { judge: Some(TeacherConfig::default()), ..DatasetConfig::default() };
    PipelineConfig { dataset, pretrain: Some(table.clone()), sft: Some(table), ..PipelineConfig::default() }
}

/// `docs/configuration.md`: every key with its default and its documentation.
pub fn reference(defaults: &Value) -> String {
    let mut text = String::from(
        "# Configuration reference\n\nEvery key of a pipeline file. Relative paths are relative to the current directory. \
         This page is made by\n`asclepius reference` from the configuration structs; a test holds it to them.\n",
    );
    text.push_str(&keys::reference(&PipelineConfig::schema(), defaults));
    text
}
