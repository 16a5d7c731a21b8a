//! The `[pretrain]` and `[sft]` tables: one struct, since the two stages differ in their data only.
//!
//! [`TrainConfig::validate`] says whether the settings make sense, here or elsewhere, so that a plan can be made for another
//! machine.

use std::path::{Path, PathBuf};

use asclepius_dataset::{Packing, TEXT_FILES};
use asclepius_model::LoraConfig;
use candle_core::DType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Problem, TrainError};
use crate::init::InitConfig;
use crate::schedule::Schedule;

/// Which of the two training stages a table describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainStage {
    /// Continued pre-training on the notes.
    Pretrain,
    /// Instruction tuning.
    Sft,
}

impl TrainStage {
    /// The pipeline table.
    pub fn table(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Sft => "sft",
        }
    }
}

/// What is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Every tensor of the model.
    Full,
    /// Low-rank adapters on a frozen base.
    Lora,
    /// Low-rank adapters on a frozen base held in 4-bit NF4.
    Qlora,
}

/// The type of weights and activations. Optimizer state, norms and losses are f32 either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit brain floats.
    Bf16,
    /// 16-bit floats and a scaled loss, for adapters on cards that know no bf16.
    F16,
}

impl Precision {
    /// The type.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }
}

/// What is kept of the forward pass for the backward pass. The results do not depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RecomputeChoice {
    /// `none` where the activations of a micro-batch are small, else `block`.
    Auto,
    /// Everything is kept.
    None,
    /// Norms and activation functions are computed again.
    Selective,
    /// Only the input of each block is kept, and the block runs again on the way back.
    Block,
}

/// How weights follow from gradients, and what that keeps in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerChoice {
    /// AdamW with moments in f32.
    Adamw,
    /// AdamW with moments in blocks of 8-bit codes.
    Adamw8bit,
}

