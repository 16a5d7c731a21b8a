//! Attention and rotary embedding over heads: `count` heads of `d` features, side by side somewhere in each row.
//!
//! Attention takes a document and a head at a time, and of the document a block of queries, against only the keys that
//! block may see. Scores exist for one block; the way back computes them again from the normalisers that forward kept.

use std::ops::Range;

use rayon::prelude::*;

use crate::cpu::matrix::{Matrix, Place};
use crate::cpu::shared::Shared;
use crate::documents::Document;
use crate::kernel::{self, Real, fast};
use crate::profile::{self, Kind};
use crate::{AttentionOptions, Documents, RopeLayout};

/// Queries whose scores exist at a time.
const QUERIES: usize = 128;

/// Tokens a thread turns at a time.
const TOKENS: usize = 16;

/// Where heads lie: head `i` of a token is `d` features from `offset + i d` on, in rows of `stride`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLayout {
    /// How many heads.
    pub count: usize,
    /// Features a head.
    pub d: usize,
    /// Where in a row the first head begins.
    pub offset: usize,
    /// Elements from one token's row to the next's.
    pub stride: usize,
}

impl HeadLayout {
    /// Heads that fill their rows: `[t, count, d]`.
    pub fn alone(count: usize, d: usize) -> Self {
        Self { count, d, offset: 0, stride: count * d }
    }

    fn start(&self, token: usize, head: usize) -> usize {
        token * self.stride + self.offset + head * self.d
    }

    fn columns(&self) -> Range<usize> {
        self.offset..self.offset + self.count * self.d
    }
}

/// Heads to read.
#[derive(Clone, Copy, Debug)]
pub struct Heads<'a, R> {
    /// All rows.
    pub data: &'a [R],
    /// Where in them the heads lie.
    pub layout: HeadLayout,
}

impl<'a, R: Real> Heads<'a, R> {
    /// One head of some tokens, `[tokens, d]`.
    fn rows(&self, head: usize, tokens: &Range<usize>) -> Matrix<'a, R> {
        let start = self.layout.start(tokens.start, head);
        Matrix::strided(self.data.get(start..).unwrap_or(&[]), tokens.len(), self.layout.d, self.layout.stride)
    }

    fn row(&self, token: usize, head: usize) -> &'a [R] {
        &self.data[self.layout.start(token, head)..][..self.layout.d]
    }
}

/// Angles by which features turn, and which features make a pair; see [`crate::rope()`].
#[derive(Clone, Copy, Debug)]
pub struct Rotation<'a, R> {
    /// `[t, r/2]`.
    pub cos: &'a [R],
    /// `[t, r/2]`.
    pub sin: &'a [R],
    /// `r/2`.
    pub half: usize,
    /// Which features make a pair.
    pub pairs: RopeLayout,
    /// By the opposite angles.
    pub backwards: bool,
}

/// Turns the heads of `layout` in place; what else lies in the rows stays.
///
/// # Panics
/// When there are not as many angles as rows.
pub fn rotate<R: Real>(data: &mut [R], layout: HeadLayout, rotation: &Rotation<'_, R>) {
    let _span = profile::span(Kind::Attention, "rotary embedding");
    let Rotation { cos, sin, half, pairs, backwards } = *rotation;
    if half == 0 {
        return;
    }
    assert_eq!(data.len() / layout.stride, cos.len() / half, "as many angles as rows");
    let sign = if backwards { -R::one() } else { R::one() };
    let chunks = cos.par_chunks(TOKENS * half).zip(sin.par_chunks(TOKENS * half));
    data.par_chunks_mut(TOKENS * layout.stride).zip(chunks).for_each(|(rows, (cos, sin))| {
        fast(
            #[inline(always)]
            || {
                let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
                for (row, (cos, sin)) in rows.chunks_exact_mut(layout.stride).zip(angles) {
                    for head in row[layout.columns()].chunks_exact_mut(layout.d) {
                        turn(&mut head[..2 * half], cos, sin, sign, pairs);
                    }
                }
            },
        );
    });
}

#[inline(always)]
fn turn<R: Real>(features: &mut [R], cos: &[R], sin: &[R], sign: R, pairs: RopeLayout) {
    let turned = |a: R, b: R, cos: R, sin: R| (a * cos - b * sin, b * cos + a * sin);
    match pairs {
        RopeLayout::Halves => {
            let (first, second) = features.split_at_mut(cos.len());
            // Read whole before anything is written: the compiler cannot tell the halves of several heads apart.
            let (first, first_tail) = first.as_chunks_mut::<8>();
            let (second, second_tail) = second.as_chunks_mut::<8>();
            let ((cos, cos_tail), (sin, sin_tail)) = (cos.as_chunks::<8>(), sin.as_chunks::<8>());
            for ((first, second), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                let (a, b) = (*first, *second);
                for lane in 0..8 {
                    (first[lane], second[lane]) = turned(a[lane], b[lane], cos[lane], sin[lane] * sign);
                }
            }
            for ((a, b), (&cos, &sin)) in first_tail.iter_mut().zip(second_tail).zip(cos_tail.iter().zip(sin_tail)) {
                (*a, *b) = turned(*a, *b, cos, sin * sign);
            }
        }
        RopeLayout::Interleaved => {
            for ([a, b], (&cos, &sin)) in features.as_chunks_mut::<2>().0.iter_mut().zip(cos.iter().zip(sin)) {
                (*a, *b) = turned(*a, *b, cos, sin * sign);
            }
        }
    }
}

