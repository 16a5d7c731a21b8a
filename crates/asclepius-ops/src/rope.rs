//! Rotary position embedding (Su et al., "RoFormer", 2021), of all features of a head or of the first `r`.

use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result as CandleResult, Shape, Tensor};

use crate::cpu::heads::{self, HeadLayout, Rotation};
use crate::gpu::{self, View};
use crate::kernel::{self, Host, Real, by_dtype};
use crate::linear::expect;
use crate::{OpsError, Result, reference};

/// Which features make a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeLayout {
    /// Feature `i` with `i + r/2`: the layout of Hugging Face checkpoints.
    Halves,
    /// Feature `2i` with `2i + 1`: the layout of the original Llama weights and of GGUF.
    Interleaved,
}

/// Rotates `x [t, h, d]` by the angles whose cosines and sines are `cos`, `sin [t, r/2]`; features from `r` on pass.
/// `(a, b) -> (a cos - b sin, b cos + a sin)`. Backward: the rotation by the opposite angles.
///
/// # Errors
/// When the shapes do not fit.
pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor> {
    let (t, _, d) = x.dims3()?;
    let half = cos.dims().last().copied().unwrap_or(0);
    expect("rope", "cos", &[t, half], cos.dims())?;
    expect("rope", "sin", &[t, half], sin.dims())?;
    if 2 * half > d {
        return Err(OpsError::Shape {
            operation: "rope",
            what: "cos, which turns more features than there are,",
            expected: vec![t, d / 2],
            found: cos.dims().to_vec(),
        });
    }
    if !kernel::has_kernel(&[x, cos, sin]) {
        return reference::rope(x, cos, sin, layout);
    }
    let rope = Rope { cos: cos.contiguous()?.detach(), sin: sin.contiguous()?.detach(), layout, backwards: false };
    Ok(x.contiguous()?.apply_op1(rope)?)
}

/// The gradient of what was turned, from that of what came out, `dy [t, h, d]`; features in halves, all contiguous.
pub(crate) fn back(dy: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let (cos, sin) = (cos.contiguous()?, sin.contiguous()?);
    Ok(dy.apply_op1_no_bwd(&Rope { cos, sin, layout: RopeLayout::Halves, backwards: true })?)
}

struct Rope {
    cos: Tensor,
    sin: Tensor,
    layout: RopeLayout,
    backwards: bool,
}

fn turn<R: Real>(rope: &Rope, x: &CpuStorage, layout: &Layout) -> CandleResult<CpuStorage> {
    let (_, h, d) = layout.shape().dims3()?;
    let half = rope.cos.dim(1)?;
    let (cos, sin) = (Host::new(&rope.cos), Host::new(&rope.sin));
    let mut y = kernel::slice::<R>(x, layout)?.to_vec();
    let rotation =
        Rotation { cos: cos.slice()?, sin: sin.slice()?, half, pairs: rope.layout, backwards: rope.backwards };
    heads::rotate(&mut y, HeadLayout::alone(h, d), &rotation);
    Ok(R::to_cpu_storage_owned(y))
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        Ok((by_dtype!(x.dtype(), turn(self, x, layout))?, layout.shape().clone()))
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> CandleResult<(CudaStorage, Shape)> {
        let y = gpu::rotate(View { storage: x, layout }, [&self.cos, &self.sin], self.layout, self.backwards)?;
        Ok((y, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<Option<Tensor>> {
        let opposite =
            Self { cos: self.cos.clone(), sin: self.sin.clone(), layout: self.layout, backwards: !self.backwards };
        Ok(Some(dy.contiguous()?.apply_op1_no_bwd(&opposite)?))
    }
}