/// One of the training tables, `[pretrain]` or `[sft]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainConfig {
    /// Directory of the dataset stage to read instead of the run's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// The model to start from: a Hugging Face model directory, or a hub id. In `[sft]` it defaults to what
    /// `[pretrain]` made. Not beside `init`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Start from random weights of these sizes instead of a base.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<InitConfig>,
    /// What to train on: `notes` or `instructions` (the dataset's training split), or the path of a file:
    /// Parquet, and in `[pretrain]` also CSV with a header or JSON Lines. Defaults to `notes` in `[pretrain]` and
    /// `instructions` in `[sft]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// `[pretrain]` from a file: the column with the texts. Defaults to `note`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_column: Option<String>,
    /// Training from a file: the share of its rows held out for evaluation, in 0 to 1 (1 excluded).
    pub validation_fraction: f64,
    /// `[sft]`: how note, question and answer become a conversation: `asclepius`, `chat` (the base's own template), or
    /// the path of a `.jinja` file. Defaults to `asclepius`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// `full` trains every tensor, `lora` adapters, `qlora` adapters on a 4-bit base.
    pub method: Method,
    /// The adapters of `method = "lora"` and `"qlora"`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// Tokens in a sequence. Longer documents are split in `[pretrain]`, shortened at the note in `[sft]`.
    pub sequence_length: usize,
    /// `documents` lays whole documents end to end, each seeing only itself; `stream` cuts one long stream;
    /// `none` makes a sequence of every row.
    pub packing: Packing,
    /// Passes over the data. Defaults to 1 in `[pretrain]` and 3 in `[sft]`, or to as many as `max_steps` or `max_tokens`
    /// takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u32>,
    /// Optimizer steps after which training ends. Beside `epochs` and `max_tokens`, whichever comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Tokens after which training ends, with the step that reaches them. Beside `epochs` and `max_steps`, whichever
    /// comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u64>,
    /// Evaluations in a row without a better held-out loss after which training ends; the best weights are then kept.
    /// Needs held-out data and `eval_every`. Absent: training goes to its end and keeps the last weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub early_stop: Option<u64>,
    /// With `early_stop`: by how much the held-out loss must fall below the best one to count as better.
    pub early_stop_threshold: f64,
    /// Sequences in an optimizer step (rows when `packing = "none"`). A multiple of `micro_batch`.
    pub global_batch: usize,
    /// Sequences that go through the model at once; it changes memory and speed, not the result.
    pub micro_batch: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// What the learning rate does after the warm-up: `cosine`, `linear` or `constant`.
    pub schedule: Schedule,
    /// The share of all steps over which the learning rate rises from 0, in 0 to 1.
    pub warmup_ratio: f64,
    /// `adamw` keeps its two moments in f32, `adamw8bit` in 8-bit blocks: about 2 bytes a trained number instead of 8.
    pub optimizer: OptimizerChoice,
    /// Decoupled weight decay, on every trained tensor.
    pub weight_decay: f64,
    /// AdamW's two decay rates of the moments, each in 0 to 1 (1 excluded).
    pub betas: [f64; 2],
    /// AdamW's epsilon.
    pub epsilon: f64,
    /// The global norm to which a larger gradient is scaled down; 0 does not clip.
    pub max_grad_norm: f64,
    /// `f32`; `bf16`; or, for adapters on cards that know no bf16, `f16`, whose gradients are computed times a scale that
    /// adapts itself.
    pub precision: Precision,
    /// `method = "full"` in `bf16`: `true` keeps every weight in f32 as well, and updates that one (4 bytes more a weight).
    /// Otherwise the weights alone are kept, rounded by chance on a card, so that small updates count on average, and to the
    /// nearest on the CPU.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub master_weights: bool,
    /// `auto`, `none`, `selective` or `block`: how much of the forward pass is computed again to save memory.
    pub recompute: RecomputeChoice,
    /// `auto`, `cpu`, or `cuda:0` and so on.
    pub device: String,
    /// Optimizer steps between checkpoints; 0 writes none but the last.
    pub save_every: u64,
    /// Optimizer steps between evaluations on held-out data; 0 evaluates at the start and the end only.
    pub eval_every: u64,
    /// Step directories to keep, the newest first.
    pub keep: usize,
    /// Write TensorBoard's event files beside `metrics.jsonl`.
    pub tensorboard: bool,
    /// Seed of shuffling, initial weights and dropout. Defaults to the pipeline's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            input: None,
            base: None,
            init: None,
            data: None,
            text_column: None,
            validation_fraction: 0.0,
            template: None,
            method: Method::Full,
            lora: None,
            sequence_length: 2048,
            packing: Packing::Documents,
            epochs: None,
            max_steps: None,
            max_tokens: None,
            early_stop: None,
            early_stop_threshold: 0.0,
            global_batch: 128,
            micro_batch: 1,
            learning_rate: 2e-5,
            schedule: Schedule::Cosine,
            warmup_ratio: 0.03,
            optimizer: OptimizerChoice::Adamw,
            weight_decay: 0.0,
            betas: [0.9, 0.999],
            epsilon: 1e-8,
            max_grad_norm: 1.0,
            precision: Precision::F32,
            master_weights: false,
            recompute: RecomputeChoice::Auto,
            device: "auto".to_owned(),
            save_every: 500,
            eval_every: 0,
            keep: 2,
            tensorboard: true,
            seed: None,
        }
    }
}

impl TrainConfig {
    /// The data's name: `notes`, `instructions`, or a file's path.
    pub fn data(&self, stage: TrainStage) -> &str {
        self.data.as_deref().unwrap_or(match stage {
            TrainStage::Pretrain => "notes",
            TrainStage::Sft => "instructions",
        })
    }

    /// Whether the data is a file of the user's own rather than the dataset stage's.
    pub fn data_is_file(&self, stage: TrainStage) -> bool {
        !matches!(self.data(stage), "notes" | "instructions")
    }

