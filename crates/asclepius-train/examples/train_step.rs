//! How long a training step takes, optimizer included, and what memory it needs. Prints one JSON object.
//!
//!     train_step full|lora [--model DIR] [--rows N] [--length N] [--recompute none|selective|block] [--steps N]
//!
//! Without a model directory: the 35.7M-parameter Llama of `bench/train_step.py`, from random weights. `lora`: rank 8 on
//! every linear layer, the base frozen. Each row is a document of random tokens; the first step warms up and is not counted.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use asclepius_model::{Decoder, LoraConfig, MicroBatch, ModelConfig, Recompute, loss_and_gradients};
use asclepius_ops::{GradientBuffer, PhiloxKey};
use asclepius_train::{AdamW, Optimizer, OptimizerChoice};
use candle_core::{DType, Device};
use serde_json::json;

struct Arguments {
    lora: bool,
    model: Option<PathBuf>,
    rows: usize,
    length: usize,
    recompute: Recompute,
    steps: u64,
}

fn arguments() -> Result<Arguments> {
    let mut given = std::env::args().skip(1);
    let lora = match given.next().as_deref() {
        Some("full") => false,
        Some("lora") => true,
        other => bail!("full or lora, not {other:?}"),
    };
    let mut parsed = Arguments { lora, model: None, rows: 4, length: 256, recompute: Recompute::None, steps: 5 };
    while let Some(flag) = given.next() {
        let value = given.next().with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--model" => parsed.model = Some(value.into()),
            "--rows" => parsed.rows = value.parse()?,
            "--length" => parsed.length = value.parse()?,
            "--steps" => parsed.steps = value.parse()?,
            "--recompute" => {
                parsed.recompute = match value.as_str() {
                    "none" => Recompute::None,
                    "selective" => Recompute::Selective,
                    "block" => Recompute::Block,
                    other => bail!("--recompute {other}"),
                }
            }
            _ => bail!("unknown argument {flag}"),
        }
    }
    Ok(parsed)
}

/// As `bench/train_step.py` has it.
fn small_llama() -> Result<ModelConfig> {
    Ok(ModelConfig::from_json(json!({
        "model_type": "llama", "vocab_size": 8192, "hidden_size": 512, "intermediate_size": 1536,
        "num_hidden_layers": 8, "num_attention_heads": 8, "num_key_value_heads": 8, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 512, "tie_word_embeddings": false,
    }))?)
}

/// The most memory this process has held, in bytes; 0 where the system does not tell.
fn peak_memory() -> u64 {
    let status = fs_err::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|text| text.trim().strip_suffix(" kB")).and_then(|text| text.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

#[global_allocator]
static ALLOCATOR: asclepius_ops::cpu::memory::Allocator = asclepius_ops::cpu::memory::Allocator;

#[expect(clippy::print_stdout, reason = "the measurement is the program's output")]
fn main() -> Result<()> {
    asclepius_ops::cpu::memory::keep_freed();
    let arguments = arguments()?;
    let mut decoder = match &arguments.model {
        Some(directory) => Decoder::load(directory, DType::F32, &Device::Cpu)?,
        None => Decoder::init(small_llama()?, 0, &Device::Cpu)?,
    };
    if arguments.lora {
        decoder.attach(&LoraConfig::default(), 0)?;
    } else {
        decoder.train_all()?;
    }
    let (rows, length) = (arguments.rows, arguments.length);
    let vocabulary = decoder.config().vocab_size as f32;
    let drawn = PhiloxKey::new(0).fold_name("tokens").uniforms(rows * length);
    let ids: Vec<u32> = drawn.into_iter().map(|uniform| (uniform * vocabulary) as u32).collect();
    let labels: Vec<Option<u32>> =
        (0..ids.len()).map(|index| (index % length != length - 1).then(|| ids[index + 1])).collect();
    let positions = (0..ids.len()).map(|index| (index % length) as u32).collect();
    let cumulative = (0..=rows).map(|row| (row * length) as u32).collect();
    let batch = MicroBatch::new(ids, positions, cumulative, &labels)?;

    let gradients = GradientBuffer::new(&decoder.trainable())?;
    let rule = AdamW { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.01 };
    let optimizer = Optimizer::new(rule, OptimizerChoice::Adamw, gradients.parameters(), false)?;
    let mean = 1.0 / (rows * (length - 1)) as f64;
    let (mut seconds, mut losses) = (Vec::new(), Vec::new());
    for step in 1..=arguments.steps + 1 {
        let started = Instant::now();
        gradients.zero()?;
        losses.push(loss_and_gradients(&decoder, &batch, None, arguments.recompute)? * mean);
        gradients.norm()?;
        optimizer.update(mean, 1e-4, step)?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.remove(0);
    let tokens = rows * length;
    println!("{}", json!({ "tokens": tokens, "seconds": seconds, "losses": losses, "peak_bytes": peak_memory() }));
    Ok(())
}
