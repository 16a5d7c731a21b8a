//! The head and its loss on slices; see [`crate::linear_cross_entropy`].

use rayon::prelude::*;

use crate::cpu::matrix::{self, Matrix, MatrixMut, Workers};
use crate::kernel::{self, Host, Real, fast};
use crate::profile::{self, Kind};
use crate::{Parameter, Result, Targets};

/// Scores of this many elements exist at a time.
const SCORES: usize = 1 << 22;

/// Rows of scores at a time, for a vocabulary of `v`: not too few, since each chunk reads the whole head.
pub(crate) fn chunk_rows(v: usize) -> usize {
    (SCORES / v).clamp(256, 2048)
}

/// The loss summed over `targets` of `x [t, d]`, and its gradient `[t, d]`; those of weight and bias are added where they
/// are summed.
///
/// # Errors
/// When the parameters are not on the CPU or of another type.
///
/// # Panics
/// When a target lies outside: [`crate::linear_cross_entropy`] checks.
pub fn loss_and_gradient<R: Real>(
    x: &[R],
    weight: &Parameter,
    bias: Option<&Parameter>,
    targets: &Targets,
) -> Result<(f64, Vec<R>)> {
    let _span = profile::span(Kind::Head, "head");
    let mut dx = vec![R::zero(); x.len()];
    let (v, d) = weight.value().dims2()?;
    let host = Host::new(weight.value());
    let w = Matrix::new(host.slice::<R>()?, d);
    let trainable_bias = bias.filter(|bias| bias.is_trainable());
    let loss = for_chunks(x, weight, bias, targets, true, &mut |rows, chunk, scores| {
        let dz = Matrix::new(scores, v);
        let part = matrix::product(dz, w);
        for (source, &row) in part.chunks_exact(d).zip(rows) {
            dx[row as usize * d..][..d].copy_from_slice(source);
        }
        if weight.is_trainable() {
            weight.with_gradient(|dw| {
                let out = MatrixMut::new(dw, d);
                matrix::add_product(out, R::one(), dz.transposed(), Matrix::new(chunk, d), Workers::All);
            })?;
        }
        if let Some(bias) = trainable_bias {
            bias.with_gradient(|db| scores.chunks_exact(v).for_each(|row| kernel::add_row(db, row)))?;
        }
        Ok(())
    })?;
    Ok((loss, dx))
}

/// The loss summed over `targets` of `x [t, d]`.
///
/// # Errors
/// As [`loss_and_gradient`].
///
/// # Panics
/// As [`loss_and_gradient`].
pub fn loss<R: Real>(x: &[R], weight: &Parameter, bias: Option<&Parameter>, targets: &Targets) -> Result<f64> {
    for_chunks(x, weight, bias, targets, false, &mut |_, _, _: &[R]| Ok(()))
}

/// What is done with a chunk: its rows in `x`, those rows gathered `[n, d]`, and the loss's gradient for their scores `[n, v]`.
type EachChunk<'a, R> = &'a mut dyn FnMut(&[u32], &[R], &[R]) -> Result<()>;

fn for_chunks<R: Real>(
    x: &[R],
    weight: &Parameter,
    bias: Option<&Parameter>,
    targets: &Targets,
    gradient: bool,
    each: EachChunk<'_, R>,
) -> Result<f64> {
    let (v, d) = weight.value().dims2()?;
    let host = Host::new(weight.value());
    let w = Matrix::new(host.slice::<R>()?, d);
    let bias = bias.map(|bias| Host::new(bias.value()));
    let offsets = bias.as_ref().map(Host::slice::<R>).transpose()?;
    let count = chunk_rows(v);
    let mut total = 0.0;
    let (mut chunk, mut scores) = (Vec::new(), Vec::new());
    for (rows, labels) in targets.rows().chunks(count).zip(targets.labels().chunks(count)) {
        chunk.clear();
        for &row in rows {
            chunk.extend_from_slice(&x[row as usize * d..][..d]);
        }
        scores.resize(rows.len() * v, R::zero());
        matrix::write_product(MatrixMut::new(&mut scores, v), Matrix::new(&chunk, d), w.transposed(), Workers::All);
        let losses: Vec<f64> = scores
            .par_chunks_exact_mut(v)
            .zip(labels)
            .map(|(scores, &label)| {
                fast(
                    #[inline(always)]
                    || row_loss(scores, label as usize, offsets, gradient),
                )
            })
            .collect();
        total += losses.into_iter().sum::<f64>();
        each(rows, &chunk, &scores)?;
    }
    Ok(total)
}

/// `logsumexp(z) - z[label]` of a row `z = scores + offsets`, which becomes `softmax(z) - onehot(label)` with `gradient`.
#[inline(always)]
pub(crate) fn row_loss<R: Real>(scores: &mut [R], label: usize, offsets: Option<&[R]>, gradient: bool) -> f64 {
    if let Some(offsets) = offsets {
        kernel::add_row(scores, offsets);
    }
    let largest = kernel::maximum(scores);
    let own = (scores[label] - largest).to_f64();
    let sum = kernel::exponentials(scores, R::one(), largest);
    if gradient {
        let inverse = R::one() / sum;
        for score in scores.iter_mut() {
            *score *= inverse;
        }
        scores[label] -= R::one();
    }
    sum.to_f64().ln() - own
}
