//! Writing to disjoint parts of one slice from several threads.

use std::marker::PhantomData;

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
