//! How often something may be asked.

use std::time::{Duration, Instant};

use crate::flood::FairBucket;

/// Sets of entries, a power of two, and entries of a set: 4,096 things, 160 KB.
const SETS: usize = 1_024;
const WAYS: usize = 4;

/// Times that go over in a second when the table has no place for what they are about, and of each asker besides.
const SPARE: u32 = 50;
const SPARE_OF_EACH: u32 = 5;

/// Something that was allowed.
#[derive(Clone, Copy)]
struct Entry {
    /// 0: none.
    key: u64,
    next: Instant,
    pause: Duration,
}

/// Allows each of many things from time to time: the first time, and then after a pause that doubles each time, from
/// `first` up to `longest`. What is not wanted for four times its pause begins anew.
///
/// Of bounded size: of more things than there is place for, those whose pause is over are forgotten, and if all of a set
/// still have one, what is not among them is allowed [`SPARE`] times a second, and for each who asks [`SPARE_OF_EACH`] times:
/// who fills the table leaves something to the others.
pub(super) struct Limiter {
    entries: Box<[[Entry; WAYS]; SETS]>,
    first: Duration,
    longest: Duration,
    spare: FairBucket,
}

impl Limiter {
    pub(super) fn new(first: Duration, longest: Duration, now: Instant) -> Self {
        let none = Entry {
            key: 0,
            next: now,
            pause: Duration::ZERO,
        };
        Self {
            entries: Box::new([[none; WAYS]; SETS]),
            first,
            longest,
            spare: FairBucket::new(SPARE, SPARE_OF_EACH, now),
        }
    }

    /// Forgets what was allowed: all begins anew.
    pub(super) fn forget(&mut self, now: Instant) {
        for entry in self.entries.iter_mut().flatten() {
            (entry.key, entry.next) = (0, now);
        }
    }

    /// Whether the thing with this hash may be now, for one of whom is known [which part](FairBucket) is its own.
    pub(super) fn allows(&mut self, hash: u64, part: usize, now: Instant) -> bool {
        let key = hash | 1;
        // The key's own bit is not among those that number the sets.
        let set = &mut self.entries[(hash >> 32) as usize % SETS];
        if let Some(entry) = set.iter_mut().find(|e| e.key == key) {
            if now < entry.next {
                return false;
            }
            let quiet = now.duration_since(entry.next) >= 3 * entry.pause;
            entry.pause = match quiet {
                true => self.first,
                false => (2 * entry.pause).min(self.longest),
            };
            entry.next = now + entry.pause;
            return true;
        }
        let free = set.iter_mut().filter(|e| e.next <= now);
        match free.min_by_key(|e| e.next) {
            Some(entry) => {
                *entry = Entry {
                    key,
                    next: now + self.first,
                    pause: self.first,
                };
                true
            }
            None => self.spare.take(part, true, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_and_begin_anew_after_quiet() {
        let start = Instant::now();
        let mut limiter = Limiter::new(SECOND, 4 * SECOND, start);
        let mut allowed = |at: u64| limiter.allows(7 << 40, 0, start + Duration::from_millis(at));
        let times: Vec<_> = (0..20_000).step_by(500).filter(|at| allowed(*at)).collect();
        assert_eq!(times, [0, 1_000, 3_000, 7_000, 11_000, 15_000, 19_000]);
        // Quiet for as long as four pauses.
        assert!(allowed(19_000 + 16_000) && allowed(36_000) && !allowed(37_000));
    }

    #[test]
    fn what_is_forgotten_is_allowed_at_once() {
        let start = Instant::now();
        let mut limiter = Limiter::new(SECOND, 4 * SECOND, start);
        assert!(limiter.allows(7 << 40, 0, start) && !limiter.allows(7 << 40, 0, start));
        limiter.forget(start);
        assert!(limiter.allows(7 << 40, 0, start) && !limiter.allows(7 << 40, 0, start));
    }

    #[test]
    fn who_fills_the_table_leaves_something_to_others() {
        let start = Instant::now();
        let mut limiter = Limiter::new(SECOND, SECOND, start);
        for n in 0..1_000 {
            limiter.allows(n << 48, 7, start);
        }
        assert!(!limiter.allows(2_000 << 48, 7, start));
        let of_another = (3_000..4_000).filter(|n| limiter.allows(n << 48, 8, start));
        assert_eq!(of_another.count(), SPARE_OF_EACH as usize);
    }

    #[test]
    fn a_table_that_is_full_lets_few_through() {
        let start = Instant::now();
        let mut limiter = Limiter::new(SECOND, SECOND, start);
        // All of one set.
        let allowed = (0..1_000)
            .filter(|n| limiter.allows(n << 48, 7, start))
            .count();
        assert_eq!(allowed, WAYS + (SPARE / 10 + SPARE_OF_EACH) as usize);
        assert!(!limiter.allows(1 << 48, 7, start));
        assert!(limiter.allows(1 << 32, 7, start), "another set");
        assert!(limiter.allows(999 << 48, 7, start + SECOND));
    }
}
