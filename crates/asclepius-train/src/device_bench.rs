//! How long a training step takes on a device, and what memory it needs: random weights of published sizes, random tokens,
//! the loop's own pieces.

use std::time::Instant;

use asclepius_model::{
    Decoder, LoraConfig, Loss, MicroBatch, ModelConfig, Recompute, add_gradients, operations_per_token,
};
use asclepius_ops::device::{describe, forget_peak_memory, peak_memory, peak_rate};
use asclepius_ops::{GradientBuffer, PhiloxKey};
use candle_core::{DType, Device};
use serde::Serialize;
use serde_json::{Value, json};

use crate::config::OptimizerChoice;
use crate::{AdamW, Method, Optimizer, TrainError};

/// What is measured.
#[derive(Debug, Clone, Serialize)]
pub struct Workload {
    /// A published model's sizes: one of [`MODELS`].
    pub model: String,
    /// Blocks, where not as many as the model has.
    pub layers: Option<usize>,
    /// What is trained.
    pub method: Method,
    /// Tokens of a sequence, which is one document.
    pub length: usize,
    /// Sequences of a micro-batch.
    pub rows: usize,
    /// Micro-batches of a step, all of them the same.
    pub micro_batches: usize,
    /// What is kept for the way back.
    #[serde(skip)]
    pub recompute: Recompute,
    /// Moments in 8 bits instead of 32.
    pub eight_bit: bool,
    /// Steps that are timed, after one that is not.
    pub steps: u64,
    /// No step is begun after so many seconds.
    pub seconds: f64,
}

/// What was measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// The device's own name.
    pub card: String,
    /// What was asked for.
    #[serde(flatten)]
    pub workload: Workload,
    /// All parameters, adapters included.
    pub parameters: usize,
    /// Those that are trained.
    pub trainable: usize,
    /// Tokens of a step.
    pub tokens: usize,
    /// Each step's time.
    pub step_seconds: Vec<f64>,
    /// Each step's loss, that of the step before the timed ones first.
    pub losses: Vec<f64>,
    /// Tokens over the median step's time.
    pub tokens_per_second: f64,
    /// [`operations_per_token`].
    pub operations_per_token: f64,
    /// The share of the card's promised rate that this is, where that is known.
    pub mfu: Option<f64>,
    /// The most memory that tensors held at once, on a card.
    pub peak_memory_bytes: Option<u64>,
    /// What weights, gradients and moments hold before the first step, on a card.
    pub resting_memory_bytes: Option<u64>,
}

/// Models whose sizes are known here.
pub const MODELS: [&str; 5] = ["llama3-8b", "llama3.2-1b", "phi-2", "smollm2-135m", "tiny"];

fn sizes(model: &str) -> Option<Value> {
    let llama = |vocabulary: usize, [d, f, layers, heads, groups, head]: [usize; 6], tied: bool| {
        json!({
            "model_type": "llama", "vocab_size": vocabulary, "hidden_size": d, "intermediate_size": f,
            "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": groups, "head_dim": head,
            "rms_norm_eps": 1e-5, "rope_theta": 500_000.0, "max_position_embeddings": 8192,
            "tie_word_embeddings": tied,
        })
    };
    match model {
        "llama3-8b" => Some(llama(128_256, [4096, 14_336, 32, 32, 8, 128], false)),
        "llama3.2-1b" => Some(llama(128_256, [2048, 8192, 16, 32, 8, 64], true)),
        "smollm2-135m" => Some(llama(49_152, [576, 1536, 30, 9, 3, 64], true)),
        "tiny" => Some(llama(512, [64, 96, 2, 4, 2, 16], true)),
        "phi-2" => Some(json!({
            "model_type": "phi", "vocab_size": 51_200, "hidden_size": 2560, "intermediate_size": 10_240,
            "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "hidden_act": "gelu_new",
            "layer_norm_eps": 1e-5, "partial_rotary_factor": 0.4, "rope_theta": 10_000.0,
            "max_position_embeddings": 2048, "tie_word_embeddings": false,
        })),
        _ => None,
    }
}

