//! What the allocator does with freed memory.

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
