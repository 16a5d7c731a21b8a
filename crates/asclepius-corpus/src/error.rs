//! What stops a pass over the corpus. An article that cannot be read does not: it is dropped, with its position.

use std::path::PathBuf;

use asclepius_schema::{Licence, SchemaError};

/// What can go wrong between the `[corpus]` table and the last article.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// A key of the `[corpus]` table holds what it cannot hold.
    #[error("corpus.{key}: {problem}")]
    Config {
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        problem: &'static str,
    },
    /// An input does not exist.
    #[error("corpus.inputs: {path} does not exist")]
    InputMissing {
        /// The path as configured.
        path: PathBuf,
    },
    /// A file was named whose kind is not read.
    #[error("corpus.inputs: {path} is no article file: expected {expected}")]
    InputKind {
        /// The path as configured.
        path: PathBuf,
        /// The names that are read.
        expected: &'static str,
    },
    /// A directory holds no article file.
    #[error("corpus.inputs: {path} holds no article file: expected {expected}")]
    InputEmpty {
        /// The path as configured.
        path: PathBuf,
        /// The names that are read.
        expected: &'static str,
    },
    /// A data set's own licence is outside the classes admitted.
    #[error(
        "corpus.inputs: {path}: PMC-Patients is {licence}, which corpus.licences does not admit; adding {licence:?} to corpus.licences \
         would read it, and everything made from it would then be {licence} too",
        licence = licence.name()
    )]
    LicenceNotAdmitted {
        /// The data set's file.
        path: PathBuf,
        /// Its licence.
        licence: Licence,
    },
    /// A glob that is none, or matches nothing that is read.
    #[error("corpus.inputs: {path}: {problem}")]
    Glob {
        /// The pattern as configured.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// An evaluation set could not be read, so nothing could be kept out for it.
    #[error("corpus.evaluation_sets: {path}: {problem}")]
    EvaluationSet {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A data set's file is damaged: no row of it can be trusted.
    #[error("{path}: row {row}: {problem}")]
    Table {
        /// The file.
        path: PathBuf,
        /// The row, from 1, the header not counted; 0 for the header.
        row: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// A file or directory could not be read; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A record could not be made or a file not be hashed.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Judging an article ended without a result: a defect of ours, whose message stands before this one.
    #[error("an article's gates ended without a result")]
    Judge,
    /// Whoever receives the outcomes failed or wants no more of them.
    #[error("an outcome could not be taken: {0}")]
    Receiver(#[source] Box<dyn std::error::Error + Send + Sync>),
}
