//! What an evaluation leaves in `eval/`: tables, the same for readers of lm-evaluation-harness, and every row behind them.

use std::path::Path;

use asclepius_schema::write_atomically;
use serde::Serialize;

use crate::EvalError;
use crate::harness;
use crate::held_out::RowLoss;
use crate::judge::Judged;
use crate::results::{Evaluation, Kind, ModelOutcome};

/// One line of `losses.jsonl`.
#[derive(Serialize)]
struct LossOfModel<'a> {
    model: &'a str,
    #[serde(flatten)]
    row: &'a RowLoss,
}

/// Writes `report.json`, `results.json` (of the run's own last model) beside `results.<model>.json` of each,
/// `predictions.jsonl`, `losses.jsonl` (with the rows of `realism` at the end) and, where a judge was asked, `judgements.jsonl`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(
    directory: &Path,
    evaluation: &Evaluation,
    outcomes: &[ModelOutcome],
    judged: Option<&Judged>,
    realism: Option<&ModelOutcome>,
) -> Result<(), EvalError> {
    let file = |name: &str, text: &str| write_atomically(&directory.join(name), text.as_bytes());
    file("report.json", &pretty(evaluation))?;
    let own = evaluation.models.iter().rev().find(|model| model.kind != Kind::Compared);
    for model in &evaluation.models {
        let results = pretty(&harness::results(evaluation, model));
        if own.or(evaluation.models.last()) == Some(model) {
            file("results.json", &results)?;
        }
        file(&format!("results.{}.json", harness::file_name(&model.name)), &results)?;
    }
    file("predictions.jsonl", &lines(outcomes.iter().flat_map(|outcome| &outcome.predictions)))?;
    let losses = outcomes.iter().chain(realism).flat_map(|outcome| {
        let model = outcome.model.name.as_str();
        outcome.losses.iter().map(move |row| LossOfModel { model, row })
    });
    file("losses.jsonl", &lines(losses))?;
    if let Some(judged) = judged {
        file("judgements.jsonl", &lines(judged.judgements.iter()))?;
    }
    Ok(())
}

fn pretty(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("results are plain data");
    text.push('\n');
    text
}

fn lines<T: Serialize>(rows: impl Iterator<Item = T>) -> String {
    rows.map(|row| serde_json::to_string(&row).expect("results are plain data") + "\n").collect()
}
