//! Matrix products on the `gemm` crate's kernels, written straight to where they belong.
//!
//! Measured on two AVX-512 threads, a product whose columns are dealt out to threads that each work alone is 1.2 times as
//! fast as one that `gemm` deals out itself, and as fast as MKL's.

use gemm::Parallelism;
use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use crate::cpu::shared::Shared;
use crate::kernel::Real;
use crate::profile::{self, Kind};

/// Products below this many multiplications stay on one thread.
const ALONE: usize = 1 << 16;

/// Columns are dealt out in multiples of this: two of the widest vectors in f32.
const GRAIN: usize = 32;

/// Up to this many rows against a weight, reading the weight once is what counts, and packing it costs more than it saves.
const FEW: usize = 12;

/// A matrix to read, `[rows, columns]`, in someone's memory.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, R> {
    data: &'a [R],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, R: Real> Matrix<'a, R> {
    /// Whole rows of `columns` elements, one after the other.
    ///
    /// # Panics
    /// When the last row is not whole.
    pub fn new(data: &'a [R], columns: usize) -> Self {
        assert!(columns > 0 && data.len().is_multiple_of(columns), "{} elements in rows of {columns}", data.len());
        Self { data, rows: data.len() / columns, columns, row_stride: columns, column_stride: 1 }
    }

    /// Rows that begin `row_stride` apart; `data` begins with the first.
    ///
    /// # Panics
    /// When `data` ends before the last row does.
    pub fn strided(data: &'a [R], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(reaches(data.len(), rows, columns, row_stride), "{rows} rows do not fit");
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// `[columns, rows]`.
    #[must_use]
    pub fn transposed(self) -> Self {
        let Self { data, rows, columns, row_stride, column_stride } = self;
        Self { data, rows: columns, columns: rows, row_stride: column_stride, column_stride: row_stride }
    }

    /// Some of the rows.
    ///
    /// # Panics
    /// When there are not as many.
    #[must_use]
    pub fn row_range(self, rows: std::ops::Range<usize>) -> Self {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "rows {rows:?} of {}", self.rows);
        let data = self.data.get(rows.start * self.row_stride..).unwrap_or(&[]);
        Self { data, rows: rows.len(), ..self }
    }

    /// Some of the columns.
    ///
    /// # Panics
    /// When there are not as many.
    #[must_use]
    pub fn column_range(self, columns: std::ops::Range<usize>) -> Self {
        self.transposed().row_range(columns).transposed()
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// A matrix to write, `[rows, columns]`, its rows `row_stride` apart.
#[derive(Debug)]
pub struct MatrixMut<'a, R> {
    data: &'a mut [R],
    rows: usize,
    columns: usize,
    row_stride: usize,
}

impl<'a, R: Real> MatrixMut<'a, R> {
    /// Whole rows of `columns` elements, one after the other.
    ///
    /// # Panics
    /// When the last row is not whole.
    pub fn new(data: &'a mut [R], columns: usize) -> Self {
        assert!(columns > 0 && data.len().is_multiple_of(columns), "{} elements in rows of {columns}", data.len());
        Self { rows: data.len() / columns, data, columns, row_stride: columns }
    }

    /// Rows that begin `row_stride` apart; `data` begins with the first.
    ///
    /// # Panics
    /// When `data` ends before the last row does.
    pub fn strided(data: &'a mut [R], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(reaches(data.len(), rows, columns, row_stride), "{rows} rows do not fit");
        Self { data, rows, columns, row_stride }
    }
}

fn reaches(length: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    columns > 0 && row_stride >= columns && (rows == 0 || (rows - 1) * row_stride + columns <= length)
}

/// Who computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// The thread pool.
    All,
    /// The calling thread, which is one of several already.
    One,
}

/// `a b` in memory of its own, `[a.rows, b.columns]`.
///
/// # Panics
/// When the inner sizes differ.
pub fn product<R: Real>(a: Matrix<'_, R>, b: Matrix<'_, R>) -> Vec<R> {
    let mut fresh = Fresh::new(a.rows, b.columns);
    fresh.write_columns(a, b);
    fresh.finish()
}

/// Rows that products are written to side by side, columns from left to right, in memory nothing was written to before.
#[derive(Debug)]
pub struct Fresh<R> {
    data: Vec<R>,
    rows: usize,
    width: usize,
    filled: usize,
}

impl<R: Real> Fresh<R> {
    /// Room for rows of `width`.
    pub fn new(rows: usize, width: usize) -> Self {
        Self { data: Vec::with_capacity(rows * width), rows, width, filled: 0 }
    }

