//! GGUF files, llama.cpp's form of a model: one file with sizes, tokenizer and, mostly quantised, weights.
//!
//! - [`value`], `header`, [`file`]: reading one without trusting it; `writer`: writing one.
//! - [`architecture`]: which tensor is which parameter; `rope`, [`config`]: sizes; [`vocabulary`]: the tokenizer.
//! - [`import`]: a file as a Hugging Face directory; [`export`]: a directory as a file.
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. GGUF has no keys for dropout and the spread of
//! initial weights; an imported model has neither.

pub mod architecture;
pub mod config;
pub mod export;
pub mod file;
mod header;
pub mod import;
mod rope;
pub mod value;
pub mod vocabulary;
mod writer;

pub use architecture::Architecture;
pub use export::export;
pub use file::GgufFile;
pub use import::import;