/// A block of a document's queries and the keys any of them sees, counted in the document.
struct Tile {
    queries: Range<usize>,
    keys: Range<usize>,
}

fn tiles(document: &Document, window: Option<usize>) -> impl Iterator<Item = Tile> {
    let count = document.queries.len();
    (0..count).step_by(QUERIES).map(move |first| {
        let end = count.min(first + QUERIES);
        let keys = document.visible(first, window).start..document.visible(end - 1, window).end;
        Tile { queries: first..end, keys }
    })
}

fn shifted(range: &Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}

/// The products of one thread on memory of its own.
fn alone<R: Real>(target: &mut [R], a: Matrix<'_, R>, b: Matrix<'_, R>) {
    let row_stride = b.columns();
    let shared = Shared::new(target);
    #[expect(unsafe_code, reason = "see the comment")]
    // SAFETY: the target is borrowed for this call alone.
    unsafe {
        Place { target: &shared, first: 0, row_stride }.multiply(false, R::one(), a, b);
    }
}

/// What attention is taken over: queries, keys and values, by documents.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a, R> {
    /// `[t, h, d]`.
    pub q: Heads<'a, R>,
    /// `[s, g, d]`.
    pub k: Heads<'a, R>,
    /// `[s, g, d]`.
    pub v: Heads<'a, R>,
    /// Where documents begin and end.
    pub documents: &'a Documents,
    /// Scale and window.
    pub options: &'a AttentionOptions,
}

/// What attention makes: the output `[t, h, d]` and, for the way back, the logarithm of each query's normaliser, `[t, h]`.
#[derive(Clone, Debug)]
pub struct Attended<R> {
    /// `softmax(q kᵀ scale) v`.
    pub output: Vec<R>,
    /// `log(sum(exp(q kᵀ scale)))`.
    pub normalisers: Vec<R>,
}

