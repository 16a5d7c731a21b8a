//! An OpenAI-compatible server over an engine, so that whatever speaks to a chat API speaks to our models too, and a page
//! to try them on.
//!
//! - [`engine`]: what the server asks of whoever writes the replies.
//! - [`server`]: `/v1/models`, `/v1/chat/completions`, `/v1/completions`, `/health`; limits and shutdown; `access`: who may
//!   ask.
//! - `request`, `response`: the shapes on the wire, and every way a request can be wrong; `answer`: from the one to the
//!   other, whole or streamed.
//! - [`page`]: the page at `/`, and the verdicts that are left there.
//! - [`model`]: models of ours as an engine; `worker`: the thread that runs them; `growing`: tokens to text, cut at stop
//!   strings.

mod access;
mod answer;
mod connections;
pub mod engine;
mod growing;
pub mod model;
pub mod page;
mod request;
mod response;
pub mod server;
mod worker;

pub use engine::{Engine, EngineError, Gone, Prompt, Reply, Request};
pub use model::{ModelEngine, Voice};
pub use page::{Page, Question, Sample, TaskExamples};
pub use server::{ServeOptions, serve};
pub use worker::MOST_TOGETHER;

/// What can keep a server from starting or going on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener failed, or a thread could not be started.
    #[error("the server stopped: {0}")]
    Io(#[from] std::io::Error),
    /// A model or adapter could not be loaded.
    #[error(transparent)]
    Model(#[from] asclepius_model::ModelError),
    /// A tokenizer or template could not be loaded.
    #[error(transparent)]
    Text(#[from] asclepius_text::TextError),
    /// Two models would answer to one name.
    #[error("two of the directories would be served as {name:?}: rename one")]
    SameName {
        /// The name.
        name: String,
    },
}
