//! Sightings, in the kernel: what the program tells, and how little of a flood.

use std::{collections::HashSet, thread::sleep, time::Duration};

use causeway::xdp::{LanProgram, Sightings};
use causeway_ebpf::{
    Role, Sighting, SightingCounter, SightingKind, StationKey,
    cases::{
        self, MOVED, SERVER, STRANGER,
        frames::{dhcp_discover, dot1q, tcp},
    },
    ethernet::HEADER_LEN,
    sighting_of,
};

use crate::{load_world, run};

fn world(role: Role) -> (LanProgram, Sightings) {
    let mut program = load_world(role);
    let sightings = program.sightings().expect("nobody has asked before");
    assert!(program.sightings().is_none());
    (program, sightings)
}

fn all(sightings: &mut Sightings) -> Vec<Sighting> {
    std::iter::from_fn(|| sightings.next()).collect()
}

fn count(program: &LanProgram, counter: SightingCounter) -> u64 {
    program.sighting_counters().expect("counters")[counter.index()]
}

/// Of each station once in the time that this takes: so of a set of cases, each frame of which is told
/// of unless a station was before.
#[test]
fn every_case_is_told_of_as_on_the_host() {
    for role in [Role::Site, Role::Cloud] {
        let (mut program, mut sightings) = world(role);
        let mut told = HashSet::new();
        for case in cases::all().into_iter().filter(|case| case.role == role) {
            if case.frame.len() < HEADER_LEN {
                continue;
            }
            let found = sighting_of(&case.frame[..], &cases::config(role), case.expected);
            if found.is_some_and(|(_, station)| told.contains(&station)) {
                continue;
            }
            run(&mut program, &case.frame);
            let expected = found.map(|(kind, station)| {
                told.insert(station);
                Sighting::of(kind, station, &case.frame)
            });
            assert_eq!(
                all(&mut sightings),
                Vec::from_iter(expected),
                "{}",
                case.name
            );
        }
        assert!(told.len() >= 4, "{told:?}");
        assert_eq!(
            count(&program, SightingCounter::Told),
            told.len() as u64,
            "{role:?}"
        );
    }
}

#[test]
fn a_long_frame_is_told_of_by_its_start_and_its_length() {
    let (mut program, mut sightings) = world(Role::Cloud);
    let frame = dhcp_discover(STRANGER, &[dot1q(30)]);
    run(&mut program, &frame);
    let [sighting] = all(&mut sightings)[..] else {
        panic!("one")
    };
    assert_eq!(sighting.kind(), SightingKind::Unknown);
    assert_eq!(sighting.station(), StationKey::new(30, STRANGER));
    assert_eq!(sighting.length() as usize, frame.len());
    assert_eq!(sighting.head(), &frame[..128]);
}

#[test]
fn a_station_is_told_of_again_after_pauses_that_grow() {
    let (mut program, mut sightings) = world(Role::Site);
    let (frame, other) = (tcp(SERVER, MOVED, &[]), tcp(SERVER, MOVED, &[dot1q(4094)]));
    program.test_run(&frame, 100_000).expect("test run");
    // That took longer than a pause or two, and far less than would be needed for a dozen.
    let told = all(&mut sightings);
    assert!((1..12).contains(&told.len()), "{}", told.len());
    assert!(told.iter().all(|s| *s == told[0]));
    // Its pause is not another's, though that has the same MAC address.
    run(&mut program, &other);
    assert_eq!(all(&mut sightings).len(), 1);
    // The longest is a second.
    sleep(Duration::from_millis(1_100));
    run(&mut program, &frame);
    assert_eq!(all(&mut sightings).len(), 1);
    assert_eq!(count(&program, SightingCounter::Skipped), 0);
}

/// A flood from changing addresses: what is told of it is bounded, whoever reads.
#[test]
fn a_flood_of_strangers_is_told_of_within_the_budget() {
    let (mut program, mut sightings) = world(Role::Cloud);
    let flood = |program: &mut LanProgram| {
        for n in 0..20_000_u16 {
            let [a, b] = n.to_be_bytes();
            let frame = tcp(SERVER, [0x02, 0, 0, 0, a, b], &[]);
            program.test_run(&frame, 1).expect("test run");
        }
    };
    let start = std::time::Instant::now();
    flood(&mut program);
    let windows = start.elapsed().as_millis() as u64 / 134 + 2;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let (told, skipped) = (
        count(&program, SightingCounter::Told),
        count(&program, SightingCounter::Skipped),
    );
    assert!((128..=128 * windows * cpus).contains(&told), "{told}");
    assert_eq!(
        told + skipped + count(&program, SightingCounter::Lost),
        20_000
    );
    assert_eq!(all(&mut sightings).len() as u64, told);
}

/// Nobody reads: the ring fills, the rest is counted, and what was there is whole.
#[test]
fn what_finds_no_room_is_counted() {
    let (mut program, mut sightings) = world(Role::Cloud);
    let mut n = 0_u32;
    while count(&program, SightingCounter::Lost) == 0 {
        let [_, _, a, b] = n.to_be_bytes();
        let frame = tcp(SERVER, [0x02, 0, 0, 1, a, b], &[]);
        program.test_run(&frame, 1).expect("test run");
        n += 1;
    }
    let told = all(&mut sightings);
    assert_eq!(
        told.len() as u64,
        count(&program, SightingCounter::Told),
        "after {n} frames"
    );
    assert!(told.len() > 1_500, "{}", told.len());
    assert!(told.iter().all(|s| s.length() == 60));
}
