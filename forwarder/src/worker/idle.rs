//! What a worker does when there is nothing to do: spin, sleep, or first the one and then the other.

use std::time::{Duration, Instant};

use crate::options::IdleStrategy;

/// Spins no longer than this after the last work: a sleep and the wake-up from it take 5 to 50 µs of
/// everybody's time, depending on whether the core, and a hypervisor's, has gone to rest meanwhile.
const LONGEST_SPIN: Duration = Duration::from_micros(50);

/// So many waits in a row must have been shorter before it spins: a request and its answer are not a load.
const SHORT_WAITS: u32 = 16;

/// What comes after a wait as long as this is a request, or may be.
const QUIET: Duration = Duration::from_micros(500);

/// An answer that comes within this is worth to spin for, once [`ANSWERS`] requests in a row had one: it comes sooner
/// by the wake-up, and costs a fifth of the core at most, however often one asks.
const ANSWER: Duration = Duration::from_micros(100);

/// See [`ANSWER`].
const ANSWERS: u32 = 8;

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
    /// Whether the last work came after a quiet time.
    request: bool,
    /// Requests in a row that were answered soon.
    answers: u32,
    /// Whether others want the core, under load, and between a request and its answer. To these others may be
    /// part, the other end on the same machine say, who take the core for a moment.
    crowded: [Crowded; 2],
}

impl Idle {
    pub(super) fn new(strategy: IdleStrategy, now: Instant) -> Self {
        Self {
            strategy,
            since: None,
            short_waits: 0,
            request: false,
            answers: 0,
            crowded: [YIELD, ANSWER].map(|patience| Crowded::new(patience, now)),
        }
    }

    /// There was work at `now`.
    #[inline]
    pub(super) fn worked(&mut self, now: Instant) {
        let Some(since) = self.since.take() else {
            return;
        };
        let wait = now.duration_since(since);
        self.short_waits = match wait <= LONGEST_SPIN {
            true => self.short_waits + 1,
            false => 0,
        };
        if self.request {
            self.answers = match wait <= ANSWER {
                true => self.answers.saturating_add(1),
                false => 0,
            };
        }
        self.request = wait >= QUIET;
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
                self.yielded(now, Instant::now());
                // What has come meanwhile is looked for once more before a sleep.
                Wait::Spin
            }
        }
    }

    fn may_spin(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let (expected, longest) = match self.request {
            true => (self.answers >= ANSWERS, ANSWER),
            false => (self.short_waits >= SHORT_WAITS, LONGEST_SPIN),
        };
        expected && now.duration_since(since) < longest && self.crowd().allows(now)
    }

    /// The core was given away at `from`, and was ours again at `to`.
    fn yielded(&mut self, from: Instant, to: Instant) {
        self.crowd().yielded(from, to);
    }

    fn crowd(&mut self) -> &mut Crowded {
        &mut self.crowded[usize::from(self.request)]
    }
}

/// Whether a core is wanted by others.
struct Crowded {
    /// They take it for longer than this.
    patience: Duration,
    /// Until when it counts as wanted.
    until: Instant,
    pause: Duration,
}

impl Crowded {
    fn new(patience: Duration, now: Instant) -> Self {
        Self {
            patience,
            until: now,
            pause: CROWDED.0 / 2,
        }
    }

    fn allows(&self, now: Instant) -> bool {
        now >= self.until
    }

    fn yielded(&mut self, from: Instant, to: Instant) {
        if to.duration_since(from) < self.patience {
            return;
        }
        // Not long after the last time: it is the same neighbour.
        self.pause = match from.duration_since(self.until) < self.pause {
            true => (2 * self.pause).min(CROWDED.1),
            false => CROWDED.0,
        };
        self.until = to + self.pause;
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

    /// A request after a quiet time, which is answered after so long; the time of the answer.
    fn question(idle: &mut Idle, now: Instant, answered_after: Duration) -> Instant {
        idle.may_spin(now);
        let request = now + 2 * QUIET;
        idle.worked(request);
        idle.may_spin(request);
        idle.worked(request + answered_after);
        request + answered_after
    }

    #[test]
    fn it_spins_for_an_answer_where_there_were_some() {
        let (mut idle, mut now) = adaptive();
        for _ in 0..ANSWERS {
            now = question(&mut idle, now, ANSWER / 2);
            assert!(!idle.may_spin(now), "the next question is far");
        }
        let request = now + QUIET;
        idle.worked(request);
        assert!(idle.may_spin(request) && idle.may_spin(request + ANSWER / 2));
        assert!(!idle.may_spin(request + ANSWER), "not for long");
        // The other end of the tunnel, on the same core, is no crowd; somebody who keeps it is one.
        idle.yielded(request, request + ANSWER / 2);
        assert!(idle.may_spin(request));
        idle.yielded(request, request + ANSWER);
        assert!(!idle.may_spin(request));
    }

    #[test]
    fn one_request_without_an_answer_ends_it() {
        let (mut idle, mut now) = adaptive();
        for _ in 0..2 * ANSWERS {
            now = question(&mut idle, now, ANSWER);
        }
        now = question(&mut idle, now, 2 * ANSWER);
        now = question(&mut idle, now, ANSWER);
        idle.may_spin(now);
        idle.worked(now + QUIET);
        assert!(!idle.may_spin(now + QUIET));
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
        idle.yielded(now, now + YIELD / 2);
        assert!(idle.may_spin(now));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            now += Duration::from_millis(4);
            idle.yielded(now - Duration::from_millis(4), now);
            assert!(!idle.may_spin(now));
            pauses.push(idle.crowded[0].until.duration_since(now).as_secs());
            // The wait that the neighbour made long ends the run of short ones.
            idle.worked(now);
            let until = idle.crowded[0].until;
            now = waits(&mut idle, until, SHORT_WAITS, SHORT);
            assert!(idle.may_spin(now));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16]);
        // After a quiet time it begins anew.
        now = waits(&mut idle, now + Duration::from_secs(60), 2, SHORT);
        idle.yielded(now, now + Duration::from_millis(4));
        assert_eq!(idle.crowded[0].pause, CROWDED.0);
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
