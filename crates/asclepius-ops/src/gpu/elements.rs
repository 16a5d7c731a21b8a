//! Kernels with a thread to a number: rotation, activations, dropout, NF4, sums.

use candle_core::{CudaStorage, DType, Result, Tensor};

use super::{Argument, Card, Grid, Held, Module, View, int, launch, long, suffix, tensor, whole};
use crate::{Gelu, PhiloxKey, RopeLayout};

/// Memory like `x`'s, filled by `fill`.
fn like(x: View<'_>, fill: impl FnOnce(&Card, View<'_>, &str) -> Result<()>) -> Result<CudaStorage> {
    let card = Card::of(x.storage)?;
    let y = card.room(x.dtype(), x.count())?;
    let layout = whole(x.shape().clone());
    fill(&card, View { storage: &y, layout: &layout }, suffix(x.dtype())?)?;
    Ok(y)
}

/// `x [t, h, d]` turned by `cos`, `sin [t, half]`, or back.
pub(crate) fn rotate(
    x: View<'_>,
    [cos, sin]: [&Tensor; 2],
    layout: RopeLayout,
    backwards: bool,
) -> Result<CudaStorage> {
    let (_, h, d) = x.shape().dims3()?;
    let half = cos.dim(1)?;
    let (cos, sin) = (Held::new(cos), Held::new(sin));
    let width = 16 / x.dtype().size_in_bytes();
    let whole_packs = layout == RopeLayout::Halves
        && half.is_multiple_of(width)
        && (d - 2 * half).is_multiple_of(width)
        && [x, cos.view()?, sin.view()?].into_iter().all(|view| view.start().is_ok_and(|at| at.is_multiple_of(width)));
    let sign = Argument::Float(if backwards { -1.0 } else { 1.0 });
    if whole_packs {
        let count = x.count() / d.max(1) * (d / width - half / width);
        let numbers = [long(count), int(h)?, int(d)?, int(half)?, sign];
        return like(x, |card, y, suffix| {
            let views = [x, cos.view()?, sin.view()?, y];
            let kernel = format!("rope_packed_{suffix}");
            launch(card, Module::Rope, &kernel, Grid::over(count), views, |views| Ok([&views[..], &numbers].concat()))
        });
    }
    let numbers = [
        long(x.count()),
        int(h)?,
        int(d)?,
        int(half)?,
        Argument::Int(i32::from(layout == RopeLayout::Interleaved)),
        sign,
    ];
    like(x, |card, y, suffix| {
        let views = [x, cos.view()?, sin.view()?, y];
        let kernel = format!("rope_{suffix}");
        launch(card, Module::Rope, &kernel, Grid::over(x.count()), views, |views| Ok([&views[..], &numbers].concat()))
    })
}

/// `silu(gate) up`.
pub(crate) fn swiglu(gate: View<'_>, up: View<'_>) -> Result<CudaStorage> {
    like(gate, |card, y, suffix| {
        let kernel = format!("swiglu_forward_{suffix}");
        let count = long(gate.count());
        launch(card, Module::Activation, &kernel, packs(gate.count(), gate.dtype()), [gate, up, y], |[gate, up, y]| {
            Ok(vec![gate, up, y, count])
        })
    })
}

/// The gradients of `gate` and `up`.
pub(crate) fn swiglu_backward(gate: &Tensor, up: &Tensor, dy: &Tensor) -> Result<(Tensor, Tensor)> {
    let held = [gate, up, dy].map(Held::new);
    let [gates, ups, dys] = [held[0].view()?, held[1].view()?, held[2].view()?];
    let card = Card::of(gates.storage)?;
    let count = gate.elem_count();
    let (dgate, dup) = (card.room(gate.dtype(), count)?, card.room(gate.dtype(), count)?);
    let layout = whole(gate.shape());
    let (dgates, dups) = (View { storage: &dgate, layout: &layout }, View { storage: &dup, layout: &layout });
    let kernel = format!("swiglu_backward_{}", suffix(gate.dtype())?);
    launch(&card, Module::Activation, &kernel, packs(count, gate.dtype()), [gates, ups, dys, dgates, dups], |views| {
        Ok([&views[..], &[long(count)]].concat())
    })?;
    Ok((tensor(dgate, gate.shape()), tensor(dup, up.shape())))
}

fn by_tanh(kind: Gelu) -> Argument {
    Argument::Int(i32::from(kind == Gelu::Tanh))
}

/// The Gaussian error linear unit.
pub(crate) fn gelu(x: View<'_>, kind: Gelu) -> Result<CudaStorage> {
    like(x, |card, y, suffix| {
        let kernel = format!("gelu_forward_{suffix}");
        launch(card, Module::Activation, &kernel, Grid::over(x.count()), [x, y], |[input, y]| {
            Ok(vec![input, y, long(x.count()), by_tanh(kind)])
        })
    })
}

