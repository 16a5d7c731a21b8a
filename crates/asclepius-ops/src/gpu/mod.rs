//! The card's side of the operations: the kernels of `kernels/*.cu`, launched.
//!
//! A build with CUDA and one without differ in one file: `card`, and `closed` in its place. All else here is compiled, and
//! read by the lints, in both. Kernels run on the one stream that candle uses, in the order in which they are launched;
//! nothing here waits for the card.

#[cfg(feature = "cuda")]
mod card;
#[cfg(not(feature = "cuda"))]
#[path = "closed.rs"]
mod card;

mod elements;
pub(crate) mod flash;
mod heads;
mod rows;
mod update;

use candle_core::backend::BackendStorage;
use candle_core::op::BackpropOp;
use candle_core::{CudaStorage, DType, Layout, Result, Shape, Storage, StorageRef, Tensor, bail};

use card::Card;
pub(crate) use elements::{
    Nf4Parts, add_into, add_pair, add_row, decode_nf4, drop_elements, gelu, gelu_backward, rotate, sum_pair, swiglu,
    swiglu_backward,
};
pub(crate) use heads::{attend, attend_backward};
pub(crate) use rows::{
    CrossEntropy, NormKind, attention_weights, attention_weights_backward, cross_entropy, norm, norm_backward,
};
pub use update::{AdamWFactors, EightBitMoments, Rounding, adamw, adamw_8bit, square_sum};
pub(crate) use update::{EmbeddingRows, add_rows, zero};

/// A file of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    Activation,
    AdamW,
    Embedding,
    Nf4,
    Norm,
    Rope,
    Softmax,
}

/// How many blocks of how many threads, and the shared memory of a block in bytes.
#[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "read where kernels are launched"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Grid {
    pub blocks: usize,
    pub threads: usize,
    pub shared: usize,
}

/// Threads of a block where nothing asks for another number.
const THREADS: usize = 256;
/// Threads that step together; shared memory for a sum over a block is a number of each such warp.
const WARP: usize = 32;

impl Grid {
    /// A thread to each of `count` numbers.
    fn over(count: usize) -> Self {
        Self { blocks: count.div_ceil(THREADS), threads: THREADS, shared: 0 }
    }

    /// `blocks` blocks that sum over themselves, each over `width` numbers at a time.
    fn summing(blocks: usize, width: usize) -> Self {
        let threads = width.clamp(WARP, 1024).next_multiple_of(WARP);
        Self { blocks, threads, shared: threads / WARP * size_of::<f64>() }
    }
}

/// What a kernel is given, in the order of its parameters.
#[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "read where kernels are launched"))]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Argument {
    /// Memory, or a null pointer.
    Address(u64),
    Long(i64),
    Int(i32),
    Float(f32),
    Word(u64),
    Factors(AdamWFactors),
}

/// `Int` of a size, which a kernel counts in 32 bits.
fn int(size: usize) -> Result<Argument> {
    match i32::try_from(size) {
        Ok(size) => Ok(Argument::Int(size)),
        Err(_) => bail!("{size} is more than a kernel counts to"),
    }
}

fn long(size: usize) -> Argument {
    Argument::Long(size as i64)
}

/// The type's name at the end of a kernel's.
fn suffix(dtype: DType) -> Result<&'static str> {
    match dtype {
        DType::F32 => Ok("f32"),
        DType::BF16 => Ok("bf16"),
        DType::F16 => Ok("f16"),
        other => bail!("the card has no kernel for {}", other.as_str()),
    }
}

/// Whether the card has kernels for numbers of this type.
pub(crate) fn has_kernels_for(dtype: DType) -> bool {
    suffix(dtype).is_ok()
}

/// Whether the card's kernels take these tensors: all on a card, all of one of f32, bf16 and f16, and no twin asked for.
pub fn takes(tensors: &[&Tensor]) -> bool {
    let Some(first) = tensors.first() else { return false };
    has_kernels_for(first.dtype())
        && !crate::runs_references_only()
        && tensors.iter().all(|tensor| tensor.device().is_cuda() && tensor.dtype() == first.dtype())
}

/// A contiguous tensor's memory on the card, for as long as this lives.
pub(crate) struct Held<'a> {
    guard: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Held<'a> {
    pub fn new(tensor: &'a Tensor) -> Self {
        let (guard, layout) = tensor.storage_and_layout();
        Self { guard, layout }
    }

    pub fn view(&self) -> Result<View<'_>> {
        match &*self.guard {
            Storage::Cuda(storage) => Ok(View { storage, layout: self.layout }),
            _ => bail!("a kernel of the card was given a tensor of another device"),
        }
    }
}

/// A storage's part that a layout names.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub storage: &'a CudaStorage,
    pub layout: &'a Layout,
}

impl View<'_> {
    fn start(&self) -> Result<usize> {
        match self.layout.contiguous_offsets() {
            Some((start, _)) => Ok(start),
            None => bail!("a kernel wants contiguous memory"),
        }
    }

    fn shape(&self) -> &Shape {
        self.layout.shape()
    }

    fn count(&self) -> usize {
        self.layout.shape().elem_count()
    }

    fn dtype(&self) -> DType {
        self.storage.dtype()
    }
}

