//! An OpenAI-compatible server over an engine, so that whatever speaks to a chat API speaks to our models too.
//!
//! - [`engine`]: what the server asks of whoever writes the replies.
//! - [`server`]: `/v1/models`, `/v1/chat/completions`, `/health`; limits and shutdown.
//! - `request`, `response`: the shapes on the wire, and every way a request can be wrong.
//! - [`model`]: a model of ours, with adapters, as an engine.
//!
//! A reply comes whole: streaming is refused in words, not by silence.

pub mod engine;
pub mod model;
mod request;
mod response;
pub mod server;

pub use engine::{ChatReply, ChatRequest, Engine, EngineError};
pub use model::{MOST_TOGETHER, ModelEngine};
pub use server::{ServeOptions, serve};

/// What can keep a server from starting or going on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener failed.
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
