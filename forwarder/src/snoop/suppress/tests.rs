use std::net::{Ipv4Addr, Ipv6Addr};

use causeway_ebpf::cases::frames::{arp_request, dot1ad, dot1q};

use super::*;
use crate::stations::Station;

const ASKER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const AWAY: [u8; 6] = [0, 0x50, 0x56, 0, 0, 1];
const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1];
const AWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1);
const QUIET_V6: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2);

fn site() -> StationTable {
    let mut table = StationTable::new(Role::Site);
    let (place, peer) = (Place::Away, 0);
    for vlan in [0, 7] {
        table.insert(StationKey::new(vlan, AWAY), Station { place, peer });
    }
    table
}

fn v4(last: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, last).into()
}

/// 192.0.2.1 and fd77::1 are away, fd77::2 as well, but not whether it is a router, 192.0.2.2 at home.
fn known() -> Neighbours {
    let known = |vlan, ip, mac, router| {
        let segment = 0;
        (Address { segment, vlan, ip }, Known { mac, router })
    };
    let all = [
        known(0, v4(1), AWAY, None),
        known(7, v4(1), AWAY, None),
        known(0, v4(2), HOST, None),
        known(0, AWAY_V6.into(), AWAY, Some(false)),
        known(0, QUIET_V6.into(), AWAY, None),
    ];
    Neighbours::new(all.into_iter())
}

/// `=` crosses, `A` answered, `H` at home, `L` lately.
fn fate(of: &mut Suppress, kind: Kind, frame: &[u8], now: Instant) -> char {
    match of.question(kind, frame, &site(), &known(), now) {
        Fate::Crosses => '=',
        Fate::Answered(_) => 'A',
        Fate::Dropped(DropReason::NeighbourAtHome) => 'H',
        Fate::Dropped(DropReason::AskedLately) => 'L',
        Fate::Dropped(other) => panic!("{other}"),
    }
}

#[test]
fn known_stations_are_answered_for_and_hosts_at_home_not_asked_for_elsewhere() {
    let now = Instant::now();
    let mut s = Suppress::new(now);
    let mut ask = |tags: &[[u8; 4]], last| {
        let frame = arp_request(ASKER, tags, [192, 0, 2, last]);
        fate(&mut s, Kind::Arp, &frame, now)
    };
    assert_eq!(
        [1, 1, 2, 2, 3, 3].map(|last| ask(&[], last)),
        ['A', 'A', 'H', 'H', '=', 'L']
    );
    assert_eq!([1, 2].map(|last| ask(&[dot1q(7)], last)), ['A', '=']);
    assert_eq!(ask(&[dot1q(8)], 1), '=');
    // What lies behind two tags is not known.
    assert_eq!(
        [1, 1].map(|last| ask(&[dot1ad(7), dot1q(8)], last)),
        ['=', '=']
    );
}

#[test]
fn an_unknown_address_is_asked_for_ever_more_seldom() {
    let start = Instant::now();
    let mut s = Suppress::new(start);
    let frame = arp_request(ASKER, &[], [192, 0, 2, 3]);
    let crossed = (0..100).filter(|second| {
        let now = start + Duration::from_secs(*second);
        fate(&mut s, Kind::Arp, &frame, now) == '='
    });
    assert_eq!(crossed.collect::<Vec<_>>(), [0, 1, 3, 7, 15, 31, 63, 95]);
}

#[test]
fn what_changes_something_and_probes_cross() {
    let now = Instant::now();
    let mut s = Suppress::new(now);
    let key = StationKey::new(0, HOST);
    let [away, home] = [v4(1), v4(2)].map(|ip| match ip {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => panic!("made as IPv4"),
    });
    for ip in [away, home] {
        for _ in 0..3 {
            assert_eq!(
                fate(&mut s, Kind::Arp, &arp::announcement(key, ip), now),
                '='
            );
        }
        let probe = arp::probe(key, ip);
        assert_eq!(fate(&mut s, Kind::Arp, &probe, now), '=');
        assert_eq!(fate(&mut s, Kind::Arp, &probe, now), 'L');
        assert_eq!(fate(&mut s, Kind::Arp, &probe, now + PROBES), '=');
    }
    let says = nd::advertisement(key, AWAY_V6, false);
    assert_eq!(fate(&mut s, Kind::Nd, &says, now), '=');
}

#[test]
fn neighbour_solicitations_are_answered_if_we_know_what_a_router_is() {
    let now = Instant::now();
    let mut s = Suppress::new(now);
    let asker = StationKey::new(0, ASKER);
    let asks = nd::solicitation(asker, AWAY_V6);
    let Fate::Answered(answer) = s.question(Kind::Nd, &asks, &site(), &known(), now) else {
        panic!("not answered");
    };
    let header = EthernetHeader::parse(&answer[..]).unwrap();
    assert_eq!((header.destination, header.source), (ASKER, AWAY));
    let says = Nd::Advertisement {
        target: AWAY_V6,
        router: false,
        overrides: true,
    };
    assert_eq!(Nd::parse(&answer, &header), Some(says));

    let asks = nd::solicitation(asker, QUIET_V6);
    assert_eq!(
        [0, 1].map(|_| fate(&mut s, Kind::Nd, &asks, now)),
        ['=', 'L']
    );
    // A nonce (RFC 3971) in the place of the link-layer address.
    let mut secure = nd::solicitation(asker, AWAY_V6).to_vec();
    secure[14 + 40 + 24] = 14;
    assert_eq!(fate(&mut s, Kind::Nd, &secure, now), '=');
}

/// The other end: who is granted lives here, everybody else at the site.
#[test]
fn at_the_cloud_hosts_of_the_site_are_answered_for() {
    let now = Instant::now();
    let mut s = Suppress::new(now);
    let mut cloud = StationTable::new(Role::Cloud);
    for mac in [AWAY, ASKER] {
        let (place, peer) = (Place::Home, 0);
        cloud.insert(StationKey::new(0, mac), Station { place, peer });
    }
    let mut ask = |last| {
        let frame = arp_request(ASKER, &[], [192, 0, 2, last]);
        match s.question(Kind::Arp, &frame, &cloud, &known(), now) {
            Fate::Answered(answer) => answer[6..12].to_vec(),
            Fate::Dropped(reason) => reason.label().into(),
            Fate::Crosses => Vec::new(),
        }
    };
    assert_eq!(ask(2), HOST);
    assert_eq!(ask(1), DropReason::NeighbourAtHome.label().as_bytes());
    assert_eq!(ask(3), [0; 0]);
}
