//! A limit on a rate: a token bucket.

use std::time::Instant;

/// What one frame costs: credit is counted in billionths of a frame, so that a nanosecond at
/// `rate` frames per second earns exactly `rate`.
const FRAME: u64 = 1_000_000_000;

/// Lets through `rate` frames a second on average, and bursts of up to a tenth of a second's worth.
#[derive(Debug)]
pub struct TokenBucket {
    rate: u64,
    burst: u64,
    credit: u64,
    last: Instant,
}

impl TokenBucket {
    /// A full bucket for `rate` frames per second; 0 lets nothing through.
    pub fn new(rate: u32, now: Instant) -> Self {
        let burst = match rate {
            0 => 0,
            _ => (rate / 10).max(1),
        };
        Self::with_burst(rate, burst, now)
    }

    /// The same with another burst, of at most a second's worth.
    pub fn with_burst(rate: u32, burst: u32, now: Instant) -> Self {
        let burst = u64::from(burst) * FRAME;
        Self {
            rate: rate.into(),
            burst,
            credit: burst,
            last: now,
        }
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        // A second fills any bucket, and times the largest rate it still fits 64 bits.
        let elapsed = now
            .saturating_duration_since(self.last)
            .as_nanos()
            .min(1_000_000_000);
        self.last = now;
        self.credit = (self.credit + elapsed as u64 * self.rate).min(self.burst);
        if self.credit < FRAME {
            return false;
        }
        self.credit -= FRAME;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn burst_then_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(100, start);
        assert_eq!((0..50).filter(|_| bucket.take(start)).count(), 10);
        let over_a_second =
            (1..=1_000).filter(|ms| bucket.take(start + Duration::from_millis(*ms)));
        assert_eq!(over_a_second.count(), 100);
        assert!(!TokenBucket::new(0, start).take(start + Duration::from_secs(9)));
    }
}
