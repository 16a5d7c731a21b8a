//! Tensor operations with a backward, over packed tokens: `t` is the number of all tokens of a micro-batch laid end to
//! end, there is no batch dimension.
//!
//! Shape letters: `t` tokens (queries), `s` keys, `h` query heads, `g` key/value heads, `d` features of a head or of the
//! hidden state, `v` vocabulary, `r` rank or rotated features.
//!
//! - [`parameter`]: named weights, frozen or trainable, and the flat buffer their gradients are summed in.
//! - [`linear`], [`lora`], [`embedding`], [`norm`], [`rope`], [`attention`], [`activation`], [`dropout`],
//!   [`cross_entropy`], [`seed`]: the operations. On the CPU in f32 and f64 those that cost time are kernels of their own;
//!   on a card those of [`gpu`] in f32, bf16 and f16; everywhere else an
//!   operation is its twin in [`reference`].
//! - [`tape`]: the same operations without candle's graph, for cards.
//! - [`gpu`]: the card's kernels, launched.
//! - [`cpu`]: the CPU kernels themselves, for code that writes a block's way there and back by hand.
//! - [`reference`]: the same operations composed of differentiable candle operations, slow and easy to check.
//! - [`nf4`], [`dynamic_code`]: numbers in 4 and in 8 bits.
//! - [`philox`]: random numbers that are a function of a key and an element's index.
//! - [`twin`]: a switch that runs the twins on the CPU, too.
//! - [`device`]: the only place that knows which devices this build can use.
//!
//! Operations know no layer, layers no model, models no loop.

pub mod activation;
pub mod attention;
pub mod cpu;
pub mod cross_entropy;
pub mod device;
pub mod documents;
pub mod dropout;
pub mod dynamic_code;
pub mod embedding;
mod error;
pub mod gpu;
mod kernel;
pub mod linear;
pub mod lora;
pub mod nf4;
pub mod norm;
pub mod parameter;
pub mod philox;
pub mod profile;
pub mod reference;
pub mod rope;
pub mod seed;
pub mod tape;
pub mod twin;

pub use activation::{Gelu, gelu, swiglu};
pub use attention::{AttentionOptions, attention};
pub use cross_entropy::{Targets, linear_cross_entropy};
pub use device::device;
pub use documents::Documents;
pub use dropout::dropout;
pub use embedding::embedding;
pub use error::{OpsError, Result};
pub use linear::linear;
pub use lora::lora;
pub use norm::{layer_norm, rms_norm};
pub use parameter::{GradientBuffer, Parameter};
pub use philox::PhiloxKey;
pub use rope::{RopeLayout, rope};
pub use seed::seed;
pub use tape::{Keeps, Tape};
pub use twin::{references_only, runs_references_only};
