//! What an end with the right key may say all the same: each side admits only what the other was granted.

use std::{net::SocketAddr, time::Duration};

use causeway::status::Status;
use causeway_tunnel::{
    message::{Hello, Message, Role},
    session::Session,
    stations::{Station, StationsUpdate},
    wire::NextHeader,
};

use crate::{
    attack::{seen, watch},
    insider::{CLOUD, Insider, Lane, Way, hello, socket, unix_time},
    lab::{DC, Lab, PATIENCE, VM1, within},
};

const VM2: &str = "00:50:56:00:00:51";
const BROADCAST: &str = "ff:ff:ff:ff:ff:ff";
const NOBODY: &str = "02:00:00:00:be:ef";

/// A test frame: Ethertype 0x88B5 and a number, of 60 bytes and whatever tags there are.
fn frame(number: u32, destination: &str, source: &str, tags: &[u16]) -> Vec<u8> {
    let mac = |text: &str| {
        text.split(':')
            .map(|o| u8::from_str_radix(o, 16).unwrap())
            .collect::<Vec<_>>()
    };
    let tags: Vec<u8> = tags
        .iter()
        .flat_map(|vid| [[0x81, 0], vid.to_be_bytes()].concat())
        .collect();
    let mut frame = [mac(destination), mac(source), tags, vec![0x88, 0xb5]].concat();
    frame.extend(number.to_be_bytes());
    frame.resize(frame.len() + 42, 0);
    frame
}

