use super::*;

const VM: StationKey = StationKey::new(7, [0, 0x50, 0x56, 0, 0, 1]);
const OTHER: StationKey = StationKey::new(7, [0, 0x50, 0x56, 0, 0, 2]);

fn v4(number: u32) -> IpAddr {
    Ipv4Addr::from(0x0a00_0000 + number).into()
}

fn has(address: IpAddr) -> What {
    What::Has {
        address,
        router: None,
    }
}

fn of(bindings: &Bindings, station: StationKey) -> Vec<IpAddr> {
    bindings.of(0, station).map(|(ip, _)| ip).collect()
}

#[test]
fn who_says_it_last_has_it_and_who_only_tries_takes_nothing_away() {
    let (mut b, now) = (Bindings::new(2), Instant::now());
    assert_eq!(b.learn(0, VM, true, has(v4(1)), now), Learnt::News);
    assert_eq!(b.learn(0, VM, true, has(v4(1)), now), Learnt::Known);
    let tries = What::Tries(v4(1));
    assert_eq!(b.learn(0, OTHER, true, tries, now), Learnt::Nothing);
    assert_eq!(of(&b, VM), [v4(1)]);
    assert_eq!(b.learn(0, OTHER, true, has(v4(1)), now), Learnt::News);
    assert_eq!((of(&b, VM), of(&b, OTHER)), (vec![], vec![v4(1)]));
    assert_eq!(
        b.learn(0, OTHER, true, What::Tries(v4(2)), now),
        Learnt::News
    );
    // Another VLAN and another segment are other networks.
    let elsewhere = StationKey { vlan: 8, ..VM };
    assert_eq!(b.learn(0, elsewhere, true, has(v4(1)), now), Learnt::News);
    assert_eq!(b.learn(1, VM, true, has(v4(1)), now), Learnt::News);
    assert_eq!((b.len(), of(&b, OTHER).len()), (4, 2));
}

#[test]
fn what_a_server_gives_counts_if_it_was_asked_for() {
    let (mut b, now) = (Bindings::new(1), Instant::now());
    let address = Ipv4Addr::new(10, 0, 0, 9);
    assert_eq!(b.give(0, VM, true, address, now), Learnt::Nothing);
    b.learn(0, VM, true, What::Wants(address), now);
    let other = Ipv4Addr::new(10, 0, 0, 8);
    assert_eq!(b.give(0, VM, true, other, now), Learnt::Nothing);
    assert_eq!(b.give(0, OTHER, true, address, now), Learnt::Nothing);
    let late = now + WANTS_AGE;
    assert_eq!(b.give(0, VM, true, address, late), Learnt::Nothing);
    assert_eq!(b.give(0, VM, true, address, now), Learnt::News);
    assert_eq!(of(&b, VM), [IpAddr::from(address)]);
}

#[test]
fn a_station_has_so_many_and_all_hosts_leave_room_for_stations() {
    let (mut b, start) = (Bindings::new(1), Instant::now());
    for n in 0..20 {
        let now = start + Duration::from_secs(u64::from(n));
        assert_eq!(b.learn(0, VM, true, has(v4(n)), now), Learnt::News);
    }
    let left: Vec<_> = (4..20).map(v4).collect();
    assert_eq!(of(&b, VM), left);
    let host = |n: u32| StationKey::new(0, [2, 0, 0, 0, (n >> 8) as u8, n as u8]);
    for n in 0..65_536 {
        assert_eq!(b.learn(0, host(n), false, has(v4(n)), start), Learnt::News);
    }
    assert_eq!(
        b.learn(0, host(1), false, has(v4(70_000)), start),
        Learnt::Full
    );
    assert_eq!(
        b.learn(0, OTHER, true, has(v4(70_000)), start),
        Learnt::News
    );
    assert_eq!(
        b.snapshot()
            .get(&Address {
                segment: 0,
                vlan: 0,
                ip: v4(7)
            })
            .unwrap()
            .mac,
        host(7).mac
    );
}

#[test]
fn what_is_not_said_again_is_forgotten() {
    let (mut b, start) = (Bindings::new(1), Instant::now());
    b.learn(0, VM, true, has(v4(1)), start);
    b.learn(0, OTHER, false, has(v4(2)), start);
    let stations = |_, key| key == VM;
    assert!(!b.age(start + HOST_AGE - Duration::from_secs(1), stations));
    assert!(b.age(start + HOST_AGE, stations));
    assert_eq!((of(&b, VM).len(), of(&b, OTHER).len()), (1, 0));
    // It is none any more.
    assert!(b.age(start + HOST_AGE, |_, _| false));
    assert!(b.is_empty() && b.by_station.is_empty() && b.hosts[0] == 0);
}

#[test]
fn whether_it_is_a_router_is_kept_until_it_says_otherwise() {
    let (mut b, now) = (Bindings::new(1), Instant::now());
    let ip = IpAddr::V6("fd77::1".parse().unwrap());
    let says = |router| What::Has {
        address: ip,
        router,
    };
    assert_eq!(b.learn(0, VM, false, says(Some(true)), now), Learnt::News);
    assert_eq!(b.learn(0, VM, false, says(None), now), Learnt::Known);
    assert_eq!(b.of(0, VM).next(), Some((ip, Some(true))));
    assert_eq!(b.learn(0, VM, false, says(Some(false)), now), Learnt::News);
    assert_eq!(b.of(0, VM).next(), Some((ip, Some(false))));
}

