//! Frames of watched stations, in the kernel: ours are known by their notes. And which stations at home
//! were heard.

use std::{collections::HashSet, sync::Arc};

use causeway::xdp::{LanProgram, Recorder, Sightings, Watched};
use causeway_ebpf::{
    MAX_STATIONS, Place, Role, SightingCounter, SightingKind, StationKey, Verdict,
    cases::{
        self, MOVED, SECOND_MOVED, SERVER, STRANGER,
        frames::{arp_request, dhcp_discover, dot1ad, dot1q, solicitation, tcp},
    },
    maps::MAX_WATCHED,
};

use crate::{load, load_world, run};

struct Site {
    program: LanProgram,
    sightings: Sightings,
    recorder: Recorder,
}

impl Site {
    /// A site that watches these stations, whose workers note what they inject of them.
    fn watching(stations: &[StationKey]) -> Self {
        let mut program = load_world(Role::Site);
        let sightings = program.sightings().expect("nobody has asked before");
        for station in stations {
            program.watch(*station, true).expect("room");
        }
        let watched: Watched = stations.iter().map(|s| u64::from(*s)).collect();
        let recorder = Recorder::new(program.injected(), Arc::new(watched));
        Self {
            program,
            sightings,
            recorder,
        }
    }

    /// The frame comes from the LAN: how many of it were ours and not ours, and what is told.
    fn receive(&mut self, frame: &[u8]) -> (u64, u64, Option<SightingKind>) {
        let before = self.program.sighting_counters().expect("counters");
        assert_eq!(run(&mut self.program, frame).1, Verdict::Reflection);
        let after = self.program.sighting_counters().expect("counters");
        let of = |counter: SightingCounter| after[counter.index()] - before[counter.index()];
        let told = self.sightings.next().map(|s| s.kind());
        (
            of(SightingCounter::Ours),
            of(SightingCounter::NotOurs),
            told,
        )
    }
}

#[test]
fn what_was_injected_is_ours_and_nothing_else() {
    let keys = [0, 10].map(|vlan| StationKey::new(vlan, SECOND_MOVED));
    let mut site = Site::watching(&keys);
    let tags: [&[[u8; 4]]; 4] = [&[], &[dot1q(0)], &[dot1q(10)], &[dot1ad(10), dot1q(7)]];
    for (n, tags) in tags.into_iter().enumerate() {
        for (m, frame) in [
            tcp(SERVER, SECOND_MOVED, tags),
            arp_request(SECOND_MOVED, tags, [n as u8; 4]),
            dhcp_discover(SECOND_MOVED, tags),
            solicitation(SECOND_MOVED, tags, [n as u8; 16]),
        ]
        .into_iter()
        .enumerate()
        {
            // Whose tags name the same VLAN, none included, is the same frame.
            if n % 2 == 0 || m % 2 == 1 {
                assert_eq!(site.receive(&frame).1, 1, "{n} {m}: before it was injected");
            }
            let (head, tail) = frame.split_at(frame.len().min(64));
            site.recorder.note(head, tail);
            assert_eq!(site.receive(&frame).0, 1, "{n} {m}: after");
        }
    }
    // On the wire a short frame is padded.
    let short = arp_request(SECOND_MOVED, &[], [77; 4])[..42].to_vec();
    site.recorder.note(&short, &[]);
    assert_eq!(site.receive(&arp_request(SECOND_MOVED, &[], [77; 4])).0, 1);
    assert_eq!(site.receive(&short).0, 1);
}

#[test]
fn the_kind_is_told_and_each_has_its_own_pauses() {
    let key = StationKey::new(0, MOVED);
    let mut site = Site::watching(&[key]);
    let (ours, theirs) = (tcp(SERVER, MOVED, &[]), tcp(STRANGER, MOVED, &[]));
    site.recorder.note(&ours, &[]);
    assert_eq!(site.receive(&ours), (1, 0, Some(SightingKind::Ours)));
    assert_eq!(site.receive(&ours), (1, 0, None));
    assert_eq!(site.receive(&theirs), (0, 1, Some(SightingKind::NotOurs)));
    let other = tcp(SERVER, SECOND_MOVED, &[]);
    assert_eq!(site.receive(&other), (0, 0, Some(SightingKind::Returned)));
    site.program.watch(key, false).expect("watched");
    site.program.watch(key, false).expect("watched no more");
    assert_eq!(site.receive(&ours), (0, 0, Some(SightingKind::Returned)));
}

#[test]
fn notes_count_for_two_generations_and_of_watched_stations_only() {
    let key = StationKey::new(0, MOVED);
    let mut site = Site::watching(&[key]);
    let (frame, other) = (tcp(SERVER, MOVED, &[]), tcp(SERVER, SECOND_MOVED, &[]));
    site.recorder.note(&frame, &[]);
    site.recorder.note(&other, &[]);
    site.program.injected().begin_generation();
    assert_eq!(site.receive(&frame).0, 1);
    site.program.injected().begin_generation();
    assert_eq!(site.receive(&frame).1, 1);
    site.program
        .watch(StationKey::new(0, SECOND_MOVED), true)
        .expect("room");
    assert_eq!(site.receive(&other).1, 1);
}

