//! Kernels with a block to a row: norms, the loss over a vocabulary, attention's weights.

use candle_core::{CudaStorage, DType, Result, Tensor};

use super::{Argument, Card, Grid, Held, Module, THREADS, View, int, launch, suffix, tensor, whole};

/// Rows whose shares of a weight's gradient are summed in one place; the sum's order, and so its bits, go by this alone.
const PARTS: usize = 256;

/// Which of the two norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormKind {
    Rms,
    Layer,
}

impl NormKind {
    fn name(self) -> &'static str {
        match self {
            Self::Rms => "rms_norm",
            Self::Layer => "layer_norm",
        }
    }
}

fn rows_of(x: View<'_>) -> (usize, usize) {
    let d = x.layout.dims().last().copied().unwrap_or(1);
    (x.count() / d.max(1), d)
}

/// Threads that a row of `d` numbers keeps busy: where it is whole packs of 16 bytes, each takes one at a time.
fn row_threads(d: usize, dtype: DType) -> usize {
    let lanes = 16 / dtype.size_in_bytes();
    if d.is_multiple_of(lanes) { d / lanes } else { d }
}

/// `x [.., d]` normalised, times `w [d]`, plus `b [d]` where it is a layer's.
pub(crate) fn norm(kind: NormKind, x: View<'_>, w: View<'_>, b: Option<View<'_>>, epsilon: f64) -> Result<CudaStorage> {
    let card = Card::of(x.storage)?;
    let (rows, d) = rows_of(x);
    let y = card.room(x.dtype(), x.count())?;
    let layout = whole(x.shape().clone());
    let out = View { storage: &y, layout: &layout };
    let kernel = format!("{}_forward_{}", kind.name(), suffix(x.dtype())?);
    let (grid, epsilon, width) =
        (Grid::summing(rows, row_threads(d, x.dtype())), Argument::Float(epsilon as f32), int(d)?);
    match b {
        Some(b) => launch(&card, Module::Norm, &kernel, grid, [x, w, b, out], |[x, w, b, y]| {
            Ok(vec![x, w, b, y, width, epsilon])
        })?,
        None => launch(&card, Module::Norm, &kernel, grid, [x, w, out], |[x, w, y]| Ok(vec![x, w, y, width, epsilon]))?,
    }
    Ok(y)
}

/// The gradients of `x`, in its type, plus `beside` where there is one, and, where `wants_weight`, of `w` and of a layer's `b`, f32.
pub(crate) fn norm_backward(
    kind: NormKind,
    [x, w, dy]: [&Tensor; 3],
    beside: Option<&Tensor>,
    epsilon: f64,
    wants_weight: bool,
) -> Result<(Tensor, Option<Tensor>, Option<Tensor>)> {
    let held = [x, w, dy].map(Held::new);
    let [x_view, w_view, dy_view] = [held[0].view()?, held[1].view()?, held[2].view()?];
    let card = Card::of(x_view.storage)?;
    let (rows, d) = rows_of(x_view);
    // Few blocks, so that few sums of the weight are to be added up; without them a block a row, and the card is full.
    let parts = if wants_weight { rows.min(PARTS) } else { rows };
    let dx = card.room(x.dtype(), x.elem_count())?;
    let x_layout = whole(x.shape());
    let dx_view = View { storage: &dx, layout: &x_layout };
    let kernel = format!("{}_backward_{}", kind.name(), suffix(x.dtype())?);
    let grid = Grid::summing(parts, row_threads(d, x.dtype()));
    let beside = beside.map(Held::new);
    let beside_view = beside.as_ref().map(Held::view).transpose()?;
    let numbers = [int(rows)?, int(d)?, Argument::Float(epsilon as f32)];
    let nowhere = Argument::Address(0);
    // Held until after the launch, like the views that are given to it.
    let beside_memory = beside_view.map(|view| card.memory(view.storage, view.start()?)).transpose()?;
    let beside = beside_memory.as_ref().map_or(nowhere, |memory| Argument::Address(memory.address));
    let arguments = |[x, w, dy, dx]: [Argument; 4], dw, db| {
        let mut list = vec![x, w, dy, beside, dx, dw];
        list.extend((kind == NormKind::Layer).then_some(db));
        list.extend(numbers);
        Ok(list)
    };
    if !wants_weight {
        launch(&card, Module::Norm, &kernel, grid, [x_view, w_view, dy_view, dx_view], |views| {
            arguments(views, nowhere, nowhere)
        })?;
        return Ok((tensor(dx, x.shape()), None, None));
    }
    let layout = whole((parts, d));
    let (dw_parts, db_parts) = (card.room(DType::F32, parts * d)?, card.room(DType::F32, parts * d)?);
    let (dw, db) = (View { storage: &dw_parts, layout: &layout }, View { storage: &db_parts, layout: &layout });
    launch(
        &card,
        Module::Norm,
        &kernel,
        grid,
        [x_view, w_view, dy_view, dx_view, dw, db],
        |[x, w, dy, dx, dw, db]| arguments([x, w, dy, dx], dw, db),
    )?;
    let dw = summed(&card, dw, d, x)?;
    let db = if kind == NormKind::Layer { Some(summed(&card, db, d, x)?) } else { None };
    Ok((tensor(dx, x.shape()), Some(dw), db))
}

