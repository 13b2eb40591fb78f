//! What the control plane gets to see, and what it has the workers send.

use std::{net::Ipv4Addr, sync::Arc, time::Instant};

use causeway::{
    bindings::{Address, Known, Neighbours},
    snoop::{Arp, Kind},
    stations::{Role, StationKey, injected::InjectedSources},
    worker::{Command, Origin, Punted},
};
use causeway_ebpf::{cases::frames::arp_request, ethernet::EthernetHeader};
use causeway_tunnel::DropReason;

use crate::{
    ends::{End, Ends, MOVED, SERVER, frame, table},
    netns::{PATIENCE, in_namespace, wait_until},
};

fn next_punted(end: &mut End) -> Punted {
    let mut next = None;
    wait_until("a copy for the control plane", || {
        next = end.punts.pop();
        next.is_some()
    });
    next.unwrap()
}

#[test]
fn both_ends_see_who_asks_for_whom_and_nothing_else() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        for length in [60, 1_514] {
            let other = ends.site.frame(1, length);
            ends.site.send(&other);
            ends.cloud.expect(&other);
        }
        let asks = arp_request(SERVER, &[], [192, 0, 2, 9]);
        ends.site.send(&asks);
        ends.cloud.expect(&asks);
        let (site, cloud) = (next_punted(&mut ends.site), next_punted(&mut ends.cloud));
        assert_eq!((site.kind, site.origin), (Kind::Arp, Origin::Lan));
        assert_eq!((cloud.kind, cloud.origin), (Kind::Arp, Origin::Peer(0)));
        assert_eq!((site.frame(), cloud.frame()), (&asks[..], &asks[..]));
        for end in [&mut ends.site, &mut ends.cloud] {
            assert!(end.punts.pop().is_none());
            assert_eq!(end.counters().punted.get(), 1);
        }
    });
}

#[test]
fn frames_of_our_own_reach_the_lan_and_the_peer() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        let announces = frame([0xff; 6], MOVED, 1, 60);
        let too_long = frame([0xff; 6], MOVED, 1, 2_000);
        ends.site.tell(Command::Inject(vec![
            announces.clone(),
            too_long,
            vec![0; 13],
        ]));
        ends.site.expect(&announces);
        wait_until("both drops", || {
            ends.site.dropped(DropReason::BadFrameLength) == 1
        });
        assert_eq!(ends.site.dropped(DropReason::LanMtu), 1);
        assert_eq!(ends.site.counters().lan_injected.get(), 1);

        let asks = frame([0xff; 6], SERVER, 2, 60);
        ends.site.tell(Command::SendTo(0, vec![asks.clone()]));
        ends.cloud.expect(&asks);
        assert_eq!(ends.site.counters().wan_injected.get(), 1);
        ends.site.tell(Command::ClearTx(0));
        ends.site.tell(Command::SendTo(0, vec![asks]));
        wait_until("the drop", || ends.site.dropped(DropReason::NoSession) == 1);
    });
}

/// A switch at the cloud end may bring them back, and the program does not know their sources. None of them
/// is to be learnt as having moved there: a station that has just gone home least of all.
#[test]
fn frames_of_our_own_are_noted_where_stations_are_learnt() {
    const GONE_HOME: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x30];
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        let sources = Arc::new(InjectedSources::new(Instant::now()));
        let mut stations = table(Role::Cloud);
        stations.injected = Some(Arc::clone(&sources));
        ends.cloud.tell(Command::Stations(Arc::new(stations)));
        let noted = |mac, now| sources.is_recent(StationKey::new(0, mac), now);

        let before = Instant::now();
        let announces = frame([0xff; 6], GONE_HOME, 1, 60);
        ends.cloud.tell(Command::Inject(vec![announces.clone()]));
        ends.cloud.expect(&announces);
        assert!(noted(GONE_HOME, before) && !noted(SERVER, before));

        let ip = Ipv4Addr::new(192, 0, 2, 9);
        let address = Address {
            segment: 0,
            vlan: 0,
            ip: ip.into(),
        };
        let owner = Known {
            mac: SERVER,
            router: None,
        };
        let known = Neighbours::new([(address, owner)].into_iter());
        ends.cloud.tell(Command::Neighbours(Arc::new(known)));
        let before = Instant::now();
        ends.cloud.send(&arp_request(MOVED, &[], ip.octets()));
        let answer = ends.cloud.lan.receive(PATIENCE).expect("an answer nearby");
        let header = EthernetHeader::parse(&answer[..]).unwrap();
        let arp = Arp::parse(&answer, &header).unwrap();
        assert_eq!((arp.is_request, arp.sender), (false, (SERVER, ip)));
        assert!(noted(SERVER, before));
    });
}
