//! Low-rank adaptation of a linear layer (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021).

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp3, Layout, Result as CandleResult, Shape, Tensor};

use crate::gpu::{self, Form, Held, View};
use crate::kernel::{self, Host, Real, by_dtype};
use crate::linear::expect;
use crate::{Parameter, PhiloxKey, Result, dropout, linear, tape};

/// `x Wᵀ + scaling * (dropout(x) Aᵀ) Bᵀ`: `x [.., in]`, `w [out, in]` (usually frozen), `a [r, in]`, `b [out, r]` ->
/// `[.., out]`. `dropped` is the probability and the key; none in evaluation.
///
/// Backward, with `u = dropout(x) Aᵀ` and `du = scaling * dy B`: `dx = dy W + dropout(du A)`, `dA = duᵀ dropout(x)`,
/// `dB = scaling * dyᵀ u`.
///
/// # Errors
/// When the shapes do not fit.
pub fn lora(
    x: &Tensor,
    w: &Parameter,
    a: &Parameter,
    b: &Parameter,
    scaling: f64,
    dropped: Option<(f32, PhiloxKey)>,
) -> Result<Tensor> {
    let ((out, input), (rank, _)) = (w.value().dims2()?, a.value().dims2()?);
    expect("lora", "x's last dimension", &[input], &x.dims()[x.rank().saturating_sub(1)..])?;
    expect("lora", "a", &[rank, input], a.value().dims())?;
    expect("lora", "b", &[out, rank], b.value().dims())?;
    if !w.is_trainable() && gpu::takes(&[x, w.value()]) {
        let narrowed = |adapter: &Parameter| adapter.value().detach().to_dtype(x.dtype());
        // Whoever differentiates adds to the adapters' f32 gradients; the products are of the base's type, on its units.
        let on_card = Some([narrowed(a)?, narrowed(b)?]);
        let lora = Lora { w: w.clone(), a: a.clone(), b: b.clone(), on_card, scaling, dropped };
        return Ok(x.contiguous()?.apply_op3(a.value(), b.value(), lora)?);
    }
    if w.is_trainable() || !kernel::fused(&[x, w.value(), a.value(), b.value()]) {
        // Adapters stay in f32 over a narrower base: each type is multiplied with its own.
        let input = drop_some(x, dropped)?.to_dtype(a.value().dtype())?;
        let low = (linear(&input, a, None)? * scaling)?;
        let added = linear(&low, b, None)?.to_dtype(w.value().dtype())?;
        return Ok((linear(x, w, None)? + added)?);
    }
    let lora = Lora { w: w.clone(), a: a.clone(), b: b.clone(), on_card: None, scaling, dropped };
    Ok(x.contiguous()?.apply_op3(a.value(), b.value(), lora)?)
}

/// What an adapter keeps for its way back on a tape.
#[derive(Debug)]
pub(crate) struct Low {
    /// `a` and `b` in the type of `x`.
    adapters: [Tensor; 2],
    /// `dropout(x) Aᵀ`, `[t, r]`.
    inner: Tensor,
    scaling: f64,
    dropped: Option<(f32, PhiloxKey)>,
}

/// [`lora`] of `x [t, in]` plus a bias, without a graph.
pub(crate) fn forward_kept(
    x: &Tensor,
    (w, bias): (&Parameter, Option<&Parameter>),
    (a, b): (&Parameter, &Parameter),
    scaling: f64,
    dropped: Option<(f32, PhiloxKey)>,
) -> Result<(Tensor, Low)> {
    let narrowed = |adapter: &Parameter| adapter.value().detach().to_dtype(x.dtype());
    let adapters = [narrowed(a)?, narrowed(b)?];
    let inner = drop_some(x, dropped)?.matmul(&adapters[0].t()?)?;
    let y = if gpu::takes(&[x, &inner]) {
        // The narrow product writes, the wide one adds as it writes: the other way around is one more pass over the output.
        let y = gpu::product_of(&inner, &adapters[1], Form::RightTransposed, scaling)?;
        gpu::add_product_of(&y, &x.contiguous()?, &w.dense()?, Form::RightTransposed, 1.0)?;
        y
    } else {
        (linear(x, &w.constant(), None)? + (inner.matmul(&adapters[1].t()?)? * scaling)?)?
    };
    let y = tape::with_bias(y, bias)?;
    Ok((y, Low { adapters, inner, scaling, dropped }))
}

