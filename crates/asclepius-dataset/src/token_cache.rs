//! Tokens kept from one run to the next: what the same data, tokenizer, template and settings gave is not made twice.
//!
//! A cache is a directory; in it, one directory a key holds both sides of the data. It appears whole, by a rename, and
//! what other keys left is then removed, so that it never holds more than one. The key stands for everything the
//! tokens depend on; who makes it answers for that.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::token_file::{TokenFile, TokenWriter};
use crate::{DatasetError, RowTokens};

const TRAIN: &str = "train.tokens";
const HELD_OUT: &str = "held-out.tokens";
const PARTIAL: &str = ".partial-";

/// What a row is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Trained on.
    Train,
    /// Held out, for evaluation.
    HeldOut,
}

/// Both sides of the data.
#[derive(Debug, Clone)]
pub struct Sides {
    /// Trained on.
    pub train: Arc<TokenFile>,
    /// Held out; may be empty.
    pub held_out: Arc<TokenFile>,
}

/// Takes rows of both sides.
#[derive(Debug)]
pub struct SideWriters {
    train: TokenWriter,
    held_out: TokenWriter,
}

impl SideWriters {
    /// Adds what a row became.
    ///
    /// # Errors
    /// As [`TokenWriter::append`].
    pub fn append(&mut self, side: Side, row: RowTokens) -> Result<(), DatasetError> {
        match side {
            Side::Train => self.train.append(row),
            Side::HeldOut => self.held_out.append(row),
        }
    }

    /// Rows added so far.
    pub fn rows(&self) -> u64 {
        self.train.rows() + self.held_out.rows()
    }
}

/// A directory of tokens.
#[derive(Debug, Clone)]
pub struct TokenCache {
    directory: PathBuf,
}

impl TokenCache {
    /// The cache in `directory`, which need not exist.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// What was kept under `key`; none where nothing was.
    ///
    /// # Errors
    /// When what is there is not as it was written: the message names the file. [`Self::make`] replaces it.
    pub fn open(&self, key: &str) -> Result<Option<Sides>, DatasetError> {
        let directory = self.directory.join(key);
        if !directory.exists() {
            return Ok(None);
        }
        Ok(Some(Sides {
            train: TokenFile::open(&directory.join(TRAIN), key)?.into(),
            held_out: TokenFile::open(&directory.join(HELD_OUT), key)?.into(),
        }))
    }

    /// Makes the tokens of `key` by way of `fill`, and keeps them in place of whatever was there. An attempt that fails
    /// or dies leaves what was there before, and no more than one process may make tokens in a directory at a time.
    ///
    /// # Errors
    /// What `fill` fails with, and when the directory cannot be written.
    pub fn make<E: From<DatasetError>>(
        &self,
        key: &str,
        fill: impl FnOnce(&mut SideWriters) -> Result<(), E>,
    ) -> Result<Sides, E> {
        let io = |error: std::io::Error| E::from(DatasetError::from(error));
        fs_err::create_dir_all(&self.directory).map_err(io)?;
        self.remove(|name| name.starts_with(PARTIAL))?;
        let partial = self.directory.join(format!("{PARTIAL}{key}"));
        fs_err::create_dir(&partial).map_err(io)?;
        if let Err(error) = write(&partial, key, fill) {
            self.remove(|name| name.starts_with(PARTIAL))?;
            return Err(error);
        }
        self.remove(|name| name == key)?;
        fs_err::rename(&partial, self.directory.join(key)).map_err(io)?;
        sync(&self.directory)?;
        self.remove(|name| name != key)?;
        let made = self.open(key)?;
        made.ok_or_else(|| {
            let problem = "removed by someone else as soon as it was made".to_owned();
            E::from(DatasetError::TokenFile { path: self.directory.join(key), problem })
        })
    }

    fn remove(&self, doomed: impl Fn(&str) -> bool) -> Result<(), DatasetError> {
        for entry in fs_err::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| doomed(&name.to_string_lossy())) {
                fs_err::remove_dir_all(path)?;
            }
        }
        Ok(())
    }
}

fn write<E: From<DatasetError>>(
    directory: &Path,
    key: &str,
    fill: impl FnOnce(&mut SideWriters) -> Result<(), E>,
) -> Result<(), E> {
    let writer = |name| TokenWriter::create(&directory.join(name), key);
    let mut writers = SideWriters { train: writer(TRAIN)?, held_out: writer(HELD_OUT)? };
    fill(&mut writers)?;
    writers.train.finish()?;
    writers.held_out.finish()?;
    Ok(sync(directory)?)
}

fn sync(directory: &Path) -> Result<(), DatasetError> {
    Ok(fs_err::File::open(directory)?.sync_all()?)
}
