//! Normalisation over the last dimension.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, CustomOp3, Layout, Result as CandleResult, Shape, Tensor};

use crate::cpu::rows::Norm;
use crate::gpu::{self, NormKind, View};
use crate::kernel::{self, Host, Real, by_dtype};
use crate::linear::expect;
use crate::{Parameter, Result, reference, tape};

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
    if !kernel::has_kernel(&[x, w.value()]) {
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
    if !kernel::has_kernel(&[x, w.value(), b.value()]) {
        return reference::layer_norm(x, w.value(), b.value(), epsilon);
    }
    let operation = LayerNorm { w: w.clone(), b: b.clone(), epsilon };
    Ok(x.contiguous()?.apply_op3(w.value(), b.value(), operation)?)
}

struct RmsNorm {
    w: Parameter,
    epsilon: f64,
}

struct LayerNorm {
    w: Parameter,
    b: Parameter,
    epsilon: f64,
}

type Part<'a> = (&'a CpuStorage, &'a Layout);

fn forward<R: Real>(x: Part<'_>, w: Part<'_>, b: Option<Part<'_>>, epsilon: f64) -> CandleResult<CpuStorage> {
    let slice = |(storage, layout)| kernel::slice::<R>(storage, layout);
    let norm = Norm { weight: slice(w)?, bias: b.map(slice).transpose()?, epsilon };
    Ok(R::to_cpu_storage_owned(norm.forward(slice(x)?)))
}

/// The gradients of `x`, `w` and, with a bias, `b`.
fn backward<R: Real>(
    x: &Tensor,
    w: &Tensor,
    b: Option<&Tensor>,
    dy: &Tensor,
    epsilon: f64,
) -> CandleResult<(Tensor, Tensor, Option<Tensor>)> {
    let (x_host, w_host, dy_host) = (Host::new(x), Host::new(w), Host::new(dy));
    let b_host = b.map(Host::new);
    let bias = b_host.as_ref().map(Host::slice::<R>).transpose()?;
    let norm = Norm { weight: w_host.slice()?, bias, epsilon };
    let mut dx = vec![R::zero(); x.elem_count()];
    let gradients = norm.backward(x_host.slice::<R>()?, dy_host.slice()?, &mut dx);
    let size = w.elem_count();
    let db = gradients.bias.map(|db| Tensor::from_vec(db, size, w.device())).transpose()?;
    Ok((Tensor::from_vec(dx, x.shape(), x.device())?, Tensor::from_vec(gradients.weight, size, w.device())?, db))
}

/// The gradient of `x`, whose norm is [`rms_norm`], or with a bias [`layer_norm`], for `dy`, plus `beside`; those of `w`
/// and `bias` are added where they are summed. All contiguous.
pub(crate) fn back(
    x: &Tensor,
    w: &Parameter,
    bias: Option<&Parameter>,
    epsilon: f64,
    dy: &Tensor,
    beside: Option<&Tensor>,
) -> Result<Tensor> {
    let (dx, dw, db) = gradients(x, w, bias, epsilon, dy, beside)?;
    tape::delivered(w, deliver(w, dw)?)?;
    if let Some(bias) = bias {
        tape::delivered(bias, deliver(bias, db)?)?;
    }
    Ok(dx)
}

/// The gradients of `x` and, where they are trained, of `w` and `bias`.
fn gradients(
    x: &Tensor,
    w: &Parameter,
    bias: Option<&Parameter>,
    epsilon: f64,
    dy: &Tensor,
    beside: Option<&Tensor>,
) -> CandleResult<(Tensor, Option<Tensor>, Option<Tensor>)> {
    let kind = if bias.is_some() { NormKind::Layer } else { NormKind::Rms };
    if x.device().is_cuda() {
        let wants_weight = w.is_trainable() || bias.is_some_and(Parameter::is_trainable);
        return gpu::norm_backward(kind, [x, w.value(), dy], beside, epsilon, wants_weight);
    }
    let (dx, dw, db) = by_dtype!(x.dtype(), backward(x, w.value(), bias.map(Parameter::value), dy, epsilon))?;
    let dx = match beside {
        Some(beside) => (dx + beside)?,
        None => dx,
    };
    Ok((dx, Some(dw), db))
}

fn deliver(parameter: &Parameter, gradient: Option<Tensor>) -> CandleResult<Option<Tensor>> {
    match gradient {
        Some(gradient) if parameter.is_trainable() => parameter.deliver(gradient),
        _ => Ok(None),
    }
}

impl CustomOp2 for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        Ok((by_dtype!(x.dtype(), forward((x, xl), (w, wl), None, self.epsilon))?, xl.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        w: &CudaStorage,
        wl: &Layout,
    ) -> CandleResult<(CudaStorage, Shape)> {
        let [x, w] = [View { storage: x, layout: xl }, View { storage: w, layout: wl }];
        Ok((gpu::norm(NormKind::Rms, x, w, None, self.epsilon)?, xl.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<(Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, _) = gradients(x, &self.w, None, self.epsilon, &dy.contiguous()?, None)?;
        Ok((x.track_op().then_some(dx), deliver(&self.w, dw)?))
    }
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
        Ok((by_dtype!(x.dtype(), forward((x, xl), (w, wl), Some((b, bl)), self.epsilon))?, xl.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        w: &CudaStorage,
        wl: &Layout,
        b: &CudaStorage,
        bl: &Layout,
    ) -> CandleResult<(CudaStorage, Shape)> {
        let view = |storage, layout| View { storage, layout };
        let y = gpu::norm(NormKind::Layer, view(x, xl), view(w, wl), Some(view(b, bl)), self.epsilon)?;
        Ok((y, xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> CandleResult<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (dx, dw, db) = gradients(x, &self.w, Some(&self.b), self.epsilon, &dy.contiguous()?, None)?;
        Ok((x.track_op().then_some(dx), deliver(&self.w, dw)?, deliver(&self.b, db)?))
    }
}
