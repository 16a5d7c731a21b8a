//! What can go wrong in an evaluation or a report.

use std::path::PathBuf;

/// An evaluation or a report failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvalError {
    /// A setting makes no sense.
    #[error("eval.{key} {problem}")]
    Config {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A prompt could not be made, or does not fit.
    #[error("{model}, row {row}: {source}")]
    Prompt {
        /// The row.
        row: String,
        /// The model it was for.
        model: String,
        /// What happened.
        source: Box<asclepius_text::TextError>,
    },
    /// The chat client stopped.
    #[error("{model}: {source}")]
    Llm {
        /// The model behind the endpoint.
        model: String,
        /// What happened.
        source: Box<asclepius_llm::LlmError>,
    },
    /// An endpoint answered nothing for now.
    #[error(
        "{model}: {pending} of {questions} questions are still pending ({detail}); the same command asks for them again"
    )]
    Pending {
        /// The model behind the endpoint.
        model: String,
        /// Questions without an answer.
        pending: usize,
        /// Questions in all.
        questions: usize,
        /// Why, for the first of them.
        detail: String,
    },
    /// There are no rows to draw examples from.
    #[error("eval.shots = {shots}: {path} has no answerable row of another article for {row}", path = path.display())]
    NoExamples {
        /// Examples asked for.
        shots: usize,
        /// Where they would be drawn from.
        path: PathBuf,
        /// The question.
        row: String,
    },
    /// A note whose report is not at hand.
    #[error(
        "eval.realism: the report of note {note} is not in {reports}; it takes the reports the notes were written from",
        reports = reports.display()
    )]
    NoReport {
        /// The note.
        note: String,
        /// Where its report should be.
        reports: PathBuf,
    },
    /// A set is not a parquet file.
    #[error("eval.sets: {path} is not a .parquet file", path = path.display())]
    NotParquet {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A JSON file is not what this version writes.
    #[error("{path}: not readable: {source}", path = path.display())]
    Json {
        /// The damaged file.
        path: PathBuf,
        /// The parser's own words.
        source: serde_json::Error,
    },
    /// A sheet of ratings, or its key, is not what it should be.
    #[error("{path}{place}: {problem}", path = path.display(), place = place(*line))]
    Ratings {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 for the whole file.
        line: u64,
        /// What is wrong there.
        problem: String,
    },
    /// A sheet could not be written.
    #[error("a sheet could not be written: {0}")]
    Csv(#[from] csv::Error),
    /// A record or manifest could not be read.
    #[error(transparent)]
    Schema(#[from] asclepius_schema::SchemaError),
    /// A parquet file or a token plan is wrong.
    #[error(transparent)]
    Dataset(#[from] asclepius_dataset::DatasetError),
    /// A text could not be tokenised or rendered.
    #[error(transparent)]
    Text(#[from] asclepius_text::TextError),
    /// A model failed.
    #[error("{model}: {source}")]
    Model {
        /// The model under test.
        model: String,
        /// What happened.
        source: Box<asclepius_model::ModelError>,
    },
    /// A plot could not be drawn.
    #[error("a plot could not be drawn: {0}")]
    Plot(String),
    /// The page's template failed.
    #[error("the report's template failed: {0}")]
    Template(#[from] minijinja::Error),
}

fn place(line: u64) -> String {
    if line == 0 { String::new() } else { format!(", line {line}") }
}
