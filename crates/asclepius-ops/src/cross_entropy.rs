//! The head and its loss in one operation: only supervised rows are projected, a chunk at a time, and the logits of all
//! rows never exist together.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp2, CustomOp3, DType, Layout, Result as CandleResult, Shape, Tensor};
use rayon::prelude::*;

use crate::cpu::head;
use crate::kernel::{self, Host, Real, by_dtype};
use crate::linear::expect;
use crate::parameter::Accumulate;
use crate::{OpsError, Parameter, Result, reference};

/// Which rows are supervised, and by which token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    rows: Vec<u32>,
    labels: Vec<u32>,
}

impl Targets {
    /// Row `rows[i]` of the hidden states is to predict token `labels[i]`.
    ///
    /// # Errors
    /// When there are not as many labels as rows, or the rows do not rise.
    pub fn new(rows: Vec<u32>, labels: Vec<u32>) -> Result<Self> {
        if rows.len() != labels.len() {
            return Err(OpsError::Shape {
                operation: "Targets::new",
                what: "labels",
                expected: vec![rows.len()],
                found: vec![labels.len()],
            });
        }
        if let Some(pair) = rows.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(OpsError::Index {
                operation: "Targets::new",
                what: "row (rows must rise)",
                index: pair[0] as usize,
                bound: pair[1] as usize,
            });
        }
        Ok(Self { rows, labels })
    }

    /// From one label a row, `None` where the row is not supervised.
    pub fn from_labels(labels: &[Option<u32>]) -> Self {
        let (rows, labels) =
            labels.iter().enumerate().filter_map(|(row, label)| label.map(|label| (row as u32, label))).unzip();
        Self { rows, labels }
    }

    /// The supervised rows, rising.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The token each row is to predict.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// How many rows are supervised.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether nothing is supervised.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The sum over the targets of `logsumexp(z) - z[label]` with `z = x[row] Wᵀ + b`: `x [t, d]`, `w [v, d]`, `bias [v]`
/// -> a scalar, f32 (f64 for f64 input). Divide by the number of supervised tokens of the whole step.
///
/// Backward: `dz = softmax(z) - onehot(label)`, `dx[row] = dz W`, `dW = dzᵀ x[row]`, `db` the sum of `dz` over rows. The
/// kernel makes them on the way forward, while the scores are at hand (Hsu et al., "Liger Kernel", 2024, section 3.2):
/// give `x`, `w` and `bias` as constants where no gradient is wanted.
///
/// # Errors
/// When the shapes do not fit, or a row or label lies outside.
pub fn linear_cross_entropy(x: &Tensor, w: &Parameter, bias: Option<&Parameter>, targets: &Targets) -> Result<Tensor> {
    let (t, d) = x.dims2()?;
    let (v, _) = w.value().dims2()?;
    expect("linear_cross_entropy", "w", &[v, d], w.value().dims())?;
    if let Some(bias) = bias {
        expect("linear_cross_entropy", "bias", &[v], bias.value().dims())?;
    }
    for (what, indices, bound) in [("row", &targets.rows, t), ("label", &targets.labels, v)] {
        if let Some(&index) = indices.iter().find(|&&index| index as usize >= bound) {
            return Err(OpsError::Index { operation: "linear_cross_entropy", what, index: index as usize, bound });
        }
    }
    if targets.is_empty() {
        // A sum over nothing; no gradient flows.
        let dtype = if x.dtype() == DType::F64 { DType::F64 } else { DType::F32 };
        return Ok(Tensor::zeros((), dtype, x.device())?);
    }
    let fused = kernel::fused(&[x, w.value()]) && bias.is_none_or(|bias| kernel::fused(&[x, bias.value()]));
    if !fused {
        return reference::linear_cross_entropy(x, w.value(), bias.map(Parameter::value), targets);
    }
    let x = x.contiguous()?;
    let result = Mutex::new(by_dtype!(x.dtype(), forward(&x, w, bias, targets))?);
    let operation = LinearCrossEntropy { result, w: w.clone(), bias: bias.cloned() };
    Ok(match bias {
        Some(bias) => x.apply_op3(w.value(), bias.value(), operation)?,
        None => x.apply_op2(w.value(), operation)?,
    })
}

/// The loss, and the gradients for a gradient of 1.
struct Computed {
    loss: f64,
    dx: Option<Tensor>,
    dw: Option<Tensor>,
    db: Option<Tensor>,
}

struct LinearCrossEntropy {
    result: Mutex<Computed>,
    w: Parameter,
    bias: Option<Parameter>,
}

