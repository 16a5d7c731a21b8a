//! The `[eval]` table.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EvalError;

/// What is evaluated, and how much of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EvalConfig {
    /// A dataset directory to use instead of the run's own; its validation files are the held-out sets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<PathBuf>,
    /// Further held-out sets: parquet files with the five columns of the published dataset.
    pub sets: Vec<PathBuf>,
    /// Held-out questions a set that every model answers, spread evenly over the tasks; 0 asks none.
    pub questions: usize,
    /// The most tokens an answer may have.
    pub max_tokens: usize,
    /// Where models compute: `auto`, `cpu` or `cuda:0` and so on.
    pub device: String,
}

impl Default for EvalConfig {
    fn default() -> Self {
        Self { input: None, sets: Vec::new(), questions: 24, max_tokens: 96, device: "auto".to_owned() }
    }
}

impl EvalConfig {
    /// Checks the table.
    ///
    /// # Errors
    /// [`EvalError::Config`] naming the key.
    pub fn validate(&self) -> Result<(), EvalError> {
        if self.questions > 0 && self.max_tokens == 0 {
            return Err(EvalError::Config { key: "max_tokens", problem: "is 0, so no question could be answered" });
        }
        if let Some(path) =
            self.sets.iter().find(|path| path.extension().is_none_or(|extension| extension != "parquet"))
        {
            return Err(EvalError::NotParquet { path: path.clone() });
        }
        Ok(())
    }
}
