//! A limit on a rate for each VLAN by itself.

use std::time::Instant;

use crate::vlans::VLANS;

/// Parts of a nanosecond that times are counted in, so that rates up to a billion a second are kept well
/// within a percent. 64 bits of them last nine years.
const PARTS: u64 = 64;
const SECOND: u64 = 1_000_000_000 * PARTS;

/// For each VLAN `rate` frames a second on average, and bursts of up to a tenth of a second's worth.
///
/// The generic cell rate algorithm (ITU-T I.371, virtual scheduling): of a VLAN it keeps when its next
/// frame would be on time, and lets through what is early by no more than a burst. That is eight bytes for each
/// VLAN, and all zero to begin with, so that the kernel finds memory only for those that are flooded.
#[derive(Debug)]
pub struct ByVlan {
    due: Box<[u64]>,
    /// From one frame to the next; `None`: nothing goes through.
    interval: Option<u64>,
    /// What a burst may be early.
    tolerance: u64,
    start: Instant,
}

impl ByVlan {
    /// A limit of `rate` frames per second; 0 lets nothing through.
    pub fn new(rate: u32, now: Instant) -> Self {
        let interval = SECOND.checked_div(rate.into());
        let burst = u64::from(rate / 10).max(1);
        Self {
            due: vec![0; VLANS].into(),
            interval,
            tolerance: (burst - 1) * interval.unwrap_or(0),
            start: now,
        }
    }

    /// Whether a frame of the VLAN may go through now.
    pub fn take(&mut self, vlan: u16, now: Instant) -> bool {
        let Some(interval) = self.interval else {
            return false;
        };
        let now = now.saturating_duration_since(self.start).as_nanos() as u64 * PARTS;
        let due = &mut self.due[usize::from(vlan) % VLANS];
        if *due > now + self.tolerance {
            return false;
        }
        *due = now.max(*due) + interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn burst_then_rate_and_no_vlan_takes_anothers() {
        let start = Instant::now();
        let mut limit = ByVlan::new(100, start);
        let mut taken = |vlan, at| (0..50).filter(|_| limit.take(vlan, at)).count();
        assert_eq!((taken(7, start), taken(7, start)), (10, 0));
        assert_eq!((taken(0, start), taken(4_095, start)), (10, 10));
        assert_eq!(taken(7, start + Duration::from_millis(50)), 5);
        // A long silence earns one burst.
        assert_eq!(taken(7, start + Duration::from_secs(90)), 10);
    }

    #[test]
    fn the_rate_is_kept() {
        let start = Instant::now();
        for (rate, least) in [(1, 1), (3, 2), (10_000, 9_999), (700_000, 600_000)] {
            let mut limit = ByVlan::new(rate, start);
            while limit.take(1, start) {}
            let mut times = (1..=1_000_000).map(|us| start + Duration::from_micros(us));
            let taken = times.by_ref().filter(|at| limit.take(1, *at)).count();
            assert!(
                (least..=rate as usize * 10_001 / 10_000 + 1).contains(&taken),
                "{rate}: {taken}"
            );
        }
        let mut none = ByVlan::new(0, start);
        assert!(!none.take(1, start + Duration::from_secs(9)));
    }
}
