//! Checksummed lines, and telling an interrupted write from damage.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use fs_err::File;
use serde::{Deserialize, Serialize};

use crate::LlmError;

/// The version of the lines that this code writes. Version 1, which had no intents, is read and continued.
const VERSION: u32 = 2;

/// Hex digits of the checksum in front of each line.
const CHECKSUM: usize = 16;

/// An interrupted write leaves at most one group of lines unfinished; more than that is damage.
pub(super) const MAX_GROUP_BYTES: u64 = 4 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    asclepius_ledger: u32,
}

/// The line that a ledger file starts with.
pub(super) fn header_line() -> Vec<u8> {
    line_of(&serde_json::to_vec(&Header { asclepius_ledger: VERSION }).expect("a number is plain data"))
}

/// Checksum, space, JSON, newline.
pub(super) fn line_of(json: &[u8]) -> Vec<u8> {
    line(|line| line.extend_from_slice(json))
}

/// The same around what `write` appends.
pub(super) fn line(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    // Most records are shorter than this, and a note fits after one doubling.
    let mut line = Vec::with_capacity(2048);
    line.resize(CHECKSUM, b'0');
    line.push(b' ');
    write(&mut line);
    let hash = blake3::hash(&line[CHECKSUM + 1..]).to_hex();
    line[..CHECKSUM].copy_from_slice(&hash.as_bytes()[..CHECKSUM]);
    line.push(b'\n');
    line
}

/// The JSON of a line without its newline, if the checksum holds.
pub(super) fn checked(line: &[u8]) -> Result<&[u8], &'static str> {
    let (checksum, rest) = line.split_at_checked(CHECKSUM).ok_or("shorter than a checksum")?;
    let json = rest.strip_prefix(b" ").ok_or("no space after the checksum")?;
    if checksum == &blake3::hash(json).to_hex().as_bytes()[..CHECKSUM] {
        Ok(json)
    } else {
        Err("its checksum does not match")
    }
}

/// A sound line, without its newline.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub offset: u64,
    pub length: u32,
}

/// What lies behind the last sound line.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    pub sound_bytes: u64,
    pub torn_lines: u64,
}

/// A first line that is not sound, until it is known whether sound ones follow.
#[derive(Debug)]
struct Broken {
    line: u64,
    problem: &'static str,
    lines: u64,
}

/// Reads the sound lines of one file.
#[derive(Debug)]
pub(super) struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    buffer: Vec<u8>,
    offset: u64,
    line: u64,
    sound_bytes: u64,
    broken: Option<Broken>,
}

impl Lines {
    pub fn open(path: &Path) -> Result<Self, LlmError> {
        let file = File::open(path).map_err(|source| LlmError::io(path, source))?;
        Ok(Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(1 << 18, file),
            buffer: Vec::new(),
            offset: 0,
            line: 0,
            sound_bytes: 0,
            broken: None,
        })
    }

    /// The next sound entry line; `None` at the end, where a torn tail may have been passed.
    pub fn next_sound(&mut self) -> Result<Option<Span>, LlmError> {
        loop {
            self.buffer.clear();
            let read =
                self.reader.read_until(b'\n', &mut self.buffer).map_err(|source| LlmError::io(&self.path, source))?;
            if read == 0 {
                return Ok(None);
            }
            let span = Span { offset: self.offset, length: (read - 1) as u32 };
            self.offset += read as u64;
            self.line += 1;
            let state = if self.buffer.last() == Some(&b'\n') {
                self.buffer.pop();
                checked(&self.buffer).map(|_| ())
            } else {
                Err("it has no end")
            };
            match (state, &mut self.broken) {
                (Ok(()), Some(broken)) => {
                    let (line, problem) = (broken.line, broken.problem);
                    return Err(LlmError::LedgerDamaged { path: self.path.clone(), line, problem });
                }
                (Ok(()), None) => {
                    self.sound_bytes = self.offset;
                    if self.line == 1 {
                        self.check_header()?;
                        continue;
                    }
                    return Ok(Some(span));
                }
                (Err(_), Some(broken)) => broken.lines += 1,
                (Err(problem), None) => self.broken = Some(Broken { line: self.line, problem, lines: 1 }),
            }
        }
    }

    /// The JSON of the line that [`Self::next_sound`] just found.
    pub fn json(&self) -> &[u8] {
        self.buffer.get(CHECKSUM + 1..).unwrap_or_default()
    }

    /// An error at the line that was just found.
    pub fn damaged(&self, problem: &'static str) -> LlmError {
        LlmError::LedgerDamaged { path: self.path.clone(), line: self.line, problem }
    }

    /// What lies behind the last sound line, once the end is reached.
    pub fn tail(&self) -> Result<Tail, LlmError> {
        let torn_bytes = self.offset - self.sound_bytes;
        let torn_lines = self.broken.as_ref().map_or(0, |broken| broken.lines);
        // A file that does not even begin as a ledger was never one of ours: emptying it would be the damage.
        let foreign = self.sound_bytes == 0 && torn_bytes > header_line().len() as u64;
        if foreign || torn_bytes > MAX_GROUP_BYTES {
            let problem = if foreign { "not a ledger: its first line is not sound" } else { "all after it is damaged" };
            return Err(LlmError::LedgerVersion { path: self.path.clone(), problem: problem.to_owned() });
        }
        Ok(Tail { sound_bytes: self.sound_bytes, torn_lines })
    }

    fn check_header(&self) -> Result<(), LlmError> {
        let found = serde_json::from_slice::<Header>(self.json()).ok();
        let problem = match found {
            Some(Header { asclepius_ledger: 1..=VERSION }) => return Ok(()),
            Some(Header { asclepius_ledger }) => {
                format!("is of version {asclepius_ledger}; this program reads versions up to {VERSION}")
            }
            None => "its first line names no version".to_owned(),
        };
        Err(LlmError::LedgerVersion { path: self.path.clone(), problem })
    }
}
