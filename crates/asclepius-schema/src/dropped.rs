//! `dropped.jsonl`: one line for every row a stage left out.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use fs_err::File;
use serde::{Deserialize, Serialize};

use crate::{Counts, Reason, SchemaError};

/// The file's name inside a stage's directory.
pub const DROPPED_FILE: &str = "dropped.jsonl";

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The row's identity: an article, report or instruction id, or a file name where nothing better is known.
    pub id: String,
    /// Why.
    pub reason: Reason,
    /// What exactly, for a person; never note text, but for what a judge quotes of it in its reason.
    pub detail: String,
}

impl Dropped {
    /// A dropped row.
    pub fn new(id: impl Into<String>, reason: Reason, detail: impl Into<String>) -> Self {
        Self { id: id.into(), reason, detail: detail.into() }
    }
}

/// Writes `dropped.jsonl` and counts as it does.
#[derive(Debug)]
pub struct DroppedWriter {
    file: BufWriter<File>,
}

impl DroppedWriter {
    /// Opens the file anew in `directory`.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(directory: &Path) -> Result<Self, SchemaError> {
        Ok(Self { file: BufWriter::new(File::create(directory.join(DROPPED_FILE))?) })
    }

    /// Appends one row and counts it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&mut self, dropped: &Dropped, counts: &mut Counts) -> Result<(), SchemaError> {
        let line = serde_json::to_string(dropped).expect("strings and an enum always serialise");
        writeln!(self.file, "{line}")?;
        *counts.dropped.entry(dropped.reason).or_default() += 1;
        Ok(())
    }

    /// Flushes to disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(mut self) -> Result<(), SchemaError> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        Ok(())
    }
}

/// Reads a stage's `dropped.jsonl`; an absent file is an empty one.
///
/// # Errors
/// When a line is not what [`DroppedWriter`] writes.
pub fn read_dropped(directory: &Path) -> Result<Vec<Dropped>, SchemaError> {
    let path: PathBuf = directory.join(DROPPED_FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut rows = Vec::new();
    for line in BufReader::new(File::open(&path)?).lines() {
        let line = line?;
        let row = serde_json::from_str(&line).map_err(|source| SchemaError::Json {
            path: path.clone(),
            what: "list of dropped rows",
            source,
        })?;
        rows.push(row);
    }
    Ok(rows)
}