    /// Writes `a b` to the next columns.
    ///
    /// # Panics
    /// When the shapes do not fit, or there are not as many columns left.
    pub fn write_columns(&mut self, a: Matrix<'_, R>, b: Matrix<'_, R>) {
        assert!(a.rows == self.rows && self.filled + b.columns <= self.width, "{} of {}", b.columns, self.width);
        let spare = self.data.spare_capacity_mut().as_mut_ptr().cast::<R>();
        let target = Shared::raw(spare, self.rows * self.width);
        multiply(
            Out { target: &target, first: self.filled, row_stride: self.width },
            false,
            R::one(),
            a,
            b,
            Workers::All,
        );
        self.filled += b.columns;
    }

    /// The rows.
    ///
    /// # Panics
    /// When columns are missing.
    pub fn finish(mut self) -> Vec<R> {
        assert_eq!(self.filled, self.width, "every column is written");
        #[expect(unsafe_code, reason = "the columns were written one by one")]
        // SAFETY: the capacity was asked for in `new`, and products have written every column of every row.
        unsafe {
            self.data.set_len(self.rows * self.width);
        }
        self.data
    }
}

/// `out = a b`.
///
/// # Panics
/// When the shapes do not fit.
pub fn write_product<R: Real>(out: MatrixMut<'_, R>, a: Matrix<'_, R>, b: Matrix<'_, R>, workers: Workers) {
    add_or_write(out, false, R::one(), a, b, workers);
}

/// `out += factor a b`.
///
/// # Panics
/// When the shapes do not fit.
pub fn add_product<R: Real>(out: MatrixMut<'_, R>, factor: R, a: Matrix<'_, R>, b: Matrix<'_, R>, workers: Workers) {
    add_or_write(out, true, factor, a, b, workers);
}

fn add_or_write<R: Real>(
    out: MatrixMut<'_, R>,
    add: bool,
    factor: R,
    a: Matrix<'_, R>,
    b: Matrix<'_, R>,
    workers: Workers,
) {
    assert!(
        out.rows == a.rows && out.columns == b.columns,
        "[{}, {}] = [{}, {}] [{}, {}]",
        out.rows,
        out.columns,
        a.rows,
        a.columns,
        b.rows,
        b.columns
    );
    let target = Shared::new(out.data);
    multiply(Out { target: &target, first: 0, row_stride: out.row_stride }, add, factor, a, b, workers);
}

/// Where a product goes: memory that is borrowed for it, or fresh.
struct Out<'a, R> {
    target: &'a Shared<'a, R>,
    first: usize,
    row_stride: usize,
}

fn multiply<R: Real>(out: Out<'_, R>, add: bool, factor: R, a: Matrix<'_, R>, b: Matrix<'_, R>, workers: Workers) {
    let _span = (workers == Workers::All).then(|| profile::span(Kind::Product, "product"));
    let (m, n, k) = (a.rows, b.columns, a.columns);
    assert!(k == b.rows, "[{m}, {n}] = [{m}, {k}] [{}, {n}]", b.rows);
    if m == 0 || n == 0 {
        return;
    }
    let few = m <= FEW && a.column_stride == 1 && b.row_stride == 1 && workers == Workers::All;
    if few && R::few_rows(&FewRows { out: &out, add, factor, a, b }) {
        return;
    }
    let Out { target, first, row_stride } = out;
    let threads = if workers == Workers::One || m * n * k < ALONE { 1 } else { rayon::current_num_threads() };
    let part = |rows: std::ops::Range<usize>, columns: std::ops::Range<usize>| {
        let place = Place { target, first: first + rows.start * row_stride + columns.start, row_stride };
        // SAFETY: the parts share no element, and nothing else reaches the target meanwhile.
        #[expect(unsafe_code, reason = "parts of one matrix go to several threads")]
        unsafe {
            place.multiply(add, factor, a.row_range(rows), b.column_range(columns));
        }
    };
    if threads == 1 {
        part(0..m, 0..n);
    } else if n >= GRAIN * threads || n >= m {
        let width = n.div_ceil(threads).next_multiple_of(GRAIN);
        (0..n.div_ceil(width)).into_par_iter().for_each(|index| part(0..m, index * width..n.min((index + 1) * width)));
    } else {
        let height = m.div_ceil(threads);
        (0..m.div_ceil(height))
            .into_par_iter()
            .for_each(|index| part(index * height..m.min((index + 1) * height), 0..n));
    }
}

/// Where a product goes that one thread computes while others write to other places in the same memory.
pub(crate) struct Place<'a, R> {
    pub(crate) target: &'a Shared<'a, R>,
    /// The first element.
    pub(crate) first: usize,
    pub(crate) row_stride: usize,
}

