//! Every call, on disk: announced before it is sent, answered before it is acknowledged.
//!
//! A ledger is a directory of append-only `*.ledger` files, one for each process that may write at a time. A line is 16
//! hex digits of the BLAKE3 hash of the JSON that follows them, a space, and that JSON (a [`Record`]); the first line
//! names the version. The last entry of a key counts. What an interrupted write left at the end of a file is cut off
//! when the file is opened for writing; damage anywhere else is an error. Records hold no credentials.
//!
//! An [`Intent`] that no later record settles belongs to a send whose end nobody saw. It may have been billed, so it
//! counts in full.

mod compact;
mod lines;
mod record;
mod scan;
mod writer;

use std::collections::{BTreeMap, HashMap};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use fs_err::File;

use crate::LlmError;
use lines::Lines;
pub use record::{BatchRecord, BatchStep, CarriedOver, Entry, Intent, Outcome, Paid, Record, Withdrawn};
pub(crate) use scan::OpenBatch;
use writer::Writer;

/// The name of the file that new records go to, where nothing else is said.
const NAME: &str = "calls";

/// Where the entries of ended calls lie. Replies stay on disk, so that a long run's memory does not grow with them.
type Index = HashMap<[u8; 16], Position>;

#[derive(Debug, Clone, Copy)]
struct Position {
    file: u32,
    length: u32,
    offset: u64,
}

/// What was found when a ledger was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Found {
    /// Entries, attempts included.
    pub entries: u64,
    /// What all sends cost, those of `open_intents` at the most they may have cost.
    pub paid: Paid,
    /// The part of `paid` that this process's own file holds.
    pub paid_here: Paid,
    /// Sends whose end was never seen.
    pub open_intents: u64,
    /// Lines cut off because an interrupted write left them unfinished; none of them was ever acknowledged.
    pub torn_lines: u64,
}

/// A ledger open for writing. One process at a time for each file.
#[derive(Debug)]
pub struct Ledger {
    files: Vec<(PathBuf, Mutex<File>)>,
    index: Mutex<Index>,
    own: u32,
    found: Found,
    paid: Vec<(String, Paid)>,
    batches: BTreeMap<String, OpenBatch>,
    batches_beside: Vec<String>,
    last_intent: AtomicU64,
    writer: Writer,
    // Held until the ledger is dropped, after the writer has ended.
    _lock: File,
}

impl Ledger {
    /// Opens or starts the ledger in `directory`.
    ///
    /// # Errors
    /// When a file cannot be read or written, is damaged other than by an interrupted write, is of another version,
    /// or is open in another process.
    pub fn open(directory: &Path) -> Result<Self, LlmError> {
        Self::open_named(directory, NAME)
    }

