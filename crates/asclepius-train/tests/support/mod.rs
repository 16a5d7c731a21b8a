//! A tiny decoder, ragged documents, and ways to stop a run: what the tests of the loop share.

use std::cell::Cell;
use std::path::Path;

use asclepius_dataset::{Document, Plan};
use asclepius_model::{Decoder, ModelConfig};
use asclepius_train::{Control, InitConfig, Job, Summary, TrainConfig, TrainError, TrainStage, Vocabulary, run};
use candle_core::Device;

pub const VOCABULARY: u32 = 48;

/// Random weights of a Llama with grouped queries and a tied head.
pub fn decoder() -> Decoder {
    decoder_of(16, 24)
}

/// The same of other widths.
pub fn decoder_of(hidden_size: usize, intermediate_size: usize) -> Decoder {
    let init = InitConfig {
        hidden_size,
        intermediate_size,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        ..InitConfig::default()
    };
    let vocabulary = Vocabulary { size: VOCABULARY as usize, bos: Some(0), eos: Some(1), pad: Some(2) };
    let config = ModelConfig::from_json(init.config_json(vocabulary, 64)).expect("the sizes fit");
    Decoder::init(config, 3, &Device::Cpu).expect("a Llama can be run")
}

/// Documents of many lengths with a pattern to learn; the loss asks for their second half, as in instruction tuning.
pub fn documents(count: usize) -> Vec<Document> {
    (0..count)
        .map(|index| {
            let length = 4 + (index * 7) % 19;
            let ids = (0..length).map(|token| ((index % 5 + token * 3) as u32 % (VOCABULARY - 3)) + 3).collect();
            let supervised = (0..length).map(|token| 2 * token >= length).collect();
            Document { ids, supervised, id: format!("document-{index}") }
        })
        .collect()
}

/// Settings under which a run of ten steps crosses an epoch's edge and accumulates over two micro-batches.
pub fn config() -> TrainConfig {
    TrainConfig {
        base: Some("base".to_owned()),
        sequence_length: 32,
        global_batch: 4,
        micro_batch: 2,
        max_steps: Some(10),
        learning_rate: 1e-2,
        warmup_ratio: 0.1,
        weight_decay: 0.01,
        save_every: 0,
        eval_every: 5,
        ..TrainConfig::default()
    }
}

/// Trains a fresh decoder.
pub fn train(config: &TrainConfig, directory: &Path, control: &dyn Control) -> Result<Summary, TrainError> {
    train_on(&mut decoder(), config, directory, control)
}

/// Trains this decoder.
pub fn train_on(
    decoder: &mut Decoder,
    config: &TrainConfig,
    directory: &Path,
    control: &dyn Control,
) -> Result<Summary, TrainError> {
    train_documents(decoder, documents(40), config, directory, control)
}

/// Trains this decoder on these documents.
pub fn train_documents(
    decoder: &mut Decoder,
    documents_to_learn: Vec<Document>,
    config: &TrainConfig,
    directory: &Path,
    control: &dyn Control,
) -> Result<Summary, TrainError> {
    let train = Plan::new(documents_to_learn, config.train_plan(7)).expect("the documents fit");
    let held_out = Plan::new(documents(9), config.evaluation_plan()).expect("the documents fit");
    let job = Job {
        stage: TrainStage::Sft,
        config,
        seed: 7,
        train: &train,
        held_out: Some(&held_out),
        directory,
        identity: "data and settings",
        base: "base",
        tokenizer: None,
    };
    run(decoder, &job, control)
}

/// Stops a run when it has asked this often.
pub struct StopAfter(Cell<usize>);

impl StopAfter {
    pub fn questions(count: usize) -> Self {
        Self(Cell::new(count))
    }
}

impl Control for StopAfter {
    fn should_stop(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left == 0
    }
}
