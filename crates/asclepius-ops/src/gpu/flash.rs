//! FlashAttention over documents laid end to end: which calls it takes, and its memory. On Hopper it is FlashAttention-3
//! (Shah et al., 2024) where no window is set, else FlashAttention-2 (Dao, 2023).
//!
//! The kernels are compiled from source distributions by `tools/cuda/flash.sh`; a build without them, and what they do not
//! take, goes by [`super::attend`].

use candle_core::{CudaStorage, DType, Layout, Result, Tensor};

use super::{Argument, Card, Grid, Held, Matrix, Module, View, card, int, launch, long, suffix, tensor, whole};
use crate::{AttentionOptions, Documents};

/// What the kernels are given; as `FlashCall` in `kernels/flash/attention.h`, which says what each part is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FlashCall {
    pub q: u64,
    pub k: u64,
    pub v: u64,
    pub output: u64,
    pub log_sums: u64,
    pub query_ends: u64,
    pub key_ends: u64,
    pub d_output: u64,
    pub d_q: u64,
    pub d_k: u64,
    pub d_v: u64,
    pub zeros: u64,
    pub room: u64,
    pub documents: i32,
    pub longest_query: i32,
    pub longest_key: i32,
    pub tokens: i32,
    pub key_tokens: i32,
    pub heads: i32,
    pub key_heads: i32,
    pub size: i32,
    pub splits: i32,
    pub window: i32,
    pub scale: f32,
}

/// What a way of a call wants beside its arguments; as in `kernels/flash/attention.h`, which says what each part is.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FlashRoom {
    pub zeros: i64,
    pub room: i64,
    pub splits: i32,
    pub gradient_heads: i32,
}

/// Which of the two the kernels do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Forward,
    Backward,
}

/// Head sizes that are compiled.
const SIZES: [usize; 4] = [64, 80, 96, 128];
/// Documents of a call: each has its own place in a grid.
const DOCUMENTS: usize = 65_535;

/// Whether these queries, `[t, h, d]`, can go this way: bf16, of a head size that is compiled, not too many documents, and
/// each with a query, on whose key the way back relies.
pub(crate) fn fits(q: &Tensor, documents: &Documents) -> bool {
    card::HAS_FLASH_ATTENTION
        && q.device().is_cuda()
        && q.dtype() == DType::BF16
        && q.dims().last().is_some_and(|size| SIZES.contains(size))
        && (1..=DOCUMENTS).contains(&documents.count())
        && documents.iter().all(|document| !document.queries.is_empty())
}

/// The sizes of a call, and where its documents end on the card.
struct Sizes {
    call: FlashCall,
    query_ends: Tensor,
    key_ends: Tensor,
}

fn sizes(q: View<'_>, k: View<'_>, documents: &Documents, options: &AttentionOptions) -> Result<Sizes> {
    let ((tokens, heads, size), (key_tokens, key_heads, _)) = (q.shape().dims3()?, k.shape().dims3()?);
    let count = |size: usize| match i32::try_from(size) {
        Ok(size) => Ok(size),
        Err(_) => candle_core::bail!("{size} is more than attention counts to"),
    };
    let longest = |lengths: fn(&crate::documents::Document) -> usize| {
        count(documents.iter().map(|document| lengths(&document)).max().unwrap_or(0))
    };
    let longest_key = longest(|document| document.keys.len())?;
    // A window as long as the longest document is none.
    let window =
        options.window.map(|window| window.saturating_sub(1)).filter(|&window| (window as i32) < longest_key - 1);
    let device = candle_core::Device::Cuda(candle_core::backend::BackendStorage::device(q.storage).clone());
    Ok(Sizes {
        call: FlashCall {
            documents: count(documents.count())?,
            longest_query: longest(|document| document.queries.len())?,
            longest_key,
            tokens: count(tokens)?,
            key_tokens: count(key_tokens)?,
            heads: count(heads)?,
            key_heads: count(key_heads)?,
            size: count(size)?,
            window: window.map_or(Ok(-1), count)?,
            scale: options.scale as f32,
            ..FlashCall::default()
        },
        query_ends: Tensor::new(documents.query.as_slice(), &device)?,
        key_ends: Tensor::new(documents.key.as_slice(), &device)?,
    })
}