impl<R: Real> Place<'_, R> {
    /// `place = factor a b`, or `+=` with `add`.
    ///
    /// # Safety
    /// No other thread may reach the elements of the place meanwhile.
    ///
    /// # Panics
    /// When the inner sizes differ or the place lies outside.
    #[expect(unsafe_code, reason = "gemm takes pointers, and the target is shared")]
    pub(crate) unsafe fn multiply(&self, add: bool, factor: R, a: Matrix<'_, R>, b: Matrix<'_, R>) {
        let (m, n, k) = (a.rows, b.columns, a.columns);
        assert!(k == b.rows && self.row_stride >= n, "[{m}, {k}] [{}, {n}]", b.rows);
        if m == 0 || n == 0 {
            return;
        }
        assert!(self.first + (m - 1) * self.row_stride + n <= self.target.length(), "the place lies inside");
        // SAFETY: the constructors of `Matrix` check that every element that rows, columns and strides reach lies in its
        // slice, the place lies inside the target, and the caller keeps others away from it.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                self.target.address(self.first),
                1,
                self.row_stride as isize,
                add,
                a.data.as_ptr(),
                a.column_stride as isize,
                a.row_stride as isize,
                b.data.as_ptr(),
                b.column_stride as isize,
                b.row_stride as isize,
                // What is there times this, plus the product times that.
                if add { R::one() } else { R::zero() },
                factor,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
    }
}

/// A product of few contiguous rows with a weight that is given transposed, so that its rows are contiguous too.
pub(crate) struct FewRows<'a, 'b, R> {
    out: &'a Out<'a, R>,
    add: bool,
    factor: R,
    a: Matrix<'b, R>,
    b: Matrix<'b, R>,
}

/// Weight rows a thread works through at a time.
const WEIGHT_ROWS: usize = 32;

impl FewRows<'_, '_, f32> {
    /// Reads every weight once, and asks for the next ones early: inner products of two of its rows with four of `a`'s, or
    /// the only one, at a time.
    pub(crate) fn run(&self) {
        let (m, n, k) = (self.a.rows, self.b.columns, self.a.columns);
        let arch = pulp::Arch::new();
        let part = |index: usize| {
            let columns = index * WEIGHT_ROWS..n.min((index + 1) * WEIGHT_ROWS);
            if m == 1 {
                arch.dispatch(WeightRows::<1> { product: self, columns });
            } else {
                arch.dispatch(WeightRows::<4> { product: self, columns });
            }
        };
        let parts = 0..n.div_ceil(WEIGHT_ROWS);
        if m * n * k < ALONE {
            parts.for_each(part);
        } else {
            parts.into_par_iter().for_each(part);
        }
    }
}

/// What one thread does of [`FewRows`]: some of the weight's rows with all of `a`'s, `M` at a time.
struct WeightRows<'a, 'b, 'c, const M: usize> {
    product: &'a FewRows<'b, 'c, f32>,
    columns: std::ops::Range<usize>,
}

impl<const M: usize> WithSimd for WeightRows<'_, '_, '_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { product: FewRows { out, add, factor, a, b }, columns } = self;
        let (m, n, k) = (a.rows, b.columns, a.columns);
        for column in columns.step_by(2) {
            // What lies past the end is the last row once more.
            let other = (column + 1).min(n - 1);
            let weights = [&b.data[column * b.column_stride..][..k], &b.data[other * b.column_stride..][..k]];
            for first in (0..m).step_by(M) {
                let mut rows: [&[f32]; M] = [&[]; M];
                for (index, row) in rows.iter_mut().enumerate() {
                    *row = &a.data[(first + index).min(m - 1) * a.row_stride..][..k];
                }
                // Left to the processor, a third of the time goes into waiting for the weights.
                let ahead = if first == 0 { 2 * b.column_stride } else { 0 };
                let dots = inner_products(simd, weights, rows, ahead);
                for (column, dots) in (column..n).zip(dots) {
                    for (row, dot) in (first..m).zip(dots) {
                        let out = out.target.address(out.first + row * out.row_stride + column);
                        #[expect(unsafe_code, reason = "the target may be fresh")]
                        // SAFETY: inside the target; a column belongs to one thread; read only where something was written
                        // before.
                        unsafe {
                            let before = if *add { out.read() } else { 0.0 };
                            out.write(before + factor * dot);
                        }
                    }
                }
            }
        }
    }
}

