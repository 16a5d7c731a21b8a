//! Attention inside documents: causal, grouped-query, optionally within a sliding window.
//!
//! The kernel is [`crate::cpu::heads`]; on a card FlashAttention's, and plain products for calls that it does not
//! take.

use std::sync::{Mutex, PoisonError};

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result as CandleResult, Shape, Tensor};

use crate::cpu::heads::{self, HeadLayout, Heads, QkvGradients};
use crate::gpu;
use crate::kernel::{self, Host, Real, by_dtype};
use crate::linear::expect;
use crate::{Documents, OpsError, Result, reference};

/// What attention needs beside its tensors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttentionOptions {
    /// Multiplies the scores, usually `1 / sqrt(d)`.
    pub scale: f64,
    /// How many keys a query sees at most, itself included; all earlier ones without it.
    pub window: Option<usize>,
}

/// `softmax(q kᵀ scale) v` over the keys of the same document up to the query's own position:
/// `q [t, h, d]`, `k [s, g, d]`, `v [s, g, d]` -> `[t, h, d]`; query head `i` reads key head `i / (h/g)`.
///
/// Backward, with the weights `p` and `dp = dy vᵀ`: `dz = p (dp - sum(dy y))`, `dq = scale dz k`, `dk = scale dzᵀ q`,
/// `dv = pᵀ dy` (Dao et al., "FlashAttention", 2022, section 3.1).
///
/// # Errors
/// When the shapes do not fit, or `documents` does not cover them.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    documents: &Documents,
    options: &AttentionOptions,
) -> Result<Tensor> {
    check([q, k, v], documents)?;
    if !kernel::has_kernel(&[q, k, v]) {
        return reference::attention(q, k, v, documents, options);
    }
    let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
    let attention = Attention::new([&q, &k, &v], documents, options)?;
    Ok(q.apply_op3(&k, &v, attention)?)
}

fn check([q, k, v]: [&Tensor; 3], documents: &Documents) -> Result<()> {
    let (_, h, d) = q.dims3()?;
    let (_, g, _) = k.dims3()?;
    expect("attention", "q", &[documents.query_tokens(), h, d], q.dims())?;
    expect("attention", "k", &[documents.key_tokens(), g, d], k.dims())?;
    expect("attention", "v", &[documents.key_tokens(), g, d], v.dims())?;
    if g == 0 || h % g != 0 {
        return Err(OpsError::Shape {
            operation: "attention",
            what: "heads of k, which must divide those of q,",
            expected: vec![h],
            found: vec![g],
        });
    }
    Ok(())
}

#[derive(Debug)]
pub(crate) struct Attention {
    documents: Documents,
    options: AttentionOptions,
    on_card: OnCard,
}

/// What a card keeps of the way forward.
#[derive(Debug)]
enum OnCard {
    /// It is not on one.
    Not,
    /// The log of each softmax's divisor, once it has run.
    Flash(Mutex<Option<Tensor>>),
    /// The result, which was made of tensors, until somebody takes it.
    Products(Option<Tensor>),
}

impl Attention {
    /// Of contiguous tensors.
    fn new([q, k, v]: [&Tensor; 3], documents: &Documents, options: &AttentionOptions) -> Result<Self> {
        let on_card = if !q.device().is_cuda() {
            OnCard::Not
        } else if gpu::flash::fits(q, documents) {
            OnCard::Flash(Mutex::new(None))
        } else {
            OnCard::Products(Some(gpu::attend([&q.detach(), &k.detach(), &v.detach()], documents, options)?))
        };
        Ok(Self { documents: documents.clone(), options: *options, on_card })
    }

    /// [`attention`] without a graph, where there is a kernel, and what its way back needs beside what it was given and made.
    pub fn forward_kept(
        [q, k, v]: [&Tensor; 3],
        documents: &Documents,
        options: &AttentionOptions,
    ) -> Result<(Tensor, Self)> {
        check([q, k, v], documents)?;
        let (q, k, v) = (q.contiguous()?, k.contiguous()?, v.contiguous()?);
        let mut attention = Self::new([&q, &k, &v], documents, options)?;
        if let OnCard::Products(y) = &mut attention.on_card
            && let Some(y) = y.take()
        {
            return Ok((y, attention));
        }
        Ok((q.apply_op3_no_bwd(&k, &v, &attention)?, attention))
    }

