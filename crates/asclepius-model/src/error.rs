//! What can go wrong with a model.

use std::path::PathBuf;

use asclepius_ops::OpsError;

/// Errors of this crate; files, keys and tensors are fields.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file or directory could not be read or written; the message names it.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// An operation failed.
    #[error(transparent)]
    Ops(#[from] OpsError),
    /// candle refused an operation.
    #[error(transparent)]
    Candle(#[from] candle_core::Error),
    /// A JSON file cannot be parsed.
    #[error("{path}: not readable JSON: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// The parser's own words.
        source: serde_json::Error,
    },
    /// A configuration lacks a key, or holds what this version cannot compute with.
    #[error("{path}: {key}: {problem}")]
    Config {
        /// The file, or what stands for it.
        path: PathBuf,
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A `model_type` that is not known.
    #[error("{path}: model_type {found:?} is not known; known are llama, mistral, qwen2, qwen3, phi, phi3")]
    UnknownFamily {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A weight file that is not what it says.
    #[error("{path}: damaged safetensors file: {problem}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Weights as pickled Python objects, which can run code when they are read.
    #[error("{path}: holds {found} and no .safetensors file; only safetensors and GGUF are read")]
    OnlyPickle {
        /// The directory.
        path: PathBuf,
        /// The file there is.
        found: String,
    },
    /// The index of a sharded checkpoint does not fit its files.
    #[error("{path}: {tensor}: {problem}")]
    Index {
        /// The index.
        path: PathBuf,
        /// The tensor or file it names.
        tensor: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A GGUF file that is damaged, or holds what is not read.
    #[error("{path}: {place}: {problem}")]
    Gguf {
        /// The file.
        path: PathBuf,
        /// The key or tensor.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A model with something that GGUF, or llama.cpp, has no place for.
    #[error("GGUF has no form for {what}")]
    NoGgufForm {
        /// The key or tensor.
        what: String,
    },
    /// A tokenizer cannot be read, or has no form in the file that is written.
    #[error("{path}: tokenizer: {source}")]
    Tokenizer {
        /// The directory or file.
        path: PathBuf,
        /// The text crate's own words.
        source: asclepius_text::TextError,
    },
    /// More tokens than the embedding has rows.
    #[error("{path}: the tokenizer has {tokens} tokens, the embedding {rows} rows")]
    TokenCount {
        /// The directory or file.
        path: PathBuf,
        /// Tokens.
        tokens: usize,
        /// Rows.
        rows: usize,
    },
    /// A weight too large for the type it was to be written in.
    #[error("{tensor}: a weight of {largest} does not fit float16; use bf16 or f32")]
    OutOfRange {
        /// The tensor.
        tensor: String,
        /// Its largest weight.
        largest: f32,
    },
    /// What is to be written is there already.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// A checkpoint's tensors are not the model's.
    #[error(
        "{path}: tensors do not fit the configuration: missing {missing:?}, unexpected {unexpected:?}, of another shape {misshapen:?}"
    )]
    Tensors {
        /// The directory or file.
        path: PathBuf,
        /// Tensors the model needs that are not there.
        missing: Vec<String>,
        /// Tensors there that the model does not have.
        unexpected: Vec<String>,
        /// Tensors whose shape differs: name, shape in the file, shape by the configuration.
        misshapen: Vec<String>,
    },
    /// A LoRA target that matches no linear layer.
    #[error("lora target {target:?} matches nothing; there are {available:?}")]
    NoSuchTarget {
        /// The target as given.
        target: String,
        /// The last parts of the names of all linear layers of the blocks.
        available: Vec<String>,
    },
    /// A LoRA setting out of range.
    #[error("lora.{key} is {value}, expected {expected}")]
    Lora {
        /// The key.
        key: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Adapters are attached already.
    #[error("the model already has adapters: merge them first")]
    AlreadyAdapted,
    /// Weights in 4 bits were to be trained or written.
    #[error("{tensor} is held in NF4: it can be neither trained nor written; take the model as published")]
    Quantised {
        /// The first such weight.
        tensor: String,
    },
    /// There is no adapter to save or merge.
    #[error("the model has no adapters")]
    NotAdapted,
    /// An adapter that would change nothing.
    #[error("{tensor} is all zero: the adapter would change nothing")]
    EmptyAdapter {
        /// The first such tensor.
        tensor: String,
    },
    /// A trainable parameter whose gradient would be lost.
    #[error("{tensor} is trainable but in no gradient buffer")]
    NoGradientBuffer {
        /// The parameter.
        tensor: String,
    },
    /// A loss that is no number.
    #[error("the loss is {0}")]
    NotFinite(f64),
    /// Tokens, positions and documents of a micro-batch do not fit each other.
    #[error("a micro-batch of {tokens} tokens has {positions} positions and documents over {covered} tokens")]
    MicroBatch {
        /// Token ids.
        tokens: usize,
        /// Positions.
        positions: usize,
        /// Tokens the documents cover.
        covered: usize,
    },
    /// A prompt without tokens, or longer than the model's context.
    #[error("a prompt of {tokens} tokens: expected 1 to {limit}")]
    Prompt {
        /// Tokens in the prompt.
        tokens: usize,
        /// The most there may be.
        limit: usize,
    },
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, ModelError>;
