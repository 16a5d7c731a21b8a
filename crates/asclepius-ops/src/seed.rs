//! The way back into a graph that was cut: a scalar whose gradient towards `y` is a tensor given beforehand.

use candle_core::backend::{BackendDevice, BackendStorage};
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Shape, Tensor};

use crate::{OpsError, Result};

/// A scalar (0) of `y`'s type whose backward gives `dy` as the gradient of `y`; both of one shape.
///
/// # Errors
/// When the shapes differ.
pub fn seed(y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    if y.dims() != dy.dims() {
        return Err(OpsError::Shape {
            operation: "seed",
            what: "dy",
            expected: y.dims().to_vec(),
            found: dy.dims().to_vec(),
        });
    }
    let dy = dy.detach().to_dtype(y.dtype())?;
    Ok(y.apply_op1(Seed { dy })?)
}

struct Seed {
    dy: Tensor,
}

impl CustomOp1 for Seed {
    fn name(&self) -> &'static str {
        "seed"
    }

    fn cpu_fwd(&self, y: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((y.device().zeros_impl(&Shape::from(()), y.dtype())?, Shape::from(())))
    }

    fn cuda_fwd(&self, y: &CudaStorage, _: &Layout) -> candle_core::Result<(CudaStorage, Shape)> {
        Ok((y.device().zeros_impl(&Shape::from(()), y.dtype())?, Shape::from(())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
        Ok(Some(self.dy.clone()))
    }
}
