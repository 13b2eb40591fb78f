//! Cases that are the same at both ends.
//!
//! Their source is [`STRANGER`] where a verdict is reached before the source's place matters.

use std::vec::Vec;

use super::{
    BROADCAST, Case, LAN_PORT, MOVED, MOVED_TAGGED, OWN_V4, OWN_V6, PROBE, SERVER, STRANGER,
    frames::{
        ARP, IPV4, IPV6, arp_packet, arp_request, dot1ad, dot1q, frame, icmpv6_packet,
        solicitation, tcp,
    },
};
use crate::verdict::Verdict;

pub(super) fn cases() -> Vec<Case> {
    [
        malformed(),
        link_local(),
        own_mac(),
        own_address(),
        own_source(),
        probe(),
    ]
    .concat()
}

fn malformed() -> Vec<Case> {
    let group_source = [0x01, 0x00, 0x5e, 0x00, 0x00, 0x01];
    let arp = |length: usize| {
        [0, 1, 8, 0, 6, 4, 0, 1]
            .into_iter()
            .chain([0; 20])
            .take(length)
    };
    let mut short_arp = frame(BROADCAST, STRANGER, &[], ARP, &[]);
    short_arp.truncate(14);
    short_arp.extend(arp(27));
    let triple = [dot1ad(10), dot1q(10)];
    [
        ("a group source", tcp(MOVED, group_source, &[])),
        ("a broadcast source", tcp(LAN_PORT, BROADCAST, &[])),
        (
            "a group source in a VLAN",
            tcp(MOVED, group_source, &[dot1q(10)]),
        ),
        (
            "a group source to a link-local group",
            tcp([1, 0x80, 0xc2, 0, 0, 0], BROADCAST, &[]),
        ),
        ("an ARP request one byte too short", short_arp),
        (
            "a tag and no more",
            tcp(MOVED, STRANGER, &[dot1q(10)])[..17].to_vec(),
        ),
        (
            "two tags and no more",
            tcp(MOVED, STRANGER, &triple)[..21].to_vec(),
        ),
    ]
    .into_iter()
    .flat_map(|(name, frame)| Case::both(name, &frame, Verdict::Malformed))
    .collect()
}

fn link_local() -> Vec<Case> {
    let bpdu = [0x42, 0x42, 0x03, 0, 0, 0, 0, 0];
    let lacp = [0x01, 0x01, 0x01, 0x14];
    let reserved = |last| [0x01, 0x80, 0xc2, 0x00, 0x00, last];
    let pvst = [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd];
    [
        (
            "a BPDU of STP",
            frame(reserved(0), STRANGER, &[], 38, &bpdu),
        ),
        (
            "a BPDU in a VLAN",
            frame(reserved(0), STRANGER, &[dot1q(10)], 38, &bpdu),
        ),
        (
            "a pause frame",
            frame(reserved(1), STRANGER, &[], 0x8808, &[0, 1, 0xff, 0xff]),
        ),
        ("LACP", frame(reserved(2), STRANGER, &[], 0x8809, &lacp)),
        (
            "LACP of the lan port",
            frame(reserved(2), LAN_PORT, &[], 0x8809, &lacp),
        ),
        (
            "LLDP of a moved station",
            frame(reserved(0x0e), MOVED, &[], 0x88cc, &[2, 7, 4]),
        ),
        (
            "the last reserved group",
            frame(reserved(0x0f), STRANGER, &[], 0x88cc, &[]),
        ),
        (
            "a BPDU of Cisco's PVST+",
            frame(pvst, STRANGER, &[dot1q(10)], 50, &[0xaa, 0xaa, 3]),
        ),
    ]
    .into_iter()
    .flat_map(|(name, frame)| Case::both(name, &frame, Verdict::LinkLocal))
    .collect()
}

fn own_mac() -> Vec<Case> {
    let arp_reply = arp_packet(2, (STRANGER, [192, 0, 2, 7]), OWN_V4);
    let advertisement = icmpv6_packet(136, OWN_V6);
    [
        ("TCP for the host", tcp(LAN_PORT, STRANGER, &[])),
        (
            "TCP for the host from a listed server",
            tcp(LAN_PORT, SERVER, &[]),
        ),
        (
            "TCP for the host in a VLAN",
            tcp(LAN_PORT, STRANGER, &[dot1q(10)]),
        ),
        (
            "TCP for the host, priority-tagged",
            tcp(LAN_PORT, STRANGER, &[dot1q(0)]),
        ),
        (
            "an ARP reply for the host",
            frame(LAN_PORT, STRANGER, &[], ARP, &arp_reply),
        ),
        (
            "an advertisement for the host",
            frame(LAN_PORT, STRANGER, &[], IPV6, &advertisement),
        ),
        (
            "a cut ARP packet for the host",
            frame(LAN_PORT, STRANGER, &[], ARP, &[])[..20].to_vec(),
        ),
    ]
    .into_iter()
    .flat_map(|(name, frame)| Case::both(name, &frame, Verdict::OwnMac))
    .collect()
}

