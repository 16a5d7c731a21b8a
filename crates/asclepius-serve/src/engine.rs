//! What the server asks of whoever writes the replies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use asclepius_schema::Message;

/// One question, checked and complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// One of [`Engine::models`].
    pub model: String,
    /// What is to be answered.
    pub prompt: Prompt,
    /// 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Only the likeliest tokens whose probabilities add up to this are drawn from; above 0.
    pub top_p: Option<f64>,
    /// Taken from a token's logit for every time it was made, -2 to 2.
    pub frequency_penalty: f64,
    /// Taken from a token's logit once it was made, -2 to 2.
    pub presence_penalty: f64,
    /// The most tokens the reply may have.
    pub max_tokens: usize,
    /// Of the draw.
    pub seed: u64,
    /// The reply ends before the first of these strings.
    pub stop: Vec<String>,
}

/// What a model goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// A conversation, not empty, that waits for the assistant.
    Conversation(Vec<Message>),
    /// A text to be continued as it stands.
    Text(String),
}

/// What the engine answered. Its text was handed out as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `stop` or `length`.
    pub finish_reason: &'static str,
    /// Tokens of the prompt, as the engine counts them.
    pub prompt_tokens: u32,
    /// Tokens of the reply, as the engine counts them.
    pub completion_tokens: u32,
}

/// Whether the one who asked has left. Clones speak of the same one.
#[derive(Debug, Clone, Default)]
pub struct Gone(Arc<AtomicBool>);

impl Gone {
    /// Nobody waits for the answer any more.
    pub fn leave(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether nobody waits for the answer any more.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The prompt is not one the engine can answer.
    #[error("{0}")]
    BadRequest(String),
    /// The prompt has more tokens than fit.
    #[error("the prompt has {tokens} tokens, but at most {limit} fit")]
    TooLong {
        /// Its tokens.
        tokens: usize,
        /// The most there may be.
        limit: usize,
    },
    /// Whoever asked left before the answer was complete.
    #[error("whoever asked has left")]
    Gone,
    /// The engine broke; the request may be sound.
    #[error("the engine failed: {0}")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Writes replies. Calls block and may run at the same time.
pub trait Engine: Send + Sync + 'static {
    /// The names it answers to. The last one is what a caller without a preference should take.
    fn models(&self) -> Vec<String>;

    /// Answers, handing out the text piece by piece as it is made, and gives up soon after `gone` is set.
    ///
    /// # Errors
    /// When the request cannot be answered, the engine fails, or whoever asked has left.
    fn answer(&self, request: &Request, gone: &Gone, on_text: &mut dyn FnMut(&str)) -> Result<Reply, EngineError>;

    /// Answers; the text comes whole.
    ///
    /// # Errors
    /// As [`Engine::answer`].
    fn complete(&self, request: &Request) -> Result<(String, Reply), EngineError> {
        let mut whole = String::new();
        let reply = self.answer(request, &Gone::default(), &mut |text| whole.push_str(text))?;
        Ok((whole, reply))
    }
}
