//! What a person reads when a stage or a run is done.

use asclepius_schema::{Counts, Manifest};

use crate::failure::Outcome;
use crate::run::Run;
use crate::stage::Stage;
use crate::stages::asking::PAID_BEFORE;

/// One line about a finished stage.
pub fn stage_line(manifest: &Manifest, seconds: f64) -> String {
    let mut parts = vec![counts(&manifest.counts, &manifest.unit)];
    parts.extend(manifest.also.iter().map(|(unit, also)| counts(also, unit)));
    if let Some(said) = manifest.details.get("summary").and_then(serde_json::Value::as_str) {
        parts.push(said.to_owned());
    }
    let before = manifest.details.get(PAID_BEFORE).and_then(serde_json::Value::as_f64).unwrap_or_default();
    let now = manifest.cost_usd - before;
    if now > 0.0 {
        parts.push(format!("${now:.4}"));
    }
    format!("{:>9}  {}  ({seconds:.1} s)", manifest.stage, parts.join("; "))
}

fn counts(counts: &Counts, unit: &str) -> String {
    let mut text = format!("{} of {} {unit}s", counts.out, counts.input);
    if counts.dropped_total() > 0 {
        let reasons: Vec<String> =
            counts.dropped.iter().map(|(reason, count)| format!("{count} {}", reason.code())).collect();
        text.push_str(&format!(", dropped: {}", reasons.join(", ")));
    }
    if counts.pending > 0 {
        text.push_str(&format!(", {} pending", counts.pending));
    }
    text
}

/// The end of a run: where to look.
pub fn print(run: &Run, selected: &[Stage]) -> Outcome {
    let mut text = String::new();
    let worth: [(Stage, &str, &str); 5] = [
        (Stage::Report, "index.html", "the report: open it in a browser"),
        (Stage::Dataset, "instructions-train.parquet", "the instructions"),
        (Stage::Dataset, "notes-train.parquet", "the notes"),
        (Stage::Pretrain, "final", "the pre-trained model"),
        (Stage::Sft, "final", "the instruction-tuned adapter"),
    ];
    for (stage, name, what) in worth {
        let path = run.stage_dir(stage).join(name);
        if selected.contains(&stage) && path.exists() {
            let what = if name == "final" && path.join("config.json").is_file() {
                what.replace("adapter", "model")
            } else {
                what.to_owned()
            };
            text.push_str(&format!("{:<52}  {what}\n", path.display()));
        }
    }
    crate::output::data(&format!("\n{} is done. Worth opening:\n{text}", run.config().name))
}
