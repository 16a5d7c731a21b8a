//! Rows of a table by token.

use candle_core::Tensor;

use crate::{OpsError, Parameter, Result, reference};

/// Rows of `w [v, d]` by `ids [t]` -> `[t, d]`. Backward: each row of `dy` is added to its token's row of `dW`.
///
/// # Errors
/// When an id is not below `v`.
pub fn embedding(ids: &[u32], w: &Parameter) -> Result<Tensor> {
    let (v, _) = w.value().dims2()?;
    if let Some(&id) = ids.iter().find(|&&id| id as usize >= v) {
        return Err(OpsError::Index { operation: "embedding", what: "token", index: id as usize, bound: v });
    }
    reference::embedding(&Tensor::new(ids, w.value().device())?, w.value())
}
