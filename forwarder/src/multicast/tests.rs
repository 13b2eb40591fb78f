use std::time::{Duration, Instant};

use causeway_ebpf::cases::frames::{arp_request, dot1q, tcp};

use super::{
    said::tests::{igmp, mld},
    spec::MulticastSpec,
    *,
};
use crate::{spec::PeerSpec, vlans::Vlans, worker::Origin};

const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1];
const GROUP: [u8; 6] = [0x01, 0x00, 0x5e, 1, 2, 3];
const JOIN: [u8; 8] = [0x16, 0, 0, 0, 239, 1, 2, 3];
const LEAVE: [u8; 8] = [0x17, 0, 0, 0, 239, 1, 2, 3];
const QUERY: [u8; 8] = [0x11, 100, 0, 0, 0, 0, 0, 0];

fn only(peers: &[PeerIndex]) -> Audience {
    let mut set = PeerSet::default();
    peers.iter().for_each(|peer| set.insert(*peer));
    Audience::Only(set)
}

fn from_host(message: &[u8]) -> Vec<u8> {
    igmp([192, 0, 2, 7], message)
}

#[test]
fn groups_go_where_they_are_wanted_once_somebody_asks() {
    let (mut heard, none, now) = (Memberships::new(2), Groups::new([], true), Instant::now());
    let data = tcp(GROUP, HOST, &[]);
    assert!(heard.hear(&from_host(&JOIN), 0, Origin::Peer(1), now));
    let before = heard.snapshot(&none);
    assert_eq!(before.audience(&data), Audience::Policy, "nobody was asked");
    assert_eq!(before.audience(&from_host(&JOIN)), Audience::Everybody);

    assert!(heard.hear(&from_host(&QUERY), 0, Origin::Peer(2), now));
    assert!(!heard.hear(&from_host(&QUERY), 0, Origin::Peer(2), now));
    let groups = heard.snapshot(&none);
    assert_eq!(
        groups.audience(&data),
        only(&[1, 2]),
        "members and queriers"
    );
    let other = tcp([0x01, 0x00, 0x5e, 9, 9, 9], HOST, &[]);
    assert_eq!(groups.audience(&other), only(&[2]));
    assert_eq!(groups.audience(&from_host(&JOIN)), only(&[2]), "a report");
    assert_eq!(groups.audience(&from_host(&QUERY)), Audience::Everybody);
    assert_eq!(
        groups.audience(&mld([0xfe, 0x80], &[130, 0])),
        Audience::Everybody
    );
    // Another VLAN is asked by itself.
    assert_eq!(
        groups.audience(&tcp(GROUP, HOST, &[dot1q(7)])),
        Audience::Policy
    );
    for flooded in [
        arp_request(HOST, &[], [192, 0, 2, 1]),
        tcp([0x01, 0x00, 0x5e, 0, 0, 5], HOST, &[]),
        tcp([0x33, 0x33, 0, 0, 0, 1], HOST, &[]),
        tcp([0x33, 0x33, 0xff, 1, 2, 3], HOST, &[]),
        tcp([0x01, 0x0c, 0xcd, 1, 2, 3], HOST, &[]),
        tcp([0xff; 6], HOST, &[]),
    ] {
        assert_eq!(
            groups.audience(&flooded),
            Audience::Policy,
            "{flooded:02x?}"
        );
    }
}

#[test]
fn members_leave_and_are_forgotten() {
    let (mut heard, none, now) = (Memberships::new(2), Groups::new([], true), Instant::now());
    let later = |seconds| now + Duration::from_secs(seconds);
    heard.hear(&from_host(&QUERY), 0, Origin::Lan, now);
    heard.hear(&from_host(&JOIN), 0, Origin::Peer(1), now);
    heard.hear(&from_host(&JOIN), 0, Origin::Lan, now);
    let wanted = |heard: &Memberships| heard.snapshot(&none).audience(&tcp(GROUP, HOST, &[]));
    assert_eq!(wanted(&heard), only(&[1]), "the querier is here");
    heard.hear(&from_host(&LEAVE), 0, Origin::Peer(1), now);
    assert!(!heard.age(later(2)));
    // Another member answers the query that follows.
    heard.hear(&from_host(&JOIN), 0, Origin::Peer(1), later(2));
    assert!(!heard.age(later(4)));
    heard.hear(&from_host(&LEAVE), 0, Origin::Peer(1), later(4));
    assert!(heard.age(later(8)));
    assert_eq!(wanted(&heard), only(&[]));
    assert!(heard.age(later(256)), "the querier is silent");
    assert_eq!(wanted(&heard), Audience::Policy);
}

