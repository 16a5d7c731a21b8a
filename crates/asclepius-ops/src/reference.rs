//! The operations composed of differentiable candle operations: slow, easy to check, right on every device. Kernels are
//! tested against these, and these against finite differences.
//!
//! Weights come as plain tensors here: autograd decides by whether they are variables. Norms, softmax and loss are
//! computed in f32 for narrower types.

use candle_core::{D, DType, Tensor};

use crate::{AttentionOptions, Documents, Gelu, PhiloxKey, Result, RopeLayout, Targets};

/// `x Wᵀ + b`: `x [.., in]`, `w [out, in]`, `bias [out]` -> `[.., out]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn linear(x: &Tensor, w: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let y = x.broadcast_matmul(&w.t()?)?;
    Ok(match bias {
        Some(bias) => y.broadcast_add(bias)?,
        None => y,
    })
}

/// Rows of `w [v, d]` by `ids [t]` (u32) -> `[t, d]`.
///
/// # Errors
/// When an id is not below `v`.
pub fn embedding(ids: &Tensor, w: &Tensor) -> Result<Tensor> {
    Ok(w.index_select(ids, 0)?)
}

/// `x / sqrt(mean(x^2) + epsilon) * w` over the last dimension: `x [.., d]`, `w [d]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn rms_norm(x: &Tensor, w: &Tensor, epsilon: f64) -> Result<Tensor> {
    let wide = widen(x)?;
    let mean_square = wide.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = wide.broadcast_div(&(mean_square + epsilon)?.sqrt()?)?.to_dtype(x.dtype())?;
    Ok(normed.broadcast_mul(w)?)
}

/// `(x - mean) / sqrt(variance + epsilon) * w + b` over the last dimension: `x [.., d]`, `w [d]`, `b [d]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm(x: &Tensor, w: &Tensor, b: &Tensor, epsilon: f64) -> Result<Tensor> {
    let wide = widen(x)?;
    let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normed = centred.broadcast_div(&(variance + epsilon)?.sqrt()?)?.to_dtype(x.dtype())?;
    Ok(normed.broadcast_mul(w)?.broadcast_add(b)?)
}

/// Rotates pairs of the first `r` features by the angles whose cosines and sines are given: `x [t, h, d]`,
/// `cos`, `sin [t, r/2]`; the features after the first `r` pass through.
///
/// # Errors
/// When the shapes do not fit.
pub fn rope(x: &Tensor, cos: &Tensor, sin: &Tensor, layout: RopeLayout) -> Result<Tensor> {
    let (t, h, d) = x.dims3()?;
    let half = cos.dim(1)?;
    let cos = cos.reshape((t, 1, half))?;
    let sin = sin.reshape((t, 1, half))?;
    let turned = x.narrow(2, 0, 2 * half)?;
    let (first, second) = match layout {
        RopeLayout::Halves => (turned.narrow(2, 0, half)?, turned.narrow(2, half, half)?),
        RopeLayout::Interleaved => {
            let pairs = turned.reshape((t, h, half, 2))?;
            (pairs.narrow(3, 0, 1)?.squeeze(3)?, pairs.narrow(3, 1, 1)?.squeeze(3)?)
        }
    };
    let first_turned = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
    let second_turned = (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?;
    let turned = match layout {
        RopeLayout::Halves => Tensor::cat(&[first_turned, second_turned], 2)?,
        RopeLayout::Interleaved => Tensor::stack(&[first_turned, second_turned], 3)?.reshape((t, h, 2 * half))?,
    };
    Ok(if 2 * half == d { turned } else { Tensor::cat(&[turned, x.narrow(2, 2 * half, d - 2 * half)?], 2)? })
}

/// `softmax(q kᵀ scale + mask) v` a document and a head at a time; see [`crate::attention()`].
///
/// # Errors
/// When the shapes do not fit.
pub fn attention(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    documents: &Documents,
    options: &AttentionOptions,
) -> Result<Tensor> {
    let (_, h, d) = q.dims3()?;
    let (_, g, _) = k.dims3()?;
    let mut outputs = Vec::with_capacity(documents.count());
    for document in documents.iter().filter(|document| !document.queries.is_empty()) {
        let (queries, keys) = (document.queries.len(), document.keys.len());
        let part = |x: &Tensor, rows: &std::ops::Range<usize>| x.narrow(0, rows.start, rows.len())?.transpose(0, 1);
        let repeat = |x: Tensor| {
            x.contiguous()?.unsqueeze(1)?.broadcast_as((g, h / g, keys, d))?.contiguous()?.reshape((h, keys, d))
        };
        let q = part(q, &document.queries)?.contiguous()?;
        let k = repeat(part(k, &document.keys)?)?;
        let v = repeat(part(v, &document.keys)?)?;
        let mask: Vec<f32> = (0..queries)
            .flat_map(|row| {
                let visible = document.visible(row, options.window);
                (0..keys).map(move |key| if visible.contains(&key) { 0.0 } else { f32::NEG_INFINITY })
            })
            .collect();
        let scores = widen(&(q.matmul(&k.transpose(1, 2)?.contiguous()?)? * options.scale)?)?;
        let mask = Tensor::from_vec(mask, (1, queries, keys), q.device())?.to_dtype(scores.dtype())?;
        let weights = candle_nn::ops::softmax(&scores.broadcast_add(&mask)?, D::Minus1)?.to_dtype(q.dtype())?;
        outputs.push(weights.matmul(&v)?.transpose(0, 1)?.contiguous()?);
    }
    Ok(if outputs.is_empty() { q.zeros_like()? } else { Tensor::cat(&outputs, 0)? })
}

/// `silu(gate) * up`, all of one shape.
///
/// # Errors
/// When the shapes differ.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    Ok((gate.silu()? * up)?)
}

