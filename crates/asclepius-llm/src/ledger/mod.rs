//! Every answered call, on disk before it is acknowledged.
//!
//! A ledger is a directory of append-only `*.ledger` files. A line is 16 hex digits of the BLAKE3 hash of the JSON that
//! follows them, a space, and that JSON; the first line names the version. The last entry of a key counts. What an
//! interrupted write left at the end of a file is cut off when the file is opened for writing; damage anywhere else
//! is an error. Entries hold no credentials.

mod lines;
mod writer;

use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use asclepius_schema::Reason;
use fs_err::File;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::LlmError;
use lines::Lines;
use writer::Writer;

/// The file that new entries go to.
const FILE: &str = "calls.ledger";

/// What a call came to, or one paid attempt at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The call's identity.
    pub key: String,
    /// The row it was for.
    pub row_id: String,
    /// What it was for: `note`, `question`, `answer` ..
    pub stage: String,
    /// The model asked for.
    pub model: String,
    /// The token cap of the attempt that ended it.
    pub max_tokens: u32,
    /// Tokens sent in that attempt.
    pub prompt_tokens: u32,
    /// Tokens received in that attempt.
    pub completion_tokens: u32,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// With a text.
    Reply {
        /// The text.
        text: String,
        /// The provider's finish reason.
        finish_reason: String,
        /// The model as the provider names it.
        served_model: String,
    },
    /// Without one, for good.
    Dropped {
        /// Why.
        reason: Reason,
        /// What exactly.
        detail: String,
    },
    /// Paid, but followed by another attempt.
    Attempt {
        /// The provider's finish reason.
        finish_reason: String,
    },
}

/// What the index needs of an entry; its texts are skipped, not copied.
#[derive(Deserialize)]
struct Head<'line> {
    #[serde(borrow)]
    key: &'line str,
    prompt_tokens: u32,
    completion_tokens: u32,
    outcome: HeadOutcome,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum HeadOutcome {
    Reply(IgnoredAny),
    Dropped(IgnoredAny),
    Attempt(IgnoredAny),
}

/// Where an entry lies. Replies stay on disk, so that a long run's memory does not grow with them.
#[derive(Debug, Clone, Copy)]
struct Position {
    file: u32,
    length: u32,
    offset: u64,
}

/// What was found when a ledger was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Entries, attempts included.
    pub entries: u64,
    /// Tokens sent in all of them.
    pub prompt_tokens: u64,
    /// Tokens received in all of them.
    pub completion_tokens: u64,
    /// Lines cut off because an interrupted write left them unfinished; none of them was ever acknowledged.
    pub torn_lines: u64,
}

/// A ledger open for writing. One process at a time.
#[derive(Debug)]
pub struct Ledger {
    files: Vec<(PathBuf, Mutex<File>)>,
    index: Mutex<HashMap<[u8; 16], Position>>,
    own: u32,
    found: Found,
    writer: Writer,
}

impl Ledger {
    /// Opens or starts the ledger in `directory`.
    ///
    /// # Errors
    /// When a file cannot be read or written, is damaged other than by an interrupted write, is of another version,
    /// or is open in another process.
    pub fn open(directory: &Path) -> Result<Self, LlmError> {
        fs_err::create_dir_all(directory).map_err(|source| LlmError::io(directory, source))?;
        let own_path = directory.join(FILE);
        // The lock comes first: cutting a tail that another process is just writing would lose a reply.
        let own_file = writer::lock(&own_path)?;
        let mut found = Found::default();
        let mut index = HashMap::new();
        let mut files = Vec::new();
        let mut own = None;
        for (number, path) in files_of(directory)?.into_iter().enumerate() {
            let number = number as u32;
            let mut lines = Lines::open(&path)?;
            while let Some(span) = lines.next_sound()? {
                let head: Head = serde_json::from_slice(lines.json()).map_err(|_| lines.damaged("not an entry"))?;
                found.entries += 1;
                found.prompt_tokens += u64::from(head.prompt_tokens);
                found.completion_tokens += u64::from(head.completion_tokens);
                let key = parse_key(head.key).ok_or_else(|| lines.damaged("its key is not 32 hex digits"))?;
                if !matches!(head.outcome, HeadOutcome::Attempt(_)) {
                    index.insert(key, Position { file: number, length: span.length, offset: span.offset });
                }
            }
            let tail = lines.tail()?;
            if path == own_path {
                found.torn_lines = tail.torn_lines;
                own = Some((number, tail.sound_bytes));
            }
            let file = File::open(&path).map_err(|source| LlmError::io(&path, source))?;
            files.push((path, Mutex::new(file)));
        }
        let (own, sound_bytes) = own.expect("the lock created the file before the directory was listed");
        let writer = Writer::start(own_file, own_path, sound_bytes)?;
        if found.torn_lines > 0 {
            tracing::warn!(lines = found.torn_lines, "cut off what an interrupted write left at the ledger's end");
        }
        Ok(Self { files, index: Mutex::new(index), own, found, writer })
    }

