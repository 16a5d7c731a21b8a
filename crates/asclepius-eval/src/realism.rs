//! How much the synthetic notes read like real ones: what a model trained on real notes makes of them, beside real notes
//! that it has not seen and beside the reports the notes were written from (after Kweon et al. 2024, who give the notes'
//! perplexity under a model tuned on real discharge summaries).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use asclepius_dataset::{read_notes, read_reports, read_texts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::EvalError;
use crate::candidate::Candidate;
use crate::held_out::{HeldOutText, RowLoss, text_loss};
use crate::results::{Difference, HeldOutLoss};

/// The kinds of text, in the order of the table.
pub const KINDS: [&str; 3] = ["real notes", "synthetic notes", "case reports"];

/// `[eval.realism]`: how much the synthetic notes read like real ones. Absent: not asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RealismConfig {
    /// A model that was trained on real notes and on none of this run's: a model or adapter directory, or a hub id.
    /// `pretrain` on a file of real notes makes one.
    pub model: String,
    /// Real notes which that model was not trained on: Parquet, CSV with a header, or JSON Lines.
    pub notes: PathBuf,
    /// The column with the notes' text.
    #[serde(default = "note")]
    pub text_column: String,
    /// The most texts of each kind, spread evenly.
    #[serde(default = "rows")]
    pub rows: usize,
}

fn note() -> String {
    "note".to_owned()
}

fn rows() -> usize {
    200
}

impl RealismConfig {
    pub(crate) fn validate(&self) -> Result<(), EvalError> {
        let wrong = |key: &str, problem: &str| {
            Err(EvalError::Config { key: format!("realism.{key}"), problem: problem.to_owned() })
        };
        match () {
            () if self.model.trim().is_empty() => wrong("model", "is empty"),
            () if self.notes.as_os_str().is_empty() => wrong("notes", "is empty"),
            () if self.rows == 0 => wrong("rows", "is 0; leave the table out to ask nothing"),
            () => Ok(()),
        }
    }
}

/// The three kinds of text.
#[derive(Debug)]
pub struct RealismTexts([Vec<HeldOutText>; 3]);

impl RealismTexts {
    /// Reads real notes, the dataset's notes and the reports of those. Every kind is its own sample, but a report is there
    /// for every note.
    ///
    /// # Errors
    /// When a file cannot be read, or the report of a note is missing.
    pub fn read(config: &RealismConfig, notes: &[PathBuf], reports: &Path) -> Result<Self, EvalError> {
        let mut real = Vec::new();
        for (index, row) in read_texts(&config.notes, &config.text_column)?.enumerate() {
            let row = row?;
            // Whose notes they are is not known: each stands for itself.
            real.push(HeldOutText { article: format!("real-{index}"), row: row.id, text: row.text });
        }
        let mut written = Vec::new();
        for path in notes {
            for note in read_notes(path)? {
                let note = note?;
                let (row, article) = (note.report_id.to_string(), note.article_id.to_string());
                written.push(HeldOutText { row, article, text: note.note });
            }
        }
        let [real, written] = [real, written].map(|texts| evenly(texts, config.rows));
        let wanted: HashSet<&str> = written.iter().map(|note| note.row.as_str()).collect();
        let mut texts = HashMap::new();
        for report in read_reports(reports)? {
            let report = report?;
            let id = report.report_id.to_string();
            if wanted.contains(id.as_str()) {
                texts.insert(id, report.report);
            }
        }
        let sources = written.iter().map(|note| {
            let text = texts.get(&note.row).cloned();
            let text =
                text.ok_or_else(|| EvalError::NoReport { note: note.row.clone(), reports: reports.to_owned() })?;
            Ok(HeldOutText { text, ..note.clone() })
        });
        let sources = sources.collect::<Result<_, EvalError>>()?;
        Ok(Self([real, written, sources]))
    }

    /// How many there are of all kinds.
    pub fn len(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The loss on each, split at `sequence_length` where it is longer. `on_text` hears of each and may end it.
    ///
    /// # Errors
    /// When a text cannot be tokenised, the model fails, or `on_text` says so.
    pub fn losses<E: From<EvalError>>(
        &self,
        candidate: &Candidate,
        sequence_length: usize,
        mut on_text: impl FnMut() -> Result<(), E>,
    ) -> Result<Vec<RowLoss>, E> {
        let mut losses = Vec::with_capacity(self.len());
        for (kind, texts) in KINDS.into_iter().zip(&self.0) {
            for text in texts {
                losses.push(text_loss(candidate, kind, text, sequence_length)?);
                on_text()?;
            }
        }
        Ok(losses)
    }
}

/// At most `most`, at even distances.
fn evenly(texts: Vec<HeldOutText>, most: usize) -> Vec<HeldOutText> {
    let (all, count) = (texts.len(), most.min(texts.len()));
    let kept: HashSet<usize> = (0..count).map(|index| index * all / count).collect();
    texts.into_iter().enumerate().filter_map(|(index, text)| kept.contains(&index).then_some(text)).collect()
}

/// What the model trained on real notes makes of the three kinds of text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Realism {
    /// Where that model is.
    pub model: String,
    /// One a kind.
    pub kinds: Vec<HeldOutLoss>,
    /// Bits a byte of the synthetic notes less those of the reports (the same articles on each draw) and of the real notes
    /// (drawn apart).
    pub differences: Vec<Difference>,
}
