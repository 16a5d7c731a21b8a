//! From rows to what a trainer reads: Parquet on disk, gates and splits, tokens with their loss mask, packing.
//!
//! Nothing here knows a model or a network. The way through the crate:
//!
//! - [`table`]: reports, notes and instructions as Parquet files, written and read as streams.
//! - [`mod@build`]: the dataset stage, on the [`config`] of its table; [`mod@split`] and [`licence`] are its decisions.
//! - [`near_duplicates`], [`contamination`]: what a row shares with other rows, and with evaluation sets; [`membership`]:
//!   what the rows tell of the reports behind them.
//! - [`tokens`]: rows to [`Document`]s, token ids and loss mask made together.
//! - [`mod@in_order`]: rows worked on by all threads, handed on in their order.
//! - [`token_file`], [`token_cache`]: documents in a mapped file, kept from one run to the next.
//! - [`documents`]: documents in memory or in such a file, as a plan reads them.
//! - [`packing`]: documents to [`Sequence`]s, none padded, every token once an epoch.
//! - [`plan`]: sequences to micro-batches, addressed by step so that a run can start anywhere.
//! - [`shuffle`]: the order of an epoch, a function of seed and epoch alone.

pub mod build;
pub mod config;
pub mod contamination;
pub mod documents;
pub mod error;
pub mod in_order;
pub mod licence;
pub mod membership;
pub mod near_duplicates;
pub mod packing;
pub mod plan;
pub mod shuffle;
pub mod split;
pub mod table;
pub mod token_cache;
pub mod token_file;
pub mod tokens;

pub use build::{Encoder, Exhibits, Inputs, Judge, Models, RatingFigures, Summary, Texts, build, build_with};
pub use config::{DatasetConfig, GatesConfig};
pub use contamination::EvaluationSets;
pub use documents::Documents;
pub use error::DatasetError;
pub use in_order::in_order;
pub use licence::{Terms, Whole};
pub use membership::Membership;
pub use packing::{Packing, Piece, Sequence, pack};
pub use plan::{Batch, Order, Plan, PlanConfig};
pub use table::{
    CallWriter, InstructionWriter, NoteWriter, ReportWriter, Rows, TEXT_FILES, TextRow, TextRows, read_calls,
    read_instructions, read_instructions_any, read_notes, read_reports, read_texts, write_rows,
};
pub use token_cache::{Side, SideWriters, Sides, TokenCache};
pub use token_file::{TokenFile, TokenWriter};
pub use tokens::{
    Document, RowTokens, Tally, Tokenised, instruction_bytes, pretrain_documents, pretrain_row, sft_documents, sft_row,
    text_bytes,
};
