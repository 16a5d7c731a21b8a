//! Elementwise non-linearities of the feed-forward layers.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Result as CandleResult, Shape, Tensor};
use rayon::prelude::*;

use crate::cpu::elements::{self, logistic};
use crate::gpu::{self, View};
use crate::kernel::{self, CHUNK, Host, Real, by_dtype};
use crate::linear::expect;
use crate::{Result, reference};

/// Which formula of the Gaussian error linear unit a checkpoint was trained with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// `x/2 (1 + erf(x / sqrt 2))`, `gelu` in Hugging Face configurations.
    Erf,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`, `gelu_new` and `gelu_pytorch_tanh` there.
    Tanh,
}

/// `silu(gate) * up` with `silu(x) = x s(x)`, `s` the logistic function; all of one shape (Shazeer, "GLU Variants Improve
/// Transformer", 2020).
///
/// Backward: `dgate = dy up s (1 + gate (1 - s))`, `dup = dy gate s`.
///
/// # Errors
/// When the shapes differ.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    expect("swiglu", "up", gate.dims(), up.dims())?;
    if !kernel::has_kernel(&[gate, up]) {
        return reference::swiglu(gate, up);
    }
    Ok(gate.contiguous()?.apply_op2(&up.contiguous()?, SwiGlu)?)
}

/// The Gaussian error linear unit of `x`, any shape (Hendrycks and Gimpel, 2016).
///
/// Backward, with `gelu(x) = x g(x)`: `dx = dy (g + x g')`. In the form with erf `g'` is the normal density; in that with
/// tanh `g` is the logistic function of `2u`, `u = sqrt(2/pi) (x + 0.044715 x^3)`, and `g' = 2 g (1 - g) u'`.
///
/// # Errors
/// When the device fails.
pub fn gelu(x: &Tensor, kind: Gelu) -> Result<Tensor> {
    if !kernel::has_kernel(&[x]) {
        return reference::gelu(x, kind);
    }
    Ok(x.contiguous()?.apply_op1(GeluOf(kind))?)
}

/// The gradients of `gate` and `up` of [`swiglu`] for `dy`; all contiguous.
pub(crate) fn swiglu_back(gate: &Tensor, up: &Tensor, dy: &Tensor) -> CandleResult<(Tensor, Tensor)> {
    if gate.device().is_cuda() {
        gpu::swiglu_backward(gate, up, dy)
    } else {
        by_dtype!(gate.dtype(), backward(gate, up, dy))
    }
}

/// The gradient of `x` of [`gelu`] for `dy`; both contiguous.
pub(crate) fn gelu_back(x: &Tensor, dy: &Tensor, kind: Gelu) -> CandleResult<Tensor> {
    if x.device().is_cuda() {
        gpu::gelu_backward(x, dy, kind)
    } else {
        by_dtype!(x.dtype(), gelu_backward(x, dy, kind))
    }
}

struct GeluOf(Gelu);

fn gelu_forward<R: Real>(x: &CpuStorage, layout: &Layout, kind: Gelu) -> CandleResult<CpuStorage> {
    Ok(R::to_cpu_storage_owned(elements::gelu(kernel::slice::<R>(x, layout)?, kind)))
}

fn gelu_backward<R: Real>(x: &Tensor, dy: &Tensor, kind: Gelu) -> CandleResult<Tensor> {
    let (mut dx, mut dy) = (Host::new(x).slice::<R>()?.to_vec(), Host::new(dy).slice::<R>()?.to_vec());
    elements::gelu_backward(&mut dx, &mut dy, kind);
    Tensor::from_vec(dx, x.shape(), x.device())
}

impl CustomOp1 for GeluOf {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        Ok((by_dtype!(x.dtype(), gelu_forward(x, layout, self.0))?, layout.shape().clone()))
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> CandleResult<(CudaStorage, Shape)> {
        Ok((gpu::gelu(View { storage: x, layout }, self.0)?, layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<Option<Tensor>> {
        Ok(Some(gelu_back(x, &dy.contiguous()?, self.0)?))
    }
}

struct SwiGlu;

fn forward<R: Real>(gate: &CpuStorage, gl: &Layout, up: &CpuStorage, ul: &Layout) -> CandleResult<CpuStorage> {
    let (gate, up) = (kernel::slice::<R>(gate, gl)?, kernel::slice::<R>(up, ul)?);
    let mut y = vec![R::zero(); gate.len()];
    y.par_chunks_mut(CHUNK).zip(gate.par_chunks(CHUNK).zip(up.par_chunks(CHUNK))).for_each(|(y, (gate, up))| {
        for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
            *y = gate * logistic(gate) * up;
        }
    });
    Ok(R::to_cpu_storage_owned(y))
}

fn backward<R: Real>(gate: &Tensor, up: &Tensor, dy: &Tensor) -> CandleResult<(Tensor, Tensor)> {
    let (gate_host, up_host, dy_host) = (Host::new(gate), Host::new(up), Host::new(dy));
    let (gates, ups, dys) = (gate_host.slice::<R>()?, up_host.slice::<R>()?, dy_host.slice::<R>()?);
    let mut dgate = vec![R::zero(); gates.len()];
    let mut dup = vec![R::zero(); gates.len()];
    let given = gates.par_chunks(CHUNK).zip(ups.par_chunks(CHUNK)).zip(dys.par_chunks(CHUNK));
    dgate.par_chunks_mut(CHUNK).zip(dup.par_chunks_mut(CHUNK)).zip(given).for_each(
        |((dgate, dup), ((gate, up), dy))| {
            for (((dgate, dup), (&gate, &up)), &dy) in dgate.iter_mut().zip(dup).zip(gate.iter().zip(up)).zip(dy) {
                let s = logistic(gate);
                *dgate = dy * up * s * (R::one() + gate * (R::one() - s));
                *dup = dy * gate * s;
            }
        },
    );
    Ok((Tensor::from_vec(dgate, gate.shape(), gate.device())?, Tensor::from_vec(dup, up.shape(), up.device())?))
}

impl CustomOp2 for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(
        &self,
        gate: &CpuStorage,
        gl: &Layout,
        up: &CpuStorage,
        ul: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        Ok((by_dtype!(gate.dtype(), forward(gate, gl, up, ul))?, gl.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        gate: &CudaStorage,
        gl: &Layout,
        up: &CudaStorage,
        ul: &Layout,
    ) -> CandleResult<(CudaStorage, Shape)> {
        let (gate, up) = (View { storage: gate, layout: gl }, View { storage: up, layout: ul });
        Ok((gpu::swiglu(gate, up)?, gl.shape().clone()))
    }

    fn bwd(
        &self,
        gate: &Tensor,
        up: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> CandleResult<(Option<Tensor>, Option<Tensor>)> {
        let (dgate, dup) = swiglu_back(gate, up, &dy.contiguous()?)?;
        Ok((gate.track_op().then_some(dgate), up.track_op().then_some(dup)))
    }
}
