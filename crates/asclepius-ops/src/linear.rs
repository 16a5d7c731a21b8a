//! `y = x Wᵀ + b`, with a weight that may be frozen.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp2, Layout, Result as CandleResult, Shape, Tensor};

use crate::{OpsError, Parameter, Result};

/// `x Wᵀ + b`: `x [.., in]`, `w [out, in]`, `bias [out]` -> `[.., out]`, all of one type.
///
/// A quantised `w` is decoded for the product; a graph keeps it decoded until its way back.
///
/// Backward: `dx = dy W`; `dW = dyᵀ x`, only where `w` is trainable; `db` is the sum of `dy` over tokens.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear(x: &Tensor, w: &Parameter, bias: Option<&Parameter>) -> Result<Tensor> {
    let (out, input) = w.value().dims2()?;
    expect("linear", "x's last dimension", &[input], &x.dims()[x.rank().saturating_sub(1)..])?;
    let y = x.contiguous()?.apply_op2(&w.dense()?, Linear { w: w.clone() })?;
    match bias {
        Some(bias) => {
            expect("linear", "bias", &[out], bias.value().dims())?;
            Ok(y.broadcast_add(bias.value())?)
        }
        None => Ok(y),
    }
}

pub(crate) fn expect(operation: &'static str, what: &'static str, expected: &[usize], found: &[usize]) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    Err(OpsError::Shape { operation, what, expected: expected.to_vec(), found: found.to_vec() })
}

struct Linear {
    w: Parameter,
}

/// The product of two matrices given as storage, for every backend: `x [rows, in]` by `w [out, in]` transposed.
fn product<S: BackendStorage>(x: &S, x_layout: &Layout, w: &S, w_layout: &Layout) -> CandleResult<(S, Shape)> {
    let (out, input) = w_layout.shape().dims2()?;
    let rows = x_layout.shape().elem_count() / input;
    let matrix = Layout::contiguous_with_offset((rows, input), x_layout.start_offset());
    let y = x.matmul(w, (1, rows, out, input), &matrix, &w_layout.transpose(0, 1)?)?;
    let mut dims = x_layout.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = out;
    }
    Ok((y, Shape::from(dims)))
}

impl CustomOp2 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, w: &CpuStorage, wl: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        product(x, xl, w, wl)
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        w: &CudaStorage,
        wl: &Layout,
    ) -> CandleResult<(CudaStorage, Shape)> {
        product(x, xl, w, wl)
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<(Option<Tensor>, Option<Tensor>)> {
        let (out, input) = w.dims2()?;
        let dy = dy.contiguous()?.reshape(((), out))?;
        let dx = if x.track_op() { Some(dy.matmul(&w.detach())?.reshape(x.shape())?) } else { None };
        let dw = if self.w.is_trainable() {
            self.w.deliver_product(&dy, &x.detach().reshape(((), input))?, 1.0)?
        } else {
            None
        };
        Ok((dx, dw))
    }
}
