//! How long a training step takes without its optimizer: `step_time HIDDEN LAYERS VOCAB TOKENS [lora]`.

use std::time::Instant;

use asclepius_model::{Decoder, LoraConfig, MicroBatch, ModelConfig, Recompute, evaluate, loss_and_gradients};
use asclepius_ops::GradientBuffer;
use candle_core::Device;
use serde_json::json;

#[expect(clippy::print_stdout, reason = "the table is the program's output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let size = |index: usize, default: usize| arguments.get(index).map_or(Ok(default), |text| text.parse::<usize>());
    let (hidden, layers, vocab, tokens) = (size(0, 192)?, size(1, 4)?, size(2, 4096)?, size(3, 2048)?);
    let head_dim = if hidden % 64 == 0 && hidden > 256 { 64 } else { 32 };
    let config = ModelConfig::from_json(json!({
        "model_type": "llama", "vocab_size": vocab, "hidden_size": hidden, "intermediate_size": hidden * 3,
        "num_hidden_layers": layers, "num_attention_heads": hidden / head_dim, "rms_norm_eps": 1e-5,
        "max_position_embeddings": tokens, "tie_word_embeddings": true,
    }))?;
    let mut decoder = Decoder::init(config, 0, &Device::Cpu)?;
    if arguments.iter().any(|argument| argument == "lora") {
        decoder.attach(&LoraConfig::default(), 0)?;
    } else {
        decoder.train_all()?;
    }
    let ids: Vec<u32> = (0..tokens as u32).map(|index| index.wrapping_mul(2_654_435_761) % vocab as u32).collect();
    let cumulative: Vec<u32> = (0..=tokens as u32).step_by(512).collect();
    let positions = (0..tokens as u32).map(|index| index % 512).collect();
    let labels: Vec<Option<u32>> =
        (0..tokens).map(|index| (index % 512 != 511).then(|| ids[(index + 1) % tokens])).collect();
    let batch = MicroBatch::new(ids, positions, cumulative, &labels)?;
    let buffer = GradientBuffer::new(&decoder.parameters())?;
    println!("{}", decoder.trainable_parameters());
    for recompute in [Recompute::None, Recompute::Block] {
        let mut best = f64::INFINITY;
        for _ in 0..8 {
            buffer.zero()?;
            let start = Instant::now();
            loss_and_gradients(&decoder, &batch, None, recompute)?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("{recompute:?}: {best:.3} s a step, {:.0} tokens/s", tokens as f64 / best);
    }
    let start = Instant::now();
    evaluate(&decoder, &batch)?;
    println!("forward only: {:.3} s", start.elapsed().as_secs_f64());
    Ok(())
}
