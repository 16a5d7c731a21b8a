//! The eight clinical tasks of the method (Kweon et al., ACL Findings 2024, section 3.2).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A clinical text task. Configuration uses the short names, the dataset's `task` column the published ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Named Entity Recognition.
    Ner,
    /// Abbreviation Expansion.
    Abbreviation,
    /// Relation Extraction.
    Relation,
    /// Temporal Information Extraction.
    Temporal,
    /// Coreference Resolution.
    Coreference,
    /// Paraphrasing.
    Paraphrase,
    /// Summarization.
    Summary,
    /// Question Answering.
    Qa,
}

impl Task {
    /// Every task, in the order of the paper.
    pub const ALL: [Self; 8] = [
        Self::Ner,
        Self::Abbreviation,
        Self::Relation,
        Self::Temporal,
        Self::Coreference,
        Self::Paraphrase,
        Self::Summary,
        Self::Qa,
    ];

    /// The short name used in configuration and prompts.
    pub fn key(self) -> &'static str {
        match self {
            Self::Ner => "ner",
            Self::Abbreviation => "abbreviation",
            Self::Relation => "relation",
            Self::Temporal => "temporal",
            Self::Coreference => "coreference",
            Self::Paraphrase => "paraphrase",
            Self::Summary => "summary",
            Self::Qa => "qa",
        }
    }

    /// The name in the published dataset's `task` column.
    pub fn title(self) -> &'static str {
        match self {
            Self::Ner => "Named Entity Recognition",
            Self::Abbreviation => "Abbreviation Expansion",
            Self::Relation => "Relation Extraction",
            Self::Temporal => "Temporal Information Extraction",
            Self::Coreference => "Coreference Resolution",
            Self::Paraphrase => "Paraphrasing",
            Self::Summary => "Summarization",
            Self::Qa => "Question Answering",
        }
    }

    /// The task with this published name or short name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.title() == name || task.key() == name)
    }
}