#[test]
fn of_a_peer_with_more_groups_than_are_kept_all_are_flooded_there() {
    let (mut heard, none, now) = (Memberships::new(2), Groups::new([], true), Instant::now());
    let later = |seconds| now + Duration::from_secs(seconds);
    let join = |heard: &mut Memberships, n: u32, peer, now| {
        let [_, _, c, d] = n.to_be_bytes();
        let report = from_host(&[0x16, 0, 0, 0, 239, 7, c, d]);
        heard.hear(&report, 0, Origin::Peer(peer), now)
    };
    heard.hear(&from_host(&QUERY), 0, Origin::Lan, now);
    for n in 0..20_000 {
        join(&mut heard, n, 1, now);
    }
    let overflowed = |heard: &Memberships| heard.overflowed().collect::<Vec<_>>();
    assert_eq!(overflowed(&heard), [1]);
    assert_eq!((heard.refused(0), heard.refused(1)), (0, 20_000 - 16_384));
    assert_eq!(heard.members().count(), 16_384);
    // Others are still believed, and get what they want and nothing else.
    assert!(heard.hear(&from_host(&JOIN), 0, Origin::Peer(0), now));
    let audience = |heard: &Memberships, frame: &[u8]| heard.snapshot(&none).audience(frame);
    let (wanted, other) = (tcp(GROUP, HOST, &[]), [0x01, 0x00, 0x5e, 9, 9, 9]);
    assert_eq!(audience(&heard, &wanted), only(&[0, 1]));
    assert_eq!(audience(&heard, &tcp(other, HOST, &[])), only(&[1]));
    assert_eq!(audience(&heard, &from_host(&JOIN)), only(&[]), "a report");
    // As long as a group that was not kept may be listened to.
    join(&mut heard, 19_999, 1, later(100));
    heard.age(later(259));
    assert_eq!(overflowed(&heard), [1]);
    join(&mut heard, 19_999, 1, later(261));
    assert!(heard.age(later(262)));
    join(&mut heard, 19_999, 1, later(263));
    assert!(heard.age(later(522)) && overflowed(&heard).is_empty());
    assert_eq!(heard.members().count(), 1);
    // Forgotten, they leave their places to others.
    heard.age(later(800));
    assert!((0..16_384).all(|n| join(&mut heard, n, 1, later(801))));
}

#[test]
fn a_list_names_groups_and_peers() {
    let key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let peers: Vec<PeerSpec> = ["a", "b"]
        .map(|n| format!("{n}={key}").parse().unwrap())
        .into();
    let of = |texts: &[&str]| {
        let specs: Vec<MulticastSpec> = texts.iter().map(|t| t.parse().unwrap()).collect();
        spec::groups(&peers, &specs, false, &Vlans::default())
    };
    let groups = of(&["239.1.2.3@7=a", "239.1.2.3=a,b", "ff05::102:304=b"]).unwrap();
    assert_eq!(groups.audience(&tcp(GROUP, HOST, &[dot1q(7)])), only(&[0]));
    assert_eq!(groups.audience(&tcp(GROUP, HOST, &[])), only(&[0, 1]));
    assert_eq!(
        groups.audience(&tcp([0x33, 0x33, 1, 2, 3, 4], HOST, &[])),
        only(&[1])
    );
    assert_eq!(
        groups.audience(&tcp([0x33, 0x33, 1, 2, 3, 5], HOST, &[])),
        Audience::Policy
    );
    assert!(
        of(&["239.1.2.3=c"])
            .unwrap_err()
            .to_string()
            .contains("no --peer names")
    );
    for bad in [
        "",
        "239.1.2.3",
        "10.0.0.1=a",
        "239.1.2.3@4095=a",
        "239.1.2.3@=a",
        "239.1.2.3=",
        "239.1.2.3=a,",
        "x=a",
    ] {
        assert!(bad.parse::<MulticastSpec>().is_err(), "{bad}");
    }
}
