//! Decoders that can be trained: Hugging Face weights in and out, low-rank adapters, generation, and what it all costs.
//!
//! - [`config`]: a decoder's sizes from a Hugging Face `config.json`; [`shapes`]: the tensors that follow from them.
//! - [`families`]: what tells Llama, Mistral, Qwen2, Qwen3, Phi and Phi-3 apart.
//! - [`rotary`], [`layers`], [`block`], [`decoder`]: the forward pass, from the positions up; `direct`: the same and its way
//!   back on slices, for the CPU.
//! - [`engine`]: loss and gradients, a block at a time; blocks run by `direct` on the CPU, by `taped` on a card, else by
//!   candle's graph.
//! - [`checkpoint`]: safetensors; [`adapter`]: LoRA and PEFT directories.
//! - [`gguf`]: GGUF files in and out; [`source`]: tensors one at a time, for writing another form of a model.
//! - [`generate`]: tokens from a prompt, with a key-value cache.
//! - [`encoder`]: sentence encoders, for texts that mean the same.
//! - [`plan`]: parameters and memory, from a configuration alone.
//!
//! Tokens lie end to end without padding or a batch dimension: `t` tokens of all documents of a micro-batch.

pub mod adapter;
pub mod block;
pub mod checkpoint;
pub mod config;
pub mod decoder;
mod direct;
pub mod encoder;
pub mod engine;
mod error;
pub mod families;
pub mod generate;
pub mod gguf;
pub mod layers;
pub mod plan;
mod precision;
pub mod rotary;
pub mod shapes;
pub mod source;
mod taped;

pub use adapter::{AllLinear, LoraConfig, LoraTargets};
pub use block::Cache;
pub use config::{Family, ModelConfig};
pub use decoder::{Context, Decoder, TrainableParameters};
pub use encoder::SentenceEncoder;
pub use engine::{
    Loss, MicroBatch, Recompute, add_gradients, add_scaled_gradients, evaluate, loss_and_gradients,
    loss_and_gradients_by_graph, loss_and_gradients_by_tape,
};
pub use error::{ModelError, Result};
pub use families::Activation;
pub use families::phi::Layout;
pub use generate::{Batch, Finish, Generation, Made, Sampling, generate, generate_batch, generate_each, generate_with};
pub use plan::{Method, Plan, PlanOptions, operations_per_token, plan};
pub use shapes::parameter_shapes;
pub use source::{Source, export_directory};
