//! Rotary position embedding (Su et al., "RoFormer", 2021), of all features of a head or of the first `r`.

use candle_core::{CpuStorage, CustomOp1, Layout, Result as CandleResult, Shape, Tensor};
use rayon::prelude::*;

use crate::kernel::{self, Host, Real, by_dtype};
use crate::linear::expect;
use crate::{OpsError, Result, reference};

/// Tokens a thread turns at a time.
const TOKENS: usize = 64;

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
    if !kernel::fused(&[x, cos, sin]) {
        return reference::rope(x, cos, sin, layout);
    }
    let rope = Rope { cos: cos.contiguous()?.detach(), sin: sin.contiguous()?.detach(), layout, backwards: false };
    Ok(x.contiguous()?.apply_op1(rope)?)
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
    let (cos, sin) = (cos.slice::<R>()?, sin.slice::<R>()?);
    let mut y = kernel::slice::<R>(x, layout)?.to_vec();
    let sign = if rope.backwards { -R::one() } else { R::one() };
    let chunks = cos.par_chunks(TOKENS * half).zip(sin.par_chunks(TOKENS * half));
    y.par_chunks_mut(TOKENS * h * d).zip(chunks).for_each(|(y, (cos, sin))| {
        let angles = cos.chunks_exact(half).zip(sin.chunks_exact(half));
        for (token, (cos, sin)) in y.chunks_exact_mut(h * d).zip(angles) {
            for head in token.chunks_exact_mut(d) {
                match rope.layout {
                    RopeLayout::Halves => {
                        let (first, second) = head[..2 * half].split_at_mut(half);
                        for ((a, b), (&cos, &sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                            rotate(a, b, cos, sin * sign);
                        }
                    }
                    RopeLayout::Interleaved => {
                        for ([a, b], (&cos, &sin)) in
                            head[..2 * half].as_chunks_mut::<2>().0.iter_mut().zip(cos.iter().zip(sin))
                        {
                            rotate(a, b, cos, sin * sign);
                        }
                    }
                }
            }
        }
    });
    Ok(R::to_cpu_storage_owned(y))
}

fn rotate<R: Real>(a: &mut R, b: &mut R, cos: R, sin: R) {
    (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
}

impl CustomOp1 for Rope {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        use candle_core::backend::BackendStorage;
        Ok((by_dtype!(x.dtype(), turn(self, x, layout))?, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<Option<Tensor>> {
        let opposite =
            Self { cos: self.cos.clone(), sin: self.sin.clone(), layout: self.layout, backwards: !self.backwards };
        Ok(Some(dy.contiguous()?.apply_op1_no_bwd(&opposite)?))
    }
}
