//! Fetching into the cache what will be used soon.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Lines asked for at once: of more than a core can wait for (10 to 16 line fill buffers), the asking itself would wait.
/// Whoever walks through the first lines has the hardware fetch those behind them.
const MOST: usize = 8;

/// Asks the CPU for the first cache lines of `bytes`, so that what uses them a moment later need not wait.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(LINE).take(MOST) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint: it changes nothing that a program can see, and the address is of
        // memory that is borrowed here.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
}