    /// The adapters to train, with their defaults where the table is absent; none under `method = "full"`.
    pub fn adapters(&self) -> Option<LoraConfig> {
        match self.method {
            Method::Full => None,
            Method::Lora | Method::Qlora => Some(self.lora.clone().unwrap_or_default()),
        }
    }

    /// Checks every key by itself and beside the others.
    ///
    /// # Errors
    /// [`TrainError::Setting`] with the table, the key and what is wrong.
    pub fn validate(&self, stage: TrainStage) -> Result<(), TrainError> {
        let fail = |key, problem| Err(TrainError::Setting { table: stage.table(), key, problem });
        let outside = |key, value, range| fail(key, Problem::Outside { value, range });
        for (key, value) in [
            ("sequence_length", self.sequence_length as u64),
            ("global_batch", self.global_batch as u64),
            ("micro_batch", self.micro_batch as u64),
            ("keep", self.keep as u64),
            ("epochs", self.epochs.map_or(1, u64::from)),
            ("max_steps", self.max_steps.unwrap_or(1)),
            ("max_tokens", self.max_tokens.unwrap_or(1)),
            ("early_stop", self.early_stop.unwrap_or(1)),
        ] {
            if value == 0 {
                return fail(key, Problem::NotPositive);
            }
        }
        if self.sequence_length < 2 {
            return outside(
                "sequence_length",
                self.sequence_length as f64,
                "at least 2, a token and the one it predicts",
            );
        }
        if !self.global_batch.is_multiple_of(self.micro_batch) {
            let problem = Problem::NotAMultiple { value: self.global_batch, of: "micro_batch", by: self.micro_batch };
            return fail("global_batch", problem);
        }
        for (key, value) in [
            ("learning_rate", self.learning_rate),
            ("weight_decay", self.weight_decay),
            ("max_grad_norm", self.max_grad_norm),
            ("early_stop_threshold", self.early_stop_threshold),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                return outside(key, value, "a finite number of at least 0");
            }
        }
        if !(self.epsilon.is_finite() && self.epsilon > 0.0) {
            return outside("epsilon", self.epsilon, "a finite number above 0");
        }
        if !(0.0..=1.0).contains(&self.warmup_ratio) {
            return outside("warmup_ratio", self.warmup_ratio, "in 0 to 1");
        }
        for (key, value) in
            [("betas", self.betas[0]), ("betas", self.betas[1]), ("validation_fraction", self.validation_fraction)]
        {
            if !(0.0..1.0).contains(&value) {
                return outside(key, value, "in 0 to 1, 1 excluded");
            }
        }
        if !device_is_known(&self.device) {
            let problem = Problem::Unknown { value: self.device.clone(), known: "auto, cpu, or cuda:N" };
            return fail("device", problem);
        }
        self.validate_early_stop(stage)?;
        self.validate_start(stage)?;
        self.validate_data(stage)?;
        self.validate_adapters(stage)
    }

    fn validate_start(&self, stage: TrainStage) -> Result<(), TrainError> {
        let fail = |key, problem| Err(TrainError::Setting { table: stage.table(), key, problem });
        match (&self.base, &self.init) {
            (Some(_), Some(_)) => return fail("init", Problem::Conflict { with: "base" }),
            (None, None) if stage == TrainStage::Pretrain => {
                return fail(
                    "base",
                    Problem::Missing { because: "training starts from a base or from [pretrain.init]" },
                );
            }
            _ => {}
        }
        let Some(init) = &self.init else { return Ok(()) };
        init.validate(stage)?;
        if self.method != Method::Full {
            // An adapter is read on top of the base it names, and random weights are no base anyone has.
            return fail("init", Problem::Conflict { with: "an adapter: method = \"lora\" and \"qlora\" need a base" });
        }
        if let Some(limit) = init.max_position_embeddings
            && limit < self.sequence_length
        {
            let problem = Problem::Outside { value: limit as f64, range: "at least sequence_length" };
            return fail("init.max_position_embeddings", problem);
        }
        Ok(())
    }

    fn validate_data(&self, stage: TrainStage) -> Result<(), TrainError> {
        let fail = |key, problem| Err(TrainError::Setting { table: stage.table(), key, problem });
        match stage {
            TrainStage::Pretrain if self.template.is_some() => {
                return fail("template", Problem::OtherStage { belongs_to: "sft" });
            }
            TrainStage::Sft if self.text_column.is_some() => {
                return fail("text_column", Problem::OtherStage { belongs_to: "pretrain" });
            }
            TrainStage::Sft if self.data(stage) == "notes" => {
                let known = "instructions or the path of a parquet file; notes have no answers";
                return fail("data", Problem::Unknown { value: "notes".to_owned(), known });
            }
            TrainStage::Pretrain if self.data(stage) == "instructions" => {
                let known = "notes, or the path of a .parquet, .csv or .jsonl file";
                return fail("data", Problem::Unknown { value: "instructions".to_owned(), known });
            }
            _ => {}
        }
        let data = self.data(stage);
        if self.data_is_file(stage) {
            let (endings, known): (&[&str], _) = match stage {
                TrainStage::Pretrain => (&TEXT_FILES, "notes, or the path of a .parquet, .csv or .jsonl file"),
                TrainStage::Sft => (&["parquet"], "instructions, or the path of a .parquet file"),
            };
            let ending = Path::new(data).extension().and_then(|ending| ending.to_str());
            if ending.is_none_or(|ending| !endings.contains(&ending)) {
                return fail("data", Problem::Unknown { value: data.to_owned(), known });
            }
        }
        if !self.data_is_file(stage) {
            if self.validation_fraction > 0.0 {
                let with = "the dataset's own split; dataset.validation_fraction sets that one";
                return fail("validation_fraction", Problem::Conflict { with });
            }
            if self.text_column.is_some() {
                return fail("text_column", Problem::Conflict { with: "data = \"notes\"" });
            }
        }
        if stage == TrainStage::Sft && self.packing == Packing::Stream {
            // A stream cuts rows anywhere, so an answer could lose the question it answers.
            return fail("packing", Problem::Conflict { with: "instruction tuning: use \"documents\" or \"none\"" });
        }
        Ok(())
    }

    fn validate_adapters(&self, stage: TrainStage) -> Result<(), TrainError> {
        let fail = |key, problem| Err(TrainError::Setting { table: stage.table(), key, problem });
        if self.precision == Precision::F16 && self.method == Method::Full {
            // An update is often below a weight's last place in f16, and there is no range to round by chance in.
            return fail("precision", Problem::Conflict { with: "method = \"full\": use \"bf16\" or \"f32\"" });
        }
        if self.master_weights && (self.method != Method::Full || self.precision != Precision::Bf16) {
            let with =
                "all but method = \"full\" in precision = \"bf16\": elsewhere what is trained is in f32 as it is";
            return fail("master_weights", Problem::Conflict { with });
        }
        if self.method == Method::Full {
            return match self.lora {
                Some(_) => fail("lora", Problem::Conflict { with: "method = \"full\"" }),
                None => Ok(()),
            };
        }
        Ok(self.adapters().unwrap_or_default().validate()?)
    }
}

