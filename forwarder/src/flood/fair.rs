//! A limit on a rate that many share.

use std::time::Instant;

use super::TokenBucket;

/// Parts that a [`FairBucket`] has: as many as there can be peers.
pub const PARTS: usize = 256;

/// Lets through what a [`TokenBucket`] does, and of whoever comes seldom a little more: one that takes all there is in common
/// leaves to each other one a part of its own.
#[derive(Debug)]
pub struct FairBucket {
    common: TokenBucket,
    parts: Box<[TokenBucket; PARTS]>,
}

impl FairBucket {
    /// A full bucket of `rate` frames per second in common, and `each` for each part, a second's worth at once.
    pub fn new(rate: u32, each: u32, now: Instant) -> Self {
        let part = || TokenBucket::with_burst(each, each, now);
        Self {
            common: TokenBucket::new(rate, now),
            parts: Box::new(std::array::from_fn(|_| part())),
        }
    }

    /// Takes one token for whoever has this part, of its own or else of what is common if `common` allows.
    pub fn take(&mut self, part: usize, common: bool, now: Instant) -> bool {
        self.take_own(part, now) || common && self.take_common(now)
    }

    /// Takes one of the part's own tokens.
    pub fn take_own(&mut self, part: usize, now: Instant) -> bool {
        self.parts[part % PARTS].take(now)
    }

    /// Takes one of the tokens that are common to all.
    pub fn take_common(&mut self, now: Instant) -> bool {
        self.common.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_all_leaves_the_others_their_part() {
        let now = Instant::now();
        let mut bucket = FairBucket::new(100, 3, now);
        let mut taken = |part, common| (0..50).filter(|_| bucket.take(part, common, now)).count();
        assert_eq!(taken(7, false), 3);
        assert_eq!(taken(7, true), 10);
        assert_eq!((taken(7, true), taken(8, true), taken(8, true)), (0, 3, 0));
    }
}
