//! Rows of a table by token.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, Result as CandleResult, Shape, Tensor};

use crate::gpu::EmbeddingRows;
use crate::{OpsError, Parameter, Result};

/// Rows of `w [v, d]` by `ids [t]` -> `[t, d]`. Backward: each row of `dy` is added to its token's row of `dW`.
///
/// # Errors
/// When an id is not below `v`.
pub fn embedding(ids: &[u32], w: &Parameter) -> Result<Tensor> {
    let (v, _) = w.value().dims2()?;
    if let Some(&id) = ids.iter().find(|&&id| id as usize >= v) {
        return Err(OpsError::Index { operation: "embedding", what: "token", index: id as usize, bound: v });
    }
    let device = w.value().device();
    let rows = if device.is_cuda() && w.is_trainable() { Some(EmbeddingRows::new(ids, device)?) } else { None };
    let ids = Tensor::new(ids, device)?;
    if !w.is_trainable() {
        return Ok(w.value().index_select(&ids, 0)?);
    }
    Ok(w.value().apply_op1(Embedding { ids, rows, w: w.clone() })?)
}

struct Embedding {
    ids: Tensor,
    /// For the way back on a card.
    rows: Option<EmbeddingRows>,
    w: Parameter,
}

impl Embedding {
    fn shape(&self, w: &Layout) -> CandleResult<Shape> {
        Ok(Shape::from((self.ids.elem_count(), w.shape().dims2()?.1)))
    }
}

impl CustomOp1 for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, w: &CpuStorage, layout: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        let (ids, ids_layout) = self.ids.storage_and_layout();
        match &*ids {
            candle_core::Storage::Cpu(ids) => Ok((w.index_select(ids, layout, ids_layout, 0)?, self.shape(layout)?)),
            _ => candle_core::bail!("tokens and embedding lie on two devices"),
        }
    }

    fn cuda_fwd(&self, w: &CudaStorage, layout: &Layout) -> CandleResult<(CudaStorage, Shape)> {
        let (ids, ids_layout) = self.ids.storage_and_layout();
        match &*ids {
            candle_core::Storage::Cuda(ids) => Ok((w.index_select(ids, layout, ids_layout, 0)?, self.shape(layout)?)),
            _ => candle_core::bail!("tokens and embedding lie on two devices"),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<Option<Tensor>> {
        self.w.deliver_rows(&self.ids, self.rows.as_ref(), &dy.contiguous()?)
    }
}