/// What is still to be added to the gradient of an adapter's input: `dropout(scaling du a)`.
pub(crate) type ToInput = (Tensor, Tensor, f64, Option<(f32, PhiloxKey)>);

impl Low {
    /// Adds the adapters' gradients where they are summed, for `dy [t, out]`; `x` is there where `a` is trained.
    pub fn back(self, x: Option<&Tensor>, (a, b): (&Parameter, &Parameter), dy: &Tensor) -> Result<ToInput> {
        let Self { adapters: [narrow_a, narrow_b], inner, scaling, dropped } = self;
        let du = dy.matmul(&narrow_b)?;
        if let Some(x) = x.filter(|_| a.is_trainable()) {
            tape::delivered(a, a.deliver_product(&du, &drop_some(x, dropped)?, scaling)?)?;
        }
        if b.is_trainable() {
            tape::delivered(b, b.deliver_product(dy, &inner, scaling)?)?;
        }
        Ok((du, narrow_a, scaling, dropped))
    }
}

fn drop_some(x: &Tensor, dropped: Option<(f32, PhiloxKey)>) -> Result<Tensor> {
    dropped.map_or_else(|| Ok(x.clone()), |(p, key)| dropout(x, p, key))
}

struct Lora {
    /// Decoded for each product where it is quantised: a graph would keep the whole model decoded.
    w: Parameter,
    a: Parameter,
    b: Parameter,
    /// On a card, `a` and `b` in the type of `x`.
    on_card: Option<[Tensor; 2]>,
    scaling: f64,
    dropped: Option<(f32, PhiloxKey)>,
}

impl Lora {
    fn adapters_on_card(&self) -> CandleResult<&[Tensor; 2]> {
        self.on_card
            .as_ref()
            .ok_or_else(|| candle_core::Error::Msg("lora: weights and input on two devices".to_owned()))
    }

    /// The gradients of `x`, `a` and `b` on a card: `rows [n, in]`, `dy [n, out]`.
    fn backward_on_card(&self, rows: &Tensor, wants_x: bool, dy: &Tensor) -> CandleResult<[Option<Tensor>; 3]> {
        let [a, b] = self.adapters_on_card()?;
        let wrapped = candle_core::Error::wrap;
        let dropped = drop_some(rows, self.dropped).map_err(wrapped)?;
        let du = (dy.matmul(b)? * self.scaling)?;
        let dx = match (wants_x, self.dropped) {
            (false, _) => None,
            (true, None) => {
                let dx = dy.matmul(&self.w.dense().map_err(wrapped)?)?;
                gpu::add_product_of(&dx, &du, a, Form::Plain, 1.0)?;
                Some(dx)
            }
            (true, Some(_)) => {
                let low = drop_some(&du.matmul(a)?, self.dropped).map_err(wrapped)?;
                Some((dy.matmul(&self.w.dense().map_err(wrapped)?)? + low)?)
            }
        };
        let da = if self.a.is_trainable() { self.a.deliver_product(&du, &dropped, 1.0)? } else { None };
        let db = if self.b.is_trainable() {
            let u = (dropped.matmul(&a.t()?)? * self.scaling)?;
            self.b.deliver_product(dy, &u, 1.0)?
        } else {
            None
        };
        Ok([dx, da, db])
    }
}

/// `target + factor * source`, in the target's memory.
fn add_scaled<R: Real>(target: CpuStorage, source: &CpuStorage, factor: f64) -> CandleResult<CpuStorage> {
    let mut target = R::cpu_storage_data(target)?;
    kernel::add_scaled(&mut target, source.as_slice::<R>()?, R::of(factor));
    Ok(R::to_cpu_storage_owned(target))
}

