//! Kernels that update: the rows of an embedding's gradient, AdamW, and the sum that clipping goes by.

use candle_core::{DType, Device, Result, Tensor, bail};

use super::{Argument, Card, Grid, Held, Module, THREADS, View, int, launch, long, suffix, tensor, whole};
use crate::PhiloxKey;

/// Which rows of a gradient belong to which token, in an order that no race decides.
#[derive(Debug)]
pub(crate) struct EmbeddingRows {
    count: usize,
    /// Each token once, `[n]`; where its rows start in `order`, `[n + 1]`; all rows, `[t]`. u32, on the card.
    parts: [Tensor; 3],
}

impl EmbeddingRows {
    /// Of the tokens `ids`, a row each.
    pub fn new(ids: &[u32], device: &Device) -> Result<Self> {
        let mut order: Vec<u32> = (0..ids.len() as u32).collect();
        // Stable: rows of one token stay in their order.
        order.sort_by_key(|&row| ids[row as usize]);
        let (mut tokens, mut starts) = (Vec::new(), Vec::new());
        for (place, &row) in order.iter().enumerate() {
            let token = ids[row as usize];
            if tokens.last() != Some(&token) {
                tokens.push(token);
                starts.push(place as u32);
            }
        }
        starts.push(order.len() as u32);
        let upload = |numbers: Vec<u32>| Tensor::new(numbers, device);
        Ok(Self { count: tokens.len(), parts: [upload(tokens)?, upload(starts)?, upload(order)?] })
    }
}

/// Adds row `i` of `dy [t, d]` to its token's row of `sum [v, d]`, f32.
pub(crate) fn add_rows(rows: &EmbeddingRows, dy: &Tensor, sum: &Tensor) -> Result<()> {
    let (_, d) = dy.dims2()?;
    let [tokens, starts, order] = &rows.parts;
    let held = [dy, tokens, starts, order, sum].map(Held::new);
    let views = [held[0].view()?, held[1].view()?, held[2].view()?, held[3].view()?, held[4].view()?];
    let kernel = format!("embedding_backward_{}", suffix(dy.dtype())?);
    let grid = Grid { blocks: rows.count, threads: THREADS, shared: 0 };
    let width = int(d)?;
    launch(&Card::of(views[0].storage)?, Module::Embedding, &kernel, grid, views, |views| {
        Ok([&views[..], &[width]].concat())
    })
}

/// Sets a contiguous tensor on a card to zero, in place. candle's own way counts to 2³² and begins again.
pub(crate) fn zero(x: &Tensor) -> Result<()> {
    let held = Held::new(x);
    let view = held.view()?;
    let card = Card::of(view.storage)?;
    let memory = card.memory(view.storage, view.start()?)?;
    card.zero(memory.address, x.elem_count() * x.dtype().size_in_bytes())
}

/// What AdamW multiplies by within one step; the kernels' struct of that name, field by field.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct AdamWFactors {
    /// The gradient is multiplied by it: accumulation, clipping.
    pub scale: f32,
    /// 1 - learning rate times weight decay.
    pub keep: f32,
    /// 1 - beta1.
    pub first_share: f32,
    /// 1 - beta2.
    pub second_share: f32,
    /// beta2.
    pub second_keep: f32,
    /// Learning rate / (1 - beta1^t).
    pub rate: f32,
    /// sqrt(1 - beta2^t).
    pub correction: f32,
    /// Added to the denominator.
    pub epsilon: f32,
}

/// How a new value becomes one of a narrow type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest.
    Nearest,
    /// Up or down by chance, so that the mean is exact; bf16 only (Gupta et al., "Deep Learning with Limited Numerical
    /// Precision", 2015, section 3).
    Stochastic(PhiloxKey),
}

impl Rounding {
    fn arguments(self) -> [Argument; 3] {
        let (at_random, (seed, stream)) = match self {
            Self::Nearest => (0, (0, 0)),
            Self::Stochastic(key) => (1, key.parts()),
        };
        [Argument::Int(at_random), Argument::Word(seed), Argument::Word(stream)]
    }
}

