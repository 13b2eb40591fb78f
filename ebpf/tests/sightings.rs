//! Sightings on the host: which frames, how often, and the form of an entry.
#![cfg(feature = "cases")]

use causeway_ebpf::{
    Role, Sighting, SightingKind, StationKey, Verdict,
    cases::{self, LAN_PORT, MOVED, SERVER, STRANGER, frames::tcp},
    sighting::{Budget, Told},
    sighting_of,
};

const MS: u64 = 1_000_000;

#[test]
fn strangers_at_the_cloud_and_away_stations_at_the_site_are_told_of_and_nobody_else() {
    for case in cases::all() {
        let told = sighting_of(&case.frame[..], &cases::config(case.role), case.expected);
        let ours = case.frame.get(6..12) == Some(&LAN_PORT);
        let kind = match case.expected {
            Verdict::NotGranted => Some(SightingKind::Unknown),
            Verdict::Reflection if !ours => Some(SightingKind::Returned),
            _ => None,
        };
        assert_eq!(told.map(|(kind, _)| kind), kind, "{}", case.name);
        if let Some((_, station)) = told {
            assert_eq!(case.frame[6..12], station.mac, "{}", case.name);
        }
    }
    let stranger = tcp(SERVER, STRANGER, &[]);
    let [nobody, somebody] = [false, true].map(|told| {
        let config = cases::config(Role::Cloud).with_strangers(told);
        sighting_of(&stranger[..], &config, Verdict::NotGranted)
    });
    assert!(nobody.is_none() && somebody.is_some(), "wants to hear");
    let ours = tcp(SERVER, LAN_PORT, &[]);
    let config = cases::config(Role::Cloud);
    assert_eq!(sighting_of(&ours[..], &config, Verdict::Reflection), None);
}

#[test]
fn an_entry_keeps_what_was_put_in() {
    let station = StationKey::new(10, MOVED);
    for length in [14, 127, 128, 129, 1_514] {
        let frame: Vec<u8> = (0..length).map(|n| n as u8).collect();
        let entry = Sighting::of(SightingKind::Returned, station, &frame);
        assert_eq!(
            (entry.station(), entry.kind()),
            (station, SightingKind::Returned)
        );
        assert_eq!(entry.length(), length);
        assert_eq!(entry.head(), &frame[..frame.len().min(128)]);
    }
}

#[test]
fn bytes_that_are_no_entry_are_none() {
    let mut bytes = [0_u8; size_of::<Sighting>()];
    assert_eq!(
        Sighting::from_bytes(&bytes),
        None,
        "a kind that there is not"
    );
    bytes[8] = SightingKind::Unknown as u8;
    bytes[10..12].copy_from_slice(&[0xff; 2]);
    let entry = Sighting::from_bytes(&bytes).expect("an entry");
    assert_eq!(entry.head().len(), 128, "never more than there is");
    assert_eq!(Sighting::from_bytes(&bytes[..bytes.len() - 1]), None);
}

#[test]
fn pauses_double_up_to_a_second_and_begin_anew_after_silence() {
    let (mut told, mut now) = (Told::first(0), 0);
    for pause in [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000] {
        assert_eq!(told.again(now + pause * MS - 1), None, "{pause}");
        now += pause * MS;
        told = told.again(now).expect("the pause is over");
    }
    assert_eq!(told.again(now - 5 * MS), None, "a clock that lags");
    assert_eq!(
        told.again(now + 16_000 * MS),
        Some(Told::first(now + 16_000 * MS))
    );
    let station = StationKey::new(4_095, STRANGER);
    assert_ne!(
        Told::key(SightingKind::Unknown, station),
        Told::key(SightingKind::Returned, station)
    );
}

#[test]
fn a_budget_lasts_for_its_window() {
    let (mut budget, now) = (Budget::new(), 1 << 40);
    for n in 0..Budget::ENTRIES {
        budget = budget.spend(now + n).expect("not spent yet");
    }
    assert_eq!(budget.spend(now + (1 << 27) - 1), None);
    assert!(budget.spend(now + (1 << 27)).is_some());
}
