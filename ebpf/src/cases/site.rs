//! Cases of the site: moved stations are away, nobody else matters.

use std::vec::Vec;

use super::{
    BROADCAST, Case, HIGHEST, LAN_PORT, LOWEST, MOVED, MOVED_TAGGED, OWN_V4, OWN_V6, SECOND_MOVED,
    SERVER, STRANGER,
    frames::{
        ARP, IPV6, arp_packet, arp_request, dhcp_discover, dot1ad, dot1q, frame, icmpv6_packet,
        solicitation, tcp,
    },
};
use crate::{
    maps::Role,
    verdict::Verdict::{self, Flood, Foreign, Reflection, Tunnel},
};

pub(super) fn cases() -> Vec<Case> {
    [tunnel(), foreign(), flood(), reflection()]
        .concat()
        .into_iter()
        .map(|(name, frame, verdict)| Case::new(name, Role::Site, frame, verdict))
        .collect()
}

type Row = (&'static str, Vec<u8>, Verdict);

fn tunnel() -> Vec<Row> {
    let third = [dot1q(10), dot1q(11), dot1q(12)];
    [
        ("TCP to a moved station", tcp(MOVED, STRANGER, &[])),
        ("TCP from a listed server", tcp(MOVED, SERVER, &[])),
        (
            "priority-tagged TCP to a moved station",
            tcp(MOVED, SERVER, &[dot1q(0)]),
        ),
        (
            "802.1ad priority-tagged TCP",
            tcp(MOVED, SERVER, &[dot1ad(0)]),
        ),
        (
            "TCP to the highest ordinary VLAN",
            tcp(MOVED, STRANGER, &[dot1q(4094)]),
        ),
        (
            "TCP to a moved station in its VLAN",
            tcp(MOVED_TAGGED, SERVER, &[dot1q(10)]),
        ),
        (
            "the same by an 802.1ad tag",
            tcp(MOVED_TAGGED, SERVER, &[dot1ad(10)]),
        ),
        (
            "the outer tag of two is the VLAN",
            tcp(MOVED_TAGGED, SERVER, &[dot1ad(10), dot1q(7)]),
        ),
        (
            "two 802.1Q tags",
            tcp(MOVED_TAGGED, SERVER, &[dot1q(10), dot1q(7)]),
        ),
        ("a third tag is payload", tcp(MOVED_TAGGED, SERVER, &third)),
        (
            "a priority tag in front of the VLAN's",
            tcp(MOVED_TAGGED, SERVER, &[dot1q(0), dot1q(10)]),
        ),
        (
            "the smallest address",
            tcp(LOWEST, STRANGER, &[dot1q(4095)]),
        ),
        ("the largest address", tcp(HIGHEST, STRANGER, &[])),
        (
            "the stray source 00:00:00:00:00:00",
            tcp(MOVED, LOWEST, &[]),
        ),
        (
            "the moved station's MAC as a source elsewhere",
            tcp(MOVED, MOVED_TAGGED, &[]),
        ),
        (
            "a unicast ARP reply, whatever it is about",
            frame(
                MOVED,
                SERVER,
                &[],
                ARP,
                &arp_packet(2, (SERVER, OWN_V4), OWN_V4),
            ),
        ),
        (
            "a length instead of an ethertype",
            frame(MOVED, SERVER, &[], 46, &[0xaa, 0xaa, 3]),
        ),
    ]
    .map(|(name, frame)| (name, frame, Tunnel))
    .to_vec()
}

fn foreign() -> Vec<Row> {
    let own_mac_neighbour = [0x00, 0x50, 0x56, 0x00, 0x00, 0x02];
    [
        ("between strangers", tcp([2, 0, 0, 0, 0, 9], STRANGER, &[])),
        ("to a listed server", tcp(SERVER, STRANGER, &[])),
        (
            "to a listed server in its VLAN",
            tcp(SERVER, STRANGER, &[dot1q(10)]),
        ),
        (
            "a moved MAC in another VLAN",
            tcp(MOVED, STRANGER, &[dot1q(11)]),
        ),
        (
            "a tagged station's MAC untagged",
            tcp(MOVED_TAGGED, STRANGER, &[]),
        ),
        ("a tagged station's MAC in the inner tag", {
            tcp(MOVED_TAGGED, STRANGER, &[dot1ad(11), dot1q(10)])
        }),
        (
            "a MAC one bit from a moved one",
            tcp([0, 0x50, 0x56, 0, 1, 0x10], STRANGER, &[]),
        ),
        (
            "the smallest address in another VLAN",
            tcp(LOWEST, STRANGER, &[]),
        ),
        (
            "the largest address in another VLAN",
            tcp(HIGHEST, STRANGER, &[dot1q(1)]),
        ),
        (
            "a MAC next to the lan port's",
            tcp(own_mac_neighbour, STRANGER, &[]),
        ),
        (
            "a unicast ARP request for our address to another MAC",
            frame(
                SERVER,
                STRANGER,
                &[],
                ARP,
                &arp_packet(1, (STRANGER, [9; 4]), OWN_V4),
            ),
        ),
        ("a unicast solicitation for our address to another MAC", {
            frame(SERVER, STRANGER, &[], IPV6, &icmpv6_packet(135, OWN_V6))
        }),
    ]
    .map(|(name, frame)| (name, frame, Foreign))
    .to_vec()
}

fn flood() -> Vec<Row> {
    let other_v6 = [OWN_V6.as_slice()[..15].to_vec(), [2].to_vec()].concat();
    let other_v6: [u8; 16] = other_v6.try_into().expect("15 bytes and one");
    let gratuitous = arp_packet(1, (STRANGER, [192, 0, 2, 9]), [192, 0, 2, 9]);
    let probe = arp_packet(1, (STRANGER, [0; 4]), [192, 0, 2, 9]);
    let mut token_ring = arp_packet(1, (STRANGER, [9; 4]), OWN_V4);
    token_ring[1] = 6;
    let mut extended = icmpv6_packet(135, OWN_V6);
    extended[6] = 0;
    let group = [0x33, 0x33, 0, 0, 0, 1];
    let mdns = [0x01, 0x00, 0x5e, 0x00, 0x00, 0xfb];
    [
        (
            "ARP for another",
            arp_request(STRANGER, &[], [192, 0, 2, 9]),
        ),
        (
            "ARP for another in a VLAN",
            arp_request(STRANGER, &[dot1q(10)], [192, 0, 2, 9]),
        ),
        (
            "ARP of a listed server",
            arp_request(SERVER, &[], [192, 0, 2, 9]),
        ),
        (
            "a gratuitous ARP of another",
            frame(BROADCAST, STRANGER, &[], ARP, &gratuitous),
        ),
        (
            "an ARP probe for another",
            frame(BROADCAST, STRANGER, &[], ARP, &probe),
        ),
        (
            "ARP of another hardware",
            frame(BROADCAST, STRANGER, &[], ARP, &token_ring),
        ),
        (
            "ARP behind three tags",
            arp_request(STRANGER, &[dot1q(1), dot1q(2), dot1q(3)], OWN_V4),
        ),
        ("ND for another", solicitation(STRANGER, &[], other_v6)),
        (
            "an advertisement of another",
            frame(group, STRANGER, &[], IPV6, &icmpv6_packet(136, OWN_V6)),
        ),
        (
            "a router advertisement",
            frame(group, STRANGER, &[], IPV6, &icmpv6_packet(134, OWN_V6)),
        ),
        (
            "ND behind an extension header",
            frame(group, STRANGER, &[], IPV6, &extended),
        ),
        ("DHCP", dhcp_discover(STRANGER, &[])),
        ("DHCP in a VLAN", dhcp_discover(STRANGER, &[dot1q(10)])),
        (
            "DHCP, QinQ",
            dhcp_discover(STRANGER, &[dot1ad(10), dot1q(20)]),
        ),
        ("multicast DNS", tcp(mdns, STRANGER, &[])),
        (
            "the first group past the reserved ones",
            tcp([1, 0x80, 0xc2, 0, 0, 0x10], STRANGER, &[]),
        ),
        (
            "RARP, as after a migration",
            frame(BROADCAST, STRANGER, &[], 0x8035, &[0, 1, 8, 0]),
        ),
        (
            "a broadcast of a moved MAC in another VLAN",
            arp_request(MOVED, &[dot1q(11)], [9; 4]),
        ),
    ]
    .map(|(name, frame)| (name, frame, Flood))
    .to_vec()
}

fn reflection() -> Vec<Row> {
    [
        (
            "a moved station's broadcast",
            arp_request(MOVED, &[], [192, 0, 2, 9]),
        ),
        (
            "a moved station's ARP for the host",
            arp_request(MOVED, &[], OWN_V4),
        ),
        (
            "a moved station's ND for the host",
            solicitation(MOVED, &[], OWN_V6),
        ),
        (
            "a moved station's DHCP in its VLAN",
            dhcp_discover(MOVED_TAGGED, &[dot1q(10)]),
        ),
        (
            "a moved station's unicast to a server",
            tcp(SERVER, MOVED, &[]),
        ),
        (
            "a moved station's unicast to a stranger",
            tcp(STRANGER, MOVED, &[]),
        ),
        (
            "a moved station's unicast to the host",
            tcp(LAN_PORT, MOVED, &[]),
        ),
        ("between moved stations", tcp(SECOND_MOVED, MOVED, &[])),
        (
            "between moved stations of a VLAN",
            tcp(SECOND_MOVED, MOVED_TAGGED, &[dot1q(10)]),
        ),
        ("a moved station to itself", tcp(MOVED, MOVED, &[])),
        (
            "a priority-tagged broadcast",
            arp_request(MOVED, &[dot1q(0)], [192, 0, 2, 9]),
        ),
        (
            "a broadcast by QinQ",
            arp_request(MOVED_TAGGED, &[dot1ad(10), dot1q(5)], OWN_V4),
        ),
        (
            "the smallest address's broadcast",
            dhcp_discover(LOWEST, &[dot1q(4095)]),
        ),
        (
            "the largest address's broadcast",
            dhcp_discover(HIGHEST, &[]),
        ),
    ]
    .map(|(name, frame)| (name, frame, Reflection))
    .to_vec()
}