fn forward<R: Real>(x: &Tensor, w: &Parameter, bias: Option<&Parameter>, targets: &Targets) -> CandleResult<Computed> {
    let weight = w.value().detach();
    let (v, d) = weight.dims2()?;
    let rows = Tensor::new(targets.rows.as_slice(), x.device())?;
    let supervised = x.detach().index_select(&rows, 0)?;
    let (wants_x, wants_w) = (x.track_op(), w.is_trainable());
    let wants_b = bias.is_some_and(Parameter::is_trainable);
    let wants_any = wants_x || wants_w || wants_b;
    let offsets = bias.map(|bias| bias.value().detach().flatten_all()?.to_vec1::<R>()).transpose()?;
    let mut db = vec![R::zero(); if wants_b { v } else { 0 }];
    let chunk_rows = head::chunk_rows(v);
    let mut loss = 0.0;
    let mut dx_parts = Vec::new();
    let mut dw: Option<Tensor> = None;
    for (index, labels) in targets.labels.chunks(chunk_rows).enumerate() {
        let chunk = supervised.narrow(0, index * chunk_rows, labels.len())?;
        let mut scores = chunk.matmul(&weight.t()?)?.flatten_all()?.to_vec1::<R>()?;
        let losses: Vec<f64> = scores
            .par_chunks_exact_mut(v)
            .zip(labels)
            .map(|(scores, &label)| head::row_loss(scores, label as usize, offsets.as_deref(), wants_any))
            .collect();
        loss += losses.into_iter().sum::<f64>();
        if wants_b {
            for row in scores.chunks_exact(v) {
                kernel::add_row(&mut db, row);
            }
        }
        if !(wants_x || wants_w) {
            continue;
        }
        let dz = Tensor::from_vec(scores, (labels.len(), v), x.device())?;
        if wants_x {
            dx_parts.push(dz.matmul(&weight)?);
        }
        if wants_w {
            let part = dz.t()?.matmul(&chunk)?;
            match &dw {
                Some(dw) => dw.inplace_op2(&part, &Accumulate)?,
                None => dw = Some(part),
            }
        }
    }
    let dx = if wants_x { Some(spread::<R>(&dx_parts, targets, (x.dim(0)?, d))?) } else { None };
    let db = if wants_b { Some(Tensor::from_vec(db, v, x.device())?) } else { None };
    Ok(Computed { loss, dx, dw, db })
}

/// The parts' rows at the targets' rows of a `[t, d]` of zeros.
fn spread<R: Real>(parts: &[Tensor], targets: &Targets, (t, d): (usize, usize)) -> CandleResult<Tensor> {
    let mut dx = vec![R::zero(); t * d];
    let mut rows = targets.rows.iter();
    for part in parts {
        let host = Host::new(part);
        for (source, &row) in host.slice::<R>()?.chunks_exact(d).zip(&mut rows) {
            let row = row as usize * d;
            dx[row..row + d].copy_from_slice(source);
        }
    }
    Tensor::from_vec(dx, (t, d), &candle_core::Device::Cpu)
}

impl LinearCrossEntropy {
    fn loss(&self, x: &CpuStorage) -> (CpuStorage, Shape) {
        let loss = self.result.lock().unwrap_or_else(PoisonError::into_inner).loss;
        let storage = match x {
            CpuStorage::F64(_) => CpuStorage::F64(vec![loss]),
            _ => CpuStorage::F32(vec![loss as f32]),
        };
        (storage, Shape::from(()))
    }

    fn gradients(&self, dy: &Tensor) -> CandleResult<[Option<Tensor>; 3]> {
        let factor: f64 = dy.to_dtype(DType::F64)?.to_scalar()?;
        let (dx, dw, db) = {
            let computed = self.result.lock().unwrap_or_else(PoisonError::into_inner);
            (computed.dx.clone(), computed.dw.clone(), computed.db.clone())
        };
        let scaled = |gradient: Tensor| if factor == 1.0 { Ok(gradient) } else { gradient.affine(factor, 0.0) };
        let deliver = |parameter: &Parameter, gradient: Option<Tensor>| match gradient {
            Some(gradient) => parameter.deliver(scaled(gradient)?),
            None => Ok(None),
        };
        let dw = deliver(&self.w, dw)?;
        let db = self.bias.as_ref().map(|bias| deliver(bias, db)).transpose()?.flatten();
        Ok([dx.map(scaled).transpose()?, dw, db])
    }
}

impl CustomOp2 for LinearCrossEntropy {
    fn name(&self) -> &'static str {
        "linear_cross_entropy"
    }

    fn cpu_fwd(&self, x: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        Ok(self.loss(x))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor, dy: &Tensor) -> CandleResult<(Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, _] = self.gradients(dy)?;
        Ok((dx, dw))
    }
}

impl CustomOp3 for LinearCrossEntropy {
    fn name(&self) -> &'static str {
        "linear_cross_entropy"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        Ok(self.loss(x))
    }

    fn bwd(
        &self,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> CandleResult<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dx, dw, db] = self.gradients(dy)?;
        Ok((dx, dw, db))
    }
}
