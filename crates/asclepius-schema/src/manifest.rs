//! `manifest.json`: what a finished stage says about itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Reason, SchemaError, write_atomically};

/// The version of every file layout this crate describes.
pub const SCHEMA_VERSION: u32 = 1;

/// The file's name inside a stage's directory. It is written last: a stage without it is not finished.
pub const MANIFEST_FILE: &str = "manifest.json";

/// Rows in and out. The conservation law `in = out + dropped + pending` is checked before a manifest is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows that came in.
    #[serde(rename = "in")]
    pub input: u64,
    /// Rows that went out.
    pub out: u64,
    /// Rows left out, by reason.
    pub dropped: BTreeMap<Reason, u64>,
    /// Rows still unanswered.
    pub pending: u64,
}

impl Counts {
    /// Rows left out, over all reasons.
    pub fn dropped_total(&self) -> u64 {
        self.dropped.values().sum()
    }

    /// Checks the conservation law.
    ///
    /// # Errors
    /// [`SchemaError::Unbalanced`] when rows appeared or vanished.
    pub fn check(&self, stage: &str, unit: &str) -> Result<(), SchemaError> {
        if self.input == self.out + self.dropped_total() + self.pending {
            return Ok(());
        }
        Err(SchemaError::Unbalanced {
            stage: stage.to_owned(),
            unit: unit.to_owned(),
            input: self.input,
            out: self.out,
            dropped: self.dropped_total(),
            pending: self.pending,
        })
    }
}

/// Tokens a stage sent and received, or trained on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Tokens sent to the chat API, or read.
    pub input: u64,
    /// Tokens received from it, or trained on.
    pub output: u64,
}

/// A finished stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The stage: `ingest`, `notes`, `instruct`, `dataset`, `pretrain`, `sft`, `eval`, `report`.
    pub stage: String,
    /// See [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The version of the binary that wrote it.
    pub tool_version: String,
    /// See [`crate::Fingerprint`].
    pub fingerprint: String,
    /// What `counts` counts: `article`, `report`, `instruction`, `step` ..
    pub unit: String,
    /// Rows in and out, in `unit`.
    pub counts: Counts,
    /// The same for what the stage counts beside it (ingest: `patient`; dataset: `note`), by unit.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub also: BTreeMap<String, Counts>,
    /// Tokens.
    pub tokens: Tokens,
    /// Money spent on accepted and failed calls, in US dollars, also where an earlier run spent it.
    pub cost_usd: f64,
    /// The files a finished stage answers for, with their sizes in bytes, by path inside its directory: all of a data
    /// stage's, `final/` of a training stage's. Filled in when the manifest is written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, u64>,
    /// Wall-clock time the stage took, over all attempts.
    pub seconds: f64,
    /// What only this stage knows and the report shows (final losses, licence of the dataset ..).
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub details: serde_json::Map<String, serde_json::Value>,
}

impl Manifest {
    /// A manifest of `stage` with nothing counted yet.
    pub fn new(stage: &str, fingerprint: String, unit: &str) -> Self {
        Self {
            stage: stage.to_owned(),
            schema_version: SCHEMA_VERSION,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            fingerprint,
            unit: unit.to_owned(),
            counts: Counts::default(),
            also: BTreeMap::new(),
            tokens: Tokens::default(),
            cost_usd: 0.0,
            files: BTreeMap::new(),
            seconds: 0.0,
            details: serde_json::Map::new(),
        }
    }

    /// Rows still unanswered, of whatever kind.
    pub fn pending(&self) -> u64 {
        self.counts.pending + self.also.values().map(|counts| counts.pending).sum::<u64>()
    }

