//! Functions of single elements: activations, dropout, sums.

use rayon::prelude::*;

use crate::cpu::fresh_rows;
use crate::kernel::{self, Real, fast};
use crate::profile::{self, Kind};
use crate::{Gelu, PhiloxKey};

/// Rows a thread works through at a time. No sum runs over rows, so the number changes speed only.
const ROWS: usize = 8;

/// `silu(gate) * up` of rows `[gate, up]`, `[t, 2 f]` -> `[t, f]`; see [`crate::swiglu`].
pub fn swiglu<R: Real>(inner: &[R], f: usize) -> Vec<R> {
    let _span = profile::span(Kind::Elementwise, "swiglu");
    fresh_rows(inner, 2 * f, f, ROWS, |inner, y| {
        let (gate, up) = inner.split_at(f);
        for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
            *y = gate * logistic(gate) * up;
        }
    })
}

/// Replaces rows `[gate, up]`, `[t, 2 f]`, by their gradients, and `dy [t, f]` by `silu(gate) * up`, which the layer behind
/// needs for its weight's gradient.
pub fn swiglu_backward<R: Real>(inner: &mut [R], dy: &mut [R], f: usize) {
    let _span = profile::span(Kind::Elementwise, "swiglu, back");
    dy.par_chunks_mut(ROWS * f).zip(inner.par_chunks_mut(2 * ROWS * f)).for_each(|(dy, inner)| {
        for (dy, inner) in dy.chunks_exact_mut(f).zip(inner.chunks_exact_mut(2 * f)) {
            let (gate, up) = inner.split_at_mut(f);
            // A row at a time: over several rows the compiler cannot tell gates from ups, and takes no vectors.
            fast(
                #[inline(always)]
                || {
                    for ((dy, gate), up) in dy.iter_mut().zip(gate).zip(up) {
                        let s = logistic(*gate);
                        let silu = *gate * s;
                        let dgate = *dy * *up * s * (R::one() + *gate * (R::one() - s));
                        let dup = *dy * silu;
                        *dy = silu * *up;
                        (*gate, *up) = (dgate, dup);
                    }
                },
            );
        }
    });
}

/// The Gaussian error linear unit of every element; see [`crate::gelu()`].
pub fn gelu<R: Real>(x: &[R], kind: Gelu) -> Vec<R> {
    let _span = profile::span(Kind::Elementwise, "gelu");
    let mut y = x.to_vec();
    y.par_chunks_mut(kernel::CHUNK).for_each(|y| {
        fast(
            #[inline(always)]
            || {
                for y in y {
                    *y = *y * gate(*y, kind).0;
                }
            },
        );
    });
    y
}

/// Replaces `x` by its gradient, and `dy` by `gelu(x)`, which the layer behind needs for its weight's gradient.
pub fn gelu_backward<R: Real>(x: &mut [R], dy: &mut [R], kind: Gelu) {
    let _span = profile::span(Kind::Elementwise, "gelu, back");
    x.par_chunks_mut(kernel::CHUNK).zip(dy.par_chunks_mut(kernel::CHUNK)).for_each(|(x, dy)| {
        fast(
            #[inline(always)]
            || {
                for (x, dy) in x.iter_mut().zip(dy) {
                    let (share, slope) = gate(*x, kind);
                    (*x, *dy) = (*dy * (share + *x * slope), *x * share);
                }
            },
        );
    });
}

/// The factor `g(x)` of `gelu(x) = x g(x)`, and its derivative.
#[inline(always)]
pub(crate) fn gate<R: Real>(x: R, kind: Gelu) -> (R, R) {
    match kind {
        Gelu::Tanh => {
            // 1/2 (1 + tanh u) is the logistic function of 2u.
            let scale = R::of(2.0 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2);
            let cubic = R::of(0.044_715) * x * x;
            let s = logistic(scale * x * (R::one() + cubic));
            (s, s * (R::one() - s) * scale * (R::one() + cubic * R::of(3.0)))
        }
        Gelu::Erf => {
            let density = (-(x * x) * R::of(0.5)).exp()
                * R::of(0.5 * std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::FRAC_1_SQRT_2);
            (R::of(0.5) * (R::one() + (x * R::of(std::f64::consts::FRAC_1_SQRT_2)).erf()), density)
        }
    }
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn logistic<R: Real>(x: R) -> R {
    R::one() / (R::one() + (-x).exp())
}

/// Zeroes element `i` where `key.uniform(i) < p`, scales the others by `1 / (1 - p)`; see [`crate::dropout()`].
pub fn drop_elements<R: Real>(values: &mut [R], p: f32, key: PhiloxKey) {
    let _span = profile::span(Kind::Elementwise, "dropout");
    kernel::drop_elements(values, p, key);
}

/// `target += source`.
pub fn add<R: Real>(target: &mut [R], source: &[R]) {
    let _span = profile::span(Kind::Elementwise, "add");
    kernel::add_assign(target, source);
}