    /// The gradients of queries, keys and values, from them, what was made of them and its gradient; all contiguous.
    pub fn back(&self, [q, k, v, y, dy]: [&Tensor; 5]) -> CandleResult<[Tensor; 3]> {
        match &self.on_card {
            OnCard::Flash(log_sums) => {
                let log_sums = log_sums.lock().unwrap_or_else(PoisonError::into_inner);
                let Some(log_sums) = &*log_sums else {
                    candle_core::bail!("attention: no way forward before this one")
                };
                gpu::flash::attend_backward([q, k, v, y, log_sums, dy], &self.documents, &self.options)
            }
            OnCard::Products(_) => {
                gpu::attend_backward([&q.detach(), &k.detach(), &v.detach(), dy], &self.documents, &self.options)
            }
            OnCard::Not => by_dtype!(q.dtype(), backward(self, [q, k, v, dy])),
        }
    }

    fn over<'a, R: Real>(&'a self, [q, k, v]: [(&'a [R], &Shape); 3]) -> CandleResult<heads::Attention<'a, R>> {
        let heads = |(data, shape): (&'a [R], &Shape)| {
            let (_, count, d) = shape.dims3()?;
            Ok::<_, candle_core::Error>(Heads { data, layout: HeadLayout::alone(count, d) })
        };
        Ok(heads::Attention {
            q: heads(q)?,
            k: heads(k)?,
            v: heads(v)?,
            documents: &self.documents,
            options: &self.options,
        })
    }
}

type Part<'a> = (&'a CpuStorage, &'a Layout);

fn forward<R: Real>(attention: &Attention, parts: [Part<'_>; 3]) -> CandleResult<CpuStorage> {
    let [q, k, v] = parts
        .map(|(storage, layout)| Ok::<_, candle_core::Error>((kernel::slice::<R>(storage, layout)?, layout.shape())));
    Ok(R::to_cpu_storage_owned(attention.over([q?, k?, v?])?.forward().output))
}

/// Computes the scores' normalisers once more: the graph has no place for them.
fn backward<R: Real>(attention: &Attention, [q, k, v, dy]: [&Tensor; 4]) -> CandleResult<[Tensor; 3]> {
    let hosts = [q, k, v].map(Host::new);
    let dy_host = Host::new(dy);
    let [q_part, k_part, v_part] = [(0, q), (1, k), (2, v)]
        .map(|(index, tensor)| Ok::<_, candle_core::Error>((hosts[index].slice::<R>()?, tensor.shape())));
    let over = attention.over([q_part?, k_part?, v_part?])?;
    let [mut dq, mut dk, mut dv] = [q, k, v].map(|tensor| vec![R::zero(); tensor.elem_count()]);
    over.backward(&over.forward(), dy_host.slice()?, QkvGradients::Apart([&mut dq, &mut dk, &mut dv]));
    let tensor = |gradient, like: &Tensor| Tensor::from_vec(gradient, like.shape(), like.device());
    Ok([tensor(dq, q)?, tensor(dk, k)?, tensor(dv, v)?])
}

impl CustomOp3 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        ql: &Layout,
        k: &CpuStorage,
        kl: &Layout,
        v: &CpuStorage,
        vl: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        let dtype = q.dtype();
        Ok((by_dtype!(dtype, forward(self, [(q, ql), (k, kl), (v, vl)]))?, ql.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        q: &CudaStorage,
        ql: &Layout,
        k: &CudaStorage,
        kl: &Layout,
        v: &CudaStorage,
        vl: &Layout,
    ) -> CandleResult<(CudaStorage, Shape)> {
        match &self.on_card {
            OnCard::Flash(log_sums) => {
                let views = [(q, ql), (k, kl), (v, vl)].map(|(storage, layout)| gpu::View { storage, layout });
                let (y, sums) = gpu::flash::attend(views, &self.documents, &self.options)?;
                *log_sums.lock().unwrap_or_else(PoisonError::into_inner) = Some(sums);
                Ok((y, ql.shape().clone()))
            }
            OnCard::Products(Some(y)) => Ok((gpu::copied(y)?, ql.shape().clone())),
            OnCard::Products(None) => candle_core::bail!("attention: its result was taken"),
            OnCard::Not => candle_core::bail!("attention: queries and keys lie on two devices"),
        }
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> CandleResult<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dq, dk, dv] = self.back([q, k, v, y, &dy.contiguous()?])?;
        Ok((q.track_op().then_some(dq), k.track_op().then_some(dk), v.track_op().then_some(dv)))
    }
}
