//! `metrics.jsonl`, one object an optimizer step and one an evaluation, and `trainer_state.json` made from it.

use std::io::Write;
use std::path::{Path, PathBuf};

use asclepius_schema::write_atomically;
use fs_err::{File, OpenOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::TrainError;
use crate::checkpoint::step_name;
use crate::horizon::Best;

/// The file's name in the stage's directory.
pub const METRICS_FILE: &str = "metrics.jsonl";
/// The name of the summary that tools for transformers' trainer read.
pub const TRAINER_STATE_FILE: &str = "trainer_state.json";

/// One optimizer step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepRow {
    /// The step, from 1.
    pub step: u64,
    /// Passes over the data so far, with the started one's share.
    pub epoch: f64,
    /// Mean over the supervised tokens of the whole global batch, in nats.
    pub loss: f64,
    /// The rate of this step's update.
    pub learning_rate: f64,
    /// Global norm of the gradient of that mean, before clipping.
    pub grad_norm: f64,
    /// Tokens that went through the model.
    pub tokens: u64,
    /// Tokens the loss is taken over.
    pub supervised_tokens: u64,
    /// Share of the sequences' room that held tokens, in 0 to 1.
    pub fill: f64,
    /// Throughput of this step.
    pub tokens_per_second: f64,
    /// Duration of this step.
    pub seconds: f64,
    /// On a card of a known peak: the share of it that the matrix products of this step's weights come to, recomputation
    /// not counted ([`asclepius_model::operations_per_token`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mfu: Option<f64>,
    /// In f16: what this step's loss was scaled by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss_scale: Option<f64>,
    /// The most memory in use at once so far, in bytes: what tensors held on a card, or all that the process held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
}

/// One evaluation on held-out data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRow {
    /// Optimizer steps done before it; 0 is the model as it came.
    pub step: u64,
    /// Passes over the training data so far.
    pub epoch: f64,
    /// Mean over all supervised tokens held out, in nats.
    pub eval_loss: f64,
    /// How many supervised tokens that is.
    pub eval_supervised_tokens: u64,
    /// With early stopping: whether these are the best weights so far. The last such row's are the ones kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<bool>,
    /// Duration of the evaluation.
    pub eval_seconds: f64,
}

/// A line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum MetricsRow {
    /// An optimizer step.
    Step(StepRow),
    /// An evaluation.
    Evaluation(EvaluationRow),
}

impl MetricsRow {
    /// Optimizer steps done when the row was written.
    pub fn step(&self) -> u64 {
        match self {
            Self::Step(row) => row.step,
            Self::Evaluation(row) => row.step,
        }
    }
}

/// Reads a `metrics.jsonl`. A last line without its end, as a killed run leaves it, is left out.
///
/// # Errors
/// When the file cannot be read or a complete line is damaged.
pub fn read_metrics(path: &Path) -> Result<Vec<MetricsRow>, TrainError> {
    Ok(complete_rows(path, &fs_err::read_to_string(path)?)?.into_iter().map(|(row, _)| row).collect())
}

fn complete_rows<'text>(path: &Path, text: &'text str) -> Result<Vec<(MetricsRow, &'text str)>, TrainError> {
    let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
    whole
        .split_inclusive('\n')
        .enumerate()
        .map(|(index, line)| {
            let row = serde_json::from_str(line).map_err(|source| TrainError::Metrics {
                path: path.to_owned(),
                line: index + 1,
                source,
            })?;
            Ok((row, line))
        })
        .collect()
}

/// `metrics.jsonl` of a run under way.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
    rows: Vec<MetricsRow>,
}

impl MetricsLog {
    /// Opens the log of the run in `directory`, cut back to the rows up to `step`; without a step it starts empty.
    ///
    /// # Errors
    /// When the file cannot be written, or is damaged.
    pub fn open(directory: &Path, step: Option<u64>) -> Result<Self, TrainError> {
        let path = directory.join(METRICS_FILE);
        let (mut kept, mut rows) = (String::new(), Vec::new());
        if let Some(step) = step
            && path.exists()
        {
            for (row, line) in complete_rows(&path, &fs_err::read_to_string(&path)?)? {
                if row.step() <= step {
                    kept.push_str(line);
                    rows.push(row);
                }
            }
        }
        write_atomically(&path, kept.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { path, file, rows })
    }

    /// Adds a row.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn append(&mut self, row: MetricsRow) -> Result<(), TrainError> {
        let mut line = serde_json::to_string(&row).map_err(|source| TrainError::Metrics {
            path: self.path.clone(),
            line: self.rows.len() + 1,
            source,
        })?;
        line.push('\n');
        // One write a line: a reader that follows the file sees whole rows.
        self.file.write_all(line.as_bytes())?;
        self.rows.push(row);
        Ok(())
    }

    /// Makes what was appended survive a crash.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub fn sync(&self) -> Result<(), TrainError> {
        Ok(self.file.sync_all()?)
    }

    /// Every row, those of earlier processes included.
    pub fn rows(&self) -> &[MetricsRow] {
        &self.rows
    }
}

/// What `trainer_state.json` holds beside the rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainerState {
    /// Optimizer steps of the whole run.
    pub total_steps: u64,
    /// Passes over the data of the whole run.
    pub epochs: f64,
    /// Sequences that go through the model at once.
    pub micro_batch: usize,
    /// With early stopping, the best evaluation so far.
    pub best: Option<Best>,
}

