//! Tokenizers, prompt and chat templates, quality gates: pure functions over text.
//!
//! - [`tokenizer`]: text to token ids and back; loading, training and saving in the Hugging Face layout.
//! - [`template`]: note, question and answer to token ids with their loss mask, made together.
//! - [`prompt`]: a teacher's prompt file to chat messages.
//! - [`abbreviations`]: the shared table of clinical shorthand.
//! - [`sentences`]: where one sentence ends and the next begins.
//! - [`gates`]: evidence to verdict, for every row that could enter the dataset.
//! - [`judge`]: what a judge model is shown, by which rubric it rates, what its reply says.
//! - [`normalise`]: the form in which two texts count as the same.
//! - [`shingles`]: a text as a set of word sequences; [`minhash`]: such sets in short, to find those that are alike.
//! - [`style`]: shorthand, haste and headings, put on a note without a change of what it says.
//! - [`score`]: an answer against a reference, by the measures of each task.
//!
//! Nothing here knows a stage, a network or a tensor. Files are touched only where a tokenizer or template is loaded
//! or saved.

pub mod abbreviations;
pub mod gates;
mod jinja;
pub mod judge;
pub mod minhash;
pub mod normalise;
pub mod prompt;
pub mod score;
pub mod sentences;
pub mod shingles;
pub mod style;
pub mod template;
pub mod tokenizer;

use std::path::PathBuf;

use asclepius_schema::SchemaError;

pub use gates::{Gate, GatesConfig, Verdict};
pub use judge::{Assessment, Exhibit, JudgePrompts, Judged, Rating, Subject};
pub use normalise::normalise_for_duplicates;
pub use prompt::Prompt;
pub use style::Style;
pub use template::{Encoded, InstructionTemplate, Piece};
pub use tokenizer::{SpecialNames, TextTokenizer, TokenKind, Vocabulary, VocabularyModel};

/// What can go wrong between text and tokens.
#[derive(Debug, thiserror::Error)]
pub enum TextError {
    /// A file could not be read; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] SchemaError),
    /// A tokenizer file is not one.
    #[error("{path}: not a readable tokenizer: {source}")]
    TokenizerFile {
        /// The file.
        path: PathBuf,
        /// The tokenizer library's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A JSON file beside the tokenizer is damaged.
    #[error("{path}: not readable JSON: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's own words.
        source: serde_json::Error,
    },
    /// The tokenizer library refused a text, an id or a training set.
    #[error("tokenizer failed to {action}: {source}")]
    Tokenizer {
        /// What was asked of it.
        action: &'static str,
        /// The tokenizer library's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A tokenizer configuration names a special token that the vocabulary does not hold.
    #[error("{path}: {role} {token:?} is not in the tokenizer's vocabulary")]
    UnknownSpecial {
        /// The configuration file.
        path: PathBuf,
        /// Which special token.
        role: &'static str,
        /// Its text.
        token: String,
    },
    /// A tokenizer cannot be had from, or put in, the form GGUF files hold one in.
    #[error("{key}: {problem}")]
    Vocabulary {
        /// The key of the GGUF file or of `tokenizer.json`.
        key: &'static str,
        /// What is wrong there.
        problem: String,
    },
    /// A template does not parse or does not render.
    #[error("template {name}: {source}")]
    Template {
        /// The template's name or path.
        name: String,
        /// The template engine's own words.
        source: minijinja::Error,
    },
    /// A template renders, but not to what is needed.
    #[error("template {name}: {problem}")]
    TemplateShape {
        /// The template's name or path.
        name: String,
        /// What is wrong with the result.
        problem: &'static str,
    },
    /// `template = "chat"`, but the base has no chat template.
    #[error("the base model's tokenizer has no chat template; use \"asclepius\" or a template file")]
    NoChatTemplate,
    /// Nothing tells the model where an answer ends.
    #[error("template {name}: neither the template nor the tokenizer has a token that ends an answer")]
    NoEnd {
        /// The template's name or path.
        name: String,
    },
    /// A prompt file has no or unknown sections.
    #[error("prompt {name}, line {line}: {problem}")]
    PromptShape {
        /// The prompt's name or path.
        name: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        problem: &'static str,
    },
    /// A gate's threshold can never be met or never be missed.
    #[error("gate {gate}: threshold {threshold} is out of range; use {expected}, or false to switch the gate off")]
    Threshold {
        /// The gate's key.
        gate: &'static str,
        /// What was set.
        threshold: f32,
        /// What can be set.
        expected: &'static str,
    },
    /// The row does not fit, however much of the note is left out.
    #[error("{needed} tokens are needed without any of the note, but only {max_tokens} are allowed")]
    DoesNotFit {
        /// Tokens of the row with an empty note.
        needed: usize,
        /// Tokens allowed.
        max_tokens: usize,
    },
}
