//! The head and its loss in one operation: only supervised rows are projected, a chunk at a time, and the logits of all
//! rows never exist together.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{
    CpuStorage, CudaStorage, CustomOp2, CustomOp3, DType, Layout, Result as CandleResult, Shape, Tensor,
};
use rayon::prelude::*;

use crate::cpu::head;
use crate::gpu::{self, CrossEntropy};
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
    let mut tensors = vec![x, w.value()];
    tensors.extend(bias.map(Parameter::value));
    if !kernel::has_kernel(&tensors) {
        return reference::linear_cross_entropy(x, w.value(), bias.map(Parameter::value), targets);
    }
    let x = x.contiguous()?;
    let computed = if x.device().is_cuda() {
        forward_on_card(&x, w, bias, targets)?
    } else {
        by_dtype!(x.dtype(), forward(&x, w, bias, targets))?
    };
    let result = Mutex::new(computed);
    let operation = LinearCrossEntropy { result, w: w.clone(), bias: bias.cloned() };
    Ok(match bias {
        Some(bias) => x.apply_op3(w.value(), bias.value(), operation)?,
        None => x.apply_op2(w.value(), operation)?,
    })
}

/// The loss, and the gradients for a gradient of 1.
#[derive(Clone)]
struct Computed {
    /// A scalar.
    loss: Tensor,
    dx: Option<Tensor>,
    dw: Option<WeightGradient>,
    db: Option<Tensor>,
}

/// `dW`, or on a card its two factors a chunk, `dz [n, v]` and `x [n, d]`, whose products go straight to where gradients are
/// summed: as f32 it would take more memory than they do.
#[derive(Clone)]
enum WeightGradient {
    Sum(Tensor),
    Factors(Vec<[Tensor; 2]>),
}

/// Scores that exist together on a card.
pub const SCORES_ON_CARD: usize = 1 << 27;

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
    let loss = Tensor::from_vec(vec![R::of(loss)], (), x.device())?;
    Ok(Computed { loss, dx, dw: dw.map(WeightGradient::Sum), db })
}

fn forward_on_card(x: &Tensor, w: &Parameter, bias: Option<&Parameter>, targets: &Targets) -> CandleResult<Computed> {
    let (weight, device) = (w.value().detach(), x.device());
    let (v, d) = weight.dims2()?;
    let (wants_x, wants_w) = (x.track_op(), w.is_trainable());
    let wants_b = bias.is_some_and(Parameter::is_trainable);
    let supervised = x.detach().index_select(&Tensor::new(targets.rows.as_slice(), device)?, 0)?;
    let labels = Tensor::new(targets.labels.as_slice(), device)?;
    let bias = bias.map(|bias| bias.value().detach());
    let (mut losses, mut dx_parts, mut factors, mut db) = (Vec::new(), Vec::new(), Vec::new(), None);
    let chunk_rows = (SCORES_ON_CARD / v).max(1);
    for start in (0..targets.len()).step_by(chunk_rows) {
        let rows = chunk_rows.min(targets.len() - start);
        let chunk = supervised.narrow(0, start, rows)?;
        let scores = chunk.matmul(&weight.t()?)?;
        losses.push(gpu::cross_entropy(&CrossEntropy {
            scores: &scores,
            bias: bias.as_ref(),
            labels: &labels.narrow(0, start, rows)?,
            wants_gradient: wants_x || wants_w || wants_b,
        })?);
        if wants_b {
            let part = scores.to_dtype(DType::F32)?.sum(0)?;
            db = Some(match db {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        if wants_x {
            dx_parts.push(scores.matmul(&weight)?);
        }
        if wants_w {
            factors.push([scores, chunk]);
        }
    }
    let dx = if wants_x {
        // Rows that are not supervised take a row of zeros, which stands behind the others.
        let nothing = targets.len() as u32;
        let mut places = vec![nothing; x.dim(0)?];
        for (place, &row) in targets.rows.iter().enumerate() {
            places[row as usize] = place as u32;
        }
        dx_parts.push(Tensor::zeros((1, d), x.dtype(), device)?);
        Some(Tensor::cat(&dx_parts, 0)?.index_select(&Tensor::new(places, device)?, 0)?)
    } else {
        None
    };
    let loss = Tensor::cat(&losses, 0)?.sum_all()?;
    Ok(Computed { loss, dx, dw: wants_w.then_some(WeightGradient::Factors(factors)), db })
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
    fn computed(&self) -> Computed {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn loss(&self) -> CandleResult<(CpuStorage, Shape)> {
        let loss = self.computed().loss;
        let host = Host::new(&loss);
        Ok((host.storage()?.try_clone(host.layout())?, Shape::from(())))
    }

    fn loss_on_card(&self) -> CandleResult<(CudaStorage, Shape)> {
        Ok((gpu::copied(&self.computed().loss)?, Shape::from(())))
    }

    fn gradients(&self, dy: &Tensor) -> CandleResult<[Option<Tensor>; 3]> {
        let Computed { dx, dw, db, .. } = self.computed();
        // A card is not asked for the factor, which would make this thread wait for it.
        let factor = if dy.device().is_cuda() { None } else { Some(dy.to_dtype(DType::F64)?.to_scalar::<f64>()?) };
        let scaled = |gradient: Tensor| match factor {
            Some(1.0) => Ok(gradient),
            Some(factor) => gradient.affine(factor, 0.0),
            None => gradient.broadcast_mul(&dy.to_dtype(gradient.dtype())?),
        };
        let dw = match dw {
            Some(WeightGradient::Sum(dw)) => self.w.deliver(scaled(dw)?)?,
            Some(WeightGradient::Factors(factors)) => {
                let mut rest: Option<Tensor> = None;
                for [dz, x] in factors {
                    let part = self.w.deliver_product(&scaled(dz)?, &x, 1.0)?;
                    rest = match (rest, part) {
                        (Some(rest), Some(part)) => Some((rest + part)?),
                        (rest, part) => rest.or(part),
                    };
                }
                rest
            }
            None => None,
        };
        let db = match (&self.bias, db) {
            (Some(bias), Some(db)) => bias.deliver(scaled(db)?)?,
            _ => None,
        };
        Ok([dx.map(scaled).transpose()?, dw, db])
    }
}

impl CustomOp2 for LinearCrossEntropy {
    fn name(&self) -> &'static str {
        "linear_cross_entropy"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout, _: &CpuStorage, _: &Layout) -> CandleResult<(CpuStorage, Shape)> {
        self.loss()
    }

    fn cuda_fwd(&self, _: &CudaStorage, _: &Layout, _: &CudaStorage, _: &Layout) -> CandleResult<(CudaStorage, Shape)> {
        self.loss_on_card()
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
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        self.loss()
    }

    fn cuda_fwd(
        &self,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> CandleResult<(CudaStorage, Shape)> {
        self.loss_on_card()
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