/// The gradient of its input.
pub(crate) fn gelu_backward(x: &Tensor, dy: &Tensor, kind: Gelu) -> Result<Tensor> {
    let (x_held, dy_held) = (Held::new(x), Held::new(dy));
    let (view, dy) = (x_held.view()?, dy_held.view()?);
    let dx = like(view, |card, dx, suffix| {
        let kernel = format!("gelu_backward_{suffix}");
        launch(card, Module::Activation, &kernel, Grid::over(view.count()), [view, dy, dx], |[x, dy, dx]| {
            Ok(vec![x, dy, dx, long(view.count()), by_tanh(kind)])
        })
    })?;
    Ok(tensor(dx, x.shape()))
}

/// Zeroes element `i` where `key.uniform(i) < p`, scales the others by `1 / (1 - p)`.
pub(crate) fn drop_elements(x: View<'_>, p: f32, key: PhiloxKey) -> Result<CudaStorage> {
    let (seed, stream) = key.parts();
    like(x, |card, y, suffix| {
        let kernel = format!("dropout_{suffix}");
        // A thread draws for four numbers.
        launch(card, Module::Activation, &kernel, Grid::over(x.count().div_ceil(4)), [x, y], |[input, y]| {
            let count = long(x.count());
            Ok(vec![input, y, count, Argument::Float(p), Argument::Word(seed), Argument::Word(stream)])
        })
    })
}

/// `a + b` of one type, as many of each, contiguous.
pub(crate) fn sum_pair(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    let card = Card::of(Held::new(a).view()?.storage)?;
    let y = tensor(card.room(a.dtype(), a.elem_count())?, a.shape());
    add_pair(a, b, &y)?;
    Ok(y)
}

/// `a + b`, written to `y`, which may be `a`.
pub(crate) fn add_pair(a: &Tensor, b: &Tensor, y: &Tensor) -> Result<()> {
    let held = [a, b, y].map(Held::new);
    let views = [held[0].view()?, held[1].view()?, held[2].view()?];
    let count = a.elem_count();
    if b.elem_count() != count || y.elem_count() != count {
        candle_core::bail!("a sum of {:?} and {:?}", a.dims(), b.dims());
    }
    let kernel = format!("sum_pair_{}", suffix(a.dtype())?);
    launch(&Card::of(views[0].storage)?, Module::Activation, &kernel, packs(count, a.dtype()), views, |views| {
        Ok([&views[..], &[long(count)]].concat())
    })
}

/// A thread to each 16 bytes of `count` numbers.
fn packs(count: usize, dtype: DType) -> Grid {
    Grid::over(count.div_ceil(16 / dtype.size_in_bytes()))
}

/// `target += source`: target f32, source of any of the three types, contiguous, as many of each.
pub(crate) fn add_into(target: View<'_>, source: View<'_>) -> Result<()> {
    let kernel = format!("add_{}", suffix(source.dtype())?);
    let count = source.count();
    launch(&Card::of(target.storage)?, Module::Activation, &kernel, Grid::over(count), [target, source], |views| {
        Ok([&views[..], &[long(count)]].concat())
    })
}

/// An NF4 matrix on the card.
#[derive(Debug)]
pub(crate) struct Nf4Parts {
    /// u8, `[ceil(n / 2)]` and `[ceil(n / 64)]`.
    pub codes: [Tensor; 2],
    /// f32, `[ceil(n / 16384)]`.
    pub scale_scales: Tensor,
    /// The signed dynamic code's numbers, f32, `[256]`.
    pub book: Tensor,
    pub offset: f32,
}

/// The matrix again, `shape`, of `dtype`.
pub(crate) fn decode_nf4(parts: &Nf4Parts, shape: &[usize], dtype: DType) -> Result<Tensor> {
    let held = [&parts.codes[0], &parts.codes[1], &parts.scale_scales, &parts.book].map(Held::new);
    let [codes, scale_codes, scale_scales, book] = [held[0].view()?, held[1].view()?, held[2].view()?, held[3].view()?];
    let card = Card::of(codes.storage)?;
    let count: usize = shape.iter().product();
    let out = card.room(dtype, count)?;
    let layout = whole(shape);
    let view = View { storage: &out, layout: &layout };
    let kernel = format!("nf4_dequantise_{}", suffix(dtype)?);
    let views = [codes, scale_codes, scale_scales, book, view];
    // A thread decodes eight.
    let grid = Grid { shared: 16 * size_of::<f32>(), ..Grid::over(count.div_ceil(8)) };
    launch(&card, Module::Nf4, &kernel, grid, views, |[codes, scales, seconds, book, out]| {
        Ok(vec![codes, scales, seconds, Argument::Float(parts.offset), book, out, long(count)])
    })?;
    Ok(tensor(out, shape))
}
