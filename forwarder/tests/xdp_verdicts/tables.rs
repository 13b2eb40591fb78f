//! The station table and the own addresses, up to their ends and past them.

use std::net::{IpAddr, Ipv4Addr};

use causeway::xdp::XdpError;
use causeway_ebpf::{
    MAX_STATIONS, Place, Role, StationKey, Verdict,
    cases::{
        self,
        frames::{arp_request, dot1q, tcp},
    },
    maps::MAX_OWN_ADDRESSES,
};

use crate::{load, run};

/// The `n`th of many stations: spread over MAC addresses and VLANs.
fn station(n: u32) -> StationKey {
    let [_, a, b, c] = n.wrapping_mul(0x9e37_79b1).to_be_bytes();
    let [d, e, f, g] = n.to_be_bytes();
    StationKey::new(n as u16 % 4095, [0x02, a ^ d, b ^ e, c, f, g])
}

#[test]
fn a_full_station_table_finds_everyone_and_says_that_it_is_full() {
    let mut program = load();
    program
        .configure(&cases::config(Role::Site))
        .expect("configure");
    for n in 0..MAX_STATIONS {
        program.set_station(station(n), Place::Away).expect("room");
    }
    let error = program
        .set_station(station(MAX_STATIONS), Place::Away)
        .expect_err("full");
    assert!(
        matches!(error, XdpError::StationsFull { most: MAX_STATIONS }),
        "{error}"
    );

    // No socket: a frame to an away station is counted as such, one to any other as foreign.
    for n in 0..=MAX_STATIONS {
        let StationKey { vlan, mac } = station(n);
        program
            .test_run(&tcp(mac, cases::STRANGER, &[dot1q(vlan)]), 1)
            .expect("test run");
        program
            .test_run(&tcp(mac, cases::STRANGER, &[dot1q(vlan + 1)]), 1)
            .expect("test run");
    }
    let counters = program.counters().expect("counters");
    assert_eq!(counters[Verdict::NoSocket.index()], u64::from(MAX_STATIONS));
    assert_eq!(
        counters[Verdict::Foreign.index()],
        u64::from(MAX_STATIONS) + 2
    );

    program
        .set_station(station(7), Place::Home)
        .expect("a move needs no room");
    program.remove_station(station(8)).expect("removed");
    program.remove_station(station(8)).expect("removed already");
    program
        .set_station(station(MAX_STATIONS), Place::Away)
        .expect("room again");
    for (n, expected) in [
        (7, Verdict::Foreign),
        (8, Verdict::Foreign),
        (MAX_STATIONS, Verdict::NoSocket),
    ] {
        let StationKey { vlan, mac } = station(n);
        let frame = tcp(mac, cases::STRANGER, &[dot1q(vlan)]);
        assert_eq!(run(&mut program, &frame).1, expected, "station {n}");
    }
}

#[test]
fn own_addresses_follow_the_latest_list() {
    let mut program = load();
    program
        .configure(&cases::config(Role::Site))
        .expect("configure");
    let address = |n: u32| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + n));
    let verdict_for = |program: &mut _, n: u32| {
        let IpAddr::V4(target) = address(n) else {
            unreachable!()
        };
        run(program, &arp_request(cases::STRANGER, &[], target.octets())).1
    };
    program
        .set_own_addresses([address(1), address(2)])
        .expect("two");
    assert_eq!(verdict_for(&mut program, 1), Verdict::OwnAddress);
    assert_eq!(verdict_for(&mut program, 3), Verdict::NoSocket);
    program
        .set_own_addresses([address(2), address(3), address(3)])
        .expect("two, one new");
    assert_eq!(verdict_for(&mut program, 1), Verdict::NoSocket);
    assert_eq!(verdict_for(&mut program, 2), Verdict::OwnAddress);
    assert_eq!(verdict_for(&mut program, 3), Verdict::OwnAddress);

    program
        .set_own_addresses((0..MAX_OWN_ADDRESSES).map(address))
        .expect("full");
    let error = program
        .set_own_addresses((0..=MAX_OWN_ADDRESSES).map(address))
        .expect_err("more");
    assert!(
        matches!(
            error,
            XdpError::OwnAddressesFull {
                most: MAX_OWN_ADDRESSES
            }
        ),
        "{error}"
    );
    program.set_own_addresses([]).expect("none");
    assert_eq!(verdict_for(&mut program, 2), Verdict::NoSocket);
}

#[test]
fn probes_are_passed_while_they_are_told_and_no_longer() {
    let mut program = load();
    assert!(matches!(
        program.set_probes(&[cases::PROBE]),
        Err(XdpError::NotConfigured)
    ));
    program
        .configure(&cases::config(Role::Site).with_probes(false))
        .expect("configure");
    let answer = tcp(cases::PROBE, cases::STRANGER, &[]);
    let other = [0x02, 0xd0, 0xc7, 0x00, 0x00, 0x41];
    assert_eq!(run(&mut program, &answer).1, Verdict::Foreign);
    for (probes, expected) in [
        (&[cases::PROBE][..], Verdict::Probe),
        (&[other], Verdict::Foreign),
        (&[other, cases::PROBE], Verdict::Probe),
        (&[], Verdict::Foreign),
    ] {
        program.set_probes(probes).expect("set probes");
        assert_eq!(run(&mut program, &answer).1, expected, "{probes:02x?}");
    }
    // More than there is room for: as many as fit.
    let many: Vec<_> = (0..200).map(|n| [0x02, 0, 0, 0, 0, n]).collect();
    program.set_probes(&many).expect("as many as fit");
    let frame = tcp(many[63], cases::STRANGER, &[]);
    assert_eq!(run(&mut program, &frame).1, Verdict::Probe);
}