impl CustomOp3 for Lora {
    fn name(&self) -> &'static str {
        "lora"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        a: &CpuStorage,
        al: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> CandleResult<(CpuStorage, Shape)> {
        let ((out, rank), (_, input)) = (bl.shape().dims2()?, al.shape().dims2()?);
        let rows = xl.shape().elem_count() / input;
        let matrix = Layout::contiguous_with_offset((rows, input), xl.start_offset());
        let w = self.w.dense().map_err(candle_core::Error::wrap)?;
        let w = Host::new(&w);
        let y = x.matmul(w.storage()?, (1, rows, out, input), &matrix, &w.layout().transpose(0, 1)?)?;
        let low = match self.dropped {
            Some((p, key)) => {
                let dropped = by_dtype!(x.dtype(), dropped_rows(x, &matrix, p, key))?;
                dropped.matmul(a, (1, rows, rank, input), &Layout::contiguous((rows, input)), &al.transpose(0, 1)?)?
            }
            None => x.matmul(a, (1, rows, rank, input), &matrix, &al.transpose(0, 1)?)?,
        };
        let added = low.matmul(b, (1, rows, out, rank), &Layout::contiguous((rows, rank)), &bl.transpose(0, 1)?)?;
        let mut dims = xl.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = out;
        }
        Ok((by_dtype!(x.dtype(), add_scaled(y, &added, self.scaling))?, Shape::from(dims)))
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        _: &CudaStorage,
        _: &Layout,
        _: &CudaStorage,
        _: &Layout,
    ) -> CandleResult<(CudaStorage, Shape)> {
        let [a, b] = self.adapters_on_card()?;
        let ((out, rank), (_, input)) = (b.dims2()?, a.dims2()?);
        let rows = xl.shape().elem_count() / input;
        let matrix = Layout::contiguous_with_offset((rows, input), xl.start_offset());
        let w = self.w.dense().map_err(candle_core::Error::wrap)?;
        let held = [Held::new(&w), Held::new(a), Held::new(b)];
        let (w, a, b) = (held[0].view()?, held[1].view()?, held[2].view()?);
        let y = x.matmul(w.storage, (1, rows, out, input), &matrix, &w.layout.transpose(0, 1)?)?;
        let times_a = |x: &CudaStorage, layout: &Layout| {
            x.matmul(a.storage, (1, rows, rank, input), layout, &a.layout.transpose(0, 1)?)
        };
        let low = match self.dropped {
            Some((p, key)) => {
                let dropped = gpu::drop_elements(View { storage: x, layout: &matrix }, p, key)?;
                times_a(&dropped, &Layout::contiguous((rows, input)))?
            }
            None => times_a(x, &matrix)?,
        };
        let low_layout = Layout::contiguous((rows, rank));
        let low = low.affine(&low_layout, self.scaling, 0.0)?;
        let y_layout = Layout::contiguous((rows, out));
        let low = View { storage: &low, layout: &low_layout };
        gpu::add_product(View { storage: &y, layout: &y_layout }, low, b, Form::RightTransposed, 1.0)?;
        let mut dims = xl.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = out;
        }
        Ok((y, Shape::from(dims)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        dy: &Tensor,
    ) -> CandleResult<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((out, _), (_, input)) = (b.dims2()?, a.dims2()?);
        let (a, b) = (a.detach(), b.detach());
        let dy = dy.contiguous()?.reshape(((), out))?;
        let rows = x.detach().reshape(((), input))?;
        if self.on_card.is_some() {
            let [dx, da, db] = self.backward_on_card(&rows, x.track_op(), &dy)?;
            return Ok((dx.map(|dx| dx.reshape(x.shape())).transpose()?, da, db));
        }
        let dropped = drop_some(&rows, self.dropped).map_err(candle_core::Error::wrap)?;
        let du = (dy.matmul(&b)? * self.scaling)?;
        let dx = if x.track_op() {
            let low = drop_some(&du.matmul(&a)?, self.dropped).map_err(candle_core::Error::wrap)?;
            let dx = dy.matmul(&self.w.dense().map_err(candle_core::Error::wrap)?)?;
            dx.inplace_op2(&low, &crate::parameter::Accumulate)?;
            Some(dx.reshape(x.shape())?)
        } else {
            None
        };
        let da = if self.a.is_trainable() { self.a.deliver(du.t()?.matmul(&dropped)?)? } else { None };
        let db = if self.b.is_trainable() {
            let u = (dropped.matmul(&a.t()?)? * self.scaling)?;
            self.b.deliver(dy.t()?.matmul(&u)?)?
        } else {
            None
        };
        Ok((dx, da, db))
    }
}

fn dropped_rows<R: Real>(x: &CpuStorage, layout: &Layout, p: f32, key: PhiloxKey) -> CandleResult<CpuStorage> {
    let mut values = kernel::slice::<R>(x, layout)?.to_vec();
    kernel::drop_elements(&mut values, p, key);
    Ok(R::to_cpu_storage_owned(values))
}
