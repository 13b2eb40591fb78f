//! Frames without which two LANs are not one: who has which address, and who listens to which group.
//!
//! The control plane wants to see them, and flooding asks for them first.

use crate::{
    ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader},
    packet::Packet,
};

/// What a frame is about, if it is one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ARP of any operation (RFC 826).
    Arp,
    /// Neighbour discovery: router and neighbour solicitations and advertisements (RFC 4861).
    Nd,
    /// DHCP for IPv4 (RFC 2131).
    Dhcp4,
    /// DHCP for IPv6 (RFC 8415).
    Dhcp6,
    /// Membership in IPv4 groups: IGMP of any version (RFC 3376).
    Igmp,
    /// Membership in IPv6 groups: MLD of any version (RFC 3810).
    Mld,
}

/// Numbers of protocols (IANA): in the header of IPv4 and, as next header, of IPv6.
const IGMP: u8 = 2;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const HOP_BY_HOP: u8 = 0;

const IPV6_HEADER: usize = 40;

impl Kind {
    /// The kind of a frame with this header, by its first 128 bytes at most; nearly all have none.
    ///
    /// Fragments but the first have none, nor do IPv6 packets behind extension headers, but for the hop-by-hop
    /// header of MLD: neighbour discovery may not be fragmented (RFC 6980), and nobody sends it otherwise.
    #[inline(always)]
    pub fn of<P: Packet + ?Sized>(frame: &P, header: &EthernetHeader) -> Option<Self> {
        match header.ethertype {
            ETHERTYPE_IPV4 => Self::of_ipv4(frame, header.len),
            ETHERTYPE_IPV6 => Self::of_ipv6(frame, header.len),
            ETHERTYPE_ARP => Some(Self::Arp),
            _ => None,
        }
    }

    /// Whether no two hosts can talk without it: ARP, neighbour discovery, DHCP.
    #[inline(always)]
    pub const fn is_essential(self) -> bool {
        matches!(self, Self::Arp | Self::Nd | Self::Dhcp4 | Self::Dhcp6)
    }

    #[inline(always)]
    fn of_ipv4<P: Packet + ?Sized>(frame: &P, at: usize) -> Option<Self> {
        let [protocol] = frame.load(at + 9)?;
        match protocol {
            UDP => {
                let [first] = frame.load(at)?;
                let header = 4 * usize::from(first & 0x0f);
                let fragment = frame.load_u16(at + 6)? & 0x1fff;
                let ports = frame.load(at + header)?;
                (fragment == 0 && is_between(ports, [67, 68])).then_some(Self::Dhcp4)
            }
            IGMP => Some(Self::Igmp),
            _ => None,
        }
    }

    #[inline(always)]
    fn of_ipv6<P: Packet + ?Sized>(frame: &P, at: usize) -> Option<Self> {
        let [next] = frame.load(at + 6)?;
        let behind = at + IPV6_HEADER;
        match next {
            UDP => is_between(frame.load(behind)?, [546, 547]).then_some(Self::Dhcp6),
            ICMPV6 => Self::of_icmpv6(frame, behind),
            HOP_BY_HOP => {
                let [next, words] = frame.load(behind)?;
                let behind = behind + 8 * (1 + usize::from(words));
                (next == ICMPV6).then(|| Self::of_icmpv6(frame, behind))?
            }
            _ => None,
        }
    }

    #[inline(always)]
    fn of_icmpv6<P: Packet + ?Sized>(frame: &P, at: usize) -> Option<Self> {
        let [kind] = frame.load(at)?;
        match kind {
            // Query, report, done; report of version 2.
            130..=132 | 143 => Some(Self::Mld),
            133..=136 => Some(Self::Nd),
            _ => None,
        }
    }
}

/// Whether both ports, source and destination, are of this protocol: a client's and a server's, in either
/// direction, or two relays'.
#[inline(always)]
const fn is_between(ports: [u8; 4], [one, other]: [u16; 2]) -> bool {
    let [s0, s1, d0, d1] = ports;
    let (from, to) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    (from == one || from == other) && (to == one || to == other)
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::{
        cases::frames::{arp_request, dhcp_discover, dot1ad, dot1q, solicitation, tcp},
        ethernet::HEADER_LEN,
    };

    const VM: [u8; 6] = [0, 0x50, 0x56, 0, 0, 0x50];

    fn kind(frame: &[u8]) -> Option<Kind> {
        Kind::of(frame, &EthernetHeader::parse(frame)?)
    }

    /// An IPv6 frame of this next header.
    fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = [&[0x33, 0x33, 0, 0, 0, 1][..], &VM, &[0x86, 0xdd, 0x60]].concat();
        frame.resize(HEADER_LEN + IPV6_HEADER, 0);
        frame[HEADER_LEN + 6] = next;
        [&frame[..], payload].concat()
    }

    #[test]
    fn what_says_who_has_an_address_is_seen_whatever_its_tags() {
        for tags in [&[][..], &[dot1q(7)], &[dot1ad(100), dot1q(7)]] {
            let arp = arp_request(VM, tags, [192, 0, 2, 9]);
            let ns = solicitation(VM, tags, [0xfd; 16]);
            assert_eq!(kind(&arp), Some(Kind::Arp));
            assert_eq!(kind(&ns), Some(Kind::Nd));
            assert_eq!(kind(&dhcp_discover(VM, tags)), Some(Kind::Dhcp4));
            assert_eq!(kind(&tcp(VM, [2; 6], tags)), None);
        }
    }

    #[test]
    fn kinds_of_ipv6() {
        let report = [58, 0, 5, 2, 0, 0, 1, 0, 143, 0, 0, 0];
        let table: &[(u8, &[u8], Option<Kind>)] = &[
            (58, &[136], Some(Kind::Nd)),
            (58, &[134], Some(Kind::Nd)),
            (58, &[128], None),
            (58, &[137], None),
            (58, &[], None),
            (0, &report, Some(Kind::Mld)),
            (0, &report[..8], None),
            (0, &[6, 0, 5, 2, 0, 0, 1, 0, 143], None),
            (0, &[58, 255], None),
            (17, &[2, 34, 2, 35, 0, 0], Some(Kind::Dhcp6)),
            (17, &[2, 34, 0, 53], None),
            (17, &[2, 34, 2], None),
            (44, &[58, 0, 0, 1, 0, 0, 0, 0, 135], None),
        ];
        for (next, payload, expected) in table {
            assert_eq!(kind(&ipv6(*next, payload)), *expected, "{next} {payload:?}");
        }
    }

    #[test]
    fn a_frame_that_ends_early_or_is_no_first_fragment_is_none() {
        let whole = dhcp_discover(VM, &[]);
        assert_eq!(kind(&whole[..HEADER_LEN + 24]), Some(Kind::Dhcp4));
        for length in 0..HEADER_LEN + 24 {
            assert_eq!(kind(&whole[..length]), None, "{length}");
        }
        let mut fragment = whole;
        fragment[HEADER_LEN + 7] = 1;
        assert_eq!(kind(&fragment), None);
        let mut igmp = fragment;
        igmp[HEADER_LEN + 9] = 2;
        assert_eq!(kind(&igmp), Some(Kind::Igmp));
    }
}
