//! What the CPU kernels share: typed views of a tensor's memory, and loops cut into fixed chunks, so that the result
//! does not depend on how many threads ran them.

use candle_core::{CpuStorage, DType, FloatDType, Layout, Result, Storage, StorageRef, Tensor};
use rayon::prelude::*;

use crate::cpu::matrix::FewRows;
use crate::philox::{PhiloxKey, to_unit};

/// The scalars that have kernels.
pub trait Real: FloatDType + std::ops::Neg<Output = Self> {
    /// `e^self`.
    #[must_use]
    fn exp(self) -> Self;
    /// The square root.
    #[must_use]
    fn sqrt(self) -> Self;
    /// The error function.
    #[must_use]
    fn erf(self) -> Self;
    /// The nearest number of this type.
    #[inline(always)]
    fn of(value: f64) -> Self {
        Self::from_f64(value)
    }
    /// The larger of two.
    #[must_use]
    #[inline(always)]
    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
    /// A storage's elements, if they are of this type.
    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
    /// Computes a product of few rows in a way of its own, or says that there is none.
    #[doc(hidden)]
    #[expect(private_interfaces, reason = "the trait is sealed by candle's own scalar types")]
    fn few_rows(_: &FewRows<'_, '_, Self>) -> bool {
        false
    }
}

/// Runs a loop compiled for the widest vectors this machine has. What it calls must be inlined into it.
#[inline(always)]
pub(crate) fn fast<T>(work: impl FnOnce() -> T) -> T {
    pulp::Arch::new().dispatch(work)
}

impl Real for f32 {
    /// Within 2 units in the last place of the exact value for normal results; below those, the smallest normal number.
    /// Without branches or calls, so that loops over it run in vector registers.
    #[inline(always)]
    fn exp(self) -> Self {
        // x = n ln 2 + r with |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to an integer and leaves n in the low bits.
        const ROUND: f32 = 12_582_912.0;
        const LN_2_HIGH: f32 = 0.693_359_4;
        const LN_2_LOW: f32 = -2.121_944_4e-4;
        let x = self.clamp(-87.0, 88.0);
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * LN_2_HIGH) - n * LN_2_LOW;
        // The Taylor series to r^7; its remainder is below 6e-9 of the result.
        let series = [1.0 / 5040.0, 1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0]
            .into_iter()
            .fold(0.0, |sum, coefficient| sum * r + coefficient);
        Self::from_bits(series.to_bits().wrapping_add(shifted.to_bits() << 23))
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn erf(self) -> Self {
        candle_core::cpu::erf::erf_f32(self)
    }

    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F32(elements) => Some(elements),
            _ => None,
        }
    }

    #[expect(private_interfaces, reason = "as in the trait")]
    fn few_rows(product: &FewRows<'_, '_, Self>) -> bool {
        product.run();
        true
    }
}

impl Real for f64 {
    #[inline(always)]
    fn exp(self) -> Self {
        self.exp()
    }

    #[inline(always)]
    fn sqrt(self) -> Self {
        self.sqrt()
    }

    #[inline(always)]
    fn erf(self) -> Self {
        candle_core::cpu::erf::erf_f64(self)
    }

    fn elements_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        match storage {
            CpuStorage::F64(elements) => Some(elements),
            _ => None,
        }
    }
}

/// Elements a thread handles at a time in elementwise loops.
pub(crate) const CHUNK: usize = 1 << 14;

/// Partial results kept side by side in a sum, which lets the compiler use vector registers; part of the result's bits.
const LANES: usize = 32;

/// Whether the CPU kernels take these tensors: all in main memory, all f32 or all f64, and no twin asked for.
pub(crate) fn fused(tensors: &[&Tensor]) -> bool {
    let Some(first) = tensors.first() else { return false };
    matches!(first.dtype(), DType::F32 | DType::F64)
        && !crate::runs_references_only()
        && tensors.iter().all(|tensor| tensor.device().is_cpu() && tensor.dtype() == first.dtype())
}

/// Whether there are kernels for these tensors where they lie: [`fused`], or the card's.
pub(crate) fn has_kernel(tensors: &[&Tensor]) -> bool {
    fused(tensors) || crate::gpu::takes(tensors)
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

/// Read access to a CPU tensor's memory for as long as this lives.
#[derive(Debug)]
pub struct Host<'a> {
    guard: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Host<'a> {
    /// Locks the tensor's memory for reading.
    pub fn new(tensor: &'a Tensor) -> Self {
        let (guard, layout) = tensor.storage_and_layout();
        Self { guard, layout }
    }

    pub(crate) fn layout(&self) -> &Layout {
        self.layout
    }

    pub(crate) fn storage(&self) -> Result<&CpuStorage> {
        match &*self.guard {
            Storage::Cpu(storage) => Ok(storage),
            _ => candle_core::bail!("a CPU kernel was given a tensor of another device"),
        }
    }

    /// The elements of a contiguous tensor, in row-major order.
    ///
    /// # Errors
    /// When it is of another type or device, or not contiguous.
    pub fn slice<R: Real>(&self) -> Result<&[R]> {
        slice(self.storage()?, self.layout)
    }
}

