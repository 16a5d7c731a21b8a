//! The `[dataset]` table of a pipeline.

use std::path::PathBuf;

pub use asclepius_text::gates::GatesConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// The `[dataset]` table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetConfig {
    /// Directory to read instructions from instead of the run's own; `notes/` and `corpus/` are looked for beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// Share of the articles that is held out, from 0 to below 1. All rows of an article lie on one side. Above 0 and
    /// from two articles on, at least one is held out.
    pub validation_fraction: f64,
    /// Files a model made from the dataset will be tested on: `.parquet` (every text in it), `.jsonl`, `.json` (every
    /// string) or `.txt`. What overlaps them is dropped; see `gates.contaminated`.
    pub evaluation_sets: Vec<PathBuf>,
    /// One key a gate: a threshold, or false to switch it off.
    pub gates: GatesConfig,
}

impl Default for DatasetConfig {
    fn default() -> Self {
        Self { input: None, validation_fraction: 0.1, evaluation_sets: Vec::new(), gates: GatesConfig::default() }
    }
}

impl DatasetConfig {
    /// Checks every key.
    ///
    /// # Errors
    /// When a value is out of its range; names the key.
    pub fn validate(&self) -> Result<(), DatasetError> {
        self.gates.validate().map_err(DatasetError::Gate)?;
        if (0.0..1.0).contains(&self.validation_fraction) {
            return Ok(());
        }
        Err(DatasetError::Setting {
            key: "validation_fraction",
            value: self.validation_fraction.to_string(),
            expected: "from 0 to below 1",
        })
    }
}