/// The Gaussian error linear unit, by `kind`.
///
/// # Errors
/// When the device fails.
pub fn gelu(x: &Tensor, kind: Gelu) -> Result<Tensor> {
    let gate = match kind {
        Gelu::Erf => ((x * std::f64::consts::FRAC_1_SQRT_2)?.erf()? + 1.0)?,
        Gelu::Tanh => {
            let inner = ((x * (x.sqr()? * 0.044_715)?)? + x)?;
            ((inner * (2.0 / std::f64::consts::PI).sqrt())?.tanh()? + 1.0)?
        }
    };
    Ok(((x * 0.5)? * gate)?)
}

/// Zeroes each element with probability `p` and scales the others by `1 / (1 - p)`; element `i` is kept where
/// `key.uniform(i) >= p`.
///
/// # Errors
/// When the device fails.
pub fn dropout(x: &Tensor, p: f32, key: PhiloxKey) -> Result<Tensor> {
    let keep = 1.0 / (1.0 - p);
    let mask: Vec<f32> =
        key.uniforms(x.elem_count()).into_iter().map(|uniform| if uniform < p { 0.0 } else { keep }).collect();
    let mask = Tensor::from_vec(mask, x.shape(), x.device())?.to_dtype(x.dtype())?;
    Ok((x * mask)?)
}

/// The sum over the targets of `logsumexp(z) - z[label]` with `z = x[row] Wᵀ + b`: scalar, f32 (f64 for f64).
///
/// # Errors
/// When the shapes do not fit.
pub fn linear_cross_entropy(x: &Tensor, w: &Tensor, bias: Option<&Tensor>, targets: &Targets) -> Result<Tensor> {
    let rows = Tensor::new(targets.rows(), x.device())?;
    let labels = Tensor::new(targets.labels(), x.device())?.unsqueeze(1)?;
    let logits = widen(&linear(&x.index_select(&rows, 0)?, w, bias)?)?;
    let maximum = logits.detach().max_keepdim(D::Minus1)?;
    let shifted = logits.broadcast_sub(&maximum)?;
    let normaliser = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    Ok((normaliser - shifted.gather(&labels, 1)?)?.sum_all()?)
}

/// `x Wᵀ + scaling * (dropout(x) Aᵀ) Bᵀ`: `x [.., in]`, `w [out, in]`, `a [r, in]`, `b [out, r]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn lora(
    x: &Tensor,
    w: &Tensor,
    a: &Tensor,
    b: &Tensor,
    scaling: f64,
    dropped: Option<(f32, PhiloxKey)>,
) -> Result<Tensor> {
    let input = match dropped {
        Some((p, key)) => dropout(x, p, key)?,
        None => x.clone(),
    };
    let low = linear(&input, a, None)?.to_dtype(x.dtype())?;
    Ok((linear(x, w, None)? + (linear(&low, b, None)? * scaling)?)?)
}

fn widen(x: &Tensor) -> Result<Tensor> {
    Ok(if matches!(x.dtype(), DType::F32 | DType::F64) { x.clone() } else { x.to_dtype(DType::F32)? })
}
