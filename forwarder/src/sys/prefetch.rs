//! Fetching into the cache what will be used soon.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Lines asked for at once: of more than a core can wait for (10 to 16 line fill buffers), the asking itself would wait.
/// Whoever walks through the first lines has the hardware fetch those behind them.
const MOST: usize = 8;

/// Asks the CPU for the first cache lines of `bytes`, so that what uses them a moment later need not wait.
#[inline]
pub fn prefetch(bytes: &[u8]) {
    // Mostly there are so many bytes, and for a number of lines that is known there is no loop.
    match bytes.first_chunk::<{ MOST * LINE }>() {
        Some(most) => most.chunks(LINE).for_each(prefetch_line),
        None => bytes.chunks(LINE).take(MOST).for_each(prefetch_line),
    }
}

/// Asks for the cache line where `bytes` begin.
#[inline]
fn prefetch_line(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint: it changes nothing that a program can see, and the address is of
        // memory that is borrowed here.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().cast()) };
    }
}
