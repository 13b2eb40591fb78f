//! The anti-replay window of RFC 4303 section 3.4.3, by the method of RFC 6479.

use crate::DropReason;

/// Words of the bitmap: a power of two, so that finding a word is a mask.
const WORDS: usize = 128;
const BITS: u64 = u64::BITS as u64;

/// How far below the highest sequence number a datagram may still arrive.
///
/// One word less than the bitmap: the word that the highest number is in may
/// hold bits above that number, which belong to the next lap (RFC 6479 section 3).
pub const WINDOW: u64 = (WORDS as u64 - 1) * BITS;

/// Which sequence numbers were seen. [`Default`] has seen none.
#[derive(Clone)]
pub struct ReplayWindow {
    highest: u64,
    seen: [u64; WORDS],
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self {
            highest: 0,
            seen: [0; WORDS],
        }
    }
}

impl ReplayWindow {
    /// The highest sequence number seen, 0 before the first.
    #[inline]
    pub const fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether `sequence` may be a new datagram: asked before its tag is verified.
    ///
    /// # Errors
    /// [`DropReason::Replayed`] if it was seen, [`DropReason::TooOld`] if it is
    /// [`WINDOW`] or more below the highest, or 0, which no sender uses.
    #[inline]
    pub fn check(&self, sequence: u64) -> Result<(), DropReason> {
        if sequence > self.highest {
            return Ok(());
        }
        if sequence == 0 || self.highest - sequence >= WINDOW {
            return Err(DropReason::TooOld);
        }
        if self.seen[word(sequence)] & bit(sequence) != 0 {
            return Err(DropReason::Replayed);
        }
        Ok(())
    }

    /// Marks `sequence` as seen: called after [`check`](Self::check) and the tag agreed.
    #[inline]
    pub fn update(&mut self, sequence: u64) {
        if sequence > self.highest {
            let entered = (sequence / BITS - self.highest / BITS).min(WORDS as u64);
            for step in 0..entered {
                self.seen[word(sequence - step * BITS)] = 0;
            }
            self.highest = sequence;
        }
        self.seen[word(sequence)] |= bit(sequence);
    }
}

#[inline]
const fn word(sequence: u64) -> usize {
    (sequence / BITS) as usize % WORDS
}

#[inline]
const fn bit(sequence: u64) -> u64 {
    1 << (sequence % BITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use DropReason::{Replayed, TooOld};
    use proptest::prelude::*;
    use std::collections::HashSet;

    /// Checks, then updates if the check agreed, as the receiver does.
    fn arrive(window: &mut ReplayWindow, sequence: u64) -> Result<(), DropReason> {
        window.check(sequence)?;
        window.update(sequence);
        Ok(())
    }

    /// Each case: the numbers that arrive, the last one's verdict.
    #[test]
    fn boundary_cases() {
        let cases: &[(&[u64], Result<(), DropReason>)] = &[
            (&[0], Err(TooOld)),                         // 1: zero is no sequence number
            (&[1], Ok(())),                              // 2: the first
            (&[1, 1], Err(Replayed)),                    // 3: the first again
            (&[1, 2], Ok(())),                           // 4: the next
            (&[2, 1], Ok(())),                           // 5: swapped
            (&[2, 1, 1], Err(Replayed)),                 // 6: swapped, then again
            (&[9, 0], Err(TooOld)),                      // 7: zero later on
            (&[63, 64, 63], Err(Replayed)),              // 8: across a word
            (&[WINDOW, 1], Ok(())),                      // 9: the last inside
            (&[WINDOW + 1, 1], Err(TooOld)),             // 10: the first outside
            (&[1, WINDOW, 1], Err(Replayed)),            // 11: seen, still inside
            (&[1, WINDOW + 1, 2], Ok(())),               // 12: inside again after a move
            (&[5, 5 + WINDOW + 64], Ok(())),             // 13: the same word, a lap on
            (&[5, 5 + WINDOW + 64, 5], Err(TooOld)),     // 14: and back
            (&[70, 70 + 128 * 64 - 1, 70 + 64], Ok(())), // 15: a cleared word is clear
            (&[100, 1 << 40, (1 << 40) - WINDOW + 1], Ok(())), // 16: a leap clears every word
            (&[100, 1 << 40, (1 << 40) - WINDOW], Err(TooOld)), // 17: and keeps its edge
            (&[u32::MAX as u64, 1 << 32, u32::MAX as u64], Err(Replayed)), // 18: the high half begins
            (&[u64::MAX], Ok(())),                                         // 19: the last there is
            (&[u64::MAX, u64::MAX], Err(Replayed)),                        // 20: and again
            (&[u64::MAX, u64::MAX - WINDOW + 1], Ok(())), // 21: the window below it
        ];
        for (i, (arrivals, verdict)) in cases.iter().enumerate() {
            let mut window = ReplayWindow::default();
            let last = arrivals.iter().map(|&n| arrive(&mut window, n)).last();
            assert_eq!(last, Some(*verdict), "case {}", i + 1);
        }
    }

    #[test]
    fn checking_changes_nothing() {
        let window = ReplayWindow::default();
        assert_eq!(
            (window.check(7), window.check(7), window.highest()),
            (Ok(()), Ok(()), 0)
        );
    }

    #[test]
    fn wide_enough_for_the_specification() {
        const { assert!(WINDOW >= 4_096) }
    }

    proptest! {
        /// Against a model that remembers everything.
        #[test]
        fn agrees_with_a_set(steps in prop::collection::vec(prop_oneof![0u64..200, 0u64..20_000, Just(WINDOW)], 1..300)) {
            let mut window = ReplayWindow::default();
            let (mut seen, mut highest) = (HashSet::new(), 0u64);
            for step in steps {
                // Half of the steps look back, half go forward.
                let sequence = if step % 2 == 0 { highest.saturating_sub(step) } else { highest + step };
                let expected = match () {
                    () if sequence == 0 || highest.saturating_sub(sequence) >= WINDOW => Err(TooOld),
                    () if seen.contains(&sequence) => Err(Replayed),
                    () => Ok(()),
                };
                prop_assert_eq!(arrive(&mut window, sequence), expected, "sequence {}", sequence);
                if expected.is_ok() {
                    seen.insert(sequence);
                    highest = highest.max(sequence);
                }
                prop_assert_eq!(window.highest(), highest);
            }
        }
    }
}