#[test]
fn there_are_never_more_than_there_is_room_for() {
    let (mut b, now) = (Bindings::new(1), Instant::now());
    let who = |n: u32| StationKey::new(0, [2, 0, 0, (n >> 16) as u8, (n >> 8) as u8, n as u8]);
    for n in 0..MOST as u32 {
        let learnt = b.learn(0, who(n / 16), true, has(v4(n)), now);
        assert_eq!(learnt, Learnt::News);
    }
    let one_more = has(v4(MOST as u32));
    // A host first: those of stations may have taken its room.
    for (n, is_station) in [(100_000, false), (100_001, true)] {
        assert_eq!(b.learn(0, who(n), is_station, one_more, now), Learnt::Full);
    }
    assert_eq!(b.len(), MOST);
    // Who has an address keeps it when there is no room for who says that it has it now.
    assert_eq!(
        b.learn(0, who(100_000), false, has(v4(40)), now),
        Learnt::News
    );
    assert_eq!((b.len(), b.hosts[0]), (MOST, 1));
    assert_eq!(
        b.learn(0, who(100_000), true, has(v4(40)), now),
        Learnt::Known
    );
    // Of its own addresses a station may give up one.
    assert_eq!(b.learn(0, who(0), true, one_more, now), Learnt::News);
    assert_eq!(b.len(), MOST);
}

#[test]
fn what_there_is_no_room_for_takes_nothing_away() {
    let (mut b, now) = (Bindings::new(1), Instant::now());
    let who = |n: u32| StationKey::new(0, [2, 0, 0, (n >> 16) as u8, (n >> 8) as u8, n as u8]);
    let station = StationKey::new(0, VM.mac);
    b.learn(0, station, true, has(v4(1_000_000)), now);
    for n in 0..MOST as u32 / 2 {
        b.learn(0, who(n / 16), false, has(v4(n)), now);
    }
    // Hosts have their half: one more says that it has what the station has, and what it has besides stays too.
    let many = StationKey::new(0, OTHER.mac);
    for n in 0..MOST_OF_STATION as u32 {
        b.learn(0, many, true, has(v4(2_000_000 + n)), now);
    }
    for host in [who(100_000), many] {
        let learnt = b.learn(0, host, false, has(v4(1_000_000)), now);
        assert_eq!(learnt, Learnt::Full);
    }
    assert_eq!(of(&b, station), [v4(1_000_000)]);
    assert_eq!(of(&b, many).len(), MOST_OF_STATION);
    assert_eq!(b.hosts[0], MOST / 2);
    // A host's address can go to another host.
    assert_eq!(
        b.learn(0, who(100_000), false, has(v4(5)), now),
        Learnt::News
    );
    assert_eq!(b.hosts[0], MOST / 2);
}

#[test]
fn one_segments_hosts_leave_the_others_their_share() {
    let (mut b, now) = (Bindings::new(4), Instant::now());
    let host = |n: u32| StationKey::new(0, [2, 0, 0, (n >> 16) as u8, (n >> 8) as u8, n as u8]);
    let taken = |b: &mut Bindings, segment, n| b.learn(segment, host(n), false, has(v4(n)), now);
    let all = (0..MOST as u32).filter(|n| taken(&mut b, 1, *n) == Learnt::News);
    assert_eq!(all.count(), MOST / 8);
    for segment in [0, 2, 3] {
        let first = (0..MOST as u32 / 8).filter(|n| taken(&mut b, segment, *n) == Learnt::News);
        assert_eq!(first.count(), MOST / 8);
    }
    assert_eq!(b.learn(1, VM, true, has(v4(1)), now), Learnt::News);
    b.age(now + HOST_AGE, |_, station| station == VM);
    assert_eq!((b.len(), b.hosts), (1, vec![0; 4]));
}

/// It may be where it was, and silent: a question for it has to cross. One that has come home says so.
#[test]
fn who_is_a_station_no_more_is_known_when_it_is_heard_again() {
    let (mut b, start) = (Bindings::new(1), Instant::now());
    let later = start + Duration::from_secs(1);
    b.learn(0, VM, true, has(v4(1)), start);
    b.learn(0, OTHER, true, has(v4(2)), start);
    assert_eq!(b.learn(0, VM, false, has(v4(1)), later), Learnt::Known);
    assert_eq!(b.hosts[0], 1);
    assert!(b.age(later, |_, _| false));
    assert_eq!((of(&b, VM), of(&b, OTHER)), (vec![v4(1)], vec![]));
    assert_eq!(b.learn(0, VM, true, has(v4(1)), later), Learnt::Known);
    assert!(!b.age(later, |_, _| true));
    assert_eq!((b.len(), b.hosts[0]), (1, 0));
}
