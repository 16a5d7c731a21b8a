//! `asclepius plan`: what a run will need, before anything runs.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Context;
use asclepius_corpus::{Outcome as Article, ingest};
use asclepius_dataset::{read_instructions_any, read_reports, read_texts};
use asclepius_model::{ModelConfig, Recompute};
use asclepius_schema::Report;
use asclepius_synth::SynthError;
use asclepius_synth::estimate::{self, Estimate, Expected};
use asclepius_train::{Method, TrainConfig, TrainStage, Vocabulary};
use candle_core::{Device, Tensor};
use serde::Serialize;

use crate::args::PipelineArgs;
use crate::base;
use crate::failure::Outcome;
use crate::output;
use crate::pipeline::{Pipeline, PipelineConfig};
use crate::stage::Stage;

#[derive(Debug, Serialize)]
struct Everything {
    pipeline: String,
    rows: Option<Rows>,
    teacher: Option<Calls>,
    training: Vec<Training>,
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Rows {
    reports: u64,
    report_tokens: u64,
    instructions: u64,
}

#[derive(Debug, Serialize)]
struct Calls {
    model: String,
    requests: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    cost_usd: Option<f64>,
    /// If every reply is as long as it may be.
    cost_usd_at_most: Option<f64>,
    budget_usd: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Training {
    stage: &'static str,
    base: String,
    method: Method,
    parameters: u64,
    trainable: u64,
    weight_bytes: u64,
    gradient_bytes: u64,
    optimizer_bytes: u64,
    activation_bytes: u64,
    total_bytes: u64,
    /// What the bytes above suppose.
    recompute: &'static str,
    /// By a card's memory in GB: the least recomputation that fits, if any does. Empty for a run that no card has.
    cards: BTreeMap<u64, Option<&'static str>>,
    tokens: Option<u64>,
    flops: Option<f64>,
    /// On this machine's CPU, from a matrix product timed now; none for a GPU.
    seconds: Option<f64>,
}

/// Prints the plan.
pub fn run(args: &PipelineArgs, json: bool) -> Outcome {
    let pipeline = Pipeline::load(&args.pipeline, &args.set)?;
    let config = &pipeline.config;
    let mut notes = Vec::new();
    let tables = [(TrainStage::Pretrain, &config.pretrain), (TrainStage::Sft, &config.sft)];
    let tables: Vec<_> = tables.into_iter().filter_map(|(stage, table)| Some((stage, table.as_ref()?))).collect();
    // A pipeline that trains on files alone asks no teacher.
    let asks = tables.is_empty() || tables.iter().any(|(stage, table)| !table.data_is_file(*stage));
    let counted = asks.then(|| count_reports(&pipeline)).transpose();
    let counted = match counted {
        Ok(counted) => counted,
        Err(problem) => {
            notes.push(format!("rows, money and time are unknown: {problem:#}"));
            None
        }
    };
    let rows = counted.as_ref().map(|counted| Rows {
        reports: counted.reports,
        report_tokens: estimate::tokens(counted.characters),
        instructions: counted.reports * u64::from(config.instruct.per_note),
    });
    let teacher = counted.map(|counted| calls(config, counted.expected));
    if teacher.as_ref().is_some_and(|teacher| teacher.cost_usd.is_none()) {
        notes.push("no money is counted: the [teacher] table names no prices".to_owned());
    }
    let rate = gemm_rate()?;
    let mut training = Vec::new();
    for (stage, table) in tables {
        let once = match table.data_is_file(stage) {
            true => file_tokens(stage, table).map_err(|problem| notes.push(format!("{problem:#}"))).ok(),
            false => rows.as_ref().map(|rows| dataset_tokens(config, stage, rows)),
        };
        training.push(train(config, stage, table, once, rate)?);
    }
    notes.push("rows, tokens and times are estimates, memory is arithmetic over the base's config.json".to_owned());
    let everything = Everything { pipeline: config.name.clone(), rows, teacher, training, notes };
    output::data(&if json { serde_json::to_string_pretty(&everything)? } else { table(&everything) })?;
    Ok(())
}

/// Reports, their characters, and what they will be asked for.
#[derive(Default)]
struct Counted {
    reports: u64,
    characters: usize,
    expected: Expected,
}

/// From ingest's result where it stands, else by reading the articles now.
fn count_reports(pipeline: &Pipeline) -> anyhow::Result<Counted> {
    let config = &pipeline.config;
    let estimate = Estimate::new(&config.notes, &config.instruct, config.seed)?;
    let mut counted = Counted::default();
    let mut count = |report: &Report| -> Result<(), SynthError> {
        counted.reports += 1;
        counted.characters += report.report.len();
        counted.expected.add(estimate.of(report.report_id.as_str(), &report.report)?);
        Ok(())
    };
    let directory =
        pipeline.config.notes.input.clone().unwrap_or_else(|| pipeline.run_dir().join(Stage::Ingest.directory()));
    let path = directory.join(crate::stages::ingest::REPORTS);
    if path.is_file() {
        for report in read_reports(&path)? {
            count(&report?)?;
        }
        return Ok(counted);
    }
    // The reader knows no errors of synthesis: the first one is kept aside.
    let mut rendered = Ok(());
    let mut take = |article: Article| {
        if let Article::Admitted { reports, .. } = article {
            for report in &reports {
                rendered = std::mem::replace(&mut rendered, Ok(())).and_then(|()| count(report));
            }
        }
        Ok(())
    };
    ingest(&config.corpus, &mut take, &|_, _| {}).context("the articles could not be read")?;
    rendered?;
    Ok(counted)
}

fn calls(config: &PipelineConfig, expected: Expected) -> Calls {
    let teacher = &config.teacher;
    let cost = |completion_tokens: u64| {
        let (input, output) = teacher.prices()?;
        Some(expected.prompt_tokens as f64 * input + completion_tokens as f64 * output)
    };
    Calls {
        model: teacher.model_name().to_owned(),
        requests: expected.requests,
        prompt_tokens: expected.prompt_tokens,
        completion_tokens: expected.completion_tokens,
        cost_usd: cost(expected.completion_tokens),
        cost_usd_at_most: cost(expected.most_completion_tokens),
        budget_usd: teacher.budget_usd,
    }
}

/// Tokens of one pass over the dataset that the pipeline will make.
fn dataset_tokens(config: &PipelineConfig, stage: TrainStage, rows: &Rows) -> u64 {
    match stage {
        TrainStage::Pretrain => rows.report_tokens,
        // Each instruction carries its note, a question and an answer.
        TrainStage::Sft => rows.report_tokens * u64::from(config.instruct.per_note) + rows.instructions * 120,
    }
}

/// Tokens of one pass over a file of the user's.
fn file_tokens(stage: TrainStage, table: &TrainConfig) -> anyhow::Result<u64> {
    let data = table.data(stage);
    let path = std::path::Path::new(data);
    let mut characters = 0;
    let unknown = || format!("{}'s rows and time are unknown: {data}", stage.table());
    match stage {
        TrainStage::Pretrain => {
            for row in read_texts(path, table.text_column.as_deref().unwrap_or("note")).with_context(unknown)? {
                characters += row?.text.len();
            }
        }
        TrainStage::Sft => {
            for row in read_instructions_any(path).with_context(unknown)? {
                let row = row?;
                characters += row.note.len() + row.question.len() + row.answer.len();
            }
        }
    }
    Ok(estimate::tokens(characters))
}

fn train(
    config: &PipelineConfig,
    stage: TrainStage,
    table: &TrainConfig,
    once: Option<u64>,
    rate: f64,
) -> Outcome<Training> {
    let (name, model) = model_of(config, stage, table)?;
    let recompute = table.recompute(&model)?;
    let memory = table.memory(&model)?;
    let tokens = once.map(|once| {
        let by_epochs = table.bounding_epochs(stage).map(|epochs| once * u64::from(epochs));
        let by_steps = table.max_steps.map(|steps| steps * (table.global_batch * table.sequence_length) as u64);
        [by_epochs, by_steps, table.max_tokens].into_iter().flatten().min().unwrap_or(once)
    });
    // Forward 2, input gradients 2, weight gradients 2 operations a parameter and token; frozen weights cost no dW,
    // recomputing costs one more forward.
    let per_token = 2.0
        + 2.0
        + if table.method == Method::Full { 2.0 } else { 0.0 }
        + if recompute == Recompute::Block { 2.0 } else { 0.0 };
    let flops = tokens.map(|tokens| per_token * memory.parameters as f64 * tokens as f64);
    let on_cpu = table.device == "cpu" || (table.device == "auto" && asclepius_ops::device("auto")?.is_cpu());
    let cards = if on_cpu { Vec::new() } else { table.cards(&model)? };
    let cards = cards.into_iter().map(|(size, recompute)| (size, recompute.map(recompute_name))).collect();
    Ok(Training {
        stage: stage.table(),
        base: name,
        method: table.method,
        parameters: memory.parameters,
        trainable: memory.trainable,
        weight_bytes: memory.weight_bytes,
        gradient_bytes: memory.gradient_bytes,
        optimizer_bytes: memory.optimizer_bytes,
        activation_bytes: memory.activation_bytes,
        total_bytes: memory.total_bytes(),
        recompute: recompute_name(recompute),
        cards,
        tokens,
        flops,
        seconds: flops.filter(|_| on_cpu).map(|flops| flops / rate),
    })
}

/// As the key is written.
fn recompute_name(recompute: Recompute) -> &'static str {
    match recompute {
        Recompute::None => "none",
        Recompute::Selective => "selective",
        Recompute::Block => "block",
    }
}

/// The architecture a stage trains: its own base or sizes, or what the stage before it will have made.
fn model_of(config: &PipelineConfig, stage: TrainStage, table: &TrainConfig) -> Outcome<(String, ModelConfig)> {
    if let Some(init) = &table.init {
        let vocabulary = Vocabulary { size: init.vocab_size, bos: None, eos: None, pad: None };
        let json = init.config_json(vocabulary, table.sequence_length);
        return Ok(("random weights".to_owned(), ModelConfig::from_json(json)?));
    }
    if let Some(base) = &table.base {
        return Ok((base.clone(), base::config(&format!("{}.base", stage.table()), base)?));
    }
    match &config.pretrain {
        Some(pretrain) if stage == TrainStage::Sft => {
            let (name, model) = model_of(config, TrainStage::Pretrain, pretrain)?;
            Ok((format!("{name}, pre-trained"), model))
        }
        _ => Err(crate::failure::Failure::usage(anyhow::anyhow!("{}.base is missing", stage.table()))),
    }
}

/// Operations a second of a matrix product on this machine's CPU, the median of five.
fn gemm_rate() -> Outcome<f64> {
    const SIZE: usize = 512;
    let a = Tensor::ones((SIZE, SIZE), candle_core::DType::F32, &Device::Cpu)?;
    let mut rates = Vec::new();
    for _ in 0..5 {
        let started = Instant::now();
        a.matmul(&a)?;
        rates.push(2.0 * (SIZE as f64).powi(3) / started.elapsed().as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    Ok(rates[2])
}

fn table(everything: &Everything) -> String {
    let mut lines = vec![format!("plan of {}", everything.pipeline)];
    if let Some(rows) = &everything.rows {
        lines.push(format!(
            "\nrows      {} case reports of {} tokens; {} instructions",
            rows.reports, rows.report_tokens, rows.instructions
        ));
    }
    if let Some(teacher) = &everything.teacher {
        lines.push(format!(
            "teacher   {}: {} requests, {} tokens in, {} out",
            teacher.model, teacher.requests, teacher.prompt_tokens, teacher.completion_tokens
        ));
        if let Some(cost) = teacher.cost_usd {
            let cap = teacher.budget_usd.map_or(String::new(), |budget| format!(" (cap ${budget:.2})"));
            let most = teacher
                .cost_usd_at_most
                .map_or(String::new(), |most| format!(", ${most:.2} if every reply is as long as it may be"));
            lines.push(format!("money     ${cost:.2}{most}{cap}"));
        }
    }
    for training in &everything.training {
        lines.push(format!("\n{} on {}", training.stage, training.base));
        lines.push(format!(
            "  parameters   {:>12}  trainable {}",
            millions(training.parameters),
            millions(training.trainable)
        ));
        for (label, bytes) in [
            ("weights", training.weight_bytes),
            ("gradients", training.gradient_bytes),
            ("optimizer", training.optimizer_bytes),
            ("activations", training.activation_bytes),
            ("together", training.total_bytes),
        ] {
            lines.push(format!("  {label:<12} {:>12}", gibibytes(bytes)));
        }
        lines.push(format!("  recompute    {:>12}", training.recompute));
        if !training.cards.is_empty() {
            let fits = training.cards.iter().map(|(size, recompute)| match recompute {
                Some(recompute) => format!("{size} GB {recompute}"),
                None => format!("{size} GB no"),
            });
            lines.push(format!("  cards        {}", fits.collect::<Vec<_>>().join(", ")));
        }
        if let (Some(tokens), Some(flops)) = (training.tokens, training.flops) {
            lines.push(format!("  tokens       {tokens:>12}  {flops:.2e} operations"));
        }
        if let Some(seconds) = training.seconds {
            lines.push(format!("  time         {seconds:>10.0} s  at this machine's speed of matrix products"));
        }
    }
    lines.push(String::new());
    lines.extend(everything.notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

fn millions(count: u64) -> String {
    format!("{:.2} M", count as f64 / 1e6)
}

fn gibibytes(bytes: u64) -> String {
    if bytes < 1 << 30 {
        format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
    } else {
        format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
    }
}
