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
    /// Files, directories and globs (`dump/PMC00*/*.xml`). In a directory (and below it) only `.xml`, `.nxml`, their
    /// `.gz`, and `.tar.gz` are read, beside the metadata and file lists of PubMed Central that lie there; a
    /// PMC-Patients `.csv` or `.json` is read when it is named itself.
    pub inputs: Vec<PathBuf>,
    /// The licence classes admitted. Anything else, and anything in doubt, is dropped.
    pub licences: Vec<Licence>,
    /// Stop after this many articles have been read, admitted or not.
    pub limit: Option<usize>,
    /// The fewest words a patient's case text may have.
    pub min_words: usize,
    /// From which share of common text (0 to 1, over runs of five words) an article counts as a near duplicate of an
    /// earlier one; 0 turns the gate off.
    pub near_duplicate: f64,
    /// Files that name or hold evaluation data: PMCIDs, DOIs, PubMed ids, or the texts themselves, as `.csv`, `.json`,
    /// `.jsonl` or lines. An article that is in one is dropped.
    pub evaluation_sets: Vec<PathBuf>,
}

impl Default for CorpusConfig {
    fn default() -> Self {
        Self {
            inputs: vec![PathBuf::from("data/case-reports")],
            licences: vec![Licence::Cc0, Licence::CcBy],
            limit: None,
            min_words: 50,
            near_duplicate: 0.8,
            evaluation_sets: Vec::new(),
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
        if !(0.0..=1.0).contains(&self.near_duplicate) {
            return refuse("near_duplicate", "is a share: 0 to 1");
        }
        Ok(())
    }
}
