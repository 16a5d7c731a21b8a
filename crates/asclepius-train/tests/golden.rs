//! Ten steps of every family, full and LoRA, against the losses `tools/oracle/golden.py` took from PyTorch's AdamW on
//! transformers' models.

use std::path::Path;

use asclepius_dataset::{Document, Order, Packing, Plan, PlanConfig};
use asclepius_model::{Decoder, LoraConfig};
use asclepius_train::{
    Job, METRICS_FILE, Method, MetricsRow, Schedule, TrainConfig, TrainStage, Unattended, read_metrics, run,
};
use candle_core::{DType, Device};
use serde::Deserialize;

const FAMILIES: [&str; 12] = [
    "llama",
    "llama-biases",
    "llama-linear",
    "llama-yarn",
    "llama-yarn-whole",
    "llama3",
    "mistral",
    "phi",
    "phi-first",
    "phi3",
    "qwen2",
    "qwen3",
];

#[derive(Deserialize)]
struct Golden {
    steps: Steps,
    lora: Lora,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Steps {
    rows: usize,
    count: u64,
    learning_rate: f64,
    weight_decay: f64,
    max_norm: f64,
    seed: u64,
}

#[derive(Deserialize)]
struct Lora {
    rank: usize,
    alpha: f64,
}

#[derive(Deserialize)]
struct Row {
    ids: Vec<u32>,
    supervised: Vec<bool>,
}

#[derive(Deserialize)]
struct Expected {
    full_steps: Vec<f64>,
    lora_steps: Vec<f64>,
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs_err::read_to_string(path).expect("committed");
    serde_json::from_str(&text).expect("the generator writes this shape")
}

/// The loss of each step of a run on the rows as they come.
fn losses(base: &Path, golden: &Golden, lora: Option<LoraConfig>) -> Vec<f64> {
    let config = TrainConfig {
        base: Some("base".to_owned()),
        method: if lora.is_some() { Method::Lora } else { Method::Full },
        lora,
        sequence_length: 32,
        packing: Packing::None,
        global_batch: golden.steps.rows,
        micro_batch: golden.steps.rows / 2,
        max_steps: Some(golden.steps.count),
        learning_rate: golden.steps.learning_rate,
        schedule: Schedule::Constant,
        warmup_ratio: 0.0,
        weight_decay: golden.steps.weight_decay,
        max_grad_norm: golden.steps.max_norm,
        save_every: 0,
        ..TrainConfig::default()
    };
    let documents: Vec<Document> = (golden.rows.iter().enumerate())
        .map(|(index, row)| Document {
            ids: row.ids.clone(),
            supervised: row.supervised.clone(),
            id: format!("row-{index}"),
        })
        .collect();
    let as_given = PlanConfig { order: Order::AsGiven, ..config.train_plan(0) };
    let plan = Plan::new(documents, as_given).expect("the rows fit");
    let directory = tempfile::tempdir().expect("a directory");
    let job = Job {
        stage: TrainStage::Sft,
        config: &config,
        seed: golden.steps.seed,
        train: &plan,
        held_out: None,
        directory: directory.path(),
        identity: "data and settings",
        base: "base",
        tokenizer: None,
    };
    let mut decoder = Decoder::load(base, DType::F32, &Device::Cpu).expect("as transformers saved it");
    run(&mut decoder, &job, &Unattended).expect("trains");
    let rows = read_metrics(&directory.path().join(METRICS_FILE)).expect("written");
    let losses = rows.into_iter().filter_map(|row| match row {
        MetricsRow::Step(row) => Some(row.loss),
        MetricsRow::Evaluation(_) => None,
    });
    losses.collect()
}

#[test]
fn ten_steps_are_those_of_torch() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/golden");
    let golden: Golden = read(&directory.join("rows.json"));
    for family in FAMILIES {
        let base = directory.join(family);
        let expected: Expected = read(&base.join("expected.json"));
        let adapters = LoraConfig { rank: golden.lora.rank, alpha: golden.lora.alpha, ..LoraConfig::default() };
        for (method, lora, expected) in
            [("full", None, &expected.full_steps), ("lora", Some(adapters), &expected.lora_steps)]
        {
            let found = losses(&base, &golden, lora);
            assert_eq!(found.len(), expected.len());
            for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
                let apart = (found - expected).abs() / expected;
                assert!(apart <= 1e-5, "{family} {method}, step {}: {found} and {expected}", step + 1);
            }
        }
    }
}
