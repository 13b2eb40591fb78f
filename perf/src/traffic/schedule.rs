//! When each frame is due: an absolute schedule, so that one late frame delays no other.

/// Fraction bits of the period: it is exact to 2^-32 ns.
const FRACTION: u32 = 32;

/// Frames at a constant rate from a moment on: frame `n` is due at `start + n * period`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start_ns: u64,
    period: u128,
}

impl Schedule {
    /// At `frames_per_s`, more than 0, the first one at `start_ns`.
    pub(crate) fn new(start_ns: u64, frames_per_s: f64) -> Self {
        let period = (1e9 / frames_per_s * (1_u64 << FRACTION) as f64).round();
        Self {
            start_ns,
            // Within 96 bits: times the 2^32 frames of a long run it still fits.
            period: (period as u128).clamp(1, 1 << 80),
        }
    }

    /// When frame `n` is due.
    pub(crate) fn time_of(&self, n: u64) -> u64 {
        let offset = (u128::from(n).saturating_mul(self.period)) >> FRACTION;
        let offset = u64::try_from(offset).unwrap_or(u64::MAX);
        self.start_ns.saturating_add(offset)
    }

    /// How many frames are due at `now_ns` or before.
    pub(crate) fn due(&self, now_ns: u64) -> u64 {
        let Some(since) = now_ns.checked_sub(self.start_ns) else {
            return 0;
        };
        // The largest n with (n * period) >> FRACTION <= since, and frame 0 beside it.
        let last = (((u128::from(since) + 1) << FRACTION) - 1) / self.period;
        u64::try_from(last + 1).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_is_due_at_once_and_a_second_has_its_number() {
        let schedule = Schedule::new(1_000, 4.0);
        assert_eq!(schedule.due(999), 0);
        assert_eq!(schedule.due(1_000), 1);
        assert_eq!(schedule.due(1_000 + 250_000_000), 2);
        assert_eq!(schedule.due(999 + 1_000_000_000), 4);
    }

    #[test]
    fn an_hour_at_an_odd_rate_does_not_drift() {
        let schedule = Schedule::new(0, 3_333_333.0);
        let hour = 3_600_u64 * 1_000_000_000;
        let off = schedule.time_of(3_333_333 * 3_600).abs_diff(hour);
        assert!(off < 1_000, "{off} ns");
    }

    proptest! {
        #[test]
        fn a_frame_is_due_from_its_time_on(
            start in 0_u64..1 << 50, rate in 1_f64..1e8, n in 0_u64..1 << 32
        ) {
            let schedule = Schedule::new(start, rate);
            let time = schedule.time_of(n);
            prop_assert!(schedule.due(time) > n);
            prop_assert!(time == 0 || schedule.due(time - 1) <= n);
        }
    }
}
