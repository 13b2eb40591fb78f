//! The limit on flooded frames: a token bucket.

use std::time::Instant;

/// Lets through `rate` frames a second on average, and bursts of up to a tenth of a second's worth.
#[derive(Debug)]
pub struct TokenBucket {
    rate: f64,
    burst: f64,
    tokens: f64,
    last: Instant,
}

impl TokenBucket {
    /// A full bucket for `rate` frames per second; 0 lets nothing through.
    pub fn new(rate: u32, now: Instant) -> Self {
        let burst = match rate {
            0 => 0.0,
            _ => (f64::from(rate) / 10.0).max(1.0),
        };
        Self {
            rate: f64::from(rate),
            burst,
            tokens: burst,
            last: now,
        }
    }

    /// Takes one token if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.last).as_secs_f64();
        self.last = now;
        self.tokens = (self.tokens + elapsed * self.rate).min(self.burst);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
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
