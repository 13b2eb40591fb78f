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

/// An answer that comes within this is worth to spin for, once some requests in a row had one: it comes sooner
/// by the wake-up, and costs a fifth of the core at most, however often one asks.
const ANSWER: Duration = Duration::from_micros(100);

/// So many answered requests in a row, at least and at most: twice as many each time that nothing came again, one fewer
/// each time that something did. The other end may be on this core, and wait for us to leave it.
const ANSWERS: (u32, u32) = (8, 4_096);

/// To give the core away takes less than this if nobody takes it.
const YIELD: Duration = Duration::from_micros(10);

/// Where somebody did, nothing spins under load for this long: from the first, twice as long each time, to the second.
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
    /// So many make it spin for the next.
    expects_after: u32,
    /// Whether the last spin for an answer was in vain.
    in_vain: bool,
    /// Whether others want the core; asked under load only.
    crowded: Crowded,
}

impl Idle {
    pub(super) fn new(strategy: IdleStrategy, now: Instant) -> Self {
        Self {
            strategy,
            since: None,
            short_waits: 0,
            request: false,
            answers: 0,
            expects_after: ANSWERS.0,
            in_vain: false,
            crowded: Crowded::new(now),
        }
    }

    /// There was work at `now`.
    #[inline]
    pub(super) fn worked(&mut self, now: Instant) {
        let Some(since) = self.since.take() else {
            // Right behind a request: its answer, made by what we sent, or more of it. Nothing is to be expected then.
            self.request = false;
            return;
        };
        let wait = now.duration_since(since);
        self.short_waits = match wait <= LONGEST_SPIN {
            true => self.short_waits.saturating_add(1),
            false => 0,
        };
        if self.request {
            self.answered(wait <= ANSWER);
        }
        self.request = wait >= QUIET;
    }

    /// There was none at `now`. Under load [`IdleStrategy::Adaptive`] gives the core to whoever waits for it.
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
                if self.request {
                    // Given away, the core would come back at the scheduler's next tick, if anybody took it.
                    std::hint::spin_loop();
                } else {
                    let from = Instant::now();
                    std::thread::yield_now();
                    self.crowded.yielded(from, Instant::now());
                }
                // What has come meanwhile is looked for once more before a sleep.
                Wait::Spin
            }
        }
    }

    /// A request had an answer soon enough, or had none.
    fn answered(&mut self, soon: bool) {
        let (least, most) = ANSWERS;
        if self.expects_answer() {
            self.expects_after = match (soon, self.in_vain) {
                (true, _) => (self.expects_after - 1).max(least),
                // Now and then nothing comes anywhere: not each frame is a request.
                (false, false) => self.expects_after,
                (false, true) => (2 * self.expects_after).min(most),
            };
            self.in_vain = !soon;
        }
        self.answers = match soon {
            true => self.answers.saturating_add(1),
            false => 0,
        };
    }

    fn expects_answer(&self) -> bool {
        self.answers >= self.expects_after
    }

    fn may_spin(&mut self, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        let waited = now.duration_since(since);
        match self.request {
            true => self.expects_answer() && waited < ANSWER,
            false => {
                self.short_waits >= SHORT_WAITS && waited < LONGEST_SPIN && self.crowded.allows(now)
            }
        }
    }
}

/// Whether a core is wanted by others.
struct Crowded {
    /// Until when it counts as wanted.
    until: Instant,
    pause: Duration,
}

impl Crowded {
    fn new(now: Instant) -> Self {
        Self {
            until: now,
            pause: CROWDED.0 / 2,
        }
    }

    fn allows(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// The core was given away at `from`, and was ours again at `to`.
    fn yielded(&mut self, from: Instant, to: Instant) {
        if to.duration_since(from) < YIELD {
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
        for _ in 0..ANSWERS.0 {
            now = question(&mut idle, now, ANSWER / 2);
            assert!(!idle.may_spin(now), "the next question is far");
        }
        let request = now + QUIET;
        idle.worked(request);
        assert!(idle.may_spin(request) && idle.may_spin(request + ANSWER / 2));
        assert!(!idle.may_spin(request + ANSWER), "not for long");
    }

    /// As many answered requests as make it spin, and one without an answer.
    fn in_vain(idle: &mut Idle, mut now: Instant) -> (u32, Instant) {
        let mut answered = 0;
        while !idle.expects_answer() {
            now = question(idle, now, ANSWER);
            answered += 1;
        }
        (answered, question(idle, now, 2 * ANSWER))
    }

    #[test]
    fn spins_in_vain_make_it_wait_longer_for_the_next() {
        let (mut idle, mut now) = adaptive();
        // Before it spins, what has no answer changes nothing.
        now = question(&mut idle, now, 2 * ANSWER);
        for needed in [8, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096, 4_096] {
            let (answered, later) = in_vain(&mut idle, now);
            assert_eq!(answered, needed);
            now = later;
        }
    }

    #[test]
    fn a_spin_in_vain_now_and_then_is_forgiven() {
        let (mut idle, mut now) = adaptive();
        for answered in [8, 20, 9, 100, 9] {
            assert_eq!(idle.expects_after, ANSWERS.0);
            for _ in 0..answered {
                now = question(&mut idle, now, ANSWER / 2);
            }
            let (more, later) = in_vain(&mut idle, now);
            assert_eq!(more, 0, "it spun");
            now = later;
        }
        assert_eq!(idle.expects_after, ANSWERS.0);
        // Twice in a row is not: it takes as many answers that it spun for.
        now = in_vain(&mut idle, now).1;
        assert_eq!(idle.expects_after, 2 * ANSWERS.0);
        for _ in 0..2 * ANSWERS.0 + 3 {
            now = question(&mut idle, now, ANSWER);
        }
        assert_eq!(idle.expects_after, 2 * ANSWERS.0 - 3);
    }

    #[test]
    fn what_comes_right_behind_a_request_is_its_answer() {
        let (mut idle, mut now) = adaptive();
        for _ in 0..ANSWERS.0 {
            now = question(&mut idle, now, ANSWER / 2);
        }
        for _ in 0..10 {
            idle.may_spin(now);
            now += 2 * QUIET;
            idle.worked(now);
            idle.worked(now + YIELD);
            assert!(!idle.may_spin(now + YIELD));
            now += YIELD;
        }
        question(&mut idle, now, ANSWER / 2);
        assert_eq!(idle.answers, ANSWERS.0 + 1, "the run goes on");
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
        idle.crowded.yielded(now, now + YIELD / 2);
        assert!(idle.may_spin(now));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            now += Duration::from_millis(4);
            idle.crowded.yielded(now - Duration::from_millis(4), now);
            assert!(!idle.may_spin(now));
            pauses.push(idle.crowded.until.duration_since(now).as_secs());
            // The wait that the neighbour made long ends the run of short ones.
            idle.worked(now);
            let until = idle.crowded.until;
            now = waits(&mut idle, until, SHORT_WAITS, SHORT);
            assert!(idle.may_spin(now));
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16]);
        // After a quiet time it begins anew.
        now = waits(&mut idle, now + Duration::from_secs(60), 2, SHORT);
        idle.crowded.yielded(now, now + Duration::from_millis(4));
        assert_eq!(idle.crowded.pause, CROWDED.0);
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
