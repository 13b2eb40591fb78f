//! Cases of the cloud end: granted stations are home, everybody else is on the other side.

use std::vec::Vec;

use super::{
    BROADCAST, Case, HIGHEST, LOWEST, MOVED, MOVED_TAGGED, OWN_V4, SECOND_MOVED, SERVER, STRANGER,
    frames::{
        ARP, arp_packet, arp_request, dhcp_discover, dot1ad, dot1q, frame, solicitation, tcp,
    },
};
use crate::{
    maps::Role,
    verdict::Verdict::{self, Flood, Local, NotGranted, Tunnel},
};

pub(super) fn cases() -> Vec<Case> {
    [tunnel(), local(), flood(), not_granted()]
        .concat()
        .into_iter()
        .map(|(name, frame, verdict)| Case::new(name, Role::Cloud, frame, verdict))
        .collect()
}

type Row = (&'static str, Vec<u8>, Verdict);

fn tunnel() -> Vec<Row> {
    [
        ("TCP to a listed server", tcp(SERVER, MOVED, &[])),
        ("TCP to a stranger", tcp(STRANGER, MOVED, &[])),
        ("TCP in a VLAN", tcp(STRANGER, MOVED_TAGGED, &[dot1q(10)])),
        (
            "TCP by an 802.1ad tag",
            tcp(SERVER, MOVED_TAGGED, &[dot1ad(10)]),
        ),
        (
            "TCP by QinQ",
            tcp(SERVER, MOVED_TAGGED, &[dot1ad(10), dot1q(7)]),
        ),
        ("priority-tagged TCP", tcp(SERVER, MOVED, &[dot1q(0)])),
        (
            "TCP in the highest ordinary VLAN",
            tcp(STRANGER, MOVED, &[dot1q(4094)]),
        ),
        (
            "to a granted MAC that is not in this VLAN",
            tcp(MOVED_TAGGED, MOVED, &[]),
        ),
        (
            "to the smallest address in another VLAN",
            tcp(LOWEST, HIGHEST, &[]),
        ),
        (
            "from the smallest address",
            tcp(STRANGER, LOWEST, &[dot1q(4095)]),
        ),
        (
            "a unicast ARP reply, whatever it is about",
            frame(
                STRANGER,
                MOVED,
                &[],
                ARP,
                &arp_packet(2, (MOVED, OWN_V4), OWN_V4),
            ),
        ),
    ]
    .map(|(name, frame)| (name, frame, Tunnel))
    .to_vec()
}

fn local() -> Vec<Row> {
    [
        ("between granted stations", tcp(SECOND_MOVED, MOVED, &[])),
        (
            "between granted stations of a VLAN",
            tcp(SECOND_MOVED, MOVED_TAGGED, &[dot1q(10)]),
        ),
        (
            "between granted stations, priority-tagged",
            tcp(HIGHEST, MOVED, &[dot1q(0)]),
        ),
        ("a granted station to itself", tcp(MOVED, MOVED, &[])),
    ]
    .map(|(name, frame)| (name, frame, Local))
    .to_vec()
}

fn flood() -> Vec<Row> {
    let mdns = [0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb];
    let gratuitous = arp_packet(1, (MOVED, [192, 0, 2, 9]), [192, 0, 2, 9]);
    [
        ("ARP for another", arp_request(MOVED, &[], [192, 0, 2, 9])),
        (
            "ARP for another, QinQ",
            arp_request(MOVED_TAGGED, &[dot1ad(10), dot1q(3)], [9; 4]),
        ),
        (
            "a gratuitous ARP",
            frame(BROADCAST, MOVED, &[], ARP, &gratuitous),
        ),
        ("ND for another", solicitation(MOVED, &[], [0xfe; 16])),
        ("DHCP", dhcp_discover(MOVED, &[])),
        ("DHCP in a VLAN", dhcp_discover(MOVED_TAGGED, &[dot1q(10)])),
        ("multicast DNS", tcp(mdns, SECOND_MOVED, &[])),
    ]
    .map(|(name, frame)| (name, frame, Flood))
    .to_vec()
}

fn not_granted() -> Vec<Row> {
    [
        ("a stranger's unicast", tcp(SERVER, STRANGER, &[])),
        (
            "a stranger's unicast to a granted station",
            tcp(MOVED, STRANGER, &[]),
        ),
        (
            "a stranger's broadcast",
            arp_request(STRANGER, &[], [192, 0, 2, 9]),
        ),
        ("a stranger's DHCP", dhcp_discover(STRANGER, &[])),
        (
            "a granted MAC in another VLAN",
            tcp(SERVER, MOVED, &[dot1q(11)]),
        ),
        (
            "a granted MAC of a VLAN untagged",
            tcp(SERVER, MOVED_TAGGED, &[]),
        ),
        (
            "a granted MAC's broadcast in another VLAN",
            arp_request(MOVED, &[dot1ad(9)], [9; 4]),
        ),
        (
            "a granted MAC hopping into a VLAN behind a priority tag",
            tcp(SERVER, MOVED, &[dot1q(0), dot1q(10)]),
        ),
        (
            "a granted MAC in the inner tag",
            tcp(SERVER, MOVED_TAGGED, &[dot1q(9), dot1q(10)]),
        ),
        ("what we injected, come back", tcp(MOVED, SERVER, &[])),
        (
            "a broadcast that we injected, come back",
            arp_request(SERVER, &[], [192, 0, 2, 9]),
        ),
        ("the same in a VLAN", dhcp_discover(SERVER, &[dot1q(10)])),
        (
            "the smallest address in another VLAN",
            tcp(SERVER, LOWEST, &[]),
        ),
    ]
    .map(|(name, frame)| (name, frame, NotGranted))
    .to_vec()
}
