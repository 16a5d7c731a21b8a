//! A block's way there and back written out on slices, for the CPU: no graph is built, gradients are added where they are
//! summed, buffers are used again in place. Every other device and type takes [`crate::block`] and candle's graph; both are
//! held to each other and to PyTorch.
//!
//! - [`linear`]: a projection with its bias and adapter.
//! - [`attention`], [`feed_forward`]: the two branches of a block.
//! - [`block`]: norms and residual around them.
//! - [`decoder`]: embedding, blocks and head; loss and gradients; the next token's scores.
//!
//! What is kept for the way back, besides a block's input: queries, keys and values, attention's output and normalisers,
//! the feed-forward layer's projections. Activations are made again in the pass that needs their derivative anyway, norms
//! unless `recompute = "none"`.

mod attention;
mod block;
mod decoder;
mod feed_forward;
mod linear;

use asclepius_ops::PhiloxKey;
use asclepius_ops::cpu::{Host, Real};
use candle_core::DType;

use crate::{Context, Decoder, Result};

pub(crate) use attention::DirectCache;
pub(crate) use decoder::{evaluate, loss_and_gradients, next_scores};

/// The type a decoder can be run in on slices, if any: on the CPU, f32 or f64 with adapters of the same type.
pub(crate) fn scalar(decoder: &Decoder) -> Option<DType> {
    let dtype = decoder.dtype();
    let possible = decoder.device().is_cpu()
        && matches!(dtype, DType::F32 | DType::F64)
        && !asclepius_ops::runs_references_only()
        && decoder.parameters().iter().all(|parameter| parameter.value().dtype() == dtype);
    possible.then_some(dtype)
}

/// How much of the forward pass is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// Nothing: there is no way back.
    Nothing,
    /// What cannot be made again without a matrix product.
    Products,
    /// Norms as well.
    Everything,
}

/// What every block of a micro-batch is given beside its input.
struct Surroundings<'a, R> {
    documents: &'a asclepius_ops::Documents,
    cos: &'a [R],
    sin: &'a [R],
    dropout: Option<PhiloxKey>,
}

/// Runs `work` with the context's angles as slices.
fn surrounded<R: Real, T>(context: &Context, work: impl FnOnce(&Surroundings<'_, R>) -> Result<T>) -> Result<T> {
    let (cos, sin) = (Host::new(&context.cos), Host::new(&context.sin));
    work(&Surroundings {
        documents: &context.documents,
        cos: cos.slice()?,
        sin: sin.slice()?,
        dropout: context.dropout,
    })
}
