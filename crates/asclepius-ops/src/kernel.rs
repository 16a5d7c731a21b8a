//! What the CPU kernels share: typed views of a tensor's memory, and loops cut into fixed chunks, so that the result
//! does not depend on how many threads ran them.

use candle_core::{CpuStorage, DType, FloatDType, Layout, Result, Storage, StorageRef, Tensor};
use rayon::prelude::*;

/// The scalars that have kernels.
pub(crate) trait Real: FloatDType + std::iter::Sum {
    fn exp(self) -> Self;
    fn sqrt(self) -> Self;
    fn maximum(self, other: Self) -> Self;
    fn of(value: f64) -> Self {
        Self::from_f64(value)
    }
}

impl Real for f32 {
    fn exp(self) -> Self {
        self.exp()
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn maximum(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

impl Real for f64 {
    fn exp(self) -> Self {
        self.exp()
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn maximum(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

/// Elements a thread handles at a time in elementwise loops.
pub(crate) const CHUNK: usize = 1 << 14;

/// Whether the CPU kernels take these tensors: all in main memory, all f32 or all f64.
pub(crate) fn fused(tensors: &[&Tensor]) -> bool {
    let Some(first) = tensors.first() else { return false };
    matches!(first.dtype(), DType::F32 | DType::F64)
        && tensors.iter().all(|tensor| tensor.device().is_cpu() && tensor.dtype() == first.dtype())
}

/// Start and end of a contiguous layout.
pub(crate) fn bounds(layout: &Layout) -> Result<(usize, usize)> {
    layout.contiguous_offsets().ok_or_else(|| candle_core::Error::Msg("a kernel wants contiguous memory".to_owned()))
}

/// The elements of a contiguous layout.
pub(crate) fn slice<'a, R: Real>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [R]> {
    let (start, end) = bounds(layout)?;
    Ok(&storage.as_slice::<R>()?[start..end])
}

/// Read access to a contiguous CPU tensor's elements for as long as this lives.
pub(crate) struct Host<'a> {
    guard: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Host<'a> {
    pub(crate) fn new(tensor: &'a Tensor) -> Result<Self> {
        let (guard, layout) = tensor.storage_and_layout();
        Ok(Self { guard, layout })
    }

    pub(crate) fn storage(&self) -> Result<&CpuStorage> {
        match &*self.guard {
            Storage::Cpu(storage) => Ok(storage),
            _ => candle_core::bail!("a CPU kernel was given a tensor of another device"),
        }
    }

    pub(crate) fn slice<R: Real>(&self) -> Result<&[R]> {
        slice(self.storage()?, self.layout)
    }
}

/// A vector of a tensor's type, as storage.
pub(crate) fn owned<R: Real>(values: Vec<R>) -> CpuStorage {
    R::to_cpu_storage_owned(values)
}

/// `target += source`.
pub(crate) fn add_assign<R: Real>(target: &mut [R], source: &[R]) {
    target.par_chunks_mut(CHUNK).zip(source.par_chunks(CHUNK)).for_each(|(target, source)| {
        for (target, &source) in target.iter_mut().zip(source) {
            *target += source;
        }
    });
}

/// The sum of `term` over the slice: chunks in parallel, combined in order.
pub(crate) fn ordered_sum<R: Real>(values: &[R], term: impl Fn(R) -> f64 + Sync) -> f64 {
    let partial: Vec<f64> =
        values.par_chunks(CHUNK).map(|chunk| chunk.iter().map(|&value| term(value)).sum::<f64>()).collect();
    partial.into_iter().sum()
}

/// Calls `$function::<f32>` or `::<f64>` by the type of a tensor or storage that [`fused`] has let in.
macro_rules! by_dtype {
    ($dtype:expr, $function:ident ( $($argument:expr),* $(,)? )) => {
        match $dtype {
            candle_core::DType::F32 => $function::<f32>($($argument),*),
            candle_core::DType::F64 => $function::<f64>($($argument),*),
            other => Err(candle_core::Error::UnsupportedDTypeForOp(other, stringify!($function))),
        }
    };
}
pub(crate) use by_dtype;
