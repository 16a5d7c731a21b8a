//! The `[dataset]` table of a pipeline.

use std::path::PathBuf;

pub use asclepius_text::gates::GatesConfig;
use asclepius_text::gates::Threshold;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// The `[dataset]` table. `J` is the table of a judge: it belongs to the crate that asks, and this one sends nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetConfig<J = ()> {
    /// Directory to read instructions from instead of the run's own; `notes/` and `corpus/` are looked for beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// Share of the articles that is held out, from 0 to below 1. All rows of an article lie on one side. Above 0 and
    /// from two articles on, at least one is held out.
    pub validation_fraction: f64,
    /// Files a model made from the dataset will be tested on: `.parquet` (every text in it), `.jsonl`, `.json` (every
    /// string) or `.txt`. What overlaps them is dropped; see `gates.contaminated`.
    pub evaluation_sets: Vec<PathBuf>,
    /// A sentence encoder, a BERT in the layout of sentence-transformers (directory or hub id), that tells which notes
    /// mean the same; see `gates.same_meaning`. Absent: only shared words are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence_encoder: Option<String>,
    /// A prompt file for the judge of notes in place of the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_note_prompt: Option<PathBuf>,
    /// A prompt file for the judge of answers in place of the built-in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge_answer_prompt: Option<PathBuf>,
    /// The most tokens that a judge's verdict may have, its thoughts included where it writes them down; one that needs
    /// more than twice that is no rating.
    pub judge_max_tokens: u32,
    /// One key a gate: a threshold, or false to switch it off.
    pub gates: GatesConfig,
    /// A chat model that rates what passed every other gate, see `gates.judge`. Absent: no judge is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judge: Option<J>,
}

impl<J> Default for DatasetConfig<J> {
    fn default() -> Self {
        Self {
            input: None,
            validation_fraction: 0.1,
            evaluation_sets: Vec::new(),
            sentence_encoder: None,
            judge_note_prompt: None,
            judge_answer_prompt: None,
            judge_max_tokens: 1024,
            gates: GatesConfig::default(),
            judge: None,
        }
    }
}

impl<J> DatasetConfig<J> {
    /// Checks every key.
    ///
    /// # Errors
    /// When a value is out of its range; names the key.
    pub fn validate(&self) -> Result<(), DatasetError> {
        self.gates.validate().map_err(DatasetError::Gate)?;
        let wrong = |key, value: String, expected| Err(DatasetError::Setting { key, value, expected });
        if self.judge_max_tokens == 0 {
            return wrong("judge_max_tokens", "0".to_owned(), "at least 1");
        }
        if let (Threshold::At(threshold), None) = (self.gates.judge, &self.judge) {
            return wrong("gates.judge", threshold.to_string(), "false unless a table [dataset.judge] says who judges");
        }
        if let (Threshold::At(threshold), None) = (self.gates.same_meaning, &self.sentence_encoder) {
            let expected = "false unless dataset.sentence_encoder names a model";
            return wrong("gates.same_meaning", threshold.to_string(), expected);
        }
        if (0.0..1.0).contains(&self.validation_fraction) {
            return Ok(());
        }
        wrong("validation_fraction", self.validation_fraction.to_string(), "from 0 to below 1")
    }
}
