//! What a model learned, and a page that shows it.
//!
//! - [`config`]: the `[eval]` table.
//! - [`sets`]: the rows no model was trained on.
//! - [`candidate`]: a model under test; [`held_out`]: its loss; [`answers`]: what it says.
//! - `results`: `eval/report.json`.
//! - [`gather`]: a run's directory as facts; [`page`]: the facts as one HTML file; [`plot`]: its curves; [`card`]: the
//!   dataset card; [`corpus`]: what the case reports are.
//! - [`review`]: rows for clinicians to rate blind, and their ratings; [`agreement`]: how far raters agree.
//!
//! Absent so far: a judge model, few-shot prompts, confidence intervals, models behind an endpoint.

pub mod agreement;
pub mod answers;
pub mod candidate;
pub mod card;
pub mod config;
pub mod corpus;
mod error;
pub mod gather;
pub mod held_out;
pub mod page;
pub mod plot;
pub mod results;
pub mod review;
pub mod sets;

pub use answers::{BATCH, Question, score};
pub use candidate::Candidate;
pub use config::EvalConfig;
pub use error::EvalError;
pub use gather::RunFacts;
pub use page::render;
pub use results::{AnsweredQuestion, Evaluation, GeneratedAnswer, HeldOutLoss};
pub use sets::{HeldOutSets, Lengths};
