//! What a model learned, and a page that shows it.
//!
//! - [`config`]: the `[eval]` table.
//! - [`sets`]: the rows no model was trained on.
//! - [`candidate`]: a model under test; [`held_out`]: its loss; [`answers`], [`few_shot`], [`endpoint`]: what it says.
//! - [`measures`]: what an answer is worth, task by task; [`statistics`]: how sure that is; [`evaluate`]: both as tables.
//! - [`realism`]: what a model trained on real notes makes of the synthetic ones.
//! - [`judge`]: a chat model's ratings of all models' answers, blind.
//! - [`results`]: what lies in `eval/`; [`harness`]: the same for readers of lm-evaluation-harness.
//! - [`gather`]: a run's directory as facts; [`page`]: the facts as one HTML file; [`markdown`]: as Markdown;
//!   [`scoreboard`]: the evaluation in both; [`plot`]: curves; [`card`], [`model_card`]: the cards of dataset and model;
//!   [`corpus`]: what the case reports are.
//! - [`review`]: rows for clinicians to rate blind, and their ratings; [`agreement`]: how far raters agree.

pub mod agreement;
pub mod answers;
pub mod candidate;
pub mod card;
pub mod config;
pub mod corpus;
pub mod endpoint;
mod error;
pub mod evaluate;
pub mod few_shot;
pub mod files;
pub mod gather;
pub mod harness;
pub mod held_out;
pub mod judge;
pub mod markdown;
pub mod measures;
pub mod model_card;
pub mod page;
pub mod plot;
pub mod realism;
pub mod results;
pub mod review;
pub mod scoreboard;
pub mod sets;
pub mod statistics;
#[cfg(test)]
mod test_rows;

pub use answers::{Answer, Asking, BATCH, Question};
pub use candidate::Candidate;
pub use config::{Compared, EvalConfig};
pub use error::EvalError;
pub use evaluate::evaluate;
pub use few_shot::Examples;
pub use gather::RunFacts;
pub use page::render;
pub use realism::RealismTexts;
pub use results::{Evaluation, Kind, ModelOutcome, ModelUnderTest, Prediction, Settings};
pub use sets::{HeldOutSets, Lengths};
