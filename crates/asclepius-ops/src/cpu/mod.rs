//! The CPU kernels as functions on slices, for code that writes a block's way there and back out by hand: no graph is
//! built, gradients of weights are added where they are summed, and a buffer can be used again in place.
//!
//! Matrices are row-major. All scalars of one call are [`Real`]: f32 or f64. Results depend on neither the number of
//! threads nor on who runs first: every element is computed by one thread, and sums are combined in fixed order.
//!
//! - [`matrix`]: products, of whole matrices or of few rows.
//! - [`heads`]: attention and rotary embedding over heads that lie anywhere in a row.
//! - [`head`]: the head and its loss.
//! - [`rows`]: norms and biases; [`elements`]: activations, dropout, sums.
//! - [`memory`]: how the process keeps what it frees.

pub mod elements;
pub mod head;
pub mod heads;
pub mod matrix;
pub mod memory;
pub mod rows;
mod shared;

pub(crate) use shared::fresh_rows;

/// Runs `work` on a thread of the pool, so that the parallel loops in it start there instead of waking the pool each time.
pub fn in_pool<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}

pub use crate::kernel::{Host, Real};
pub use matrix::{Matrix, MatrixMut};
