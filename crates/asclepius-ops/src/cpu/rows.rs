//! Norms over rows, and vectors that belong to every row.

use rayon::prelude::*;

use crate::cpu::fresh_rows;
use crate::kernel::{self, Real, fast};
use crate::profile::{self, Kind};

/// Rows one thread works through, whose share of the weight's gradient it sums; part of the result's bits.
const ROWS: usize = 64;

/// A norm over rows of `weight.len()` features: of the root mean square, or with a bias a layer norm.
#[derive(Clone, Copy, Debug)]
pub struct Norm<'a, R> {
    /// `[d]`.
    pub weight: &'a [R],
    /// `[d]`.
    pub bias: Option<&'a [R]>,
    /// Added under the root.
    pub epsilon: f64,
}

/// Gradients of a norm's weight and bias, `[d]` each; no bias, no gradient of it.
#[derive(Clone, Debug)]
pub struct NormGradients<R> {
    /// Of the weight.
    pub weight: Vec<R>,
    /// Of the bias.
    pub bias: Option<Vec<R>>,
}

impl<R: Real> Norm<'_, R> {
    /// `[rows, d]` -> `[rows, d]`, by the formulas of [`crate::rms_norm`] and [`crate::layer_norm`].
    pub fn forward(&self, x: &[R]) -> Vec<R> {
        let _span = profile::span(Kind::Norm, "norm");
        let size = self.weight.len();
        fresh_rows(
            x,
            size,
            size,
            ROWS,
            #[inline(always)]
            |x, y| self.forward_row(x, y),
        )
    }

    #[inline(always)]
    fn forward_row(&self, x: &[R], y: &mut [R]) {
        match self.bias {
            None => {
                let inverse = root_inverse(x, self.epsilon);
                for ((y, &x), &w) in y.iter_mut().zip(x).zip(self.weight) {
                    *y = x * inverse * w;
                }
            }
            Some(bias) => {
                centre(x, y, self.epsilon);
                for (y, (&w, &b)) in y.iter_mut().zip(self.weight.iter().zip(bias)) {
                    *y = *y * w + b;
                }
            }
        }
    }

    /// Adds to `dx` what reaches `x` of the gradient `dy`, all `[rows, d]`; gives the gradients of weight and bias.
    pub fn backward(&self, x: &[R], dy: &[R], dx: &mut [R]) -> NormGradients<R> {
        let _span = profile::span(Kind::Norm, "norm, back");
        let size = self.weight.len();
        let partial: Vec<(Vec<R>, Vec<R>)> = dx
            .par_chunks_mut(ROWS * size)
            .zip(x.par_chunks(ROWS * size).zip(dy.par_chunks(ROWS * size)))
            .map(|(dx, (x, dy))| {
                let mut dw = vec![R::zero(); size];
                let mut db = vec![R::zero(); if self.bias.is_some() { size } else { 0 }];
                let (mut normed, mut u) = (vec![R::zero(); size], vec![R::zero(); size]);
                fast(
                    #[inline(always)]
                    || {
                        let rows = dx.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(dy.chunks_exact(size));
                        for ((dx, x), dy) in rows {
                            self.backward_row(x, dy, dx, &mut normed, &mut u);
                            for ((dw, &normed), &dy) in dw.iter_mut().zip(&normed).zip(dy) {
                                *dw += dy * normed;
                            }
                            for (db, &dy) in db.iter_mut().zip(dy) {
                                *db += dy;
                            }
                        }
                    },
                );
                (dw, db)
            })
            .collect();
        let mut weight = vec![R::zero(); size];
        let mut bias = self.bias.map(|_| vec![R::zero(); size]);
        for (dw, db) in &partial {
            kernel::add_row(&mut weight, dw);
            if let Some(bias) = &mut bias {
                kernel::add_row(bias, db);
            }
        }
        NormGradients { weight, bias }
    }

    /// Leaves the row divided by its root, `n`, in `normed`, and adds `i (u - mean(u) - n mean(u n))` to `dx`, `u = dy w`;
    /// without a bias nothing was centred, and the mean of `u` stays out.
    #[inline(always)]
    fn backward_row(&self, x: &[R], dy: &[R], dx: &mut [R], normed: &mut [R], u: &mut [R]) {
        let count = R::of(x.len() as f64);
        for ((u, &dy), &w) in u.iter_mut().zip(dy).zip(self.weight) {
            *u = dy * w;
        }
        let (inverse, mean) = if self.bias.is_some() {
            (centre(x, normed, self.epsilon), kernel::sum(u) / count)
        } else {
            let inverse = root_inverse(x, self.epsilon);
            for (normed, &x) in normed.iter_mut().zip(x) {
                *normed = x * inverse;
            }
            (inverse, R::zero())
        };
        let pull = kernel::dot(u, normed) / count;
        for ((dx, &u), &normed) in dx.iter_mut().zip(&*u).zip(&*normed) {
            *dx += inverse * (u - mean - normed * pull);
        }
    }
}

/// `1 / sqrt(mean(x^2) + epsilon)` of a row.
#[inline(always)]
fn root_inverse<R: Real>(row: &[R], epsilon: f64) -> R {
    R::one() / (kernel::dot(row, row) / R::of(row.len() as f64) + R::of(epsilon)).sqrt()
}

/// `normed = (x - mean) i` of a row; gives `i = 1 / sqrt(variance + epsilon)`.
#[inline(always)]
fn centre<R: Real>(x: &[R], normed: &mut [R], epsilon: f64) -> R {
    let size = R::of(x.len() as f64);
    let mean = kernel::sum(x) / size;
    for (normed, &x) in normed.iter_mut().zip(x) {
        *normed = x - mean;
    }
    let inverse = R::one() / (kernel::dot(normed, normed) / size + R::of(epsilon)).sqrt();
    for normed in normed {
        *normed *= inverse;
    }
    inverse
}

/// The sum of the rows of `[rows, columns]` whose rows lie `row_stride` apart: a bias's gradient.
pub fn sum_of_rows<R: Real>(data: &[R], columns: usize, row_stride: usize) -> Vec<R> {
    let parts: Vec<Vec<R>> = data
        .par_chunks(ROWS * row_stride)
        .map(|rows| {
            let mut sum = vec![R::zero(); columns];
            for row in rows.chunks(row_stride) {
                kernel::add_row(&mut sum, &row[..columns]);
            }
            sum
        })
        .collect();
    let mut sum = vec![R::zero(); columns];
    for part in &parts {
        kernel::add_row(&mut sum, part);
    }
    sum
}

/// Adds `bias [columns]` to each row of `[rows, columns]`, whose rows lie `row_stride` apart.
pub fn add_to_rows<R: Real>(data: &mut [R], bias: &[R], row_stride: usize) {
    data.par_chunks_mut(ROWS * row_stride).for_each(|rows| {
        for row in rows.chunks_mut(row_stride) {
            kernel::add_row(&mut row[..bias.len()], bias);
        }
    });
}
