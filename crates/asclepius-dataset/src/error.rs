//! What can go wrong between rows and batches.

use std::path::{Path, PathBuf};

use asclepius_schema::SchemaError;
use asclepius_text::TextError;
use parquet::errors::ParquetError;

/// Errors of this crate; each names the file, row or key it is about.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// A file or directory could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A Parquet file is damaged or could not be written.
    #[error("{path}: not a sound Parquet file: {source}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The format's own words.
        source: ParquetError,
    },
    /// A Parquet file was written by a later version.
    #[error("{path}: written in layout version {found}; this binary knows versions up to {known}")]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The latest version known here.
        known: u32,
    },
    /// A Parquet file lacks a column.
    #[error("{path}: no column {column:?}")]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A column cannot be read as the type it must have.
    #[error("{path}: column {column:?} is {found}, which does not read as {expected}")]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type in the file.
        found: String,
        /// The type it must have.
        expected: String,
    },
    /// A cell does not hold what it must.
    #[error("{path}: row {row}: {column:?} {problem}")]
    Cell {
        /// The file.
        path: PathBuf,
        /// The row, from 0.
        row: usize,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A row of a text column is null.
    #[error("{path}: row {id} has no text")]
    NoText {
        /// The file.
        path: PathBuf,
        /// The row.
        id: String,
    },
    /// A line of a file of text cannot be read.
    #[error("{path}, line {line}: {problem}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A document is longer than one sequence may be.
    #[error("document {id}: {tokens} tokens do not fit into a sequence of {sequence_length}")]
    DocumentTooLong {
        /// The row the document was made from.
        id: String,
        /// Its length in tokens.
        tokens: usize,
        /// The most a sequence holds.
        sequence_length: usize,
    },
    /// A document's loss mask does not cover its tokens.
    #[error("document {id}: a loss mask of {mask} for {tokens} tokens")]
    MaskLength {
        /// The row the document was made from.
        id: String,
        /// Its length in tokens.
        tokens: usize,
        /// The mask's length.
        mask: usize,
    },
    /// A row would train nothing.
    #[error("row {id}: no token of it is supervised, so it would train nothing")]
    NothingSupervised {
        /// The row.
        id: String,
    },
    /// A file of tokens is not what its reader asked for, or not as it was written.
    #[error("{path}: {problem}")]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An evaluation set is not what its name says.
    #[error("{path}, line {line}: not readable JSON: {problem}")]
    EvaluationSet {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The parser's own words.
        problem: String,
    },
    /// There is nothing to train on.
    #[error("no documents to pack: the data is empty")]
    NoDocuments,
    /// A row cannot be turned into tokens.
    #[error("row {id}: {source}")]
    Row {
        /// The row.
        id: String,
        /// Why not.
        source: TextError,
    },
    /// A row names a row of an earlier stage that is not there.
    #[error("{path}: row {id}: {missing} {parent} is not in {parents}")]
    Orphan {
        /// The file the row is in.
        path: PathBuf,
        /// The row.
        id: String,
        /// What is missing: its report or its note.
        missing: &'static str,
        /// The identity that was looked for.
        parent: String,
        /// The file it was looked for in.
        parents: PathBuf,
    },
    /// Not one row came through.
    #[error("no {what} is left of {input} in {path}: {reasons}")]
    NothingLeft {
        /// `note` or `instruction`.
        what: &'static str,
        /// The file they came from.
        path: PathBuf,
        /// How many there were.
        input: u64,
        /// What they were dropped for, with counts.
        reasons: String,
    },
    /// A record file of another kind could not be read or written.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A gate's threshold that cannot be.
    #[error(transparent)]
    Gate(TextError),
    /// A setting that cannot be.
    #[error("{key} = {value}: must be {expected}")]
    Setting {
        /// The configuration key.
        key: &'static str,
        /// What was given.
        value: String,
        /// What would do.
        expected: &'static str,
    },
}

impl DatasetError {
    pub(crate) fn row(id: &str, source: TextError) -> Self {
        Self::Row { id: id.to_owned(), source }
    }

    pub(crate) fn parquet(path: &Path, source: ParquetError) -> Self {
        Self::Parquet { path: path.to_owned(), source }
    }
}
