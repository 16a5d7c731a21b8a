//! Attention inside documents: causal, grouped-query, optionally within a sliding window.
//!
//! The kernel takes a document and a head at a time, and of the document a block of queries, against only the keys that
//! block may see. Scores exist for one block; the way back computes them again.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp3, Layout, Result as CandleResult, Shape, Tensor};
use rayon::prelude::*;

use crate::documents::Document;
use crate::kernel::{self, Host, Real, by_dtype};
use crate::linear::expect;
use crate::{Documents, OpsError, Result, reference};

/// Queries whose scores exist at a time.
const QUERIES: usize = 128;

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
/// Backward, with the weights `p` and `dp = dy vᵀ`: `dz = p (dp - sum(dy y))`, `dq = scale dz k`, `dk = scale dzᵀ q`,
/// `dv = pᵀ dy` (Dao et al., "FlashAttention", 2022, section 3.1).
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
    if !kernel::fused(&[q, k, v]) {
        return reference::attention(q, k, v, documents, options);
    }
    let attention = Attention { documents: documents.clone(), options: *options };
    Ok(q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, attention)?)
}

struct Attention {
    documents: Documents,
    options: AttentionOptions,
}

/// The rows of one head in a contiguous `[rows, heads, d]`.
#[derive(Clone, Copy)]
struct Heads<'a> {
    storage: &'a CpuStorage,
    start: usize,
    count: usize,
    d: usize,
}

impl<'a> Heads<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> CandleResult<Self> {
        let (_, count, d) = layout.shape().dims3()?;
        let (start, _) = kernel::bounds(layout)?;
        Ok(Self { storage, start, count, d })
    }

    /// `[rows, d]` of one head.
    fn rows(&self, head: usize, rows: &std::ops::Range<usize>) -> Matrix<'a> {
        let stride = self.count * self.d;
        let offset = self.start + rows.start * stride + head * self.d;
        let layout = Layout::new(Shape::from((rows.len(), self.d)), vec![stride, 1], offset);
        Matrix { storage: self.storage, layout }
    }
}

/// A matrix in someone's memory.
struct Matrix<'a> {
    storage: &'a CpuStorage,
    layout: Layout,
}

impl<'a> Matrix<'a> {
    fn own(storage: &'a CpuStorage, rows: usize, columns: usize) -> Self {
        Self { storage, layout: Layout::contiguous((rows, columns)) }
    }

    fn transposed(&self) -> CandleResult<Self> {
        Ok(Self { storage: self.storage, layout: self.layout.transpose(0, 1)? })
    }

    fn times(&self, other: &Matrix<'_>) -> CandleResult<CpuStorage> {
        let ((m, k), (_, n)) = (self.layout.shape().dims2()?, other.layout.shape().dims2()?);
        self.storage.matmul(other.storage, (1, m, n, k), &self.layout, &other.layout)
    }
}

fn values<R: Real>(storage: CpuStorage) -> CandleResult<Vec<R>> {
    R::cpu_storage_data(storage)
}

/// A block of a document's queries and the keys any of them sees, counted in the document.
struct Tile {
    queries: std::ops::Range<usize>,
    keys: std::ops::Range<usize>,
}

fn tiles(document: &Document, window: Option<usize>) -> impl Iterator<Item = Tile> {
    let count = document.queries.len();
    (0..count).step_by(QUERIES).map(move |first| {
        let end = count.min(first + QUERIES);
        let keys = document.visible(first, window).start..document.visible(end - 1, window).end;
        Tile { queries: first..end, keys }
    })
}

fn shifted(range: &std::ops::Range<usize>, by: usize) -> std::ops::Range<usize> {
    range.start + by..range.end + by
}