fn device_is_known(device: &str) -> bool {
    match device {
        "auto" | "cpu" => true,
        other => other.strip_prefix("cuda:").is_some_and(|ordinal| ordinal.parse::<usize>().is_ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn based() -> TrainConfig {
        TrainConfig { base: Some("models/base".to_owned()), ..TrainConfig::default() }
    }

    fn key_of(config: &TrainConfig, stage: TrainStage) -> String {
        match config.validate(stage) {
            Err(TrainError::Setting { table, key, .. }) => format!("{table}.{key}"),
            other => panic!("expected a refused setting, got {other:?}"),
        }
    }

    #[test]
    fn the_defaults_stand_once_there_is_a_base() {
        based().validate(TrainStage::Pretrain).expect("the contract's defaults are valid");
        TrainConfig::default().validate(TrainStage::Sft).expect("sft takes pretrain's output by default");
        assert_eq!(key_of(&TrainConfig::default(), TrainStage::Pretrain), "pretrain.base");
    }

    #[test]
    fn each_impossible_setting_is_refused_by_its_key() {
        use TrainStage::{Pretrain, Sft};
        let cases: Vec<(TrainConfig, TrainStage, &str)> = vec![
            (TrainConfig { global_batch: 6, micro_batch: 4, ..based() }, Pretrain, "pretrain.global_batch"),
            (TrainConfig { micro_batch: 0, ..based() }, Pretrain, "pretrain.micro_batch"),
            (TrainConfig { sequence_length: 1, ..based() }, Sft, "sft.sequence_length"),
            (TrainConfig { warmup_ratio: 1.5, ..based() }, Pretrain, "pretrain.warmup_ratio"),
            (TrainConfig { betas: [0.9, 1.0], ..based() }, Pretrain, "pretrain.betas"),
            (TrainConfig { learning_rate: f64::NAN, ..based() }, Pretrain, "pretrain.learning_rate"),
            (TrainConfig { device: "gpu".to_owned(), ..based() }, Pretrain, "pretrain.device"),
            (TrainConfig { init: Some(InitConfig::default()), ..based() }, Pretrain, "pretrain.init"),
            (TrainConfig { lora: Some(LoraConfig::default()), ..based() }, Sft, "sft.lora"),
            (TrainConfig { template: Some("chat".to_owned()), ..based() }, Pretrain, "pretrain.template"),
            (TrainConfig { text_column: Some("note".to_owned()), ..based() }, Sft, "sft.text_column"),
            (TrainConfig { packing: Packing::Stream, ..based() }, Sft, "sft.packing"),
            (TrainConfig { validation_fraction: 0.1, ..based() }, Pretrain, "pretrain.validation_fraction"),
            (TrainConfig { data: Some("notes".to_owned()), ..based() }, Sft, "sft.data"),
            (TrainConfig { keep: 0, ..based() }, Pretrain, "pretrain.keep"),
            (TrainConfig { precision: Precision::F16, ..based() }, Pretrain, "pretrain.precision"),
            (TrainConfig { master_weights: true, ..based() }, Pretrain, "pretrain.master_weights"),
            (
                TrainConfig {
                    master_weights: true,
                    method: Method::Lora,
                    precision: Precision::Bf16,
                    ..TrainConfig::default()
                },
                Sft,
                "sft.master_weights",
            ),
            (TrainConfig { max_steps: Some(0), ..based() }, Pretrain, "pretrain.max_steps"),
            (TrainConfig { max_tokens: Some(0), ..based() }, Pretrain, "pretrain.max_tokens"),
            (TrainConfig { early_stop: Some(0), eval_every: 5, ..based() }, Sft, "sft.early_stop"),
            (TrainConfig { early_stop: Some(2), ..based() }, Sft, "sft.eval_every"),
            (TrainConfig { early_stop_threshold: 0.1, ..based() }, Sft, "sft.early_stop_threshold"),
            (TrainConfig { early_stop_threshold: f64::NAN, ..based() }, Sft, "sft.early_stop_threshold"),
        ];
        for (config, stage, key) in cases {
            assert_eq!(key_of(&config, stage), key);
        }
    }

    #[test]
    fn unknown_keys_are_refused() {
        let error = serde_json::from_str::<TrainConfig>(r#"{"learning_rat": 1}"#).expect_err("misspelt");
        assert!(error.to_string().contains("learning_rat"), "{error}");
    }
}