/// Launches `kernel` of `module` with arguments that `arguments` makes of the views' addresses.
fn launch<const N: usize>(
    card: &Card,
    module: Module,
    kernel: &str,
    grid: Grid,
    views: [View<'_>; N],
    arguments: impl FnOnce([Argument; N]) -> Result<Vec<Argument>>,
) -> Result<()> {
    if grid.blocks == 0 {
        return Ok(());
    }
    let memory = views.map(|view| card.memory(view.storage, view.start()?));
    let mut addresses = [Argument::Address(0); N];
    let mut held = Vec::with_capacity(N);
    for (address, memory) in addresses.iter_mut().zip(memory) {
        let memory = memory?;
        *address = Argument::Address(memory.address);
        // The stream's order is kept for as long as these live.
        held.push(memory);
    }
    card.launch(module, kernel, grid, &arguments(addresses)?)
}

/// Memory of a matrix, and its first number's place in it.
type Matrix<'a> = (&'a CudaStorage, usize);

/// Which factor of a product is transposed first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `leftᵀ right`: `[inner, rows]`, `[inner, columns]`.
    LeftTransposed,
    /// `left rightᵀ`: `[rows, inner]`, `[columns, inner]`.
    RightTransposed,
    /// `left right`: `[rows, inner]`, `[inner, columns]`.
    Plain,
}

/// A product of two matrices of one type, `[rows, columns]`.
#[cfg_attr(not(feature = "cuda"), expect(dead_code, reason = "read where products are asked for"))]
struct Product<'a> {
    left: Matrix<'a>,
    right: Matrix<'a>,
    form: Form,
    rows: usize,
    columns: usize,
    inner: usize,
    scale: f32,
    /// Whether it is added to what lies in the target.
    adds: bool,
}

/// `target += scale left right`, in place, with a factor transposed by `form`; summed in f32. All contiguous, the factors
/// of one type, the target of theirs or f32.
pub(crate) fn add_product(target: View<'_>, left: View<'_>, right: View<'_>, form: Form, scale: f64) -> Result<()> {
    multiply(target, left, right, form, scale, true)
}

/// [`add_product`] of whole tensors.
pub(crate) fn add_product_of(target: &Tensor, left: &Tensor, right: &Tensor, form: Form, scale: f64) -> Result<()> {
    product_into(target, left, right, form, scale, true)
}

/// `target = scale left right`, or `target += scale left right` where it `adds`; whole tensors, as [`add_product`] takes them.
pub(crate) fn product_into(
    target: &Tensor,
    left: &Tensor,
    right: &Tensor,
    form: Form,
    scale: f64,
    adds: bool,
) -> Result<()> {
    let held = [target, left, right].map(Held::new);
    multiply(held[0].view()?, held[1].view()?, held[2].view()?, form, scale, adds)
}

/// `scale left right` with a factor transposed by `form`, a tensor of its own of the factors' type.
pub(crate) fn product_of(left: &Tensor, right: &Tensor, form: Form, scale: f64) -> Result<Tensor> {
    let held = [left, right].map(Held::new);
    let (a, b) = (held[0].view()?, held[1].view()?);
    let (rows, columns, _) = product_sizes(a, b, form)?;
    let storage = Card::of(a.storage)?.room(left.dtype(), rows * columns)?;
    let layout = whole((rows, columns));
    multiply(View { storage: &storage, layout: &layout }, a, b, form, scale, false)?;
    Ok(tensor(storage, (rows, columns)))
}

/// Rows and columns of a tensor whose last dimension are its columns.
fn matrix(view: View<'_>) -> (usize, usize) {
    let columns = view.layout.dims().last().copied().unwrap_or(1);
    (view.count() / columns.max(1), columns)
}

/// Rows and columns of a product, and how many numbers each of its numbers sums.
fn product_sizes(left: View<'_>, right: View<'_>, form: Form) -> Result<(usize, usize, usize)> {
    let turned =
        |(rows, columns): (usize, usize), is_turned: bool| if is_turned { (columns, rows) } else { (rows, columns) };
    let (rows, inner) = turned(matrix(left), form == Form::LeftTransposed);
    let (beside, columns) = turned(matrix(right), form == Form::RightTransposed);
    if inner != beside {
        bail!("{:?} and {:?} ({form:?}) have no product", left.layout.dims(), right.layout.dims());
    }
    Ok((rows, columns, inner))
}

fn multiply(target: View<'_>, left: View<'_>, right: View<'_>, form: Form, scale: f64, adds: bool) -> Result<()> {
    let (rows, columns, inner) = product_sizes(left, right, form)?;
    if matrix(target) != (rows, columns) {
        bail!("a product of {rows} by {columns} does not fit {:?}", target.layout.dims());
    }
    let card = Card::of(target.storage)?;
    if rows * columns * inner == 0 {
        // A sum of nothing.
        let bytes = target.count() * target.dtype().size_in_bytes();
        let memory = card.memory(target.storage, target.start()?)?;
        return if adds || bytes == 0 { Ok(()) } else { card.zero(memory.address, bytes) };
    }
    let product = Product {
        left: (left.storage, left.start()?),
        right: (right.storage, right.start()?),
        form,
        rows,
        columns,
        inner,
        scale: scale as f32,
        adds,
    };
    card::product(&card, (target.storage, target.start()?), product)
}

/// A copy of a tensor's memory, for an operation whose result was made of tensors.
pub(crate) fn copied(tensor: &Tensor) -> Result<CudaStorage> {
    let held = Held::new(tensor);
    let view = held.view()?;
    view.start()?;
    view.storage.try_clone(view.layout)
}

/// A tensor, without a way back, of memory that a kernel has filled.
pub(crate) fn tensor(storage: CudaStorage, shape: impl Into<Shape>) -> Tensor {
    Tensor::from_storage(Storage::Cuda(storage), shape, BackpropOp::none(), false)
}

/// A layout for memory of `shape` that begins at its first number.
fn whole(shape: impl Into<Shape>) -> Layout {
    Layout::contiguous(shape)
}
