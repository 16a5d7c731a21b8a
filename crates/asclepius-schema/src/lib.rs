//! What the stages of Asclepius hand to each other, and how it lies on disk.
//!
//! This crate is the floor of the workspace: it knows no domain logic and no other crate of ours.
//!
//! - [`ids`]: article, report and patient identifiers.
//! - [`record`]: the rows that travel between stages: [`Report`], [`Note`], [`Instruction`].
//! - [`task`], [`licence`], [`reason`]: the closed vocabularies of those rows.
//! - [`chat`]: one message of a conversation, the only thing prompts, clients and servers share.
//! - [`figures`]: what a corpus is made of, counted.
//! - [`manifest`]: what a finished stage says about itself, with the conservation law checked.
//! - [`fingerprint`]: what decides whether a finished stage may be skipped.
//! - [`shard`]: a run's work in parts, for processes that know nothing of each other.
//! - [`stage_dir`]: directories that appear whole or not at all.
//! - [`dropped`]: the file that names every row that was left out, and why.

pub mod chat;
pub mod dropped;
pub mod figures;
pub mod fingerprint;
pub mod ids;
pub mod licence;
pub mod manifest;
pub mod reason;
pub mod record;
pub mod shard;
pub mod stage_dir;
pub mod task;

pub use chat::{Message, Role};
pub use dropped::{Dropped, DroppedWriter, read_dropped};
pub use figures::{ArticlesAndPatients, CorpusFigures, Count};
pub use fingerprint::{Fingerprint, hash_bytes};
pub use ids::{ArticleId, ReportId};
pub use licence::Licence;
pub use manifest::{Counts, Manifest, SCHEMA_VERSION, Standing, Tokens};
pub use reason::Reason;
pub use record::{Age, AgeUnit, CallLineage, CallRecord, Instruction, JudgeCall, Note, Report, Sex, Span, Split};
pub use shard::{PARTITIONS, Shard, partition};
pub use stage_dir::{PARTIAL_FILE_PREFIX, StageDir, write_atomically};
pub use task::Task;

/// What can go wrong on the way to and from disk.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A file or directory could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A JSON file is not what this version writes.
    #[error("{path}: not a readable {what}: {source}")]
    Json {
        /// The damaged file.
        path: std::path::PathBuf,
        /// What the file should hold.
        what: &'static str,
        /// The parser's own words.
        source: serde_json::Error,
    },
    /// A manifest's counts do not add up.
    #[error("{stage}: {input} {unit}s in, but {out} out + {dropped} dropped + {pending} pending")]
    Unbalanced {
        /// The stage that lost or invented rows.
        stage: String,
        /// What is counted.
        unit: String,
        /// Rows that came in.
        input: u64,
        /// Rows that went out.
        out: u64,
        /// Rows dropped, over all reasons.
        dropped: u64,
        /// Rows still unanswered.
        pending: u64,
    },
    /// An identifier does not have the shape it must have.
    #[error("{value:?} is not {expected}")]
    Id {
        /// What was given.
        value: String,
        /// The shape that was wanted.
        expected: &'static str,
    },
}
