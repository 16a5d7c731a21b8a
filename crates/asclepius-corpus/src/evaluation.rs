//! Evaluation sets: articles and texts that no training data may be made from.

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use asclepius_text::minhash::binned::Signature;
use regex::Regex;

use crate::CorpusError;
use crate::judge::Passed;
use crate::pattern::pattern;
use crate::seen::Near;

/// Fields with fewer words are questions or labels, not a case.
const TEXT_WORDS: usize = 40;

/// Everything that the files of `corpus.evaluation_sets` name.
#[derive(Default)]
pub(crate) struct EvaluationSets {
    /// PMCIDs, PubMed ids of lines that are nothing else, and DOIs in lower case.
    names: HashSet<String>,
    texts: Near,
    any_text: bool,
}

impl EvaluationSets {
    /// Reads the sets: of a `.csv` every field, of a `.json` or `.jsonl` every string, of any other file every line.
    ///
    /// # Errors
    /// [`CorpusError::EvaluationSet`] with file and place, when one cannot be read.
    pub fn read(paths: &[impl AsRef<Path>]) -> Result<Self, CorpusError> {
        let mut sets = Self::default();
        for path in paths {
            let path = path.as_ref();
            let refuse = |problem: String| CorpusError::EvaluationSet { path: path.to_owned(), problem };
            let bytes = fs_err::read(path).map_err(|error| refuse(error.kind().to_string()))?;
            let kind = path.extension().map(|kind| kind.to_string_lossy().to_lowercase()).unwrap_or_default();
            match kind.as_str() {
                "csv" => {
                    for row in csv::Reader::from_reader(bytes.as_slice()).records() {
                        row.map_err(|error| refuse(error.to_string()))?.iter().for_each(|field| sets.add(field));
                    }
                }
                "json" | "jsonl" => {
                    for value in serde_json::Deserializer::from_slice(&bytes).into_iter::<serde_json::Value>() {
                        sets.add_strings(&value.map_err(|error| refuse(error.to_string()))?);
                    }
                }
                _ => {
                    let text = std::str::from_utf8(&bytes).map_err(|error| refuse(error.to_string()))?;
                    text.lines().for_each(|line| sets.add(line));
                }
            }
        }
        Ok(sets)
    }

    fn add_strings(&mut self, value: &serde_json::Value) {
        match value {
            serde_json::Value::String(text) => self.add(text),
            serde_json::Value::Number(number) => self.add(&number.to_string()),
            serde_json::Value::Array(all) => all.iter().for_each(|value| self.add_strings(value)),
            serde_json::Value::Object(all) => all.values().for_each(|value| self.add_strings(value)),
            serde_json::Value::Null | serde_json::Value::Bool(_) => {}
        }
    }

    fn add(&mut self, field: &str) {
        static NAME: LazyLock<Regex> = LazyLock::new(|| {
            pattern(r#"\bPMC\d{1,12}\b|\b10\.\d{4,9}/[^\s"'<>,;]+|^\s*\d{5,9}\s*$|^\d{5,9}-\d{1,3}$"#)
        });
        if field.split_whitespace().count() >= TEXT_WORDS {
            self.texts.insert(&Signature::of(std::iter::once(field)));
            self.any_text = true;
            return;
        }
        for name in NAME.find_iter(field) {
            let name = name.as_str().trim().trim_end_matches('.');
            match name
                .split_once('-')
                .filter(|_| name.starts_with(|first: char| ('1'..='9').contains(&first)) && !name.contains('/'))
            {
                // PMC-Patients' name for a patient.
                Some((digits, _)) => self.names.insert(format!("PMC{digits}")),
                None => self.names.insert(if name.starts_with("PMC") { name.to_owned() } else { name.to_lowercase() }),
            };
        }
    }

    /// What of an article is in a set.
    pub fn hold(&self, passed: &Passed, threshold: f64) -> Option<String> {
        for name in [passed.article_id.as_str(), &passed.doi, &passed.pmid] {
            if !name.is_empty() && self.names.contains(name) {
                return Some(format!("{name} is in an evaluation set"));
            }
        }
        if !self.any_text {
            return None;
        }
        let least = if threshold > 0.0 { threshold } else { 1.0 };
        let alone = passed.reports.iter().map(|report| Signature::of(std::iter::once(report.report.as_str())));
        let found = std::iter::once(passed.signature).chain(alone).find_map(|text| self.texts.find(&text, least));
        found.map(|(_, alike)| format!("{:.0} % of its text is in an evaluation set", alike * 100.0))
    }
}
