//! The `[corpus]` table.

use std::path::PathBuf;

use asclepius_schema::Licence;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::CorpusError;

/// Which articles are read and which of them may be used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CorpusConfig {
    /// Files and directories. In a directory (and below it) only `.xml`, `.nxml`, their `.gz`, and `.tar.gz` are read;
    /// a PMC-Patients `.csv` is read when it is named itself.
    pub inputs: Vec<PathBuf>,
    /// The licence classes admitted. Anything else, and anything in doubt, is dropped.
    pub licences: Vec<Licence>,
    /// Stop after this many articles have been read, admitted or not.
    pub limit: Option<usize>,
    /// The fewest words a patient's case text may have.
    pub min_words: usize,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            inputs: vec![PathBuf::from("data/case-reports")],
            licences: vec![Licence::Cc0, Licence::CcBy],
            limit: None,
            min_words: 50,
        }
    }
}

impl CorpusConfig {
    /// Refuses a table that cannot admit anything.
    ///
    /// # Errors
    /// [`CorpusError::Config`] naming the key.
    pub fn validate(&self) -> Result<(), CorpusError> {
        let refuse = |key, problem| Err(CorpusError::Config { key, problem });
        if self.inputs.is_empty() {
            return refuse("inputs", "names no file or directory");
        }
        if self.licences.is_empty() {
            return refuse("licences", "admits no licence, so no article could pass");
        }
        if self.limit == Some(0) {
            return refuse("limit", "is 0, so no article would be read");
        }
        Ok(())
    }
}
