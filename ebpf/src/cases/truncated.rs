//! Real frames, cut short.

use std::{format, vec::Vec};

use super::{
    Case, MOVED, MOVED_TAGGED, OWN_V4, OWN_V6, STRANGER,
    frames::{arp_request, dhcp_discover, dot1ad, dot1q, solicitation, tcp},
};
use crate::{maps::Role, verdict::Verdict};

/// Real frames, cut to every length from nothing to 60 bytes.
///
/// Each is malformed up to the last byte that the program needs of it: 14 of an Ethernet header,
/// 4 for each tag, 28 of an ARP packet, and of a solicitation more than all of the 60.
pub(super) fn cases() -> Vec<Case> {
    let tagged = [dot1q(10)];
    let double = [dot1ad(10), dot1q(99)];
    let moved = MOVED_TAGGED;
    let whole = [
        (
            "TCP",
            Role::Site,
            tcp(MOVED, STRANGER, &[]),
            14,
            Verdict::Tunnel,
        ),
        (
            "TCP",
            Role::Cloud,
            tcp(STRANGER, MOVED, &[]),
            14,
            Verdict::Tunnel,
        ),
        (
            "tagged TCP",
            Role::Site,
            tcp(moved, STRANGER, &tagged),
            18,
            Verdict::Tunnel,
        ),
        (
            "QinQ TCP",
            Role::Site,
            tcp(moved, STRANGER, &double),
            22,
            Verdict::Tunnel,
        ),
        (
            "QinQ TCP",
            Role::Cloud,
            tcp(STRANGER, moved, &double),
            22,
            Verdict::Tunnel,
        ),
        (
            "DHCP",
            Role::Site,
            dhcp_discover(STRANGER, &[]),
            14,
            Verdict::Flood,
        ),
        (
            "tagged DHCP",
            Role::Cloud,
            dhcp_discover(moved, &tagged),
            18,
            Verdict::Flood,
        ),
        (
            "ARP",
            Role::Site,
            arp_request(STRANGER, &[], OWN_V4),
            42,
            Verdict::OwnAddress,
        ),
        (
            "tagged ARP",
            Role::Site,
            arp_request(STRANGER, &tagged, [9; 4]),
            46,
            Verdict::Flood,
        ),
        (
            "QinQ ARP",
            Role::Cloud,
            arp_request(moved, &double, OWN_V4),
            50,
            Verdict::OwnAddress,
        ),
        (
            "ND",
            Role::Site,
            solicitation(STRANGER, &[], OWN_V6),
            78,
            Verdict::OwnAddress,
        ),
        (
            "ND",
            Role::Cloud,
            solicitation(MOVED, &[], OWN_V6),
            78,
            Verdict::OwnAddress,
        ),
    ];
    whole
        .iter()
        .flat_map(|&(name, role, ref frame, needed, verdict)| {
            (0..=60).map(move |length| {
                let expected = if length < needed {
                    Verdict::Malformed
                } else {
                    verdict
                };
                let name = format!("{name} cut to {length} bytes");
                Case::new(&name, role, frame[..length].to_vec(), expected)
            })
        })
        .collect()
}
