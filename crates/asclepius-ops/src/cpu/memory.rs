//! Where memory comes from and what happens to it once freed.

use std::alloc::{GlobalAlloc, Layout, System};

use mimalloc::MiMalloc;

/// Blocks from this size on come from the system's allocator: tensors, columns, files.
const LARGE: usize = 128 << 10;

/// The process's allocator: small blocks from mimalloc, large ones from the system.
///
/// Calls, rows and words are many small blocks that one thread allocates and another frees, over which glibc's threads
/// wait for each other; a step's tensors are few large ones, which [`keep_freed`] keeps for the next step.
#[derive(Debug, Default)]
pub struct Allocator;

fn is_large(size: usize) -> bool {
    size >= LARGE
}

#[expect(unsafe_code, reason = "an allocator is unsafe by its trait")]
// SAFETY: every block is handed to the allocator that its size names, which is the one it came from; a block whose size
// crosses the border is copied into a new one. Both allocators keep the trait's promises.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of either allocator.
        unsafe { if is_large(layout.size()) { System.alloc(layout) } else { MiMalloc.alloc(layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { if is_large(layout.size()) { System.alloc_zeroed(layout) } else { MiMalloc.alloc_zeroed(layout) } }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the layout is that of the allocation, so its size names the allocator again.
        unsafe {
            if is_large(layout.size()) {
                System.dealloc(block, layout);
            } else {
                MiMalloc.dealloc(block, layout);
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: on one side of the border the block stays with its allocator; across it, as many bytes are copied as
        // both blocks have, from one live block to another, and the old one is freed with its own layout.
        unsafe {
            match (is_large(layout.size()), is_large(size)) {
                (true, true) => System.realloc(block, layout, size),
                (false, false) => MiMalloc.realloc(block, layout, size),
                _ => {
                    let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
                    if !new.is_null() {
                        std::ptr::copy_nonoverlapping(block, new, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    new
                }
            }
        }
    }
}

/// Asks the C library to keep freed memory for the next allocation instead of giving every large buffer back to the
/// system: a training step allocates the same buffers again and again, and fresh pages cost more than most of the
/// passes over them. Call once, at the start of a process that trains. Without effect where the C library is not glibc.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // Larger blocks are mapped and returned one by one whatever is asked for.
        const LARGEST_KEPT: i32 = 32 << 20;
        #[expect(unsafe_code, reason = "a call into the C library")]
        // SAFETY: `mallopt` takes two integers and is called before memory is short or threads are many.
        unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGEST_KEPT);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            libc::mallopt(libc::M_ARENA_MAX, 1);
        }
    }
}

/// The largest resident set that this process has had, in bytes; none where the system does not count it.
#[expect(unsafe_code, reason = "the system's counts are behind a C call")]
pub fn peak_resident() -> Option<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call writes one `rusage`, for which there is room; all zeros is one too.
    let (failed, usage) = unsafe { (libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) != 0, usage.assume_init()) };
    // macOS counts bytes, all others KiB.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1 << 10 };
    u64::try_from(usage.ru_maxrss).ok().filter(|&size| size > 0 && !failed).map(|size| size * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "calls of an allocator")]
    fn a_block_keeps_its_bytes_over_the_border_and_back() {
        for align in [1, 16, 4096] {
            let layout = |size| Layout::from_size_align(size, align).expect("a layout");
            // SAFETY: sizes are not zero, every block is used within its size and freed once, with its last layout.
            unsafe {
                let mut size = 100;
                let mut block = Allocator.alloc(layout(size));
                block.write_bytes(0xa5, size);
                for next in [5_000, LARGE - 1, LARGE, 3 * LARGE, LARGE, LARGE - 1, 100] {
                    block = Allocator.realloc(block, layout(size), next);
                    assert!(block.addr().is_multiple_of(align), "{next} bytes aligned to {align}");
                    assert!(
                        std::slice::from_raw_parts(block, 100).iter().all(|byte| *byte == 0xa5),
                        "{size} to {next}"
                    );
                    size = next;
                }
                Allocator.dealloc(block, layout(size));
                for size in [LARGE - 1, LARGE] {
                    let block = Allocator.alloc_zeroed(layout(size));
                    assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == 0));
                    Allocator.dealloc(block, layout(size));
                }
            }
        }
    }
}
