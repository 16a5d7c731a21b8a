//! How fast a model writes: `generate MODEL [--rows N] [--prompt TOKENS] [--new TOKENS] [--rounds N]`, greedily, all rows
//! together. Prompts are the same pseudo-random tokens as `bench/generate.py` takes. Prints one JSON object.

use std::path::Path;
use std::time::Instant;

use asclepius_model::{Decoder, Sampling, generate_batch};
use candle_core::{DType, Device};
use serde_json::json;

#[global_allocator]
static ALLOCATOR: asclepius_ops::cpu::memory::Allocator = asclepius_ops::cpu::memory::Allocator;

#[expect(clippy::print_stdout, reason = "the measurement is the program's output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    asclepius_ops::cpu::memory::keep_freed();
    let mut given = std::env::args().skip(1);
    let model = given.next().ok_or("name a model directory")?;
    let (mut rows, mut prompt, mut new, mut rounds) = (8_usize, 64_usize, 64_usize, 3_usize);
    while let (Some(flag), Some(value)) = (given.next(), given.next()) {
        let value = value.parse()?;
        match flag.as_str() {
            "--rows" => rows = value,
            "--prompt" => prompt = value,
            "--new" => new = value,
            "--rounds" => rounds = value,
            _ => return Err(format!("unknown argument {flag}").into()),
        }
    }
    let decoder = Decoder::load(Path::new(&model), DType::F32, &Device::Cpu)?;
    let vocabulary = decoder.config().vocab_size;
    let id = |row: usize, index: usize| ((row * 7919 + index * 104_729 + 17) % (vocabulary - 100) + 50) as u32;
    let prompts: Vec<Vec<u32>> = (0..rows).map(|row| (0..prompt).map(|index| id(row, index)).collect()).collect();
    let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
    let sampling = Sampling { max_new_tokens: new, ..Sampling::default() };
    let (mut seconds, mut tokens) = (Vec::new(), Vec::new());
    for _ in 0..=rounds {
        let started = Instant::now();
        let generations = generate_batch(&decoder, &prompts, &sampling, &mut |_, _| true)?;
        seconds.push(started.elapsed().as_secs_f64());
        tokens = generations.into_iter().map(|generation| generation.tokens).collect();
    }
    seconds.remove(0);
    println!("{}", json!({ "new_tokens": rows * new, "seconds": seconds, "tokens": tokens }));
    Ok(())
}
