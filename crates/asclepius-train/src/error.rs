//! What can go wrong while training, each case with what a user needs in order to act on it.

use std::fmt;
use std::path::PathBuf;

/// Everything that stops a training stage.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting is impossible in itself or beside another one.
    #[error("{table}.{key}: {problem}")]
    Setting {
        /// The pipeline table, `pretrain` or `sft`.
        table: &'static str,
        /// The key in that table, dotted where it lies deeper.
        key: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The model has nothing to train.
    #[error("the model has no trainable parameter")]
    NothingTrainable,
    /// A global batch without a single supervised token, whose mean loss would be 0 / 0.
    #[error("step {step}: no token of the global batch is supervised{}", listed("; it holds the rows ", rows))]
    NothingSupervised {
        /// The optimizer step, from 1.
        step: u64,
        /// Ids of the documents of the batch, as far as they can be told.
        rows: Vec<String>,
    },
    /// Held-out data without a single supervised token.
    #[error("no token of the held-out data is supervised")]
    NothingHeldOut,
    /// Loss or gradient norm is NaN or infinite. The last checkpoint is untouched.
    #[error(
        "step {step}: {what} is {value}{}{}; {}",
        listed("; no finite number everywhere in ", tensors),
        listed("; the micro-batch holds the rows ", rows),
        kept(last_checkpoint.as_ref())
    )]
    NotFinite {
        /// The optimizer step, from 1.
        step: u64,
        /// `loss`, `held-out loss` or `gradient norm`.
        what: &'static str,
        /// The value met.
        value: f64,
        /// Weights, or gradients where it is about their norm, that hold a NaN or an infinity.
        tensors: Vec<String>,
        /// Ids of the documents of the micro-batch, as far as they can be told.
        rows: Vec<String>,
        /// The newest checkpoint, written before the failure.
        last_checkpoint: Option<PathBuf>,
    },
    /// The disk has no room for a checkpoint or the result. What was there before is untouched.
    #[error("{}: needs {needed} bytes, the file system has room for {available}", directory.display())]
    NoRoom {
        /// The directory that was to be written.
        directory: PathBuf,
        /// Bytes it would take.
        needed: u64,
        /// Bytes there are.
        available: u64,
    },
    /// Trainable tensors that no gradient reached, or a broken one.
    #[error("step {step}: no finite, non-zero gradient reached {}", names.join(", "))]
    NoGradient {
        /// The optimizer step of the check, from 1.
        step: u64,
        /// Their names, as in the checkpoint, sorted.
        names: Vec<String>,
    },
    /// LoRA's B is still zero after training: the adapter would change nothing.
    #[error("the adapter would change nothing, B is still zero in {}", names.join(", "))]
    IdleAdapter {
        /// Names of the B matrices, sorted.
        names: Vec<String>,
    },
    /// The run on disk was made from other data or settings.
    #[error("{}: made from other data or settings; train afresh to replace it", directory.display())]
    Stale {
        /// The newest step directory.
        directory: PathBuf,
    },
    /// A checkpoint is not what this version wrote.
    #[error("{}: {problem}", path.display())]
    Checkpoint {
        /// The damaged file.
        path: PathBuf,
        /// What is wrong with it.
        problem: CheckpointProblem,
    },
    /// metrics.jsonl is damaged before its last line.
    #[error("{}, line {line}: not a metrics row: {source}", path.display())]
    Metrics {
        /// The damaged file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's own words.
        source: serde_json::Error,
    },
    /// No model of that name is known to the benchmark.
    #[error("no model is called {name}; known: {known}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A file or directory could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file could not be published.
    #[error(transparent)]
    Schema(#[from] asclepius_schema::SchemaError),
    /// The data could not be laid into batches.
    #[error(transparent)]
    Dataset(Box<asclepius_dataset::DatasetError>),
    /// The model could not be run or saved.
    #[error(transparent)]
    Model(Box<asclepius_model::ModelError>),
    /// An op failed.
    #[error(transparent)]
    Ops(#[from] asclepius_ops::OpsError),
    /// A tensor operation failed.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
}

// These two carry lists of names; boxed, they do not make every result of this crate large.
impl From<asclepius_dataset::DatasetError> for TrainError {
    fn from(error: asclepius_dataset::DatasetError) -> Self {
        Self::Dataset(Box::new(error))
    }
}

impl From<asclepius_model::ModelError> for TrainError {
    fn from(error: asclepius_model::ModelError) -> Self {
        Self::Model(Box::new(error))
    }
}

fn kept(last_checkpoint: Option<&PathBuf>) -> String {
    match last_checkpoint {
        Some(path) => format!("the last good checkpoint is {}", path.display()),
        None => "no checkpoint had been written yet".to_owned(),
    }
}

/// Names after a lead-in, the first few of many; nothing where there are none.
fn listed(lead: &str, names: &[String]) -> String {
    const SHOWN: usize = 5;
    if names.is_empty() {
        return String::new();
    }
    let more = names.len().saturating_sub(SHOWN);
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{lead}{}{rest}", names[..names.len() - more].join(", "))
}

/// What is wrong with a setting.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// It must be above zero.
    NotPositive,
    /// It lies outside its range.
    Outside {
        /// The value given.
        value: f64,
        /// The range in words.
        range: &'static str,
    },
    /// It is not a multiple of another setting.
    NotAMultiple {
        /// The value given.
        value: usize,
        /// The other key.
        of: &'static str,
        /// The other key's value.
        by: usize,
    },
    /// It cannot stand beside another setting.
    Conflict {
        /// The other setting, as `key = value`.
        with: &'static str,
    },
    /// It has no meaning in this table.
    OtherStage {
        /// The table it belongs to.
        belongs_to: &'static str,
    },
    /// It is missing, and something else asks for it.
    Missing {
        /// Why it is needed.
        because: &'static str,
    },
    /// It is not one of the known forms.
    Unknown {
        /// The value given.
        value: String,
        /// The forms known.
        known: &'static str,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPositive => formatter.write_str("must be above 0"),
            Self::Outside { value, range } => write!(formatter, "{value} is not {range}"),
            Self::NotAMultiple { value, of, by } => write!(formatter, "{value} is not a multiple of {of} = {by}"),
            Self::Conflict { with } => write!(formatter, "cannot stand beside {with}"),
            Self::OtherStage { belongs_to } => write!(formatter, "has a meaning in [{belongs_to}] only"),
            Self::Missing { because } => write!(formatter, "is missing: {because}"),
            Self::Unknown { value, known } => write!(formatter, "{value:?} is not {known}"),
        }
    }
}

/// What is wrong with a file of a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointProblem {
    /// The JSON does not parse.
    #[error("not a readable state file: {0}")]
    Json(#[from] serde_json::Error),
    /// Another version of this program wrote it, in another layout.
    #[error("layout version {found}, this version reads {expected}")]
    Version {
        /// The version on disk.
        found: u32,
        /// The version this program writes.
        expected: u32,
    },
    /// A tensor is not there.
    #[error("holds no tensor {0}")]
    MissingTensor(String),
    /// A tensor has another shape than the model's.
    #[error("{name} has shape {found:?}, the model needs {expected:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Shape on disk.
        found: Vec<usize>,
        /// Shape in the model.
        expected: Vec<usize>,
    },
    /// A tensor that belongs to nothing in the model.
    #[error("holds {0}, which the model does not train")]
    UnexpectedTensor(String),
}