fn expect_f32(what: &str, tensors: &[&Tensor]) -> Result<()> {
    match tensors.iter().find(|tensor| tensor.dtype() != DType::F32) {
        Some(tensor) => bail!("{what}: moments, scales and gradients are f32, not {}", tensor.dtype().as_str()),
        None => Ok(()),
    }
}

/// AdamW on the card, in place: `value` f32, bf16 or f16, all else f32, all of one shape and contiguous.
///
/// # Errors
/// When types differ from that, or the card fails.
pub fn adamw(
    value: &Tensor,
    gradient: &Tensor,
    [first, second]: [&Tensor; 2],
    factors: AdamWFactors,
    rounding: Rounding,
) -> Result<()> {
    expect_f32("adamw", &[gradient, first, second])?;
    let held = [value, gradient, first, second].map(Held::new);
    let views = [held[0].view()?, held[1].view()?, held[2].view()?, held[3].view()?];
    let count = value.elem_count();
    let kernel = format!("adamw_{}", suffix(value.dtype())?);
    // A thread to four numbers.
    let grid = Grid::over(count.div_ceil(4));
    launch(&Card::of(views[0].storage)?, Module::AdamW, &kernel, grid, views, |views| {
        Ok([&views[..], &[long(count), Argument::Factors(factors)], &rounding.arguments()].concat())
    })
}

/// Both moments in 8 bits.
#[derive(Clone, Copy, Debug)]
pub struct EightBitMoments<'a> {
    /// Codes of the first and of the second moment, u8.
    pub codes: [&'a Tensor; 2],
    /// A scale for every block of 256, f32.
    pub scales: [&'a Tensor; 2],
    /// The signed and the unsigned code's numbers, then the midpoints between each one's: f32, `[4, 256]`.
    pub books: &'a Tensor,
}

/// [`adamw`] with moments in 8 bits.
///
/// # Errors
/// As there.
pub fn adamw_8bit(
    value: &Tensor,
    gradient: &Tensor,
    moments: &EightBitMoments<'_>,
    factors: AdamWFactors,
    rounding: Rounding,
) -> Result<()> {
    /// Blocks at most: enough for any card, and each reads the books once.
    const BLOCKS: usize = 2048;
    let EightBitMoments { codes, scales, books } = moments;
    expect_f32("adamw_8bit", &[gradient, scales[0], scales[1], books])?;
    let held = [value, gradient, codes[0], scales[0], codes[1], scales[1], books].map(Held::new);
    let [value_view, gradient, first, first_scales, second, second_scales, books] = [
        held[0].view()?,
        held[1].view()?,
        held[2].view()?,
        held[3].view()?,
        held[4].view()?,
        held[5].view()?,
        held[6].view()?,
    ];
    let count = value.elem_count();
    let kernel = format!("adamw_8bit_{}", suffix(value.dtype())?);
    let mut grid = Grid::summing(count.div_ceil(4 * THREADS).min(BLOCKS), THREADS);
    grid.shared += books.count() * size_of::<f32>();
    let views = [value_view, gradient, first, first_scales, second, second_scales, books];
    launch(&Card::of(value_view.storage)?, Module::AdamW, &kernel, grid, views, |views| {
        Ok([&views[..], &[long(count), Argument::Factors(factors)], &rounding.arguments()].concat())
    })
}

/// The sum of squares of a contiguous tensor, in f64, on the card: `[1]`. The same bits on every card.
///
/// # Errors
/// When the type has no kernel, or the card fails.
pub fn square_sum(x: &Tensor) -> Result<Tensor> {
    const BLOCKS: usize = 512;
    let held = Held::new(x);
    let view = held.view()?;
    let card = Card::of(view.storage)?;
    let parts = card.room(DType::F64, BLOCKS)?;
    let layout = whole(BLOCKS);
    let out = View { storage: &parts, layout: &layout };
    let kernel = format!("square_sum_{}", suffix(x.dtype())?);
    let count = long(x.elem_count());
    launch(&card, Module::AdamW, &kernel, Grid::summing(BLOCKS, THREADS), [view, out], |[x, out]| {
        Ok(vec![x, out, count])
    })?;
    tensor(parts, BLOCKS).sum(0)
}