/// Runs the kernels with the addresses of `views` at the places that `place` gives them, in memory of their own besides.
fn call<const N: usize>(
    way: Way,
    views: [View<'_>; N],
    sizes: &Sizes,
    wanted: &FlashRoom,
    place: impl FnOnce(&mut FlashCall, [u64; N]),
) -> Result<()> {
    let card = Card::of(views[0].storage)?;
    let held = [&sizes.query_ends, &sizes.key_ends].map(Held::new);
    let ends = [held[0].view()?, held[1].view()?];
    let ends = card.addresses(&[memory(ends[0])?, memory(ends[1])?])?;
    let given = views.into_iter().map(memory).collect::<Result<Vec<_>>>()?;
    let given = card.addresses(&given)?;
    let (zeros, other) = (card.room(DType::U8, wanted.zeros as usize)?, card.room(DType::U8, wanted.room as usize)?);
    let rooms = card.addresses(&[(&zeros, 0), (&other, 0)])?;
    if wanted.zeros > 0 {
        card.zero(rooms.of(0), wanted.zeros as usize)?;
    }
    let mut call = FlashCall {
        query_ends: ends.of(0),
        key_ends: ends.of(1),
        zeros: rooms.of(0),
        room: rooms.of(1),
        splits: wanted.splits,
        ..sizes.call
    };
    place(&mut call, std::array::from_fn(|index| given.of(index)));
    card.flash_attention(way, &call)
}

fn memory(view: View<'_>) -> Result<Matrix<'_>> {
    Ok((view.storage, view.start()?))
}

fn of<'a>(storage: &'a CudaStorage, layout: &'a Layout) -> View<'a> {
    View { storage, layout }
}

/// `softmax(q kᵀ scale) v` and the log of each softmax's divisor, `[h, t]`, f32.
pub(crate) fn attend(
    [q, k, v]: [View<'_>; 3],
    documents: &Documents,
    options: &AttentionOptions,
) -> Result<(CudaStorage, Tensor)> {
    let card = Card::of(q.storage)?;
    let sizes = sizes(q, k, documents, options)?;
    let (tokens, heads, _) = q.shape().dims3()?;
    let y = card.room(q.dtype(), q.count())?;
    let log_sums = card.room(DType::F32, heads * tokens)?;
    let (y_layout, sums_layout) = (whole(q.shape().clone()), whole((heads, tokens)));
    let views = [q, k, v, of(&y, &y_layout), of(&log_sums, &sums_layout)];
    let wanted = card.flash_room(Way::Forward, &sizes.call)?;
    call(Way::Forward, views, &sizes, &wanted, |call, [q, k, v, output, log_sums]| {
        *call = FlashCall { q, k, v, output, log_sums, ..*call };
    })?;
    Ok((y, tensor(log_sums, (heads, tokens))))
}

/// The gradients of `q [t, h, d]`, `k` and `v [s, g, d]`, from what the way forward gave.
pub(crate) fn attend_backward(
    [q, k, v, y, log_sums, dy]: [&Tensor; 6],
    documents: &Documents,
    options: &AttentionOptions,
) -> Result<[Tensor; 3]> {
    let held = [q, k, v, y, log_sums, dy].map(Held::new);
    let [qs, ks, vs, ys, sums, dys] =
        [held[0].view()?, held[1].view()?, held[2].view()?, held[3].view()?, held[4].view()?, held[5].view()?];
    let card = Card::of(qs.storage)?;
    let sizes = sizes(qs, ks, documents, options)?;
    let wanted = card.flash_room(Way::Backward, &sizes.call)?;
    let ((t, h, d), (s, g, _)) = (q.dims3()?, k.dims3()?);
    // Heads that the kernels write gradients of keys and values for: those of the keys, or of the queries.
    let n = wanted.gradient_heads as usize;
    let (dq, dk, dv) =
        (card.room(q.dtype(), t * h * d)?, card.room(k.dtype(), s * n * d)?, card.room(v.dtype(), s * n * d)?);
    let (q_layout, k_layout) = (whole((t, h, d)), whole((s, n, d)));
    let views = [qs, ks, vs, ys, sums, dys, of(&dq, &q_layout), of(&dk, &k_layout), of(&dv, &k_layout)];
    call(Way::Backward, views, &sizes, &wanted, |call, [q, k, v, output, log_sums, d_output, d_q, d_k, d_v]| {
        *call = FlashCall { q, k, v, output, log_sums, d_output, d_q, d_k, d_v, ..*call };
    })?;
    let by_key_head = |gradient: CudaStorage| {
        let summed = if n == g { gradient } else { sum_groups(&card, of(&gradient, &k_layout), (s, g, n / g, d))? };
        Ok::<_, candle_core::Error>(tensor(summed, (s, g, d)))
    };
    Ok([tensor(dq, (t, h, d)), by_key_head(dk)?, by_key_head(dv)?])
}

/// `x [s, g n, d]` summed over the `n` query heads of a group: `[s, g, d]`.
fn sum_groups(card: &Card, x: View<'_>, (s, g, n, d): (usize, usize, usize, usize)) -> Result<CudaStorage> {
    let count = s * g * d;
    let y = card.room(x.dtype(), count)?;
    let layout: Layout = whole((s, g, d));
    let numbers = [long(count), int(n)?, int(d)?];
    let kernel = format!("sum_groups_{}", suffix(x.dtype())?);
    let views = [x, of(&y, &layout)];
    launch(card, Module::Activation, &kernel, Grid::over(count), views, |views| {
        Ok::<Vec<Argument>, _>([&views[..], &numbers].concat())
    })?;
    Ok(y)
}