/// `target += source`.
pub(crate) fn add_assign<R: Real>(target: &mut [R], source: &[R]) {
    target.par_chunks_mut(CHUNK).zip(source.par_chunks(CHUNK)).for_each(|(target, source)| add_row(target, source));
}

/// `target += source` on one thread.
#[inline(always)]
pub(crate) fn add_row<R: Real>(target: &mut [R], source: &[R]) {
    for (target, &source) in target.iter_mut().zip(source) {
        *target += source;
    }
}

/// `target += factor * source`.
pub(crate) fn add_scaled<R: Real>(target: &mut [R], source: &[R], factor: R) {
    target.par_chunks_mut(CHUNK).zip(source.par_chunks(CHUNK)).for_each(|(target, source)| {
        for (target, &source) in target.iter_mut().zip(source) {
            *target += factor * source;
        }
    });
}

/// Zeroes element `i` where `key.uniform(i) < p`, scales the others by `1 / (1 - p)`.
pub(crate) fn drop_elements<R: Real>(values: &mut [R], p: f32, key: PhiloxKey) {
    let keep = R::of(f64::from(1.0 / (1.0 - p)));
    values.par_chunks_mut(CHUNK).enumerate().for_each(|(chunk, values)| {
        // A chunk is a whole number of Philox blocks of four.
        let first = (chunk * CHUNK / 4) as u64;
        for (block, values) in (first..).zip(values.chunks_mut(4)) {
            for (value, word) in values.iter_mut().zip(key.block(block)) {
                *value = if to_unit(word) < p { R::zero() } else { *value * keep };
            }
        }
    });
}

/// `target *= factor`.
pub(crate) fn scale<R: Real>(target: &mut [R], factor: f64) {
    let factor = R::of(factor);
    target.par_chunks_mut(CHUNK).for_each(|chunk| {
        if factor == R::zero() {
            // Whatever was there: an infinity times zero is none.
            return chunk.fill(factor);
        }
        for x in chunk {
            *x *= factor;
        }
    });
}

/// The sum of `term` over the slice: chunks in parallel, combined in order.
pub(crate) fn ordered_sum<R: Real>(values: &[R], term: impl Fn(R) -> f64 + Sync) -> f64 {
    let partial: Vec<f64> =
        values.par_chunks(CHUNK).map(|chunk| chunk.iter().map(|&value| term(value)).sum::<f64>()).collect();
    partial.into_iter().sum()
}

/// The sum of `term(i)` for `i` in `0..count`, in [`LANES`] interleaved parts.
#[inline(always)]
fn lane_sum<R: Real>(count: usize, term: impl Fn(usize) -> R) -> R {
    let mut lanes = [R::zero(); LANES];
    let whole = count - count % LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    let tail = (whole..count).fold(R::zero(), |sum, index| sum + term(index));
    lanes.into_iter().fold(tail, |sum, lane| sum + lane)
}

/// The inner product of two rows.
#[inline(always)]
pub(crate) fn dot<R: Real>(a: &[R], b: &[R]) -> R {
    let b = &b[..a.len()];
    lane_sum(a.len(), |index| a[index] * b[index])
}

/// The sum of a row.
#[inline(always)]
pub(crate) fn sum<R: Real>(row: &[R]) -> R {
    lane_sum(row.len(), |index| row[index])
}

/// The largest of a row, which must not be empty.
#[inline(always)]
pub(crate) fn maximum<R: Real>(row: &[R]) -> R {
    let mut lanes = [row[0]; LANES];
    let (whole, tail) = row.as_chunks::<LANES>();
    for chunk in whole {
        for (lane, &value) in lanes.iter_mut().zip(chunk) {
            *lane = lane.larger(value);
        }
    }
    lanes.into_iter().chain(tail.iter().copied()).fold(row[0], R::larger)
}

/// Replaces each `x` of a row by `exp(scale * (x - shift))`; gives their sum.
#[inline(always)]
pub(crate) fn exponentials<R: Real>(row: &mut [R], scale: R, shift: R) -> R {
    for x in row.iter_mut() {
        *x = ((*x - shift) * scale).exp();
    }
    sum(row)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_exact_to_two_units() {
        let mut worst: f64 = 0.0;
        for step in -86_000..88_000 {
            let x = step as f32 * 1e-3;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(Real::exp(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "{worst}");
        assert!(Real::exp(f32::NEG_INFINITY) < 1e-37);
        assert_eq!(Real::exp(0.0_f32), 1.0);
    }

    #[test]
    fn sums_and_maxima_take_every_element() {
        for count in 1..40 {
            let row: Vec<f64> = (0..count).map(|index| f64::from((index * 7) % 11)).collect();
            assert_eq!(maximum(&row), row.iter().copied().fold(0.0, f64::max));
            assert_eq!(dot(&row, &row), row.iter().map(|x| x * x).sum::<f64>());
        }
    }
}
