//! Dropout whose mask is a function of a key, so that running a block again draws the same one.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result as CandleResult, Shape, Tensor};

use crate::gpu::{self, View};
use crate::kernel::{self, Real, by_dtype};
use crate::{PhiloxKey, Result, reference};

/// Zeroes each element of `x` (any shape) with probability `p` in `[0, 1)` and scales the others by `1 / (1 - p)`.
/// Element `i` is kept where `key.uniform(i) >= p`. Backward: the same mask and scale.
///
/// # Errors
/// When the device fails.
pub fn dropout(x: &Tensor, p: f32, key: PhiloxKey) -> Result<Tensor> {
    if p <= 0.0 {
        return Ok(x.clone());
    }
    if !kernel::has_kernel(&[x]) {
        return reference::dropout(x, p, key);
    }
    Ok(x.contiguous()?.apply_op1(Dropout { p, key })?)
}

struct Dropout {
    p: f32,
    key: PhiloxKey,
}

fn forward<R: Real>(x: &CpuStorage, layout: &Layout, dropout: &Dropout) -> CandleResult<CpuStorage> {
    let mut values = kernel::slice::<R>(x, layout)?.to_vec();
    kernel::drop_elements(&mut values, dropout.p, dropout.key);
    Ok(R::to_cpu_storage_owned(values))
}

impl CustomOp1 for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        Ok((by_dtype!(x.dtype(), forward(x, layout, self))?, layout.shape().clone()))
    }

    fn cuda_fwd(&self, x: &CudaStorage, layout: &Layout) -> CandleResult<(CudaStorage, Shape)> {
        Ok((gpu::drop_elements(View { storage: x, layout }, self.p, self.key)?, layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<Option<Tensor>> {
        Ok(Some(dy.contiguous()?.apply_op1_no_bwd(self)?))
    }
}
