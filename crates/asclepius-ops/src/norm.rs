//! Normalisation over the last dimension.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result as CandleResult, Shape, Tensor};
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
/// Backward, with `n = (x - mean) i`, `i = 1 / sqrt(variance + epsilon)` and `u = dy w`:
/// `dx = i (u - mean(u) - n mean(u n))`; `dw` is the sum of `dy n` over rows, `db` that of `dy`.
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm(x: &Tensor, w: &Parameter, b: &Parameter, epsilon: f64) -> Result<Tensor> {
    let last = &x.dims()[x.rank().saturating_sub(1)..];
    expect("layer_norm", "w", last, w.value().dims())?;
    expect("layer_norm", "b", last, b.value().dims())?;
    if !kernel::fused(&[x, w.value(), b.value()]) {
        return reference::layer_norm(x, w.value(), b.value(), epsilon);
    }
    let operation = LayerNorm { w: w.clone(), b: b.clone(), epsilon };
    Ok(x.contiguous()?.apply_op3(w.value(), b.value(), operation)?)
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

struct LayerNorm {
    w: Parameter,
    b: Parameter,
    epsilon: f64,
}

/// `normed = (x - mean) i` of a row; gives `i`.
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

fn layer_forward<R: Real>(
    (x, xl): (&CpuStorage, &Layout),
    (w, wl): (&CpuStorage, &Layout),
    (b, bl): (&CpuStorage, &Layout),
    epsilon: f64,
) -> CandleResult<CpuStorage> {
    let (x, w, b) = (kernel::slice::<R>(x, xl)?, kernel::slice::<R>(w, wl)?, kernel::slice::<R>(b, bl)?);
    let size = w.len();
    let mut y = vec![R::zero(); x.len()];
    y.par_chunks_mut(ROWS * size).zip(x.par_chunks(ROWS * size)).for_each(|(y, x)| {
        for (y, x) in y.chunks_exact_mut(size).zip(x.chunks_exact(size)) {
            centre(x, y, epsilon);
            for (y, (&w, &b)) in y.iter_mut().zip(w.iter().zip(b)) {
                *y = *y * w + b;
            }
        }
    });
    Ok(R::to_cpu_storage_owned(y))
}

fn layer_backward<R: Real>(x: &Tensor, w: &Tensor, dy: &Tensor, epsilon: f64) -> CandleResult<[Tensor; 3]> {
    let (x_host, w_host, dy_host) = (Host::new(x), Host::new(w), Host::new(dy));
    let (xs, ws, dys) = (x_host.slice::<R>()?, w_host.slice::<R>()?, dy_host.slice::<R>()?);
    let size = ws.len();
    let count = R::of(size as f64);
    let mut dx = vec![R::zero(); xs.len()];
    let partial: Vec<(Vec<R>, Vec<R>)> = dx
        .par_chunks_mut(ROWS * size)
        .zip(xs.par_chunks(ROWS * size).zip(dys.par_chunks(ROWS * size)))
        .map(|(dx, (x, dy))| {
            let (mut dw, mut db) = (vec![R::zero(); size], vec![R::zero(); size]);
            let mut normed = vec![R::zero(); size];
            for ((dx, x), dy) in dx.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(dy.chunks_exact(size)) {
                let inverse = centre(x, &mut normed, epsilon);
                for (((dx, dw), &w), (&n, &dy)) in dx.iter_mut().zip(&mut dw).zip(ws).zip(normed.iter().zip(dy)) {
                    *dx = dy * w;
                    *dw += dy * n;
                }
                kernel::add_row(&mut db, dy);
                let (mean, pull) = (kernel::sum(dx) / count, kernel::dot(dx, &normed) / count);
                for (dx, &n) in dx.iter_mut().zip(&normed) {
                    *dx = inverse * (*dx - mean - n * pull);
                }
            }
            (dw, db)
        })
        .collect();
    let (mut dw, mut db) = (vec![R::zero(); size], vec![R::zero(); size]);
    for (partial_w, partial_b) in &partial {
        kernel::add_row(&mut dw, partial_w);
        kernel::add_row(&mut db, partial_b);
    }
    let device = x.device();
    Ok([
        Tensor::from_vec(dx, x.shape(), device)?,
        Tensor::from_vec(dw, size, device)?,
        Tensor::from_vec(db, size, device)?,
    ])
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        Ok((by_dtype!(x.dtype(), layer_forward((x, xl), (w, wl), (b, bl), self.epsilon))?, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> CandleResult<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = by_dtype!(x.dtype(), layer_backward(x, w, &dy.contiguous()?, self.epsilon))?;
        let dw = if self.w.is_trainable() { self.w.deliver(dw)? } else { None };
        let db = if self.b.is_trainable() { self.b.deliver(db)? } else { None };
        Ok((x.track_op().then_some(dx), dw, db))
    }
}