    /// The same, writing to a file of this name: processes that share a directory each take another. All files are read.
    ///
    /// # Errors
    /// See [`Ledger::open`].
    pub fn open_named(directory: &Path, name: &str) -> Result<Self, LlmError> {
        fs_err::create_dir_all(directory).map_err(|source| LlmError::io(directory, source))?;
        let own_path = directory.join(format!("{name}.ledger"));
        // The lock comes first: cutting a tail that another process is just writing would lose a reply.
        let lock = writer::lock(&own_path)?;
        let own_file = writer::open(&own_path)?;
        let mut found = Found::default();
        let mut index = Index::new();
        let mut files = Vec::new();
        let mut paid = Vec::new();
        let mut own = None;
        let mut batches_beside = Vec::new();
        for (number, path) in files_of(directory)?.into_iter().enumerate() {
            let number = number as u32;
            let scan = scan::scan(&path, number, &mut index)?;
            found.entries += scan.entries;
            found.open_intents += scan.open_intents();
            found.paid.add(scan.paid());
            paid.push((path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), scan.paid()));
            if path == own_path {
                found.torn_lines = scan.tail.torn_lines;
                found.paid_here = scan.paid();
                own = Some((number, scan));
            } else if !scan.batches.is_empty() {
                batches_beside.push(path.file_stem().unwrap_or_default().to_string_lossy().into_owned());
            }
            let file = File::open(&path).map_err(|source| LlmError::io(&path, source))?;
            files.push((path, Mutex::new(file)));
        }
        let (own, scan) = own.expect("the file was created before the directory was listed");
        let live = index.values().filter(|position| position.file == own);
        let live_bytes = live.map(|position| u64::from(position.length) + 1).sum();
        // What is open of a batch must stay as it is.
        if scan.batches.is_empty() && compact::is_due(&scan, live_bytes) {
            compact::compact(&own_path, own, &index, &scan)?;
            tracing::info!(bytes = scan.tail.sound_bytes, live_bytes, "compacted the ledger");
            drop((own_file, files, lock));
            return Self::open_named(directory, name);
        }
        let writer = Writer::start(own_file, own_path, scan.tail.sound_bytes)?;
        if found.torn_lines > 0 {
            tracing::warn!(lines = found.torn_lines, "cut off what an interrupted write left at the ledger's end");
        }
        let last_intent = AtomicU64::new(scan.last_intent);
        let (index, batches) = (Mutex::new(index), scan.batches);
        Ok(Self { files, index, own, found, paid, batches, batches_beside, last_intent, writer, _lock: lock })
    }

    /// Writes the file of this name anew without the records that no longer count, however few they are.
    ///
    /// # Errors
    /// See [`Ledger::open`].
    pub fn compact(directory: &Path) -> Result<(), LlmError> {
        let path = directory.join(format!("{NAME}.ledger"));
        let _lock = writer::lock(&path)?;
        if !path.is_file() {
            return Ok(());
        }
        let mut index = Index::new();
        let scan = scan::scan(&path, 0, &mut index)?;
        if !scan.batches.is_empty() {
            let problem = "batches are out, and compaction would lose sight of them".to_owned();
            return Err(LlmError::LedgerVersion { path, problem });
        }
        compact::compact(&path, 0, &index, &scan)
    }

    /// What was found when it was opened.
    pub fn found(&self) -> Found {
        self.found
    }

    /// Batches that earlier runs of this process's file announced and did not see the end of.
    pub(crate) fn batches(&self) -> &BTreeMap<String, OpenBatch> {
        &self.batches
    }

    /// The names of the other files in which such batches are.
    pub(crate) fn batches_beside(&self) -> &[String] {
        &self.batches_beside
    }

    /// What the files cost whose names do not end with `siblings`.
    pub(crate) fn paid_beside(&self, siblings: &str) -> Paid {
        let mut sum = Paid::default();
        for (_, paid) in self.paid.iter().filter(|(name, _)| !name.ends_with(siblings)) {
            sum.add(*paid);
        }
        sum
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

    /// A number for the next intent.
    pub(crate) fn next_intent(&self) -> u64 {
        self.last_intent.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Announces a send and returns once that is durable. Records that arrive together share one fsync.
    ///
    /// # Errors
    /// When it could not be made durable; the send must not happen then.
    pub async fn announce(&self, intent: &Intent) -> Result<(), LlmError> {
        self.writer.append(line(intent)).await.map(drop)
    }

    /// The same for all of `intents`.
    pub(crate) async fn announce_all<'intents>(
        &self,
        intents: impl Iterator<Item = &'intents Intent>,
    ) -> Result<(), LlmError> {
        let mut lines = Vec::new();
        for intent in intents {
            lines.extend_from_slice(&line(intent));
            if lines.len() as u64 > lines::MAX_GROUP_BYTES / 8 {
                self.writer.append(std::mem::take(&mut lines)).await?;
            }
        }
        if lines.is_empty() { Ok(()) } else { self.writer.append(lines).await.map(drop) }
    }

    /// Notes how far a batch is and returns once that is durable.
    pub(crate) async fn step(&self, record: &BatchRecord) -> Result<(), LlmError> {
        self.writer.append(line(record)).await.map(drop)
    }

    /// Notes that a send announced as `intent` costs nothing. Not awaited: until it is durable, the ledger only knows
    /// of more money than was spent.
    pub(crate) fn withdraw(&self, intent: u64) {
        self.writer.note(line(&Withdrawn { withdrawn: intent }));
    }

    /// Appends an entry and returns once it is durable. Entries that arrive together share one fsync.
    ///
    /// # Errors
    /// When it could not be made durable; it is then as if it had never been written.
    pub async fn append(&self, entry: &Entry) -> Result<(), LlmError> {
        self.append_placed(entry, || {}).await
    }

    /// The same; `placed` is called once whatever is appended from then on, such as an intent, comes after it in the file.
    pub(crate) async fn append_placed(&self, entry: &Entry, placed: impl FnOnce()) -> Result<(), LlmError> {
        let line = line(entry);
        let length = line.len() as u32 - 1;
        let offset = self.writer.append_placed(line, placed).await?;
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
    pub fn read(directory: &Path) -> Result<impl Iterator<Item = Result<Entry, LlmError>> + use<>, LlmError> {
        Ok(Self::records(directory)?.filter_map(|record| match record {
            Ok(Record::Entry(entry)) => Some(Ok(entry)),
            Ok(_) => None,
            Err(error) => Some(Err(error)),
        }))
    }

    /// The same with every other record.
    ///
    /// # Errors
    /// See [`Ledger::read`].
    pub fn records(directory: &Path) -> Result<Records, LlmError> {
        let paths = if directory.is_dir() { files_of(directory)? } else { Vec::new() };
        Ok(Records { paths: paths.into_iter(), lines: None })
    }
}

fn line(record: &impl serde::Serialize) -> Vec<u8> {
    lines::line(|line| serde_json::to_writer(line, record).expect("a record is plain data"))
}

/// See [`Ledger::records`].
#[derive(Debug)]
pub struct Records {
    paths: std::vec::IntoIter<PathBuf>,
    lines: Option<Lines>,
}

impl Records {
    fn advance(&mut self) -> Result<Option<Record>, LlmError> {
        loop {
            if let Some(lines) = &mut self.lines {
                if lines.next_sound()?.is_some() {
                    let record = serde_json::from_slice(lines.json()).map_err(|_| lines.damaged("not a record"))?;
                    return Ok(Some(record));
                }
                self.lines = None;
            }
            let Some(path) = self.paths.next() else { return Ok(None) };
            self.lines = Some(Lines::open(&path)?);
        }
    }
}

impl Iterator for Records {
    type Item = Result<Record, LlmError>;

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
