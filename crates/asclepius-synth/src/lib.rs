//! From a report to a note, from a note to an instruction and its answer: through a chat model, or by extraction.
//!
//! - [`config`]: the `[notes]` and `[instruct]` tables.
//! - [`notes`]: one call a report.
//! - [`instructions`]: for each task drawn for a note, one call that asks and one that answers.
//! - `pool`: questions asked before, which later ones must not repeat.
//! - [`prompts`]: the prompts under `data/prompts`, built in, each replaceable by a file.
//! - [`seeds`]: questions written by hand, a list a task, shown as examples.
//! - [`draw`]: which task, which examples, answerable or not: functions of the seed and the row's id alone.
//! - [`judge`]: what is written, rated by a model: one call a note or answer.
//! - [`estimate`]: what a run will ask, before it does.
//! - `faults`: why a text that came back is not taken.
//! - [`evidence`]: where in the note an answer stands.
//! - [`extractive`]: the teacher without a model.
//!
//! Rows come out in the order in which their sources went in, whatever order the calls end in.

pub mod config;
mod delivery;
pub mod draw;
pub mod estimate;
pub mod evidence;
pub mod extractive;
mod faults;
pub mod instructions;
pub mod judge;
pub mod notes;
mod pool;
pub mod prompts;
pub mod seeds;

use asclepius_llm::LlmError;
use asclepius_text::TextError;

pub use config::{InstructConfig, NoteType, NotesConfig};
pub use extractive::ExtractiveError;
pub use instructions::{InstructionOutcome, write_instructions};
pub use judge::Judge;
pub use notes::{NoteOutcome, write_notes};

/// What the receiver of rows may fail with.
pub type SinkError = Box<dyn std::error::Error + Send + Sync>;

/// What ends the writing of notes or instructions. What befalls one row is its outcome instead.
#[derive(Debug, thiserror::Error)]
pub enum SynthError {
    /// A key of the configuration holds what cannot be.
    #[error("{table}.{key} {problem}")]
    Config {
        /// `notes` or `instruct`.
        table: &'static str,
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A prompt file cannot be read, compiled or rendered.
    #[error(transparent)]
    Prompt(#[from] TextError),
    /// No further call can succeed.
    #[error(transparent)]
    Llm(#[from] LlmError),
    /// Whoever takes the rows could not.
    #[error("failed to take a finished row: {0}")]
    Sink(#[source] SinkError),
}