/// The inner products of two weight rows with `M` others, all of one length. With `ahead` not 0, what lies as many elements
/// behind the weights is fetched meanwhile.
// No closures: what is passed to `map` is compiled on its own, for the narrowest vectors.
#[inline(always)]
fn inner_products<S: Simd, const M: usize>(
    simd: S,
    weights: [&[f32]; 2],
    rows: [&[f32]; M],
    ahead: usize,
) -> [[f32; M]; 2] {
    let (first, first_tail) = S::as_simd_f32s(weights[0]);
    let (second, second_tail) = S::as_simd_f32s(weights[1]);
    let second = &second[..first.len()];
    let mut vectors: [&[S::f32s]; M] = [&[]; M];
    let mut tails: [&[f32]; M] = [&[]; M];
    for index in 0..M {
        let (row, tail) = S::as_simd_f32s(rows[index]);
        vectors[index] = &row[..first.len()];
        tails[index] = tail;
    }
    let mut sums = [[simd.splat_f32s(0.0); M]; 2];
    for index in 0..first.len() {
        if ahead > 0 {
            prefetch(weights[0].as_ptr().wrapping_add(ahead + index * S::F32_LANES));
            prefetch(weights[1].as_ptr().wrapping_add(ahead + index * S::F32_LANES));
        }
        for row in 0..M {
            sums[0][row] = simd.mul_add_f32s(first[index], vectors[row][index], sums[0][row]);
            sums[1][row] = simd.mul_add_f32s(second[index], vectors[row][index], sums[1][row]);
        }
    }
    let mut dots = [[0.0; M]; 2];
    for row in 0..M {
        for (index, tail) in [first_tail, second_tail].into_iter().enumerate() {
            dots[index][row] = simd.reduce_sum_f32s(sums[index][row]);
            for (&weight, &x) in tail.iter().zip(tails[row]) {
                dots[index][row] += weight * x;
            }
        }
    }
    dots
}

/// Asks for the cache line at an address, which need not belong to anything.
#[inline(always)]
fn prefetch(at: *const f32) {
    #[cfg(target_arch = "x86_64")]
    #[expect(unsafe_code, reason = "an intrinsic")]
    // SAFETY: part of every x86-64 processor; it reads nothing and never faults.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wave<R: Real>(count: usize, frequency: f64) -> Vec<R> {
        (0..count).map(|index| R::of((index as f64 * frequency).sin())).collect()
    }

    fn naive<R: Real>(a: &[R], b: &[R], m: usize, n: usize, k: usize) -> Vec<f64> {
        let at = |row: usize, column: usize| {
            (0..k).map(|inner| a[row * k + inner].to_f64() * b[inner * n + column].to_f64()).sum()
        };
        (0..m * n).map(|index| at(index / n, index % n)).collect()
    }

    fn check<R: Real>(tolerance: f64) {
        for (m, n, k) in [(1, 1, 1), (3, 70, 37), (12, 33, 100), (13, 257, 64), (130, 5, 40), (64, 200, 129)] {
            let (a, b) = (wave::<R>(m * k, 0.37), wave::<R>(k * n, 0.11));
            let transposed: Vec<R> = (0..k * n).map(|index| b[index % k * n + index / k]).collect();
            let expected = naive(&a, &b, m, n, k);
            let weight = Matrix::new(&transposed, k).transposed();
            for b in [Matrix::new(&b, n), weight] {
                let y = product(Matrix::new(&a, k), b);
                // Into the middle of wider rows, on top of what is there.
                let mut wide = vec![R::one(); m * (n + 7)];
                let out = MatrixMut::strided(&mut wide[3..], m, n, n + 7);
                add_product(out, R::of(2.0), Matrix::new(&a, k), b, Workers::All);
                for (index, &expected) in expected.iter().enumerate() {
                    assert!((y[index].to_f64() - expected).abs() < tolerance, "{m} {n} {k}");
                    let added = wide[index / n * (n + 7) + 3 + index % n].to_f64();
                    assert!((added - 1.0 - 2.0 * expected).abs() < 2.0 * tolerance, "{m} {n} {k}");
                }
                let untouched = wide.iter().filter(|&&x| x == R::one()).count();
                assert!(untouched >= 7 * m, "only the part is written");
            }
        }
    }

    #[test]
    fn products_agree_with_the_definition() {
        check::<f32>(1e-4);
        check::<f64>(1e-12);
    }

    #[test]
    #[should_panic(expected = "[2, 3] = [2, 4] [5, 3]")]
    fn inner_sizes_must_agree() {
        let (a, b) = (vec![0.0_f32; 8], vec![0.0_f32; 15]);
        write_product(MatrixMut::new(&mut [0.0; 6], 3), Matrix::new(&a, 4), Matrix::new(&b, 3), Workers::One);
    }
}