impl Attention {
    /// The softmax weights of a tile, `[queries, keys]`, zero where a key is not visible.
    fn weights<R: Real>(
        &self,
        q: &Matrix<'_>,
        k: &Matrix<'_>,
        document: &Document,
        tile: &Tile,
    ) -> CandleResult<Vec<R>> {
        let mut weights: Vec<R> = values(q.times(&k.transposed()?)?)?;
        let scale = R::of(self.options.scale);
        for (row, query) in weights.chunks_exact_mut(tile.keys.len()).zip(tile.queries.clone()) {
            let visible = document.visible(query, self.options.window);
            let (first, end) = (visible.start - tile.keys.start, visible.end - tile.keys.start);
            row[..first].fill(R::zero());
            row[end..].fill(R::zero());
            let seen = &mut row[first..end];
            // Scaled by a negative number the largest score would be the smallest; no model does that.
            let sum = kernel::exponentials(seen, scale, kernel::maximum(seen));
            let inverse = R::one() / sum;
            for weight in seen {
                *weight *= inverse;
            }
        }
        Ok(weights)
    }

    /// One head's output for one document, `[queries, d]`.
    fn forward<R: Real>(
        &self,
        q: &Heads<'_>,
        k: &Heads<'_>,
        v: &Heads<'_>,
        document: &Document,
        head: usize,
    ) -> CandleResult<Vec<R>> {
        let key_head = head / (q.count / k.count);
        let mut y = Vec::with_capacity(document.queries.len() * q.d);
        for tile in tiles(document, self.options.window) {
            let keys = shifted(&tile.keys, document.keys.start);
            let q = q.rows(head, &shifted(&tile.queries, document.queries.start));
            let weights = self.weights::<R>(&q, &k.rows(key_head, &keys), document, &tile)?;
            let weights = R::to_cpu_storage_owned(weights);
            let weights = Matrix::own(&weights, tile.queries.len(), tile.keys.len());
            y.extend(values::<R>(weights.times(&v.rows(key_head, &keys))?)?);
        }
        Ok(y)
    }

    /// The gradients of one document and key head: of its query heads `[heads of the group][queries, d]`, of its keys and
    /// of its values `[keys, d]`.
    fn backward<R: Real>(&self, given: &Given<'_>, document: &Document, key_head: usize) -> CandleResult<Gradients<R>> {
        let Given { q, k, v, y, dy } = given;
        let d = q.d;
        let group = q.count / k.count;
        let scale = R::of(self.options.scale);
        let mut gradients = Gradients {
            q: Vec::with_capacity(group),
            k: vec![R::zero(); document.keys.len() * d],
            v: vec![R::zero(); document.keys.len() * d],
        };
        let (ys, dys) = (y.storage.as_slice::<R>()?, dy.storage.as_slice::<R>()?);
        for head in key_head * group..(key_head + 1) * group {
            let mut dq = Vec::with_capacity(document.queries.len() * d);
            for tile in tiles(document, self.options.window) {
                let rows = shifted(&tile.queries, document.queries.start);
                let columns = shifted(&tile.keys, document.keys.start);
                let (count, seen) = (tile.queries.len(), tile.keys.len());
                let (q, dy_rows) = (q.rows(head, &rows), dy.rows(head, &rows));
                let (k, v) = (k.rows(key_head, &columns), v.rows(key_head, &columns));
                let weights = self.weights::<R>(&q, &k, document, &tile)?;
                let mut scores: Vec<R> = values(dy_rows.times(&v.transposed()?)?)?;
                for ((scores, weights), row) in
                    scores.chunks_exact_mut(seen).zip(weights.chunks_exact(seen)).zip(rows.clone())
                {
                    let at = |heads: &Heads<'_>| heads.start + (row * heads.count + head) * d;
                    let mean = kernel::dot(&ys[at(y)..at(y) + d], &dys[at(dy)..at(dy) + d]);
                    for (score, &weight) in scores.iter_mut().zip(weights) {
                        *score = weight * (*score - mean) * scale;
                    }
                }
                let (weights, scores) = (R::to_cpu_storage_owned(weights), R::to_cpu_storage_owned(scores));
                let (weights, scores) = (Matrix::own(&weights, count, seen), Matrix::own(&scores, count, seen));
                dq.extend(values::<R>(scores.times(&k)?)?);
                let keys = tile.keys.start * d..tile.keys.end * d;
                kernel::add_row(&mut gradients.k[keys.clone()], &values(scores.transposed()?.times(&q)?)?);
                kernel::add_row(&mut gradients.v[keys], &values(weights.transposed()?.times(&dy_rows)?)?);
            }
            gradients.q.push(dq);
        }
        Ok(gradients)
    }
}