/// Runs `workload` in bf16 (f32 on the CPU).
///
/// # Errors
/// For a model that is not in [`MODELS`], and when the device fails or has no memory.
pub fn measure(device: &Device, workload: &Workload) -> Result<Measured, TrainError> {
    let mut json = sizes(&workload.model)
        .ok_or_else(|| TrainError::UnknownModel { name: workload.model.clone(), known: MODELS.join(", ") })?;
    if let Some(layers) = workload.layers {
        json["num_hidden_layers"] = layers.into();
    }
    let dtype = if device.is_cpu() { DType::F32 } else { DType::BF16 };
    let mut decoder = Decoder::arbitrary(ModelConfig::from_json(json)?, dtype, device)?;
    match workload.method {
        Method::Full => decoder.train_all()?,
        Method::Lora | Method::Qlora => {
            decoder.attach(&LoraConfig { rank: 16, alpha: 32.0, ..LoraConfig::default() }, 0)?;
        }
    }
    if workload.method == Method::Qlora {
        decoder.quantise()?;
    }
    let (rows, length) = (workload.rows, workload.length);
    let vocabulary = decoder.config().vocab_size as u32;
    let key = PhiloxKey::new(0).fold_name("tokens");
    let ids: Vec<u32> = (0..(rows * length) as u64).map(|index| key.below(index, vocabulary)).collect();
    let labels: Vec<Option<u32>> =
        (0..ids.len()).map(|index| (index % length != length - 1).then(|| ids[index + 1])).collect();
    let positions = (0..ids.len()).map(|index| (index % length) as u32).collect();
    let cumulative = (0..=rows).map(|row| (row * length) as u32).collect();
    let batch = MicroBatch::new(ids, positions, cumulative, &labels)?;

    let gradients = GradientBuffer::new(&decoder.trainable())?;
    let rule = AdamW { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.0 };
    let choice = if workload.eight_bit { OptimizerChoice::Adamw8bit } else { OptimizerChoice::Adamw };
    let optimizer = Optimizer::new(rule, choice, gradients.parameters(), false)?;
    device.synchronize()?;
    forget_peak_memory(device);
    let resting_memory_bytes = peak_memory(device);
    let mean = 1.0 / (workload.micro_batches * rows * (length - 1)) as f64;
    let (mut step_seconds, mut losses) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    for step in 1..=workload.steps + 1 {
        if step > 2 && begun.elapsed().as_secs_f64() > workload.seconds {
            break;
        }
        let started = Instant::now();
        gradients.zero()?;
        let parts = (0..workload.micro_batches)
            .map(|_| add_gradients(&decoder, &batch, None, workload.recompute))
            .collect::<Result<Vec<_>, _>>()?;
        let loss = parts.iter().map(Loss::value).sum::<Result<f64, _>>()?;
        losses.push(loss * mean);
        gradients.norm()?;
        optimizer.update(mean, 1e-5, step)?;
        device.synchronize()?;
        // A run that does not end says how far it came.
        tracing::info!(step, seconds = started.elapsed().as_secs_f64(), "timed");
        if step > 1 {
            step_seconds.push(started.elapsed().as_secs_f64());
        }
    }
    let tokens = workload.micro_batches * rows * length;
    let mut sorted = step_seconds.clone();
    sorted.sort_by(f64::total_cmp);
    let tokens_per_second = tokens as f64 / sorted[sorted.len() / 2];
    let operations_per_token = operations_per_token(decoder.config(), workload.method == Method::Full);
    let parameters = decoder.trainable_parameters();
    Ok(Measured {
        card: describe(device)?,
        workload: workload.clone(),
        parameters: parameters.all,
        trainable: parameters.trainable,
        tokens,
        step_seconds,
        losses,
        tokens_per_second,
        operations_per_token,
        mfu: peak_rate(device).map(|peak| operations_per_token * tokens_per_second / peak),
        peak_memory_bytes: peak_memory(device),
        resting_memory_bytes,
    })
}
