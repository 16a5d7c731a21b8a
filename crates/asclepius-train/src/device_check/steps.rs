//! Ten steps of the product's own loop on the device, beside the CPU's in f32, from the same weights and rows.

use std::path::Path;

use asclepius_dataset::{Document, Order, Packing, Plan, PlanConfig};
use asclepius_model::{Decoder, LoraConfig, ModelConfig};
use asclepius_ops::PhiloxKey;
use candle_core::{DType, Device};

use super::{TrainingFinding, as_on_device, bounds};
use crate::{
    InitConfig, Job, METRICS_FILE, Method, MetricsRow, OptimizerChoice, Precision, Schedule, TrainConfig, TrainError,
    TrainStage, Unattended, Vocabulary, read_metrics, run,
};

const STEPS: u64 = 10;
const ROWS: usize = 4;
const LONGEST: usize = 48;

/// Grouped queries, and sizes that are a multiple of nothing a kernel likes.
fn sizes() -> InitConfig {
    InitConfig {
        hidden_size: 54,
        intermediate_size: 101,
        num_hidden_layers: 3,
        num_attention_heads: 9,
        num_key_value_heads: 3,
        vocab_size: 331,
        initializer_range: 0.1,
        ..InitConfig::default()
    }
}

fn rows(seed: u64, vocabulary: usize) -> Vec<Document> {
    let key = PhiloxKey::new(seed).fold_name("rows");
    (0..ROWS as u64 * STEPS)
        .map(|row| {
            let key = key.fold(row);
            let length = 2 + key.below(0, LONGEST as u32 - 1) as usize;
            let ids = (1..=length as u64).map(|index| key.below(index, vocabulary as u32)).collect();
            // The first token is predicted by nothing, the second always is.
            let supervised = (0..length)
                .map(|index| index == 1 || (index > 1 && key.fold_name("supervised").below(index as u64, 10) < 7));
            Document { ids, supervised: supervised.collect(), id: format!("row-{row}") }
        })
        .collect()
}

fn config(method: Method, precision: Precision) -> TrainConfig {
    TrainConfig {
        base: Some("random weights".to_owned()),
        method,
        lora: (method != Method::Full).then(|| LoraConfig { rank: 5, alpha: 10.0, ..LoraConfig::default() }),
        sequence_length: LONGEST,
        packing: Packing::None,
        global_batch: ROWS,
        micro_batch: ROWS / 2,
        max_steps: Some(STEPS),
        learning_rate: 1e-3,
        schedule: Schedule::Constant,
        warmup_ratio: 0.0,
        max_grad_norm: 1.0,
        save_every: 0,
        precision,
        ..TrainConfig::default()
    }
}

const PRECISIONS: [Precision; 3] = [Precision::F32, Precision::Bf16, Precision::F16];

/// The loss of every step.
fn losses(config: &TrainConfig, model: &Path, device: &Device, seed: u64) -> Result<Vec<f64>, TrainError> {
    let as_given = PlanConfig { order: Order::AsGiven, ..config.train_plan(0) };
    let plan = Plan::new(rows(seed, sizes().vocab_size), as_given)?;
    let directory = tempfile::tempdir()?;
    let job = Job {
        stage: TrainStage::Sft,
        config,
        seed,
        train: &plan,
        held_out: None,
        directory: directory.path(),
        identity: "device check",
        base: "random weights",
        tokenizer: None,
    };
    let mut decoder = Decoder::load(model, DType::F32, device)?;
    run(&mut decoder, &job, &Unattended)?;
    let rows = read_metrics(&directory.path().join(METRICS_FILE))?.into_iter();
    let losses = rows.filter_map(|row| match row {
        MetricsRow::Step(row) => Some(row.loss),
        MetricsRow::Evaluation(_) => None,
    });
    Ok(losses.collect())
}

/// Full, LoRA and QLoRA training in every type.
pub(super) fn check(device: &Device, seed: u64) -> Result<Vec<TrainingFinding>, TrainError> {
    let vocabulary = Vocabulary { size: sizes().vocab_size, bos: Some(0), eos: Some(1), pad: None };
    let model = tempfile::tempdir()?;
    let random = ModelConfig::from_json(sizes().config_json(vocabulary, LONGEST))?;
    Decoder::init(random, seed, &Device::Cpu)?.save(model.path(), None)?;
    let mut findings = Vec::new();
    for (name, method, optimizer) in [
        ("full", Method::Full, OptimizerChoice::Adamw),
        ("full, 8-bit moments", Method::Full, OptimizerChoice::Adamw8bit),
        ("lora", Method::Lora, OptimizerChoice::Adamw),
        ("qlora", Method::Qlora, OptimizerChoice::Adamw),
    ] {
        let config = |precision| TrainConfig { optimizer, ..config(method, precision) };
        let reference = losses(&config(Precision::F32), model.path(), &Device::Cpu, seed)?;
        let adapters_only = |precision| precision == Precision::F16 && method == Method::Full;
        for precision in PRECISIONS.into_iter().filter(|&precision| !adapters_only(precision)) {
            let dtype = precision.dtype();
            let config = config(precision);
            let found = as_on_device(device, || losses(&config, model.path(), device, seed));
            let (losses, error) = match found {
                Ok(losses) => (losses, None),
                Err(error) => (Vec::new(), Some(error.to_string())),
            };
            let apart = losses.iter().zip(&reference).map(|(found, expected)| (found - expected).abs() / expected);
            // `f64::max` would drop a NaN.
            let apart =
                apart.fold(0.0, |worst: f64, apart| if apart > worst || apart.is_nan() { apart } else { worst });
            findings.push(TrainingFinding {
                method: name,
                dtype: dtype.as_str(),
                losses,
                reference: reference.clone(),
                apart,
                bound: bounds(dtype).losses,
                error,
            });
        }
    }
    Ok(findings)
}