/// The sum of `parts [count, d]` over its rows, first to last.
fn summed(card: &Card, parts: View<'_>, d: usize, like: &Tensor) -> Result<Tensor> {
    let sum = Tensor::zeros(d, DType::F32, like.device())?;
    {
        let held = Held::new(&sum);
        let numbers = [int(parts.count() / d.max(1))?, int(d)?];
        launch(card, Module::Norm, "sum_parts", Grid::over(d), [parts, held.view()?], |[parts, sum]| {
            Ok([&[parts, sum][..], &numbers].concat())
        })?;
    }
    Ok(sum)
}

/// Scores `[rows, v]` and what they are measured by.
pub(crate) struct CrossEntropy<'a> {
    /// Overwritten with their own gradient where one is wanted.
    pub scores: &'a Tensor,
    pub bias: Option<&'a Tensor>,
    /// The right token of each row, `[rows]`, u32.
    pub labels: &'a Tensor,
    pub wants_gradient: bool,
}

/// The loss of each row, `[rows]`, f32.
pub(crate) fn cross_entropy(given: &CrossEntropy<'_>) -> Result<Tensor> {
    let (rows, v) = given.scores.dims2()?;
    let (scores, labels) = (Held::new(given.scores), Held::new(given.labels));
    let bias = given.bias.map(Held::new);
    let scores = scores.view()?;
    let card = Card::of(scores.storage)?;
    let losses = card.room(DType::F32, rows)?;
    let layout = whole(rows);
    let out = View { storage: &losses, layout: &layout };
    let kernel = format!("cross_entropy_{}", suffix(scores.dtype())?);
    let numbers = [int(v)?, Argument::Int(i32::from(given.wants_gradient)), Argument::Float(1.0)];
    let grid = Grid::summing(rows, 1024);
    match &bias {
        Some(bias) => {
            let views = [scores, bias.view()?, labels.view()?, out];
            launch(&card, Module::Softmax, &kernel, grid, views, |views| Ok([&views[..], &numbers].concat()))?;
        }
        None => {
            let views = [scores, labels.view()?, out];
            launch(&card, Module::Softmax, &kernel, grid, views, |[scores, labels, losses]| {
                Ok([&[scores, Argument::Address(0), labels, losses][..], &numbers].concat())
            })?;
        }
    }
    Ok(tensor(losses, rows))
}

/// `softmax(scale z)` in place over the keys that each query sees: scores `[heads, queries, keys]`; query `q` sees keys up
/// to `first + q`, `window` of them at most.
pub(crate) fn attention_weights(scores: &Tensor, first: usize, window: Option<usize>, scale: f64) -> Result<()> {
    let (heads, queries, keys) = scores.dims3()?;
    let held = Held::new(scores);
    let view = held.view()?;
    let kernel = format!("masked_softmax_{}", suffix(view.dtype())?);
    let numbers = [int(queries)?, int(keys)?, int(first)?, int(window.unwrap_or(0))?, Argument::Float(scale as f32)];
    let grid = Grid::summing(heads * queries, keys.min(THREADS));
    launch(
        &Card::of(view.storage)?,
        Module::Softmax,
        &kernel,
        grid,
        [view],
        |views| Ok([&views[..], &numbers].concat()),
    )
}

/// `dz = scale p (dp - sum(dp p))` in place of `dp`, both `[heads, queries, keys]`.
pub(crate) fn attention_weights_backward(p: &Tensor, dp: &Tensor, scale: f64) -> Result<()> {
    let (heads, queries, keys) = p.dims3()?;
    let (p, dp) = (Held::new(p), Held::new(dp));
    let (p, dp) = (p.view()?, dp.view()?);
    let kernel = format!("masked_softmax_backward_{}", suffix(p.dtype())?);
    let numbers = [int(keys)?, Argument::Float(scale as f32)];
    let grid = Grid::summing(heads * queries, keys.min(THREADS));
    launch(&Card::of(p.storage)?, Module::Softmax, &kernel, grid, [p, dp], |views| Ok([&views[..], &numbers].concat()))
}
