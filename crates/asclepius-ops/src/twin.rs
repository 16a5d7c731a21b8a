//! A switch by which operations run as their twins in [`crate::reference`] on the CPU, too: the way every other device
//! goes, taken where there is no such device.

use std::cell::Cell;

thread_local! {
    static ONLY: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with every operation, forward and backward, composed of candle's own wherever it has a twin. For this
/// thread, on which candle also runs the way back.
pub fn references_only<T>(work: impl FnOnce() -> T) -> T {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            ONLY.set(self.0);
        }
    }
    let _restore = Restore(ONLY.replace(true));
    work()
}

/// Whether this thread is inside [`references_only`].
pub fn runs_references_only() -> bool {
    ONLY.get()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_goes_back_where_it_was() {
        assert!(!runs_references_only());
        references_only(|| {
            references_only(|| assert!(runs_references_only()));
            assert!(runs_references_only());
        });
        assert!(std::panic::catch_unwind(|| references_only(|| panic!("on the way"))).is_err());
        assert!(!runs_references_only());
    }
}
