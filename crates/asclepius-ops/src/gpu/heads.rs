//! Attention on the card in plain products, a chunk of queries at a time: what is left where FlashAttention has no kernel.
//! Only a chunk's weights exist at once, and the way back computes them again.

use std::ops::Range;

use candle_core::{DType, Result, Tensor};

use super::{attention_weights, attention_weights_backward};
use crate::documents::Document;
use crate::{AttentionOptions, Documents};

/// Weights of a chunk: numbers that exist together.
const WEIGHTS: usize = 1 << 26;

/// Some queries of a document, and the keys up to the last that one of them sees.
struct Chunk {
    queries: Range<usize>,
    keys: Range<usize>,
    /// Keys before the chunk's first query.
    first: usize,
}

fn chunks(document: &Document, heads: usize) -> Vec<Chunk> {
    let (count, keys) = (document.queries.len(), document.keys.len());
    let rows = (WEIGHTS / (heads * keys).max(1)).clamp(1, count.max(1));
    let starts = (0..count).step_by(rows);
    starts
        .map(|start| {
            let end = (start + rows).min(count);
            Chunk {
                queries: document.queries.start + start..document.queries.start + end,
                keys: document.keys.start..document.keys.start + keys - count + end,
                first: keys - count + start,
            }
        })
        .collect()
}

/// Rows of `x [t, n, d]` as `[n, rows, d]`.
fn by_head(x: &Tensor, rows: &Range<usize>) -> Result<Tensor> {
    x.narrow(0, rows.start, rows.len())?.transpose(0, 1)?.contiguous()
}

/// Rows of `x [t, h, d]` as `[g, h/g rows, d]`: the query heads of a group one below the other, as they share its keys.
fn by_group(x: &Tensor, rows: &Range<usize>, groups: usize) -> Result<Tensor> {
    let (_, h, d) = x.dims3()?;
    by_head(x, rows)?.reshape((groups, h / groups * rows.len(), d))
}

/// The weights `[g, h/g queries, keys]` of a chunk, from `q [g, h/g queries, d]` and `k [g, keys, d]`.
fn weights(q: &Tensor, k: &Tensor, chunk: &Chunk, heads: usize, options: &AttentionOptions) -> Result<Tensor> {
    let scores = q.matmul(&k.transpose(1, 2)?)?;
    let by_query = scores.reshape((heads, chunk.queries.len(), chunk.keys.len()))?;
    attention_weights(&by_query, chunk.first, options.window, options.scale)?;
    Ok(scores)
}

/// [`crate::attention()`] of constants: `q [t, h, d]`, `k`, `v [s, g, d]` -> `[t, h, d]`.
pub(crate) fn attend([q, k, v]: [&Tensor; 3], documents: &Documents, options: &AttentionOptions) -> Result<Tensor> {
    let ((_, h, d), (_, g, _)) = (q.dims3()?, k.dims3()?);
    let mut outputs = Vec::new();
    for document in documents.iter() {
        for chunk in chunks(&document, h) {
            let (keys, values) = (by_head(k, &chunk.keys)?, by_head(v, &chunk.keys)?);
            let y = weights(&by_group(q, &chunk.queries, g)?, &keys, &chunk, h, options)?.matmul(&values)?;
            outputs.push(y.reshape((h, chunk.queries.len(), d))?.transpose(0, 1)?);
        }
    }
    if outputs.is_empty() { q.zeros_like() } else { Tensor::cat(&outputs, 0)?.contiguous() }
}

/// The gradients of `q`, `k` and `v`, in their type; those of keys and values are summed over chunks in f32.
pub(crate) fn attend_backward(
    [q, k, v, dy]: [&Tensor; 4],
    documents: &Documents,
    options: &AttentionOptions,
) -> Result<[Tensor; 3]> {
    let ((_, h, d), (_, g, _)) = (q.dims3()?, k.dims3()?);
    let (mut dq, mut dk, mut dv) = (Vec::new(), Vec::new(), Vec::new());
    for document in documents.iter() {
        let length = document.keys.len();
        let zeros = || Tensor::zeros((g, length, d), DType::F32, q.device());
        let (mut dk_sum, mut dv_sum) = (zeros()?, zeros()?);
        for chunk in chunks(&document, h) {
            let (keys, values) = (by_head(k, &chunk.keys)?, by_head(v, &chunk.keys)?);
            let queries = by_group(q, &chunk.queries, g)?;
            let dy = by_group(dy, &chunk.queries, g)?;
            let p = weights(&queries, &keys, &chunk, h, options)?;
            let unseen = length - chunk.keys.len();
            let widened = |part: Tensor| part.to_dtype(DType::F32)?.pad_with_zeros(1, 0, unseen);
            dv_sum = (dv_sum + widened(p.transpose(1, 2)?.matmul(&dy)?)?)?;
            let dz = dy.matmul(&values.transpose(1, 2)?)?;
            let rows = (h, chunk.queries.len(), chunk.keys.len());
            attention_weights_backward(&p.reshape(rows)?, &dz.reshape(rows)?, options.scale)?;
            dk_sum = (dk_sum + widened(dz.transpose(1, 2)?.matmul(&queries)?)?)?;
            dq.push(dz.matmul(&keys)?.reshape((h, chunk.queries.len(), d))?.transpose(0, 1)?);
        }
        dk.push(dk_sum.to_dtype(k.dtype())?.transpose(0, 1)?);
        dv.push(dv_sum.to_dtype(v.dtype())?.transpose(0, 1)?);
    }
    let joined = |parts: &[Tensor], like: &Tensor| {
        if parts.is_empty() { like.zeros_like() } else { Tensor::cat(parts, 0)?.contiguous() }
    };
    Ok([joined(&dq, q)?, joined(&dk, k)?, joined(&dv, v)?])
}
