//! Fetching into the cache what will be used soon.

use std::ops::Range;

/// Bytes of a cache line.
const LINE: usize = 64;

/// Lines asked for at once: of more than a core can wait for (10 to 16 line fill buffers), the asking itself would wait.
/// Whoever walks through the first lines has the hardware fetch those behind them.
const MOST: usize = 8;

/// Frames of a group. What is looked up for one group, two cache lines for each frame, is on its way while the group before it
/// is taken.
const GROUP: usize = 8;

/// Splits a batch of so many frames into groups: the numbers of those to take, and of those to look at before that, which are
/// those of the next group (at the start, those of the first group too).
///
/// Of 20 frames: look at 0 to 15 and take 0 to 7, look at 16 to 19 and take 8 to 15, take 16 to 19.
#[inline]
pub fn groups(frames: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    (0..frames).step_by(GROUP).map(move |start| {
        let (end, next) = (frames.min(start + GROUP), frames.min(start + 2 * GROUP));
        let ahead = if start == 0 { 0 } else { end };
        (start..end, ahead..next)
    })
}

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
    prefetch_value(bytes);
}

/// Asks for the cache line where `value` begins.
#[inline]
pub fn prefetch_value<T: ?Sized>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch is a hint: it changes nothing that a program can see, and the address is of
        // memory that is borrowed here.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_is_looked_at_once_and_not_after_its_turn() {
        for frames in 0..70 {
            let (mut taken, mut seen) = (0, 0);
            for (group, ahead) in groups(frames) {
                assert_eq!((group.start, ahead.start), (taken, seen), "{frames}");
                (taken, seen) = (group.end, ahead.end);
                assert!(taken <= seen && !group.is_empty(), "{frames}");
            }
            assert_eq!((taken, seen), (frames, frames));
        }
    }
}
