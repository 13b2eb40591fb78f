//! The verdict table on the host, and what must hold for frames that nobody thought of.
#![cfg(feature = "cases")]

use std::collections::HashMap;

use causeway_ebpf::{
    Action, EthernetHeader, MAX_STATIONS, Place, Role, StationKey, Tables, Verdict,
    cases::{self, Case, World},
    ethernet::is_group,
    lan_verdict,
    maps::AddressKey,
};

fn verdict(role: Role, frame: &[u8]) -> Verdict {
    lan_verdict(frame, &cases::config(role), &World::new(role))
}

#[test]
fn every_case_has_its_verdict() {
    for Case {
        name,
        role,
        frame,
        expected,
    } in cases::all()
    {
        assert_eq!(verdict(role, &frame), expected, "{name}: {frame:02x?}");
    }
}

#[test]
fn what_the_flood_policy_keeps_stays() {
    for (policy, case) in cases::floods() {
        let config = cases::config(case.role).with_flood(policy);
        let verdict = lan_verdict(&case.frame[..], &config, &World::new(case.role));
        assert_eq!(verdict, case.expected, "{policy:?}, {}", case.name);
    }
}

#[test]
fn the_table_covers_every_verdict_at_every_end_that_has_it() {
    let mut seen = HashMap::new();
    for case in cases::all() {
        *seen.entry((case.role, case.expected)).or_insert(0) += 1;
    }
    for &verdict in Verdict::ALL {
        let (site, cloud) = match verdict {
            // Of the kernel, and of other configurations (below).
            Verdict::NoSocket | Verdict::FloodPolicy => (false, false),
            Verdict::Foreign => (true, false),
            Verdict::NotGranted | Verdict::Local => (false, true),
            _ => (true, true),
        };
        assert_eq!(seen.contains_key(&(Role::Site, verdict)), site, "{verdict}");
        assert_eq!(
            seen.contains_key(&(Role::Cloud, verdict)),
            cloud,
            "{verdict}"
        );
    }
    let names: std::collections::HashSet<_> = cases::all().into_iter().map(|c| c.name).collect();
    assert_eq!(
        names.len(),
        cases::all().len(),
        "a failure has to name one case"
    );
}

/// xorshift64* (Vigna 2016): the same frames in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What every verdict promises, restated from the outside.
fn check(role: Role, frame: &[u8]) -> Verdict {
    let verdict = verdict(role, frame);
    let world = World::new(role);
    let Some(header) = EthernetHeader::parse(frame) else {
        assert_eq!(verdict, Verdict::Malformed);
        return verdict;
    };
    let source = world.place(&header.source_station());
    if verdict.action() == Action::Redirect {
        assert!(!is_group(&header.source));
        assert_ne!(header.source, cases::LAN_PORT);
        assert_ne!(header.destination, cases::LAN_PORT);
        assert_eq!(verdict == Verdict::Flood, is_group(&header.destination));
        // Nothing crosses that lives on the other side: so nothing crosses twice.
        match role {
            Role::Site => assert_ne!(source, Some(Place::Away)),
            Role::Cloud => assert_eq!(source, Some(Place::Home)),
        }
    }
    assert_ne!(verdict, Verdict::NoSocket);
    verdict
}

#[test]
fn random_and_damaged_frames_keep_the_promises() {
    let cases = cases::all();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut seen = [0_u32; Verdict::COUNT];
    for round in 0..200_000 {
        let mut frame = match round % 4 {
            0 => (0..random.below(128))
                .map(|_| random.next() as u8)
                .collect(),
            _ => cases[random.below(cases.len())].frame.clone(),
        };
        for _ in 0..random.below(4) {
            let Some(at) = frame
                .len()
                .checked_sub(1)
                .map(|last| random.below(last + 1))
            else {
                break;
            };
            frame[at] ^= 1 << random.below(8);
        }
        frame.truncate(random.below(2 * frame.len() + 1));
        for role in [Role::Site, Role::Cloud] {
            seen[check(role, &frame).index()] += 1;
        }
    }
    for &verdict in Verdict::ALL
        .iter()
        .filter(|v| !matches!(v, Verdict::NoSocket | Verdict::FloodPolicy))
    {
        assert!(
            seen[verdict.index()] > 100,
            "{verdict} was hardly tried: {seen:?}"
        );
    }
}

/// As many away stations as the kernel's table holds, in the order of their keys.
struct FullTable;

impl FullTable {
    const FIRST: u64 = 0x000a_0250_5600_0000;
    const LAST: u64 = Self::FIRST + MAX_STATIONS as u64 - 1;
}

impl Tables for FullTable {
    fn place(&self, key: &StationKey) -> Option<Place> {
        (Self::FIRST..=Self::LAST)
            .contains(&u64::from(*key))
            .then_some(Place::Away)
    }

    fn hears_at_home(&self, _: &StationKey, _: u16) -> bool {
        false
    }

    fn is_own_address(&self, _: &AddressKey) -> bool {
        false
    }

    fn is_probe(&self, _: &[u8; 6]) -> bool {
        false
    }
}

#[test]
fn the_table_ends_where_it_ends() {
    let config = cases::config(Role::Site);
    let edges = [
        (FullTable::FIRST - 1, Verdict::Foreign),
        (FullTable::FIRST, Verdict::Tunnel),
        (FullTable::LAST, Verdict::Tunnel),
        (FullTable::LAST + 1, Verdict::Foreign),
    ];
    for (key, expected) in edges {
        let [vlan_high, vlan_low, mac @ ..] = key.to_be_bytes();
        let vlan = u16::from_be_bytes([vlan_high, vlan_low]);
        let frame = cases::frames::tcp(mac, cases::STRANGER, &[cases::frames::dot1q(vlan)]);
        assert_eq!(
            lan_verdict(&frame[..], &config, &FullTable),
            expected,
            "{key:#018x}"
        );
    }
}
