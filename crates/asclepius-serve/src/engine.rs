//! What the server asks of whoever writes the replies.

use asclepius_schema::Message;

/// One question, checked and complete.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    /// One of [`Engine::models`].
    pub model: String,
    /// The conversation; not empty.
    pub messages: Vec<Message>,
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Only the likeliest tokens whose probabilities add up to this are drawn from.
    pub top_p: Option<f64>,
    /// The most tokens the reply may have.
    pub max_tokens: usize,
    /// Of the draw.
    pub seed: u64,
    /// The reply ends before the first of these strings.
    pub stop: Vec<String>,
}

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatReply {
    /// The text.
    pub text: String,
    /// `stop` or `length`.
    pub finish_reason: String,
    /// Tokens of the conversation, as the engine counts them.
    pub prompt_tokens: u32,
    /// Tokens of the reply, as the engine counts them.
    pub completion_tokens: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The conversation is not one the engine can answer.
    #[error("{0}")]
    BadRequest(String),
    /// The conversation has more tokens than fit.
    #[error("the conversation has {tokens} tokens, but at most {limit} fit")]
    TooLong {
        /// Its tokens.
        tokens: usize,
        /// The most there may be.
        limit: usize,
    },
    /// The engine broke; the request may be sound.
    #[error("the engine failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Writes replies. Calls block and may run at the same time.
pub trait Engine: Send + Sync + 'static {
    /// The names it answers to. The last one is what a caller without a preference should take.
    fn models(&self) -> Vec<String>;

    /// Answers.
    ///
    /// # Errors
    /// When the request cannot be answered, or the engine fails.
    fn complete(&self, request: &ChatRequest) -> Result<ChatReply, EngineError>;
}