struct Given<'a> {
    q: Heads<'a>,
    k: Heads<'a>,
    v: Heads<'a>,
    y: Heads<'a>,
    dy: Heads<'a>,
}

struct Gradients<R> {
    q: Vec<Vec<R>>,
    k: Vec<R>,
    v: Vec<R>,
}

/// Copies `[rows, d]` into one head of `[.., heads, d]`, from row `first` on.
fn place<R: Real>(target: &mut [R], first: usize, heads: usize, head: usize, d: usize, source: &[R]) {
    for (token, row) in target[first * heads * d..].chunks_exact_mut(heads * d).zip(source.chunks_exact(d)) {
        token[head * d..(head + 1) * d].copy_from_slice(row);
    }
}

fn forward<R: Real>(attention: &Attention, q: Heads<'_>, k: Heads<'_>, v: Heads<'_>) -> CandleResult<CpuStorage> {
    let documents: Vec<Document> = attention.documents.iter().filter(|d| !d.queries.is_empty()).collect();
    let units: Vec<(&Document, usize)> =
        documents.iter().flat_map(|document| (0..q.count).map(move |head| (document, head))).collect();
    let outputs = units
        .par_iter()
        .map(|(document, head)| attention.forward::<R>(&q, &k, &v, document, *head))
        .collect::<CandleResult<Vec<_>>>()?;
    let mut y = vec![R::zero(); attention.documents.query_tokens() * q.count * q.d];
    for ((document, head), output) in units.into_iter().zip(outputs) {
        place(&mut y, document.queries.start, q.count, head, q.d, &output);
    }
    Ok(R::to_cpu_storage_owned(y))
}

fn backward<R: Real>(attention: &Attention, tensors: [&Tensor; 5]) -> CandleResult<[Tensor; 3]> {
    let hosts = tensors.map(Host::new);
    let view = |host: &usize| {
        let host = &hosts[*host];
        Heads::new(host.storage()?, host.layout())
    };
    let given = Given { q: view(&0)?, k: view(&1)?, v: view(&2)?, y: view(&3)?, dy: view(&4)? };
    let (d, h, g) = (given.q.d, given.q.count, given.k.count);
    let documents: Vec<Document> = attention.documents.iter().filter(|d| !d.queries.is_empty()).collect();
    let units: Vec<(&Document, usize)> =
        documents.iter().flat_map(|document| (0..g).map(move |head| (document, head))).collect();
    let parts = units
        .par_iter()
        .map(|(document, head)| attention.backward::<R>(&given, document, *head))
        .collect::<CandleResult<Vec<_>>>()?;
    let mut dq = vec![R::zero(); attention.documents.query_tokens() * h * d];
    let mut dk = vec![R::zero(); attention.documents.key_tokens() * g * d];
    let mut dv = vec![R::zero(); dk.len()];
    for ((document, head), part) in units.into_iter().zip(parts) {
        for (index, part) in part.q.iter().enumerate() {
            place(&mut dq, document.queries.start, h, head * (h / g) + index, d, part);
        }
        place(&mut dk, document.keys.start, g, head, d, &part.k);
        place(&mut dv, document.keys.start, g, head, d, &part.v);
    }
    let [q, k, v, ..] = tensors;
    Ok([
        Tensor::from_vec(dq, q.shape(), q.device())?,
        Tensor::from_vec(dk, k.shape(), k.device())?,
        Tensor::from_vec(dv, v.shape(), v.device())?,
    ])
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        ql: &Layout,
        k: &CpuStorage,
        kl: &Layout,
        v: &CpuStorage,
        vl: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        let dtype = q.dtype();
        let (q, k, v) = (Heads::new(q, ql)?, Heads::new(k, kl)?, Heads::new(v, vl)?);
        Ok((by_dtype!(dtype, forward(self, q, k, v))?, ql.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> CandleResult<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let [dq, dk, dv] = by_dtype!(q.dtype(), backward(self, [q, k, v, y, &dy]))?;
        Ok((q.track_op().then_some(dq), k.track_op().then_some(dk), v.track_op().then_some(dv)))
    }
}
