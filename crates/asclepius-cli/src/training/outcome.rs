//! What a training stage says about itself when it is done: rows used and left out, steps, losses.

use std::path::Path;

use asclepius_dataset::Tally;
use asclepius_schema::{Counts, DroppedWriter, Manifest, Tokens};
use asclepius_train::{Summary, TrainStage};
use serde_json::json;

use crate::failure::{Failure, Hinted, Outcome};
use crate::training::start::Start;

/// Names the rows that are left out, and counts all.
pub fn account(directory: &Path, rows: &Tally) -> Outcome<Counts> {
    let mut counts = Counts { input: rows.rows, out: rows.rows - rows.dropped.len() as u64, ..Counts::default() };
    let mut dropped = DroppedWriter::create(directory)?;
    for row in &rows.dropped {
        dropped.write(row, &mut counts)?;
    }
    dropped.finish()?;
    if counts.out == 0 && counts.input > 0 {
        let message = format!("none of {} rows fits sequence_length, even without its note", counts.input);
        let hint = format!("{} says how long each is", directory.join("dropped.jsonl").display());
        return Err(Failure::Failed(Hinted::new(message, hint).into()));
    }
    Ok(counts)
}

/// What it trained on: the card's name, or the CPU and how many threads of it.
fn device(start: &Start) -> Option<String> {
    let device = start.decoder.device();
    match device.is_cpu() {
        true => Some(format!("cpu, {} threads", rayon::current_num_threads())),
        false => asclepius_ops::device::describe(device).ok(),
    }
}

/// The manifest of a run that came to its end.
pub fn describe(
    stage: TrainStage,
    fingerprint: &str,
    summary: &Summary,
    rows: (Counts, u64, u64),
    start: &Start,
) -> Manifest {
    let (rows, shortened, split) = rows;
    let mut manifest = Manifest::new(stage.table(), fingerprint.to_owned(), "step");
    manifest.counts = Counts { input: summary.steps, out: summary.steps, ..Counts::default() };
    manifest.also.insert("row".to_owned(), rows);
    manifest.tokens = Tokens { input: summary.tokens, output: summary.tokens };
    manifest.seconds = summary.seconds;
    let losses: Vec<f64> = summary.evaluations.iter().map(|row| row.eval_loss).collect();
    let ends = losses.first().zip(losses.last()).or(summary.first_loss.as_ref().zip(summary.final_loss.as_ref()));
    if let Some((first, last)) = ends {
        let which = if losses.is_empty() { "training" } else { "held-out" };
        let mut text = format!("{which} loss {first:.3} -> {last:.3}");
        if let Some(best) = summary.best {
            text.push_str(&format!(", best {:.3} at step {}, which is kept", best.eval_loss, best.step));
        }
        manifest.details.insert("summary".to_owned(), json!(text));
    }
    for (key, value) in [
        ("trainable", json!(summary.parameters.to_string())),
        ("base", json!(start.base)),
        ("device", json!(device(start))),
        ("merged_adapter", json!(start.merged_adapter)),
        ("best", json!(summary.best)),
        ("stopped_early", json!(summary.stopped_early)),
        ("rows_shortened", json!(shortened)),
        ("rows_split", json!(split)),
    ] {
        manifest.details.insert(key.to_owned(), value);
    }
    manifest
}