    /// What was found when it was opened.
    pub fn found(&self) -> Found {
        self.found
    }

    /// Whether any call with this identity has ended.
    ///
    /// # Errors
    /// When the entry cannot be read back as it was written.
    pub fn get(&self, key: &str) -> Result<Option<Entry>, LlmError> {
        let Some(key) = parse_key(key) else { return Ok(None) };
        let position = self.index.lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        let Some(Position { file, length, offset }) = position else { return Ok(None) };
        let (path, file) = &self.files[file as usize];
        let mut line = vec![0_u8; length as usize];
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))
            .and_then(|_| file.read_exact(&mut line))
            .map_err(|source| LlmError::io(path, source))?;
        let entry = lines::checked(&line).ok().and_then(|json| serde_json::from_slice(json).ok());
        let problem = || LlmError::LedgerVersion {
            path: path.clone(),
            problem: format!("the entry at byte {offset} changed while the ledger was open"),
        };
        entry.map(Some).ok_or_else(problem)
    }

    /// Appends an entry and returns once it is durable. Entries that arrive together share one fsync.
    ///
    /// # Errors
    /// When it could not be made durable; it is then as if it had never been written.
    pub async fn append(&self, entry: &Entry) -> Result<(), LlmError> {
        let line = lines::line_of(&serde_json::to_vec(entry).expect("an entry is plain data"));
        let length = line.len() as u32 - 1;
        let offset = self.writer.append(line).await?;
        let indexed = !matches!(entry.outcome, Outcome::Attempt { .. });
        if let Some(key) = parse_key(&entry.key).filter(|_| indexed) {
            let position = Position { file: self.own, length, offset };
            self.index.lock().unwrap_or_else(PoisonError::into_inner).insert(key, position);
        }
        Ok(())
    }

    /// Reads every entry of the ledger in `directory`, in the order they were written; also while a run writes to it.
    /// A directory without a ledger holds no entries.
    ///
    /// # Errors
    /// When the directory cannot be listed. The iterator's items are errors where a file is damaged.
    pub fn read(directory: &Path) -> Result<Entries, LlmError> {
        let paths = if directory.is_dir() { files_of(directory)? } else { Vec::new() };
        Ok(Entries { paths: paths.into_iter(), lines: None })
    }
}

/// See [`Ledger::read`].
#[derive(Debug)]
pub struct Entries {
    paths: std::vec::IntoIter<PathBuf>,
    lines: Option<Lines>,
}

impl Entries {
    fn advance(&mut self) -> Result<Option<Entry>, LlmError> {
        loop {
            if let Some(lines) = &mut self.lines {
                if lines.next_sound()?.is_some() {
                    let entry = serde_json::from_slice(lines.json()).map_err(|_| lines.damaged("not an entry"))?;
                    return Ok(Some(entry));
                }
                self.lines = None;
            }
            let Some(path) = self.paths.next() else { return Ok(None) };
            self.lines = Some(Lines::open(&path)?);
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, LlmError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.advance().transpose();
        if matches!(item, Some(Err(_))) {
            // After damage there is nothing to go on from.
            *self = Self { paths: Vec::new().into_iter(), lines: None };
        }
        item
    }
}

fn files_of(directory: &Path) -> Result<Vec<PathBuf>, LlmError> {
    let failed = |source| LlmError::io(directory, source);
    let mut paths = Vec::new();
    for entry in fs_err::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "ledger") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn parse_key(text: &str) -> Option<[u8; 16]> {
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    let mut key = [0_u8; 16];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        let high = (pair[0] as char).to_digit(16)?;
        let low = (pair[1] as char).to_digit(16)?;
        *byte = (high * 16 + low) as u8;
    }
    Some(key)
}

#[cfg(test)]
mod tests;
