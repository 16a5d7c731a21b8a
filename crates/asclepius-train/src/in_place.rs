//! Borrowing a CPU tensor's numbers, so that the optimizer can update them where they lie.

use std::cell::RefCell;

use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Result, Tensor, WithDType, bail};

/// A type of number that the optimizer edits: f32 values, u8 codes.
pub trait Editable: WithDType {
    /// The storage's numbers, where they are of this type.
    fn of(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

impl Editable for f32 {
    fn of(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F32(values) = storage { Some(values) } else { None }
    }
}

impl Editable for u8 {
    fn of(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::U8(values) = storage { Some(values) } else { None }
    }
}

/// Runs `run` on the elements of a contiguous CPU tensor, in row-major order, while holding its storage.
///
/// # Errors
/// When the tensor is of another type, not contiguous, or not on the CPU, or when `run` fails.
pub fn edit<T: Editable, R>(tensor: &Tensor, run: impl FnOnce(&mut [T]) -> Result<R>) -> Result<R> {
    let op = Edit { state: RefCell::new((Some(run), None)), of: std::marker::PhantomData::<fn(T)> };
    tensor.inplace_op1(&op)?;
    let (_, result) = op.state.into_inner();
    Ok(result.expect("the op ran, and leaves a result whenever it succeeds"))
}

/// Runs `read` on the elements of a contiguous f32 CPU tensor, in row-major order.
///
/// # Errors
/// When the tensor is of another type, not contiguous, or not on the CPU, or when `read` fails.
pub fn read_f32<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> Result<R>) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    let candle_core::Storage::Cpu(CpuStorage::F32(values)) = &*storage else {
        bail!("expected an f32 tensor on the CPU, got {:?} on {:?}", tensor.dtype(), tensor.device().location());
    };
    match layout.contiguous_offsets() {
        Some((start, end)) => read(&values[start..end]),
        None => bail!("expected a contiguous tensor"),
    }
}

/// Whether [`edit`] (of f32) and [`read_f32`] can reach the tensor.
pub fn is_reachable(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32 && tensor.is_contiguous()
}

struct Edit<T, F, R> {
    // An op is handed out by shared reference, yet this one runs once and returns something.
    state: RefCell<(Option<F>, Option<R>)>,
    of: std::marker::PhantomData<fn(T)>,
}

impl<T, F, R> InplaceOp1 for Edit<T, F, R>
where
    T: Editable,
    F: FnOnce(&mut [T]) -> Result<R>,
{
    fn name(&self) -> &'static str {
        "edit-in-place"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let Some(values) = T::of(storage) else {
            bail!("expected a tensor of {:?}", T::DTYPE);
        };
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("expected a contiguous tensor");
        };
        let mut state = self.state.borrow_mut();
        let run = state.0.take().expect("candle runs an op once");
        state.1 = Some(run(&mut values[start..end])?);
        Ok(())
    }
}
