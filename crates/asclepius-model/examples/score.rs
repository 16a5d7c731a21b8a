//! Losses of given rows, to be held against `tools/oracle/parity.py score`: same arguments, same output.
//!
//! `score MODEL ROWS.jsonl [--adapter DIR] [--gradients FILE] [--logits]`

use std::collections::BTreeMap;
use std::path::PathBuf;

use asclepius_model::generate::step;
use asclepius_model::{Cache, Decoder, MicroBatch, Recompute, checkpoint, evaluate, loss_and_gradients};
use asclepius_ops::GradientBuffer;
use candle_core::{DType, Device};
use serde_json::{Value, json};

#[expect(clippy::print_stdout, reason = "the losses are the program's output")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut places, mut adapter, mut gradients, mut logits) = (Vec::new(), None, None, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--adapter" => adapter = arguments.next().map(PathBuf::from),
            "--gradients" => gradients = arguments.next().map(PathBuf::from),
            "--logits" => logits = true,
            _ => places.push(PathBuf::from(argument)),
        }
    }
    let [model, rows] = places.as_slice() else {
        return Err("score MODEL ROWS.jsonl [--adapter DIR] [--gradients FILE] [--logits]".into());
    };
    let mut decoder = Decoder::load(model, DType::F32, &Device::Cpu)?;
    match &adapter {
        Some(adapter) => {
            decoder.load_adapter(adapter)?;
            decoder.train_adapters()?;
        }
        None => decoder.train_all()?,
    }
    let buffer = gradients.as_ref().map(|_| GradientBuffer::new(&decoder.parameters())).transpose()?;
    for line in fs_err::read_to_string(rows)?.lines() {
        let row: Value = serde_json::from_str(line)?;
        let ids: Vec<u32> = serde_json::from_value(row["ids"].clone())?;
        let supervised: Vec<bool> = serde_json::from_value(row["supervised"].clone())?;
        let labels: Vec<Option<u32>> =
            (1..=ids.len()).map(|next| supervised.get(next).copied().unwrap_or(false).then(|| ids[next])).collect();
        let count = ids.len() as u32;
        let batch = MicroBatch::new(ids.clone(), (0..count).collect(), vec![0, count], &labels)?;
        let sum = match buffer {
            Some(_) => loss_and_gradients(&decoder, &batch, None, Recompute::Block)?,
            None => evaluate(&decoder, &batch)?,
        };
        let tokens = batch.targets.len();
        let mut result = json!({ "sum": sum, "supervised": tokens, "loss": sum / tokens.max(1) as f64 });
        if logits {
            let mut caches = vec![Cache::default(); decoder.block_count()];
            result["logits"] = json!(step(&decoder.frozen(), &ids, &mut caches)?.to_vec1::<f32>()?);
        }
        println!("{result}");
    }
    if let (Some(path), Some(buffer)) = (gradients, &buffer) {
        let tensors: BTreeMap<_, _> = buffer
            .parameters()
            .iter()
            .filter_map(|parameter| {
                let gradient = parameter.gradient().transpose()?;
                Some(gradient.map(|gradient| (parameter.name().to_owned(), gradient)))
            })
            .collect::<Result<_, _>>()?;
        checkpoint::write_tensors(&path, &tensors)?;
    }
    Ok(())
}
