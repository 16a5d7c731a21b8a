//! From rows to what a trainer reads: Parquet on disk, gates and splits, tokens with their loss mask, packing.
//!
//! Nothing here knows a model or a network. The way through the crate:
//!
//! - [`table`]: reports, notes and instructions as Parquet files, written and read as streams.
//! - [`mod@build`]: the dataset stage, on the [`config`] of its table; [`mod@split`] and [`licence`] are its decisions.
//! - [`tokens`]: rows to [`Document`]s, token ids and loss mask made together.
//! - [`packing`]: documents to [`Sequence`]s, none padded, every token once an epoch.
//! - [`plan`]: sequences to micro-batches, addressed by step so that a run can start anywhere.
//! - [`shuffle`]: the order of an epoch, a function of seed and epoch alone.

pub mod build;
pub mod config;
pub mod error;
pub mod licence;
pub mod packing;
pub mod plan;
pub mod shuffle;
pub mod split;
pub mod table;
pub mod tokens;

pub use build::{Inputs, Summary, build};
pub use config::{DatasetConfig, GatesConfig};
pub use error::DatasetError;
pub use licence::licence_of;
pub use packing::{Packing, Piece, Sequence, pack};
pub use plan::{Batch, Order, Plan, PlanConfig};
pub use table::{
    InstructionWriter, NoteWriter, ReportWriter, Rows, TextRow, TextRows, read_instructions, read_instructions_any,
    read_notes, read_reports, read_texts, write_rows,
};
pub use tokens::{Document, Tokenised, pretrain_documents, sft_documents};
