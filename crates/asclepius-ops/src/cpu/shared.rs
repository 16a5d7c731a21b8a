//! Writing to disjoint parts of one slice from several threads, and to memory that nothing was written to before.

use std::marker::PhantomData;
use std::mem::MaybeUninit;

use rayon::prelude::*;

use crate::kernel::{Real, fast};

/// A mutable slice handed out in parts that do not overlap.
pub(crate) struct Shared<'a, R> {
    start: *mut R,
    length: usize,
    slice: PhantomData<&'a mut [R]>,
}

#[expect(unsafe_code, reason = "parts of a slice go to several threads; `Shared::part` says what keeps them apart")]
// SAFETY: a `Shared` stands for the exclusive borrow it was made of; threads get at it through `part` alone, whose callers
// keep the parts disjoint.
unsafe impl<R: Send> Sync for Shared<'_, R> {}

impl<'a, R> Shared<'a, R> {
    pub(crate) fn new(slice: &'a mut [R]) -> Self {
        Self { start: slice.as_mut_ptr(), length: slice.len(), slice: PhantomData }
    }

    /// Over memory that need not hold values yet; only [`Shared::address`] may be used then, to write.
    pub(crate) fn raw(start: *mut R, length: usize) -> Self {
        Self { start, length, slice: PhantomData }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// The address of element `offset`, for a product that writes a part with strides.
    ///
    /// # Panics
    /// When the element lies outside.
    pub(crate) fn address(&self, offset: usize) -> *mut R {
        assert!(offset <= self.length, "element {offset} of {}", self.length);
        self.start.wrapping_add(offset)
    }

    /// Elements `range` of the slice.
    ///
    /// # Safety
    /// No two parts that overlap may be alive at a time.
    ///
    /// # Panics
    /// When the range lies outside.
    #[expect(unsafe_code, reason = "see the type")]
    #[expect(clippy::mut_from_ref, reason = "disjoint parts are what the type is for")]
    pub(crate) unsafe fn part(&self, range: std::ops::Range<usize>) -> &mut [R] {
        assert!(range.start <= range.end && range.end <= self.length, "{range:?} of {}", self.length);
        // SAFETY: inside the slice, which is borrowed for as long as `self` lives; disjoint by the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }
}

/// Makes rows of `size` elements from rows of `source_size`, `rows` of them a thread at a time. `make` is given a source row
/// and a row to overwrite. The memory's pages are first touched by the thread that fills them.
pub(crate) fn fresh_rows<R: Real>(
    source: &[R],
    source_size: usize,
    size: usize,
    rows: usize,
    make: impl Fn(&[R], &mut [R]) + Sync,
) -> Vec<R> {
    let count = source.len() / source_size;
    let mut fresh: Vec<R> = Vec::with_capacity(count * size);
    let parts = fresh.spare_capacity_mut()[..count * size].par_chunks_mut(rows * size);
    parts.zip(source.par_chunks(rows * source_size)).for_each(|(fresh, source)| {
        fast(
            #[inline(always)]
            || {
                for (fresh, source) in fresh.chunks_exact_mut(size).zip(source.chunks_exact(source_size)) {
                    make(source, filled(fresh));
                }
            },
        );
    });
    #[expect(unsafe_code, reason = "the rows were written one by one")]
    // SAFETY: the chunks cover the spare capacity up to this length, and every row of them was filled.
    unsafe {
        fresh.set_len(count * size);
    }
    fresh
}

/// The row, zeroed.
#[inline(always)]
fn filled<R: Real>(row: &mut [MaybeUninit<R>]) -> &mut [R] {
    for element in row.iter_mut() {
        element.write(R::zero());
    }
    #[expect(unsafe_code, reason = "every element was just written")]
    // SAFETY: `MaybeUninit<R>` has `R`'s layout, and all elements hold a value.
    unsafe {
        &mut *(std::ptr::from_mut(row) as *mut [R])
    }
}
