//! Normalisation over the last dimension.

use candle_core::{CpuStorage, CustomOp2, Layout, Result as CandleResult, Shape, Tensor};
use rayon::prelude::*;

use crate::kernel::{self, Host, Real, by_dtype};
use crate::linear::expect;
use crate::{Parameter, Result, reference};

/// Rows whose share of `dW` one thread sums; part of the result's bits.
const ROWS: usize = 64;

/// `x / sqrt(mean(x^2) + epsilon) * w`: `x [.., d]`, `w [d]` (Zhang and Sennrich, "Root Mean Square Layer
/// Normalization", 2019).
///
/// Backward, with `n = x i`, `i = 1 / sqrt(mean(x^2) + epsilon)` and `u = dy w`: `dx = i (u - n mean(u n))`, and `dw` is the
/// sum of `dy n` over rows.
///
/// # Errors
/// When the shapes do not fit.
pub fn rms_norm(x: &Tensor, w: &Parameter, epsilon: f64) -> Result<Tensor> {
    expect("rms_norm", "w", &x.dims()[x.rank().saturating_sub(1)..], w.value().dims())?;
    if !kernel::fused(&[x, w.value()]) {
        return reference::rms_norm(x, w.value(), epsilon);
    }
    Ok(x.contiguous()?.apply_op2(w.value(), RmsNorm { w: w.clone(), epsilon })?)
}

/// `(x - mean) / sqrt(variance + epsilon) * w + b`: `x [.., d]`, `w [d]`, `b [d]` (Ba, Kiros and Hinton, "Layer
/// Normalization", 2016).
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm(x: &Tensor, w: &Parameter, b: &Parameter, epsilon: f64) -> Result<Tensor> {
    let last = &x.dims()[x.rank().saturating_sub(1)..];
    expect("layer_norm", "w", last, w.value().dims())?;
    expect("layer_norm", "b", last, b.value().dims())?;
    reference::layer_norm(x, w.value(), b.value(), epsilon)
}

struct RmsNorm {
    w: Parameter,
    epsilon: f64,
}

/// `1 / sqrt(mean(x^2) + epsilon)` of a row.
fn inverse<R: Real>(row: &[R], epsilon: f64) -> R {
    R::one() / (kernel::dot(row, row) / R::of(row.len() as f64) + R::of(epsilon)).sqrt()
}

fn forward<R: Real>(x: &[R], w: &[R], epsilon: f64) -> CpuStorage {
    let mut y = vec![R::zero(); x.len()];
    let size = w.len();
    y.par_chunks_mut(ROWS * size).zip(x.par_chunks(ROWS * size)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(size).zip(x.chunks_exact(size)) {
            let inverse = inverse(x, epsilon);
            for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
                *y = x * inverse * w;
            }
        }
    });
    R::to_cpu_storage_owned(y)
}

fn run<R: Real>(x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout, epsilon: f64) -> CandleResult<CpuStorage> {
    Ok(forward::<R>(kernel::slice(x, xl)?, kernel::slice(w, wl)?, epsilon))
}

fn backward<R: Real>(x: &Tensor, w: &Tensor, dy: &Tensor, epsilon: f64) -> CandleResult<(Tensor, Tensor)> {
    let (x_host, w_host, dy_host) = (Host::new(x), Host::new(w), Host::new(dy));
    let (xs, ws, dys) = (x_host.slice::<R>()?, w_host.slice::<R>()?, dy_host.slice::<R>()?);
    let size = ws.len();
    let mut dx = vec![R::zero(); xs.len()];
    let partial: Vec<Vec<R>> = dx
        .par_chunks_mut(ROWS * size)
        .zip(xs.par_chunks(ROWS * size).zip(dys.par_chunks(ROWS * size)))
        .map(|(dx, (x, dy))| {
            let mut dw = vec![R::zero(); size];
            let mut u = vec![R::zero(); size];
            for ((dx, x), dy) in dx.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(dy.chunks_exact(size)) {
                let inverse = inverse(x, epsilon);
                for ((u, &dy), &w) in u.iter_mut().zip(dy).zip(ws) {
                    *u = dy * w;
                }
                let pull = kernel::dot(&u, x) * inverse * inverse / R::of(size as f64);
                for (((dx, dw), &u), (&x, &dy)) in dx.iter_mut().zip(&mut dw).zip(&u).zip(x.iter().zip(dy)) {
                    *dx = inverse * (u - x * pull);
                    *dw += dy * x * inverse;
                }
            }
            dw
        })
        .collect();
    let mut dw = vec![R::zero(); size];
    for partial in &partial {
        kernel::add_row(&mut dw, partial);
    }
    Ok((Tensor::from_vec(dx, x.shape(), x.device())?, Tensor::from_vec(dw, size, w.device())?))
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        Ok((by_dtype!(x.dtype(), run(x, xl, w, wl, self.epsilon))?, xl.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let (dx, dw) = by_dtype!(x.dtype(), backward(x, w, &dy, self.epsilon))?;
        let dw = if self.w.is_trainable() { self.w.deliver(dw)? } else { None };
        Ok((x.track_op().then_some(dx), dw))
    }
}