/// One thing to say, and the counter that has to name it.
type Case = (&'static str, Vec<u8>, NextHeader);

fn lone(reason: &'static str, frame: Vec<u8>) -> Case {
    (reason, frame, NextHeader::Ethernet)
}

/// Says each thing and finds it counted under its reason and no other.
#[track_caller]
fn say_all(lab: &Lab, end: &str, lane: &mut Lane, way: &Way, cases: Vec<Case>) {
    let mut before = lab.status(end).drops;
    for (reason, payload, next_header) in cases {
        way.send(&lane.seal(&payload, next_header));
        let mut after = before.clone();
        let counted = within(Duration::from_secs(5), || {
            after = lab.status(end).drops;
            after != before
        });
        *before.get_mut(reason).unwrap() += 1;
        assert!(
            counted && after == before,
            "{reason} for {payload:02x?}: {after:?}"
        );
    }
}

fn injected(status: &Status) -> u64 {
    status.peers[0].rx_frames
}

/// Says something that is allowed; so what comes before it has been judged, and the ways are right.
#[track_caller]
fn say_allowed(lab: &Lab, end: &str, lane: &mut Lane, way: &Way, frame: &[u8]) {
    let before = injected(&lab.status(end));
    way.send(&lane.seal(frame, NextHeader::Ethernet));
    assert!(within(PATIENCE, || injected(&lab.status(end)) == before + 1));
}

#[test]
fn a_cloud_end_speaks_only_for_the_stations_granted_to_it() {
    let lab = Lab::up(&[]);
    lab.start("site", &[]);
    // As far from our clock as a number can be.
    let unix_time = unix_time().wrapping_add(1 << 63);
    let cloud = Insider::new(
        &lab,
        "cloud",
        CLOUD,
        Hello {
            unix_time,
            ..hello(Role::Cloud)
        },
    );
    let (_session, mut lane) = cloud.accept();
    assert!(within(PATIENCE, || lab.status("site").peers[0].state == "up"));
    let uplink: SocketAddr = lab.status("site").workers[0].uplink.parse().unwrap();
    let target = SocketAddr::new("198.51.100.2".parse().unwrap(), uplink.port());
    let way = Way::new(socket(&lab, "cloud", "203.0.113.2:0"), target);

    let dc = watch(&lab, "dc");
    let cases = vec![
        lone("spoofed_source", frame(1, DC, NOBODY, &[])),
        lone("spoofed_source", frame(2, BROADCAST, NOBODY, &[])),
        lone("spoofed_source", frame(3, "02:77:00:00:00:03", DC, &[])),
        lone("spoofed_source", frame(4, DC, "02:77:00:00:00:02", &[])),
        lone("spoofed_source", frame(5, DC, VM1, &[7])),
        lone("spoofed_source", frame(6, DC, VM1, &[7, 9])),
        lone("spoofed_source", frame(7, DC, "01:50:56:00:00:50", &[])),
        lone("spoofed_source", frame(8, DC, BROADCAST, &[])),
        lone("spoofed_source", frame(9, DC, "00:00:00:00:00:00", &[])),
        lone("link_local", frame(10, "01:80:c2:00:00:00", VM1, &[])),
        lone("link_local", frame(11, "01:80:c2:00:00:01", VM1, &[])),
        lone("link_local", frame(12, "01:00:0c:cc:cc:cc", VM1, &[])),
        lone("split_horizon", frame(13, VM2, VM1, &[])),
        lone("split_horizon", frame(14, VM1, VM1, &[])),
        lone("bad_frame_length", frame(15, DC, VM1, &[])[..13].to_vec()),
        lone("bad_frame_length", frame(16, DC, VM1, &[0])[..17].to_vec()),
        lone("bad_frame_length", vec![]),
        lone(
            "lan_mtu",
            [frame(17, DC, VM1, &[]), vec![0; 1_600]].concat(),
        ),
        (
            "malformed_bundle",
            vec![0, 0, 0, 13, 1, 2, 3],
            NextHeader::Bundle,
        ),
        ("malformed_bundle", vec![0], NextHeader::Bundle),
    ];
    say_all(&lab, "site", &mut lane, &way, cases);
    say_allowed(&lab, "site", &mut lane, &way, &frame(100, DC, VM1, &[]));
    say_allowed(
        &lab,
        "site",
        &mut lane,
        &way,
        &frame(101, BROADCAST, VM2, &[]),
    );
    let sights = seen(dc);
    assert!(
        sights.numbers == [100, 101] && sights.strange.is_empty(),
        "{sights:?}"
    );
    assert_eq!(lab.status("site").peers[0].state, "up");
}

/// A site that grants vm1 alone.
fn grant_vm1(site: &Insider, session: &Session, lab: &Lab) {
    let vm1 = Station {
        vlan: 0,
        mac: [0, 0x50, 0x56, 0, 0, 0x50],
    };
    // No stations are these: a group address, a VLAN that does not exist, and nothing.
    let group = Station {
        vlan: 0,
        mac: [1, 0x50, 0x56, 0, 0, 0x50],
    };
    let vlan = Station {
        vlan: 4_095,
        mac: vm1.mac,
    };
    let zero = Station {
        vlan: 0,
        mac: [0; 6],
    };
    let update = StationsUpdate {
        generation: 1,
        since: 0,
        added: vec![group, vlan, zero, vm1],
        withdrawn: vec![],
    };
    for message in update.into_messages() {
        site.wait(session.send(&message)).unwrap();
    }
    let granted = || lab.status("cloud").stations.into_keys().collect::<Vec<_>>() == [VM1];
    assert!(
        within(PATIENCE, granted),
        "{:?}",
        lab.status("cloud").stations
    );
}

#[test]
fn a_site_speaks_for_no_station_that_it_granted_and_to_no_other() {
    let lab = Lab::up(&[]);
    lab.start("cloud", &[]);
    let site = Insider::new(&lab, "site", "198.51.100.2:0", hello(Role::Site));
    let session = site.dial().unwrap();
    let mut lane = site.lane(&session).unwrap();
    let way = Way::new(
        socket(&lab, "site", "198.51.100.2:0"),
        CLOUD.parse().unwrap(),
    );
    grant_vm1(&site, &session, &lab);

    let (vm1, vm2) = (watch(&lab, "vm1"), watch(&lab, "vm2"));
    let cases = vec![
        lone("spoofed_source", frame(1, VM1, VM1, &[])),
        lone("spoofed_source", frame(2, BROADCAST, VM1, &[])),
        lone("spoofed_source", frame(3, VM1, "03:77:00:00:00:01", &[])),
        lone("split_horizon", frame(4, VM2, DC, &[])),
        lone("split_horizon", frame(5, NOBODY, DC, &[])),
        lone("split_horizon", frame(6, VM1, DC, &[7])),
        lone("link_local", frame(7, "01:80:c2:00:00:0e", DC, &[])),
        lone("bad_frame_length", vec![0; 13]),
    ];
    say_all(&lab, "cloud", &mut lane, &way, cases);
    say_allowed(&lab, "cloud", &mut lane, &way, &frame(100, VM1, DC, &[]));
    for (watching, wanted) in [(vm1, &[100][..]), (vm2, &[])] {
        let sights = seen(watching);
        assert!(
            sights.numbers == wanted && sights.strange.is_empty(),
            "{sights:?}"
        );
    }
}

/// Tables that contradict each other end the session, and what was granted before stays.
#[test]
fn a_station_table_out_of_turn_ends_the_session() {
    let lab = Lab::up(&[]);
    lab.start("cloud", &[]);
    let site = Insider::new(&lab, "site", "198.51.100.2:0", hello(Role::Site));
    let vm1 = Station {
        vlan: 0,
        mac: [0, 0x50, 0x56, 0, 0, 0x50],
    };
    let update = |since, generation| StationsUpdate {
        generation,
        since,
        added: vec![vm1],
        withdrawn: vec![],
    };
    let mut session = None;
    for (since, generation) in [(4, 5), (3, 2), (1, 1)] {
        let dialled = site.dial().unwrap();
        site.lane(&dialled).unwrap();
        grant_vm1(&site, &dialled, &lab);
        for message in update(since, generation).into_messages() {
            site.wait(dialled.send(&message)).unwrap();
        }
        let end = site.wait(async {
            loop {
                match dialled.recv().await {
                    Ok(
                        Message::Stations(_)
                        | Message::Lanes(_)
                        | Message::Hello(_)
                        | Message::Heard(_)
                        | Message::Allow(_)
                        | Message::Train(_)
                        | Message::Bye(_),
                    ) => {}
                    Err(error) => return error.to_string(),
                }
            }
        });
        assert!(end.contains("stations"), "{since} to {generation}: {end}");
        session = Some(dialled);
    }
    drop(session);
    assert_eq!(lab.status("cloud").stations.len(), 1);
}

/// A datagram of an earlier session that somebody held back is authentic, but its sender's address is no news.
#[test]
fn a_late_datagram_of_an_earlier_session_moves_no_lane() {
    let lab = Lab::up(&[]);
    lab.start("cloud", &[]);
    let site = Insider::new(&lab, "site", "198.51.100.2:0", hello(Role::Site));
    let home = socket(&lab, "site", "198.51.100.2:0");
    let address = home.local_addr().unwrap().to_string();
    let home = Way::new(home, CLOUD.parse().unwrap());
    let elsewhere = Way::new(
        socket(&lab, "site", "198.51.100.2:0"),
        CLOUD.parse().unwrap(),
    );
    let path = || {
        lab.status("cloud").peers[0].session.as_ref()?.tx_lanes[0]
            .path
            .clone()
    };

    let first = site.dial().unwrap();
    let mut earlier = site.lane(&first).unwrap();
    home.send(&earlier.seal(&[], NextHeader::Dummy));
    assert!(within(PATIENCE, || path() == Some(address.clone())));
    let held_back = earlier.seal(&[], NextHeader::Dummy);
    let second = site.dial().unwrap();
    let mut current = site.lane(&second).unwrap();
    home.send(&current.seal(&[], NextHeader::Dummy));
    let received = || lab.status("cloud").workers[0].counters["wan_rx_datagrams"];
    assert!(within(PATIENCE, || received() == 2));
    elsewhere.send(&held_back);
    home.send(&current.seal(&[], NextHeader::Dummy));
    assert!(within(PATIENCE, || received() == 4));
    // What a worker learns, control hears a moment later.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(path(), Some(address.clone()));
    // The sender itself may move, as behind a NAT that gives it another port.
    elsewhere.send(&current.seal(&[], NextHeader::Dummy));
    assert!(within(PATIENCE, || path() != Some(address.clone())));
}

/// A peer gets the datagrams that it asks for, but not so many that others would have to wait.
#[test]
fn a_peer_that_asks_for_too_many_datagrams_gets_none() {
    let lab = Lab::up(&[]);
    lab.start("cloud", &[]);
    let site = Insider::new(&lab, "site", "198.51.100.2:0", hello(Role::Site));
    let way = Way::new(
        socket(&lab, "site", "198.51.100.2:0"),
        CLOUD.parse().unwrap(),
    );
    let session = site.dial().unwrap();
    let mut lane = site.lane(&session).unwrap();
    way.send(&lane.seal(&[], NextHeader::Dummy));
    let sent = || lab.status("cloud").workers[0].counters["keepalives"];
    // Those that open the lane.
    assert!(within(PATIENCE, || sent() == 3));
    let ask = |sizes: Vec<u16>| {
        let train = causeway_tunnel::message::Train { sizes };
        site.wait(session.send(&Message::Train(train))).unwrap();
    };
    ask(vec![0; 900_000]);
    ask(vec![1_000; 100]);
    assert!(within(PATIENCE, || sent() >= 103));
    assert_eq!(sent(), 103);
    for _ in 0..20 {
        ask(vec![200; 2_000]);
    }
    std::thread::sleep(Duration::from_secs(1));
    // Eight million bytes, 300 counted for each datagram.
    let most = (8 << 20) / 500;
    assert!((2_000..most + 200).contains(&sent()), "{}", sent());
    let status = lab.status("cloud");
    assert_eq!(
        (status.peers[0].state.as_str(), status.drops["uplink_full"]),
        ("up", 0)
    );
}