    /// Checks every count and writes `manifest.json` into `directory`.
    ///
    /// # Errors
    /// When the counts do not balance or the file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), SchemaError> {
        self.counts.check(&self.stage, &self.unit)?;
        for (unit, counts) in &self.also {
            counts.check(&self.stage, unit)?;
        }
        let whole = Self { files: files(directory)?, ..self.clone() };
        let mut text = serde_json::to_string_pretty(&whole).expect("a manifest is plain data");
        text.push('\n');
        write_atomically(&directory.join(MANIFEST_FILE), text.as_bytes())
    }

    /// Whether the files this manifest answers for are still in `directory`, as long as they were.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn standing(&self, directory: &Path) -> Result<Standing, SchemaError> {
        let present = files(directory)?;
        for (name, bytes) in &self.files {
            let path = directory.join(name);
            match present.get(name) {
                None => return Ok(Standing::Missing { path }),
                Some(found) if found != bytes => {
                    return Ok(Standing::Damaged { path, bytes: *found, written: *bytes });
                }
                Some(_) => {}
            }
        }
        Ok(Standing::Whole)
    }

    /// Reads the manifest of a stage's directory; `None` when the stage has not finished.
    ///
    /// # Errors
    /// When the file is there and cannot be read as one.
    pub fn read(directory: &Path) -> Result<Option<Self>, SchemaError> {
        let path = directory.join(MANIFEST_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = fs_err::read_to_string(&path)?;
        serde_json::from_str(&text).map(Some).map_err(|source| SchemaError::Json { path, what: "manifest", source })
    }
}

/// What became of a finished stage's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// All there.
    Whole,
    /// One is gone.
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// One is shorter or longer than it was when the manifest was written.
    Damaged {
        /// Which.
        path: PathBuf,
        /// Its size now.
        bytes: u64,
        /// Its size when it was written.
        written: u64,
    },
}

/// The directory that holds what a training stage made.
const FINAL: &str = "final";

/// The files a stage answers for, by their path inside `directory`, with their sizes.
fn files(directory: &Path) -> Result<BTreeMap<String, u64>, SchemaError> {
    let (inner, prefix) = match directory.join(FINAL) {
        last if last.is_dir() => (last, format!("{FINAL}/")),
        _ => (directory.to_owned(), String::new()),
    };
    let mut files = BTreeMap::new();
    for entry in fs_err::read_dir(inner)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let metadata = fs_err::metadata(entry.path())?;
        if metadata.is_file() && name != MANIFEST_FILE && !name.starts_with('.') {
            files.insert(format!("{prefix}{name}"), metadata.len());
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn counts_balance_exactly_when_nothing_is_lost(out in 0_u64..9, short in 0_u64..9, phi in 0_u64..9, pending in 0_u64..9, off in -2_i64..3) {
            let dropped = BTreeMap::from([(Reason::TooShort, short), (Reason::Phi, phi)]);
            let total = (out + short + phi + pending).saturating_add_signed(off);
            let counts = Counts { input: total, out, dropped, pending };
            prop_assert_eq!(counts.check("notes", "report").is_ok(), total == out + short + phi + pending);
        }
    }

    #[test]
    fn a_manifest_reads_back_as_written_and_an_unbalanced_one_is_refused() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut manifest = Manifest::new("notes", "f".to_owned(), "report");
        manifest.counts = Counts { input: 3, out: 2, dropped: BTreeMap::from([(Reason::Refusal, 1)]), pending: 0 };
        let file = directory.path().join("notes.parquet");
        fs_err::write(&file, b"four").expect("writable");
        manifest.write(directory.path()).expect("balanced");
        let read = Manifest::read(directory.path()).expect("readable").expect("written");
        assert_eq!(read, Manifest { files: BTreeMap::from([("notes.parquet".to_owned(), 4)]), ..manifest.clone() });
        assert_eq!(read.standing(directory.path()).expect("readable"), Standing::Whole);
        fs_err::write(&file, b"two").expect("writable");
        let damaged = Standing::Damaged { path: file.clone(), bytes: 3, written: 4 };
        assert_eq!(read.standing(directory.path()).expect("readable"), damaged);
        fs_err::remove_file(&file).expect("there");
        assert_eq!(read.standing(directory.path()).expect("readable"), Standing::Missing { path: file });
        let late = Counts { input: 1, pending: 1, ..Counts::default() };
        assert_eq!(Manifest { also: BTreeMap::from([("note".to_owned(), late)]), ..manifest.clone() }.pending(), 1);
        manifest.counts.out = 3;
        assert!(matches!(manifest.write(directory.path()), Err(SchemaError::Unbalanced { .. })));
    }
}