/// Writes `trainer_state.json` as transformers' `TrainerState` lays it out.
///
/// # Errors
/// When the file cannot be written.
pub fn write_trainer_state(directory: &Path, rows: &[MetricsRow], run: &TrainerState) -> Result<(), TrainError> {
    let TrainerState { total_steps, epochs, micro_batch, best } = *run;
    let last = rows.last();
    let epoch = match last {
        Some(MetricsRow::Step(row)) => row.epoch,
        Some(MetricsRow::Evaluation(row)) => row.epoch,
        None => 0.0,
    };
    let state = json!({
        "best_metric": best.map(|best| best.eval_loss),
        "best_model_checkpoint": best.map(|best| step_name(best.step)),
        "epoch": epoch,
        "global_step": last.map_or(0, MetricsRow::step),
        "is_hyper_param_search": false,
        "is_local_process_zero": true,
        "is_world_process_zero": true,
        "log_history": rows.iter().map(log_entry).collect::<Vec<_>>(),
        "logging_steps": 1,
        "max_steps": total_steps,
        "num_train_epochs": epochs.ceil() as u64,
        "train_batch_size": micro_batch,
    });
    let mut text = format!("{state:#}");
    text.push('\n');
    Ok(write_atomically(&directory.join(TRAINER_STATE_FILE), text.as_bytes())?)
}

fn log_entry(row: &MetricsRow) -> Value {
    let pairs: Vec<(&str, Value)> = match row {
        MetricsRow::Step(row) => vec![
            ("epoch", json!(row.epoch)),
            ("grad_norm", json!(row.grad_norm)),
            ("learning_rate", json!(row.learning_rate)),
            ("loss", json!(row.loss)),
            ("step", json!(row.step)),
        ],
        MetricsRow::Evaluation(row) => vec![
            ("epoch", json!(row.epoch)),
            ("eval_loss", json!(row.eval_loss)),
            ("eval_runtime", json!(row.eval_seconds)),
            ("step", json!(row.step)),
        ],
    };
    Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64) -> MetricsRow {
        MetricsRow::Step(StepRow {
            step,
            epoch: step as f64 / 4.0,
            loss: 1.0 / 3.0,
            learning_rate: 2e-5,
            grad_norm: 0.1,
            tokens: 100,
            supervised_tokens: 90,
            fill: 0.5,
            tokens_per_second: 7.0,
            seconds: 14.0,
            mfu: None,
            loss_scale: None,
            peak_memory_bytes: None,
        })
    }

    fn evaluation(step: u64) -> MetricsRow {
        let eval_supervised_tokens = 10;
        MetricsRow::Evaluation(EvaluationRow {
            step,
            epoch: step as f64 / 4.0,
            eval_loss: 2.5,
            eval_supervised_tokens,
            best: None,
            eval_seconds: 1.0,
        })
    }

    #[test]
    fn resuming_cuts_the_log_back_to_the_checkpoint() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut log = MetricsLog::open(directory.path(), None).expect("writable");
        for row in [evaluation(0), step(1), step(2), evaluation(2), step(3), step(4)] {
            log.append(row).expect("writable");
        }
        let path = directory.path().join(METRICS_FILE);
        let whole = fs_err::read_to_string(&path).expect("written");
        // A killed process leaves half a line.
        fs_err::write(&path, format!("{whole}{{\"step\": 5, \"ep")).expect("writable");

        let mut log = MetricsLog::open(directory.path(), Some(2)).expect("readable");
        assert_eq!(log.rows(), [evaluation(0), step(1), step(2), evaluation(2)]);
        let kept = fs_err::read_to_string(&path).expect("written");
        assert!(whole.starts_with(&kept), "kept lines keep their bytes");
        log.append(step(3)).expect("writable");
        assert_eq!(read_metrics(&path).expect("whole").len(), 5);

        drop(log);
        assert!(MetricsLog::open(directory.path(), None).expect("writable").rows().is_empty());
        assert_eq!(fs_err::read_to_string(&path).expect("written"), "");
    }

    #[test]
    fn a_damaged_line_is_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join(METRICS_FILE);
        let good = serde_json::to_string(&step(1)).expect("plain data");
        fs_err::write(&path, format!("{good}\n{{\"loss\"\n{good}\n")).expect("writable");
        let error = MetricsLog::open(directory.path(), Some(9)).expect_err("line 2 is damaged");
        assert!(matches!(error, TrainError::Metrics { line: 2, .. }), "{error}");
    }

    #[test]
    fn evaluation_rows_carry_no_loss_and_step_rows_every_key_of_the_contract() {
        let keys = |row: &MetricsRow| -> Vec<String> {
            let value = serde_json::to_value(row).expect("plain data");
            value.as_object().expect("an object").keys().cloned().collect()
        };
        assert_eq!(
            keys(&step(1)),
            [
                "step",
                "epoch",
                "loss",
                "learning_rate",
                "grad_norm",
                "tokens",
                "supervised_tokens",
                "fill",
                "tokens_per_second",
                "seconds"
            ]
        );
        assert!(!keys(&evaluation(1)).contains(&"loss".to_owned()));
    }

    #[test]
    fn the_trainer_state_holds_the_history() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let best = Some(Best { step: 1, eval_loss: 2.5 });
        let run = TrainerState { total_steps: 8, epochs: 2.0, micro_batch: 4, best };
        write_trainer_state(directory.path(), &[step(1), evaluation(1)], &run).expect("writable");
        let text = fs_err::read_to_string(directory.path().join(TRAINER_STATE_FILE)).expect("written");
        let state: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(state["global_step"], 1);
        assert_eq!(state["max_steps"], 8);
        assert_eq!((&state["best_metric"], &state["best_model_checkpoint"]), (&json!(2.5), &json!("step-000001")));
        assert_eq!(state["log_history"][0]["loss"], json!(1.0 / 3.0));
        assert_eq!(state["log_history"][1]["eval_loss"], json!(2.5));
    }
}