/// As many frames under way as there are buckets: each is known again.
#[test]
fn many_frames_under_way_are_all_known() {
    let mut site = Site::watching(&[StationKey::new(0, MOVED)]);
    let mut frame = tcp(SERVER, MOVED, &[]);
    let mut numbered = |n: u32| {
        frame[38..42].copy_from_slice(&n.to_be_bytes());
        frame.clone()
    };
    for n in 0..10_000 {
        site.recorder.note(&numbered(n), &[]);
    }
    let known = (0..10_000).filter(|n| site.receive(&numbered(*n)).0 == 1);
    assert!(known.count() >= 9_999);
}

#[test]
fn as_many_are_watched_as_there_is_room_for() {
    let mut program = load();
    let station = |n: u32| StationKey::new(n as u16 & 0xfff, MOVED);
    for n in 0..MAX_WATCHED {
        program.watch(station(n), true).expect("room");
    }
    let error = program
        .watch(StationKey::new(0, SERVER), true)
        .expect_err("full");
    assert!(error.to_string().contains("watch a station"), "{error}");
}

#[test]
fn stations_at_home_are_heard_once_and_silent_the_next_time() {
    let mut program = load();
    assert!(program.heard().is_err(), "not configured");
    program
        .configure(&cases::config(Role::Cloud))
        .expect("configure");
    let station =
        |n: u32| StationKey::new(n as u16 & 0xfff, [0x02, 0, 0, (n >> 8) as u8, 1, n as u8]);
    let all: HashSet<_> = (0..MAX_STATIONS - 1).map(station).collect();
    assert_eq!(all.len(), MAX_STATIONS as usize - 1);
    for key in &all {
        program.set_station(*key, Place::Home).expect("room");
    }
    let away = StationKey::new(0, SERVER);
    program.set_station(away, Place::Away).expect("room");
    let heard = |program: &mut LanProgram| -> HashSet<_> {
        let list = program.heard().expect("heard");
        let set: HashSet<_> = list.iter().copied().collect();
        assert_eq!(set.len(), list.len(), "each once");
        set
    };
    // They have just been entered, which counts for the epoch in which that was done.
    assert_eq!(heard(&mut program), all);
    assert_eq!(heard(&mut program), HashSet::new());
    let from = |key: StationKey, to| tcp(to, key.mac, &[dot1q(key.vlan)]);
    let speakers = [station(1), station(40_000), station(65_534)];
    for key in speakers {
        // Crossing (no socket here), or to a neighbour.
        assert_eq!(run(&mut program, &from(key, STRANGER)).1, Verdict::NoSocket);
    }
    let quiet = station(2);
    run(&mut program, &from(away, STRANGER));
    run(
        &mut program,
        &tcp(quiet.mac, STRANGER, &[dot1q(quiet.vlan)]),
    );
    assert_eq!(heard(&mut program), HashSet::from(speakers));
    assert_eq!(heard(&mut program), HashSet::new());
    // A station that is replaced, and a configuration that changes, leave the epoch as it is.
    program.set_station(station(5), Place::Away).expect("moved");
    program.set_station(station(6), Place::Home).expect("again");
    program
        .configure(&cases::config(Role::Cloud))
        .expect("configure");
    run(&mut program, &from(station(7), STRANGER));
    assert_eq!(heard(&mut program), HashSet::from([station(6), station(7)]));
    assert_eq!(heard(&mut program), HashSet::new());
}

/// The kernel writes to an entry while user space replaces it: neither spoils the other.
#[test]
fn an_entry_that_is_replaced_while_it_is_heard_keeps_its_place() {
    let mut program = load();
    program
        .configure(&cases::config(Role::Cloud))
        .expect("configure");
    let (key, other) = (StationKey::new(0, MOVED), StationKey::new(0, SECOND_MOVED));
    let frame = tcp(STRANGER, MOVED, &[]);
    for _ in 0..200 {
        program.set_station(key, Place::Home).expect("room");
        assert_eq!(run(&mut program, &frame).1, Verdict::NoSocket);
        program.heard().expect("heard");
        assert_eq!(run(&mut program, &frame).1, Verdict::NoSocket);
        // The element goes to another station at once.
        program.remove_station(key).expect("removed");
        program.set_station(other, Place::Away).expect("room");
        assert_eq!(run(&mut program, &frame).1, Verdict::NotGranted);
        assert_eq!(
            run(&mut program, &tcp(STRANGER, SECOND_MOVED, &[])).1,
            Verdict::NotGranted
        );
        program.remove_station(other).expect("removed");
    }
}
