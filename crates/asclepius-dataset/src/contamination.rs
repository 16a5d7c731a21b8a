//! Evaluation sets and what of them is in the dataset: a model must not have seen what it is tested on.
//!
//! Two texts overlap when they share a sequence of 13 words, the measure of Brown et al. 2020 ("Language Models are
//! Few-Shot Learners", appendix C), over words in lower case without punctuation. Texts of fewer words are too common to
//! say anything, and are not looked for.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use asclepius_text::Verdict;
use asclepius_text::shingles::sequences;
use rustc_hash::FxBuildHasher;
use serde_json::Value;

use crate::DatasetError;
use crate::table::for_each_text;

/// Words in a sequence.
pub const SEQUENCE_WORDS: NonZeroUsize = NonZeroUsize::new(13).expect("not zero");

/// The word sequences of every evaluation set.
#[derive(Debug, Default)]
pub struct EvaluationSets {
    names: Vec<String>,
    /// The first set that holds a sequence.
    set_of: HashMap<u64, u16, FxBuildHasher>,
}

impl EvaluationSets {
    /// Reads the sets: every text in a `.parquet` file (nested ones, too), every string of a `.jsonl` or `.json` file,
    /// the whole of a `.txt` file.
    ///
    /// # Errors
    /// When a file cannot be read, is not what its name says, or has another ending.
    pub fn read(paths: &[PathBuf]) -> Result<Self, DatasetError> {
        let mut sets = Self::default();
        for path in paths {
            let set = u16::try_from(sets.names.len()).map_err(|_| DatasetError::Setting {
                key: "evaluation_sets",
                value: format!("{} files", paths.len()),
                expected: "65,536 files at most",
            })?;
            sets.names.push(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
            for_each_string(path, &mut |text| {
                for sequence in sequences(text, SEQUENCE_WORDS) {
                    sets.set_of.entry(sequence).or_insert(set);
                }
            })?;
        }
        Ok(sets)
    }

    /// Distinct sequences looked for.
    pub fn sequences(&self) -> usize {
        self.set_of.len()
    }

    /// How many sequences of `texts`, each by itself, are in a set.
    pub fn overlap(&self, texts: &[&str]) -> Verdict {
        if self.set_of.is_empty() {
            return Verdict::new(0.0, "no evaluation set");
        }
        let all = texts.iter().flat_map(|text| sequences(text, SEQUENCE_WORDS));
        let mut found = all.filter_map(|sequence| self.set_of.get(&sequence));
        let Some(first) = found.next() else { return Verdict::new(0.0, "none") };
        let count = 1 + found.count();
        let name = &self.names[usize::from(*first)];
        Verdict::new(
            count as f32,
            format!("{count} sequences of {SEQUENCE_WORDS} words are in an evaluation set ({name})"),
        )
    }
}

fn for_each_string(path: &Path, on: &mut dyn FnMut(&str)) -> Result<(), DatasetError> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase()).unwrap_or_default();
    let damaged = |line: usize, source: serde_json::Error| DatasetError::EvaluationSet {
        path: path.to_owned(),
        line,
        problem: source.to_string(),
    };
    match ending.as_str() {
        "parquet" => for_each_text(path, on),
        "txt" => {
            on(&fs_err::read_to_string(path)?);
            Ok(())
        }
        "json" => {
            let value: Value = serde_json::from_str(&fs_err::read_to_string(path)?)
                .map_err(|source| damaged(source.line(), source))?;
            strings(&value, on);
            Ok(())
        }
        "jsonl" => {
            for (line, text) in fs_err::read_to_string(path)?.lines().enumerate() {
                if !text.trim().is_empty() {
                    strings(&serde_json::from_str(text).map_err(|source| damaged(line + 1, source))?, on);
                }
            }
            Ok(())
        }
        _ => Err(DatasetError::Setting {
            key: "evaluation_sets",
            value: path.display().to_string(),
            expected: "files that end in .parquet, .jsonl, .json or .txt",
        }),
    }
}

fn strings(value: &Value, on: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => on(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, on)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, on)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUESTION: &str =
        "A 54-year-old woman has had fever and a productive cough for three days; which drug is started first?";

    #[test]
    fn thirteen_words_in_a_row_are_found_whatever_their_layout_and_twelve_are_not() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("exam.jsonl");
        let line = serde_json::json!({"id": 3, "item": {"choices": ["x", QUESTION]}});
        fs_err::write(&path, format!("{line}\n\n")).expect("writable");
        let sets = EvaluationSets::read(&[path]).expect("readable");
        let words: Vec<&str> = QUESTION.split(' ').collect();
        let note = format!("HPI:\n{}", words[2..14].join("\n").to_uppercase());
        let found = sets.overlap(&["", &note]);
        assert_eq!(found.score, 0.0, "12 words");
        let note = format!("HPI:\n{}", words[2..15].join("\n").to_uppercase());
        let found = sets.overlap(&["", &note]);
        assert_eq!(found.score, 1.0);
        assert!(found.detail.contains("exam.jsonl") && !found.detail.contains("FEVER"), "{}", found.detail);
        assert_eq!(EvaluationSets::default().overlap(&[&note]).score, 0.0);
    }

    #[test]
    fn damaged_and_unknown_files_are_named() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("exam.jsonl");
        fs_err::write(&path, "{\"a\": 1}\n{\"a\": \n").expect("writable");
        let error = EvaluationSets::read(&[path]).expect_err("damaged").to_string();
        assert!(error.contains("exam.jsonl, line 2"), "{error}");
        let error = EvaluationSets::read(&["exam.docx".into()]).expect_err("unknown").to_string();
        assert!(error.contains("exam.docx") && error.contains(".parquet"), "{error}");
        assert!(EvaluationSets::read(&[directory.path().join("none.txt")]).is_err());
    }
}