impl<R: Real> Attention<'_, R> {
    /// Every document with tokens, with every one of `heads` heads.
    fn units(&self, heads: usize) -> Vec<(Document, usize)> {
        let documents = self.documents.iter().filter(|document| !document.queries.is_empty());
        documents.flat_map(|document| (0..heads).map(move |head| (document.clone(), head))).collect()
    }

    /// By the formula of [`crate::attention()`].
    ///
    /// # Panics
    /// When the heads do not lie in their slices.
    pub fn forward(&self) -> Attended<R> {
        let _span = profile::span(Kind::Attention, "attention");
        let (t, h, d) = (self.documents.query_tokens(), self.q.layout.count, self.q.layout.d);
        let mut output = vec![R::zero(); t * h * d];
        let mut normalisers = vec![R::zero(); t * h];
        let (outputs, logarithms) = (Shared::new(&mut output), Shared::new(&mut normalisers));
        self.units(h).par_iter().for_each(|(document, head)| self.forward_head(document, *head, &outputs, &logarithms));
        Attended { output, normalisers }
    }

    fn forward_head(&self, document: &Document, head: usize, output: &Shared<'_, R>, normalisers: &Shared<'_, R>) {
        let place = HeadLayout::alone(self.q.layout.count, self.q.layout.d);
        let key_head = head / (self.q.layout.count / self.k.layout.count);
        let mut scores = Vec::new();
        for tile in tiles(document, self.options.window) {
            let queries = shifted(&tile.queries, document.queries.start);
            let keys = shifted(&tile.keys, document.keys.start);
            let seen = keys.len();
            scores.resize(queries.len() * seen, R::zero());
            alone(&mut scores, self.q.rows(head, &queries), self.k.rows(key_head, &keys).transposed());
            let mut sums = [R::zero(); QUERIES];
            fast(
                #[inline(always)]
                || {
                    for ((row, query), sum) in scores.chunks_exact_mut(seen).zip(tile.queries.clone()).zip(&mut sums) {
                        let visible = document.visible(query, self.options.window);
                        let (first, end) = (visible.start - tile.keys.start, visible.end - tile.keys.start);
                        row[..first].fill(R::zero());
                        row[end..].fill(R::zero());
                        let row = &mut row[first..end];
                        let scale = R::of(self.options.scale);
                        // Scaled by a negative number the largest score would be the smallest; no model does that.
                        let largest = kernel::maximum(row);
                        *sum = kernel::exponentials(row, scale, largest);
                        let token = document.queries.start + query;
                        #[expect(unsafe_code, reason = "see the comment")]
                        // SAFETY: one thread has this document and head.
                        let normaliser =
                            unsafe { normalisers.part(token * place.count + head..token * place.count + head + 1) };
                        normaliser[0] = largest * scale + R::of(sum.to_f64().ln());
                    }
                },
            );
            let first = place.start(queries.start, head);
            let weights = Matrix::new(&scores, seen);
            #[expect(unsafe_code, reason = "see the comment")]
            // SAFETY: one thread has this document and head, so nobody else writes to its features of these rows.
            unsafe {
                let out = Place { target: output, first, row_stride: place.stride };
                out.multiply(false, R::one(), weights, self.v.rows(key_head, &keys));
                for (token, &sum) in queries.clone().zip(&sums) {
                    let start = place.start(token, head);
                    let inverse = R::one() / sum;
                    for x in output.part(start..start + place.d) {
                        *x *= inverse;
                    }
                }
            }
        }
    }

    /// The gradients for that of the output, `dy [t, h, d]`: added to rows laid out as those of q, k and v are, which may
    /// share one buffer per token.
    ///
    /// # Panics
    /// When the heads do not lie in their slices.
    pub fn backward(&self, attended: &Attended<R>, dy: &[R], gradients: QkvGradients<'_, R>) {
        let _span = profile::span(Kind::Attention, "attention, back");
        match gradients {
            QkvGradients::Together(all) => {
                let all = Shared::new(all);
                self.backward_into(attended, dy, &[&all, &all, &all]);
            }
            QkvGradients::Apart([dq, dk, dv]) => {
                let (dq, dk, dv) = (Shared::new(dq), Shared::new(dk), Shared::new(dv));
                self.backward_into(attended, dy, &[&dq, &dk, &dv]);
            }
        }
    }

    fn backward_into(&self, attended: &Attended<R>, dy: &[R], gradients: &[&Shared<'_, R>; 3]) {
        self.units(self.k.layout.count).par_iter().for_each(|(document, key_head)| {
            self.backward_heads(document, *key_head, attended, dy, gradients);
        });
    }

    /// One document and key head, with all query heads that read it.
    fn backward_heads(
        &self,
        document: &Document,
        key_head: usize,
        attended: &Attended<R>,
        dy: &[R],
        [dq, dk, dv]: &[&Shared<'_, R>; 3],
    ) {
        let alone_layout = HeadLayout::alone(self.q.layout.count, self.q.layout.d);
        let dy = Heads { data: dy, layout: alone_layout };
        let y = Heads { data: &attended.output, layout: alone_layout };
        let group = self.q.layout.count / self.k.layout.count;
        let scale = R::of(self.options.scale);
        let (mut weights, mut scores) = (Vec::new(), Vec::new());
        for head in key_head * group..(key_head + 1) * group {
            for tile in tiles(document, self.options.window) {
                let queries = shifted(&tile.queries, document.queries.start);
                let keys = shifted(&tile.keys, document.keys.start);
                let seen = keys.len();
                weights.resize(queries.len() * seen, R::zero());
                scores.resize(queries.len() * seen, R::zero());
                let (q, k, v) =
                    (self.q.rows(head, &queries), self.k.rows(key_head, &keys), self.v.rows(key_head, &keys));
                alone(&mut weights, q, k.transposed());
                alone(&mut scores, dy.rows(head, &queries), v.transposed());
                fast(
                    #[inline(always)]
                    || {
                        let rows = weights.chunks_exact_mut(seen).zip(scores.chunks_exact_mut(seen));
                        for ((weights, scores), query) in rows.zip(tile.queries.clone()) {
                            let token = document.queries.start + query;
                            let visible = document.visible(query, self.options.window);
                            let (first, end) = (visible.start - tile.keys.start, visible.end - tile.keys.start);
                            for row in [&mut *weights, &mut *scores] {
                                row[..first].fill(R::zero());
                                row[end..].fill(R::zero());
                            }
                            let normaliser = attended.normalisers[token * self.q.layout.count + head];
                            let mean = kernel::dot(y.row(token, head), dy.row(token, head));
                            for (weight, score) in weights[first..end].iter_mut().zip(&mut scores[first..end]) {
                                *weight = (*weight * scale - normaliser).exp();
                                *score = *weight * (*score - mean) * scale;
                            }
                        }
                    },
                );
                let (weights, scores) = (Matrix::new(&weights, seen), Matrix::new(&scores, seen));
                let place = |target, layout: HeadLayout, token, head| Place {
                    target,
                    first: layout.start(token, head),
                    row_stride: layout.stride,
                };
                #[expect(unsafe_code, reason = "see the comment")]
                // SAFETY: one thread has this document and key head with all of its query heads, so nobody else writes to
                // their features of these rows.
                unsafe {
                    place(*dq, self.q.layout, queries.start, head).multiply(true, R::one(), scores, k);
                    place(*dk, self.k.layout, keys.start, key_head).multiply(true, R::one(), scores.transposed(), q);
                    let dy = dy.rows(head, &queries);
                    place(*dv, self.v.layout, keys.start, key_head).multiply(true, R::one(), weights.transposed(), dy);
                }
            }
        }
    }
}

/// Where gradients of queries, keys and values are added.
#[derive(Debug)]
pub enum QkvGradients<'a, R> {
    /// All three lie in the same rows.
    Together(&'a mut [R]),
    /// Each in rows of its own.
    Apart([&'a mut [R]; 3]),
}
