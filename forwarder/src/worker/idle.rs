//! What a worker does when there is nothing to do: spin, sleep, or first the one and then the other.

use std::time::{Duration, Instant};

use crate::options::IdleStrategy;

/// Spins no longer than this after the last work: a sleep and the wake-up from it take 5 to 50 µs of
/// everybody's time, depending on whether the core, and a hypervisor's, has gone to rest meanwhile.
const LONGEST_SPIN: Duration = Duration::from_micros(50);

/// So many waits in a row must have been shorter before it spins: a request and its answer are not a load.
const SHORT_WAITS: u32 = 16;

/// To give the core away takes less than this if nobody takes it.
const YIELD: Duration = Duration::from_micros(10);

/// Where somebody did, nothing spins for this long: from the first, twice as long each time, to the second.
/// Somebody may have kept the core to the next tick of the scheduler, some milliseconds.
const CROWDED: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(16));

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Look again.
    Spin,
    /// Have the kernel wake us.
    Sleep,
}

/// What is remembered for it.
pub(super) struct Idle {
    strategy: IdleStrategy,
    /// When the work ended, if it has.
    since: Option<Instant>,
    short_waits: u32,
    /// Until when the core counts as wanted by others.
    crowded_until: Instant,
    crowded_for: Duration,
}

impl Idle {
    pub(super) fn new(strategy: IdleStrategy, now: Instant) -> Self {
        Self {
            strategy,
            since: None,
            short_waits: 0,
            crowded_until: now,
            crowded_for: CROWDED.0 / 2,
        }
    }

    /// There was work at `now`.
    #[inline]
    pub(super) fn worked(&mut self, now: Instant) {
        let Some(since) = self.since.take() else {
            return;
        };
        self.short_waits = match now.duration_since(since) <= LONGEST_SPIN {
            true => self.short_waits + 1,
            false => 0,
        };
    }

    /// There was none at `now`; for [`IdleStrategy::Adaptive`] this gives the core to whoever waits for it.
    #[inline]
    pub(super) fn next(&mut self, now: Instant) -> Wait {
        match self.strategy {
            IdleStrategy::Spin => {
                std::hint::spin_loop();
                Wait::Spin
            }
            IdleStrategy::Sleep => Wait::Sleep,
            IdleStrategy::Adaptive => {
                if !self.may_spin(now) {
                    return Wait::Sleep;
                }
                std::thread::yield_now();
                self.yielded(now, Instant::now())
            }
        }
    }

    fn may_spin(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        self.short_waits >= SHORT_WAITS
            && now.duration_since(since) < LONGEST_SPIN
            && now >= self.crowded_until
    }

    /// The core was given away at `from`, and was ours again at `to`.
    fn yielded(&mut self, from: Instant, to: Instant) -> Wait {
        if to.duration_since(from) < YIELD {
            return Wait::Spin;
        }
        // Not long after the last time: it is the same neighbour.
        self.crowded_for = match from.duration_since(self.crowded_until) < self.crowded_for {
            true => (2 * self.crowded_for).min(CROWDED.1),
            false => CROWDED.0,
        };
        self.crowded_until = to + self.crowded_for;
        // What has come meanwhile is looked for once more before the sleep.
        Wait::Spin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(20);

    fn adaptive() -> (Idle, Instant) {
        let now = Instant::now();
        (Idle::new(IdleStrategy::Adaptive, now), now)
    }

    /// So many waits of this length; the time after the last.
    fn waits(idle: &mut Idle, mut now: Instant, count: u32, each: Duration) -> Instant {
        for _ in 0..count {
            idle.may_spin(now);
            now += each;
            idle.worked(now);
        }
        now
    }

    #[test]
    fn it_spins_after_short_waits_and_not_for_long() {
        let (mut idle, start) = adaptive();
        let now = waits(&mut idle, start, SHORT_WAITS - 1, SHORT);
        assert!(!idle.may_spin(now), "not yet");
        idle.worked(now + SHORT);
        assert!(idle.may_spin(now + SHORT));
        assert!(idle.may_spin(now + SHORT + LONGEST_SPIN / 2));
        assert!(!idle.may_spin(now + SHORT + LONGEST_SPIN));
    }

    #[test]
    fn one_long_wait_ends_it() {
        let (mut idle, start) = adaptive();
        let now = waits(&mut idle, start, 100, SHORT);
        assert!(idle.may_spin(now));
        let later = now + Duration::from_millis(1);
        idle.worked(later);
        assert!(!idle.may_spin(later));
    }

    #[test]
    fn it_leaves_the_core_to_others_for_longer_each_time() {
        let (mut idle, start) = adaptive();
        let mut now = waits(&mut idle, start, 100, SHORT);
        assert_eq!(idle.yielded(now, now + YIELD / 2), Wait::Spin);
        assert!(idle.may_spin(now));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            now += Duration::from_millis(4);
            idle.yielded(now - Duration::from_millis(4), now);
            assert!(!idle.may_spin(now));
            pauses.push(idle.crowded_until.duration_since(now).as_secs());
            // The wait that the neighbour made long ends the run of short ones.
            idle.worked(now);
            let until = idle.crowded_until;
            now = waits(&mut idle, until, SHORT_WAITS, SHORT);
            assert!(idle.may_spin(now));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16]);
        // After a quiet time it begins anew.
        now = waits(&mut idle, now + Duration::from_secs(60), 1, SHORT);
        idle.yielded(now, now + Duration::from_millis(4));
        assert_eq!(idle.crowded_for, CROWDED.0);
    }

    #[test]
    fn the_others_do_one_thing() {
        let now = Instant::now();
        let mut spin = Idle::new(IdleStrategy::Spin, now);
        assert_eq!(spin.next(now + Duration::from_secs(9)), Wait::Spin);
        let mut sleep = Idle::new(IdleStrategy::Sleep, now);
        waits(&mut sleep, now, 100, SHORT);
        assert_eq!(sleep.next(now), Wait::Sleep);
    }
}
