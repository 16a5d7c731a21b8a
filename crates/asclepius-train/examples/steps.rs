//! Training losses of given rows, to be held against `tools/oracle/live.py`: the product's own loop, its losses on stdout.
//!
//! `steps MODEL ROWS.jsonl SETTINGS.json`

use std::path::{Path, PathBuf};

use asclepius_dataset::{Document, Order, Packing, Plan, PlanConfig};
use asclepius_model::{Decoder, LoraConfig};
use asclepius_train::{
    Job, METRICS_FILE, Method, MetricsRow, Schedule, TrainConfig, TrainStage, Unattended, read_metrics, run,
};
use candle_core::{DType, Device};
use serde::Deserialize;

#[derive(Deserialize)]
struct Settings {
    /// Rows of a step, which is also the micro-batch.
    rows: usize,
    count: u64,
    learning_rate: f64,
    weight_decay: f64,
    max_norm: f64,
    seed: u64,
    lora: Option<LoraConfig>,
}

#[derive(Deserialize)]
struct Row {
    ids: Vec<u32>,
    supervised: Vec<bool>,
}

#[expect(clippy::print_stdout, reason = "the losses are the program's output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let places: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [model, rows, settings] = places.as_slice() else { return Err("steps MODEL ROWS.jsonl SETTINGS.json".into()) };
    let settings: Settings = serde_json::from_str(&fs_err::read_to_string(settings)?)?;
    let rows = fs_err::read_to_string(rows)?.lines().map(serde_json::from_str).collect::<Result<Vec<Row>, _>>()?;
    println!("{}", serde_json::to_string(&losses(model, rows, settings)?)?);
    Ok(())
}

fn losses(model: &Path, rows: Vec<Row>, settings: Settings) -> Result<Vec<f64>, Box<dyn std::error::Error>> {
    let base = model.to_string_lossy().into_owned();
    let config = TrainConfig {
        base: Some(base.clone()),
        method: if settings.lora.is_some() { Method::Lora } else { Method::Full },
        lora: settings.lora,
        sequence_length: rows.iter().map(|row| row.ids.len()).max().unwrap_or(1),
        packing: Packing::None,
        global_batch: settings.rows,
        micro_batch: settings.rows,
        max_steps: Some(settings.count),
        learning_rate: settings.learning_rate,
        schedule: Schedule::Constant,
        warmup_ratio: 0.0,
        weight_decay: settings.weight_decay,
        max_grad_norm: settings.max_norm,
        save_every: 0,
        ..TrainConfig::default()
    };
    let documents: Vec<Document> = (rows.into_iter().enumerate())
        .map(|(index, row)| Document { ids: row.ids, supervised: row.supervised, id: format!("row-{index}") })
        .collect();
    let plan = Plan::new(documents, PlanConfig { order: Order::AsGiven, ..config.train_plan(0) })?;
    let directory = tempfile::tempdir()?;
    let job = Job {
        stage: TrainStage::Sft,
        config: &config,
        seed: settings.seed,
        train: &plan,
        held_out: None,
        directory: directory.path(),
        identity: "rows and settings",
        base: &base,
        tokenizer: None,
    };
    let mut decoder = Decoder::load(model, DType::F32, &Device::Cpu)?;
    run(&mut decoder, &job, &Unattended)?;
    let rows = read_metrics(&directory.path().join(METRICS_FILE))?;
    let losses = rows.into_iter().filter_map(|row| match row {
        MetricsRow::Step(row) => Some(row.loss),
        MetricsRow::Evaluation(_) => None,
    });
    Ok(losses.collect())
}
