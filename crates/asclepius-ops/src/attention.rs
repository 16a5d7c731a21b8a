//! Attention inside documents: causal, grouped-query, optionally within a sliding window.

use candle_core::Tensor;

use crate::linear::expect;
use crate::{Documents, OpsError, Result, reference};

/// What attention needs beside its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionOptions {
    /// Multiplies the scores, usually `1 / sqrt(d)`.
    pub scale: f64,
    /// How many keys a query sees at most, itself included; all earlier ones without it.
    pub window: Option<usize>,
}

/// `softmax(q kᵀ scale) v` over the keys of the same document up to the query's own position:
/// `q [t, h, d]`, `k [s, g, d]`, `v [s, g, d]` -> `[t, h, d]`; query head `i` reads key head `i / (h/g)`.
///
/// # Errors
/// When the shapes do not fit, or `documents` does not cover them.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    documents: &Documents,
    options: &AttentionOptions,
) -> Result<Tensor> {
    let (_, h, d) = q.dims3()?;
    let (_, g, _) = k.dims3()?;
    expect("attention", "q", &[documents.query_tokens(), h, d], q.dims())?;
    expect("attention", "k", &[documents.key_tokens(), g, d], k.dims())?;
    expect("attention", "v", &[documents.key_tokens(), g, d], v.dims())?;
    if g == 0 || h % g != 0 {
        return Err(OpsError::Shape {
            operation: "attention",
            what: "heads of k, which must divide those of q,",
            expected: vec![h],
            found: vec![g],
        });
    }
    reference::attention(q, k, v, documents, options)
}
