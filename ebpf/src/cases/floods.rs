//! Cases of the flood policies, which the configuration of the other cases does not have.

use std::vec::Vec;

use super::{
    BROADCAST, Case, MOVED, OWN_V4, STRANGER,
    frames::{IPV6, arp_request, dhcp_discover, dot1ad, dot1q, frame, icmpv6_packet, tcp},
};
use crate::{
    flood::FloodPolicy::{self, All, Essential, EssentialAndMulticast, Nothing},
    maps::Role,
    verdict::Verdict::{self, Flood, OwnAddress},
};

/// What is kept back by which policy, at both ends.
pub fn floods() -> Vec<(FloodPolicy, Case)> {
    let ends = [
        (Role::Site, STRANGER, MOVED),
        (Role::Cloud, MOVED, STRANGER),
    ];
    let of = |(role, source, other)| {
        let rows = [
            (All, 0),
            (EssentialAndMulticast, 1),
            (Essential, 2),
            (Nothing, 3),
        ];
        rows.into_iter()
            .flat_map(move |(policy, column)| {
                rows_at(source, other)
                    .into_iter()
                    .map(move |(name, frame, verdicts)| {
                        (policy, Case::new(name, role, frame, verdicts[column]))
                    })
            })
            .collect::<Vec<_>>()
    };
    ends.into_iter().flat_map(of).collect()
}

type Row = (&'static str, Vec<u8>, [Verdict; 4]);

fn rows_at(source: [u8; 6], other: [u8; 6]) -> Vec<Row> {
    let kept = Verdict::FloodPolicy;
    let essential = [Flood, Flood, Flood, kept];
    let group = [0x01, 0x00, 0x5e, 1, 2, 3];
    let all_nodes = [0x33, 0x33, 0, 0, 0, 1];
    let tag = [dot1q(4094)];
    let nd = |kind| {
        frame(
            all_nodes,
            source,
            &[],
            IPV6,
            &icmpv6_packet(kind, [0xfd; 16]),
        )
    };
    // At either end a unicast frame to the other crosses, whatever the policy.
    [
        ("ARP", arp_request(source, &tag, [192, 0, 2, 99]), essential),
        (
            "ARP for the host",
            arp_request(source, &[], OWN_V4),
            [OwnAddress; 4],
        ),
        ("DHCP", dhcp_discover(source, &[]), essential),
        ("a router advertisement", nd(134), essential),
        (
            "an ICMPv6 echo to all nodes",
            nd(128),
            [Flood, Flood, kept, kept],
        ),
        (
            "a broadcast",
            tcp(BROADCAST, source, &tag),
            [Flood, kept, kept, kept],
        ),
        (
            "a multicast",
            tcp(group, source, &[]),
            [Flood, Flood, kept, kept],
        ),
        (
            "DHCP with an IPv4 header cut short",
            dhcp_discover(source, &[dot1ad(4094), dot1q(7)])[..22 + 9].to_vec(),
            [Flood, kept, kept, kept],
        ),
        ("unicast", tcp(other, source, &[]), [Verdict::Tunnel; 4]),
    ]
    .to_vec()
}