fn own_address() -> Vec<Case> {
    let probe = arp_packet(1, (STRANGER, [0; 4]), OWN_V4);
    let announcement = arp_packet(2, (STRANGER, OWN_V4), OWN_V4);
    let all_nodes = [0x33, 0x33, 0, 0, 0, 1];
    [
        ("ARP for the host", arp_request(STRANGER, &[], OWN_V4)),
        (
            "ARP for the host from a listed server",
            arp_request(SERVER, &[], OWN_V4),
        ),
        (
            "ARP for the host, 802.1Q",
            arp_request(STRANGER, &[dot1q(10)], OWN_V4),
        ),
        (
            "ARP for the host, 802.1ad",
            arp_request(STRANGER, &[dot1ad(10)], OWN_V4),
        ),
        (
            "ARP for the host, QinQ",
            arp_request(STRANGER, &[dot1ad(9), dot1q(10)], OWN_V4),
        ),
        (
            "ARP for the host, priority-tagged",
            arp_request(STRANGER, &[dot1q(0)], OWN_V4),
        ),
        (
            "a probe of the host's address",
            frame(BROADCAST, STRANGER, &[], ARP, &probe),
        ),
        (
            "somebody announcing our address",
            frame(BROADCAST, STRANGER, &[], ARP, &announcement),
        ),
        ("ND for the host", solicitation(STRANGER, &[], OWN_V6)),
        (
            "ND for the host, 802.1Q",
            solicitation(STRANGER, &[dot1q(10)], OWN_V6),
        ),
        (
            "ND for the host, QinQ",
            solicitation(STRANGER, &[dot1ad(9), dot1q(10)], OWN_V6),
        ),
        (
            "ND for the host to all nodes",
            frame(all_nodes, STRANGER, &[], IPV6, &icmpv6_packet(135, OWN_V6)),
        ),
    ]
    .into_iter()
    .flat_map(|(name, frame)| Case::both(name, &frame, Verdict::OwnAddress))
    .collect()
}

/// Answers to probes of `causeway doctor`, and probes that come back, whoever the other side is.
fn probe() -> Vec<Case> {
    let answer = arp_packet(2, (SERVER, [192, 0, 2, 9]), [0; 4]);
    [
        (
            "an answer to a probe",
            frame(PROBE, SERVER, &[], ARP, &answer),
        ),
        (
            "an answer to a probe, 802.1Q",
            frame(PROBE, STRANGER, &[dot1q(10)], ARP, &answer),
        ),
        (
            "a moved station's answer to a probe, QinQ",
            frame(PROBE, STRANGER, &[dot1ad(9), dot1q(10)], ARP, &answer),
        ),
        ("a probe come back", arp_request(PROBE, &[], [192, 0, 2, 9])),
        (
            "a probe for the host's address come back",
            arp_request(PROBE, &[dot1q(10)], OWN_V4),
        ),
    ]
    .into_iter()
    .flat_map(|(name, frame)| Case::both(name, &frame, Verdict::Probe))
    .collect()
}

/// What the host itself sent, come back through a teamed uplink.
fn own_source() -> Vec<Case> {
    [
        (
            "our own broadcast",
            arp_request(LAN_PORT, &[], [192, 0, 2, 9]),
        ),
        (
            "our own ARP for ourselves",
            arp_request(LAN_PORT, &[], OWN_V4),
        ),
        ("our own unicast", tcp(SERVER, LAN_PORT, &[])),
        ("our own frame to ourselves", tcp(LAN_PORT, LAN_PORT, &[])),
        (
            "our own frame to a moved station",
            tcp(MOVED_TAGGED, LAN_PORT, &[dot1q(10)]),
        ),
        (
            "our own broadcast in a VLAN",
            frame(BROADCAST, LAN_PORT, &[dot1ad(7)], IPV4, &[]),
        ),
    ]
    .into_iter()
    .flat_map(|(name, frame)| Case::both(name, &frame, Verdict::Reflection))
    .collect()
}
