//! Whose frames were just injected into the LAN: so that one that a switch brings back is not taken for a machine that
//! has moved here.
//!
//! At the cloud end every frame that is injected has a source that is not home. Comes it back (teamed uplinks do that,
//! a port that reflects, a loop), then the XDP program sees a frame of an unknown station, as it does of a
//! moved one. Workers note the sources while learning is on, the control plane looks them up.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use super::{SPREAD, StationKey};
use crate::sys::prefetch::prefetch_value;

/// Sources that are remembered, each in a place of its own; a power of two. Of two in one place the later is.
const PLACES: usize = 1 << 16;

/// A frame comes back within this time, or never.
const WITHIN: Duration = Duration::from_millis(512);

/// The clock's step: a source that goes on is written once in this time.
const STEP: u32 = 64;

/// Steps by which a frame of our own is older than it is: see [`InjectedSources::note_own`].
const EARLIER: u32 = 6;

/// The sources of late, shared by all workers.
#[derive(Debug)]
pub struct InjectedSources {
    start: Instant,
    /// Above the 32 bits of the time, in steps, 32 of the station's.
    places: Box<[AtomicU64]>,
}

/// A moment, in the steps that sources are noted in.
#[derive(Clone, Copy, Debug)]
pub struct Step(u32);

impl InjectedSources {
    /// None yet.
    pub fn new(now: Instant) -> Self {
        Self {
            start: now,
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// The step of a moment: once for a batch.
    #[inline]
    pub fn step(&self, now: Instant) -> Step {
        let millis = now.saturating_duration_since(self.start).as_millis();
        // Not 0, which is what places begin with.
        Step(millis as u32 / STEP + 1)
    }

    /// A frame of this source is injected.
    #[inline]
    pub fn note(&self, source: impl Into<u64>, step: Step) {
        let (place, tag) = self.place(source);
        let value = tag | u64::from(step.0);
        // Mostly it is there already, and the line stays shared between cores.
        if place.load(Relaxed) != value {
            place.store(value, Relaxed);
        }
    }

    /// Has the note of this source brought into the cache, for [`Self::note`].
    #[inline]
    pub fn prefetch(&self, source: u64) {
        prefetch_value(self.place(source).0);
    }

    /// A frame that was made here is injected in the name of this source: for a shorter time, as somebody who asks for
    /// the source all the time is answered all the time, and it may move here meanwhile.
    pub fn note_own(&self, source: StationKey, step: Step) {
        let (place, tag) = self.place(source);
        let value = tag | u64::from(step.0.saturating_sub(EARLIER).max(1));
        let before = place.load(Relaxed);
        if before >> 32 != tag >> 32 || before < value {
            place.store(value, Relaxed);
        }
    }

    /// Whether a frame of this source was injected just now.
    pub fn is_recent(&self, source: StationKey, now: Instant) -> bool {
        let (place, tag) = self.place(source);
        let value = place.load(Relaxed);
        let age = self.step(now).0.wrapping_sub(value as u32);
        value >> 32 == tag >> 32 && u128::from(age) * u128::from(STEP) <= WITHIN.as_millis()
    }

    #[inline]
    fn place(&self, source: impl Into<u64>) -> (&AtomicU64, u64) {
        let product = source.into().wrapping_mul(SPREAD);
        let index = (product >> 48) as usize & (PLACES - 1);
        (&self.places[index], product << 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_recent_for_half_a_second() {
        let start = Instant::now();
        let sources = InjectedSources::new(start);
        let (one, other) = (StationKey::new(0, [2; 6]), StationKey::new(7, [2; 6]));
        let at = |millis| start + Duration::from_millis(millis);
        assert!(!sources.is_recent(one, start));
        sources.note(one, sources.step(at(10_000)));
        assert!(sources.is_recent(one, at(10_000)) && sources.is_recent(one, at(10_500)));
        assert!(!sources.is_recent(one, at(10_640)) && !sources.is_recent(other, at(10_000)));
        sources.note(one, sources.step(at(20_000)));
        assert!(sources.is_recent(one, at(20_400)));
    }
    #[test]
    fn a_frame_of_our_own_counts_for_less_time_and_ends_no_longer_one() {
        let start = Instant::now();
        let sources = InjectedSources::new(start);
        let one = StationKey::new(7, [2; 6]);
        let at = |millis| start + Duration::from_millis(millis);
        let recent = |from: u64| [0, 120, 200, 500].map(|d| sources.is_recent(one, at(from + d)));
        sources.note_own(one, sources.step(start));
        assert!(sources.is_recent(one, start), "at the very start too");
        sources.note_own(one, sources.step(at(10_000)));
        assert_eq!(recent(10_000), [true, true, false, false]);
        sources.note(one, sources.step(at(20_000)));
        sources.note_own(one, sources.step(at(20_000)));
        assert_eq!(recent(20_000), [true; 4]);
    }
}
