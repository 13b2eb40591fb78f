//! Traffic that is none of the appliance's business: how much of it promiscuous mode brings in.

use std::{
    collections::{BTreeMap, HashSet},
    time::Duration,
};

use causeway_ebpf::ethernet::{EthernetHeader, is_group};

use super::{
    check::{Check, failing, ok},
    probe::Mac,
};
use crate::status::Status;

const NAME: &str = "foreign traffic";

/// Frames a second above which it is worth a port group of its own: at some 30 ns each in the driver (see the
/// README of the XDP programs), a twentieth of a core; where XDP is generic, far more.
const MUCH: f64 = 1_000_000.0;

/// Addresses that are told apart at most.
const MOST: usize = 4_096;

/// Unicast frames between others, as seen at the port.
#[derive(Debug, Default)]
pub struct Foreign {
    ours: HashSet<Mac>,
    by_source: BTreeMap<Mac, u64>,
    frames: u64,
    time: Duration,
}

impl Foreign {
    /// Counts what is neither to nor from `ours`.
    pub fn new(ours: impl IntoIterator<Item = Mac>) -> Self {
        Self {
            ours: ours.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Looks at a frame; tells whether others sent it.
    pub fn take(&mut self, frame: &[u8]) -> bool {
        let Some(header) = EthernetHeader::parse(frame) else {
            return false;
        };
        let (to, from) = (Mac(header.destination), Mac(header.source));
        if self.ours.contains(&from) {
            return false;
        }
        if is_group(&header.destination) || self.ours.contains(&to) {
            return true;
        }
        self.frames += 1;
        if self.by_source.len() < MOST || self.by_source.contains_key(&from) {
            *self.by_source.entry(from).or_default() += 1;
        }
        true
    }

    /// It was looked for so long.
    pub fn end(&mut self, time: Duration) {
        self.time = time;
    }

    /// What a packet socket has seen.
    pub fn check(&self) -> Check {
        let per_second = |frames: u64| frames as f64 / self.time.as_secs_f64().max(0.001);
        if self.frames == 0 {
            return ok(NAME, "no frame between other hosts came in");
        }
        let mut sources: Vec<_> = self.by_source.iter().collect();
        sources.sort_by_key(|(_, frames)| std::cmp::Reverse(**frames));
        let most = sources.iter().take(3);
        let most: Vec<_> = most
            .map(|(mac, n)| format!("{mac} {:.0}/s", per_second(**n)))
            .collect();
        let seen = format!(
            "{:.0} frames/s between other hosts come in, from {} addresses ({}); causeway drops them in the driver",
            per_second(self.frames),
            self.by_source.len(),
            most.join(", ")
        );
        judge(per_second(self.frames), seen)
    }
}

/// What a running appliance has dropped between two looks at it.
pub fn check_running(before: &Status, after: &Status) -> Check {
    let time = (after.uptime_s - before.uptime_s).max(0.001);
    let count = |status: &Status| -> u64 {
        let of = |verdict| status.verdicts.get(verdict).copied().unwrap_or(0);
        of("foreign") + of("not_granted") + of("local")
    };
    let rate = count(after).saturating_sub(count(before)) as f64 / time;
    let seen = format!(
        "{rate:.0} frames/s between other hosts come in and are dropped in the driver, by causeway's counters; of whom, this shows while causeway does not run"
    );
    judge(rate, seen)
}

fn judge(rate: f64, seen: String) -> Check {
    if rate < MUCH {
        return ok(NAME, seen);
    }
    failing(
        NAME,
        seen,
        "a port group with a VLAN ID that only the stretched LAN has, or MAC learning in place of Promiscuous Mode: every port group with the same VLAN ID on that switch is seen",
    )
}

#[cfg(test)]
mod tests {
    use causeway_ebpf::cases::{
        BROADCAST, LAN_PORT, MOVED, SERVER, STRANGER,
        frames::{arp_request, dot1q, tcp},
    };

    use super::{super::check::Verdict, *};

    #[test]
    fn what_others_say_to_others_is_counted_by_source() {
        let mut foreign = Foreign::new([Mac(LAN_PORT)]);
        for _ in 0..30 {
            foreign.take(&tcp(SERVER, STRANGER, &[dot1q(7)]));
        }
        foreign.take(&tcp(STRANGER, SERVER, &[]));
        for ours in [
            tcp(LAN_PORT, STRANGER, &[]),
            tcp(MOVED, LAN_PORT, &[]),
            arp_request(STRANGER, &[], [192, 0, 2, 1]),
            tcp(BROADCAST, STRANGER, &[]),
            vec![0; 9],
        ] {
            foreign.take(&ours);
        }
        foreign.end(Duration::from_millis(500));
        let Verdict::Ok { seen } = foreign.check().verdict else {
            panic!("62 a second is not much");
        };
        for word in [
            "62 frames/s",
            "2 addresses",
            "(00:50:56:00:00:30 60/s, 00:50:56:00:00:20 2/s)",
        ] {
            assert!(seen.contains(word), "{seen}");
        }
    }

    #[test]
    fn a_million_a_second_wants_a_port_group_of_its_own() {
        let status = |uptime_s, foreign| Status {
            uptime_s,
            verdicts: BTreeMap::from([("foreign".into(), foreign)]),
            ..Status::default()
        };
        let few = check_running(&status(1.0, 5), &status(2.0, 105));
        assert!(
            matches!(few.verdict, Verdict::Ok { ref seen } if seen.starts_with("100 frames/s"))
        );
        let many = check_running(&status(1.0, 0), &status(1.5, 900_000));
        assert!(matches!(many.verdict, Verdict::Failing { .. }));
    }
}
