//! Neighbour discovery for IPv6: RFC 4861 and 4862.

use std::net::Ipv6Addr;

use causeway_ebpf::{
    ethernet::{ETHERTYPE_IPV6, EthernetHeader},
    maps::StationKey,
    packet::Packet as _,
};

use super::frame::Small;
use crate::{bindings::Known, checksum};

const IPV6_HEADER: usize = 40;
const ICMPV6: u8 = 58;
/// Of all that neighbour discovery sends: who has it from farther away does not listen (RFC 4861, section 3.1).
const HOP_LIMIT: u8 = 255;

const ROUTER_SOLICITATION: u8 = 133;
const ROUTER_ADVERTISEMENT: u8 = 134;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

const SOURCE_LINK_LAYER: u8 = 1;
const TARGET_LINK_LAYER: u8 = 2;
/// From here on options are of secure neighbour discovery (RFC 3971): CGA, RSA signature, timestamp, nonce.
const SECURE: std::ops::RangeInclusive<u8> = 11..=14;

/// Flags of an advertisement, in its fifth byte.
const ROUTER: u8 = 0x80;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;

/// All nodes of a link, ff02::1.
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nd {
    /// The sender, who has the address `from` (or has none yet), asks for that of `target`.
    Solicitation {
        /// The sender's address; all zero: it asks if the target is free (RFC 4862, section 5.4).
        from: Ipv6Addr,
        /// The address asked for.
        target: Ipv6Addr,
        /// Whether options ask for more than a station's place can answer: those of secure discovery.
        secure: bool,
        /// Whether the sender says its link-layer address.
        says_address: bool,
    },
    /// The sender has `target`.
    Advertisement {
        /// Its address.
        target: Ipv6Addr,
        /// Whether it is a router.
        router: bool,
        /// Whether it is to replace what is known of the address.
        overrides: bool,
    },
    /// The sender is a router, and has this address.
    Router(Ipv6Addr),
    /// The sender looks for routers, and has this address.
    LooksForRouter(Ipv6Addr),
}

impl Nd {
    /// Reads a message whose link-layer address, if it says one, is who sends the frame: what somebody says for
    /// another (a proxy) is none.
    #[inline]
    pub fn parse(frame: &[u8], header: &EthernetHeader) -> Option<Self> {
        let at = header.len;
        if frame.load(at + 6)? != [ICMPV6, HOP_LIMIT] {
            return None;
        }
        let from = Ipv6Addr::from(frame.load::<16>(at + 8)?);
        let length = usize::from(frame.load_u16(at + 4)?);
        // What was cut off, a copy for the control plane's say, would be options.
        let behind = at + IPV6_HEADER;
        let message = frame.get(behind..frame.len().min(behind + length))?;
        let [kind, code, _, _, flags] = message.load(0)?;
        if code != 0 {
            return None;
        }
        let target = || Some(Ipv6Addr::from(message.load::<16>(8)?));
        match kind {
            SOLICITATION => {
                let options = Options::of(message, 24, SOURCE_LINK_LAYER)?;
                options.are_senders(header)?;
                Some(Self::Solicitation {
                    from,
                    target: target()?,
                    secure: options.secure,
                    says_address: options.address.is_some(),
                })
            }
            ADVERTISEMENT => {
                Options::of(message, 24, TARGET_LINK_LAYER)?.are_senders(header)?;
                Some(Self::Advertisement {
                    target: target()?,
                    router: flags & ROUTER != 0,
                    overrides: flags & OVERRIDE != 0,
                })
            }
            ROUTER_ADVERTISEMENT | ROUTER_SOLICITATION => {
                let options = match kind {
                    ROUTER_ADVERTISEMENT => 16,
                    _ => 8,
                };
                let options = Options::of(message, options, SOURCE_LINK_LAYER)?;
                options.are_senders(header)?;
                options.address?;
                Some(match kind {
                    ROUTER_ADVERTISEMENT => Self::Router(from),
                    _ => Self::LooksForRouter(from),
                })
            }
            _ => None,
        }
    }
}

/// What we look for among the options.
#[derive(Default)]
struct Options {
    address: Option<[u8; 6]>,
    secure: bool,
}

impl Options {
    /// Those from `at` on; none if one of them has no length, for which the whole message is to be dropped
    /// (RFC 4861, section 4.6).
    fn of(message: &[u8], at: usize, link_layer: u8) -> Option<Self> {
        let mut found = Self::default();
        let mut rest = message.get(at..)?;
        while let [kind, words, ..] = *rest {
            let length = 8 * usize::from(words);
            if length == 0 {
                return None;
            }
            if kind == link_layer && words == 1 {
                found.address = rest.load(2);
            }
            found.secure |= SECURE.contains(&kind);
            rest = rest.get(length..).unwrap_or_default();
        }
        Some(found)
    }

    fn are_senders(&self, header: &EthernetHeader) -> Option<()> {
        self.address
            .is_none_or(|address| address == header.source)
            .then_some(())
    }
}

/// An advertisement of `station`, to all, that it has `address`.
pub fn advertisement(station: StationKey, address: Ipv6Addr, router: bool) -> Small {
    let head = Small::in_vlan(group_mac(ALL_NODES), station.mac, station.vlan);
    let flags = OVERRIDE | if router { ROUTER } else { 0 };
    let kind = [ADVERTISEMENT, flags, TARGET_LINK_LAYER];
    message(head, (address, ALL_NODES), kind, address, station.mac)
}

/// The answer of `owner` to the solicitation `frame` by `asker` for `address`, in its VLAN.
pub fn answer(
    frame: &[u8],
    header: &EthernetHeader,
    asker: Ipv6Addr,
    address: Ipv6Addr,
    owner: Known,
) -> Small {
    let head = Small::answer(frame, header.source, owner.mac, header.len);
    let router = if owner.router == Some(true) {
        ROUTER
    } else {
        0
    };
    let flags = OVERRIDE | SOLICITED | router;
    let kind = [ADVERTISEMENT, flags, TARGET_LINK_LAYER];
    message(head, (address, asker), kind, address, owner.mac)
}

/// A solicitation of `asker`, by its link-local address, for `address`.
pub fn solicitation(asker: StationKey, address: Ipv6Addr) -> Small {
    let to = solicited_node(address);
    let head = Small::in_vlan(group_mac(to), asker.mac, asker.vlan);
    let kind = [SOLICITATION, 0, SOURCE_LINK_LAYER];
    message(head, (link_local(asker.mac), to), kind, address, asker.mac)
}

/// Bytes of a message with its one option.
const MESSAGE: usize = 32;

/// An IPv6 packet behind the Ethernet header `frame`: type and flags of the message, and the type of its option.
fn message(
    mut frame: Small,
    (from, to): (Ipv6Addr, Ipv6Addr),
    [kind, flags, option]: [u8; 3],
    target: Ipv6Addr,
    mac: [u8; 6],
) -> Small {
    let mut icmp = [0; MESSAGE];
    (icmp[0], icmp[4]) = (kind, flags);
    icmp[8..24].copy_from_slice(&target.octets());
    icmp[24..26].copy_from_slice(&[option, 1]);
    icmp[26..].copy_from_slice(&mac);
    let (from, to) = (from.octets(), to.octets());
    let pseudo = checksum::sum(&from) + checksum::sum(&to) + MESSAGE as u32 + u32::from(ICMPV6);
    let sum = checksum::fold(pseudo + checksum::sum(&icmp));
    icmp[2..4].copy_from_slice(&(!sum).to_be_bytes());
    frame.extend(&ETHERTYPE_IPV6.to_be_bytes());
    frame.extend(&[0x60, 0, 0, 0, 0, MESSAGE as u8, ICMPV6, HOP_LIMIT]);
    frame.extend(&from);
    frame.extend(&to);
    frame.extend(&icmp);
    frame
}

/// The Ethernet address of an IPv6 group (RFC 2464, section 7).
fn group_mac(group: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// Where solicitations for an address go (RFC 4291, section 2.7.1).
fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    let low = u16::from_be_bytes([b, c]);
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), low)
}

/// The link-local address that follows from a MAC address (RFC 4291, appendix A).
pub fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    let interface = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
    let low = u64::from_be_bytes(interface);
    Ipv6Addr::from((0xfe80_u128 << 112) | u128::from(low))
}

#[cfg(test)]
mod tests {
    use causeway_ebpf::cases::frames;

    use super::*;

    const VM: StationKey = StationKey::new(7, [0, 0x50, 0x56, 0, 0, 0x50]);
    const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 0x50);

    fn parse(frame: &[u8]) -> Option<Nd> {
        Nd::parse(frame, &EthernetHeader::parse(frame)?)
    }

    #[test]
    fn reads_what_others_write() {
        // Its option says 00:50:56:00:00:30.
        let others = frames::solicitation([0, 0x50, 0x56, 0, 0, 0x30], &[], ADDRESS.octets());
        let expected = Nd::Solicitation {
            from: "fe80::".parse().unwrap(),
            target: ADDRESS,
            secure: false,
            says_address: true,
        };
        assert_eq!(parse(&others), Some(expected));
        let for_another = frames::solicitation(VM.mac, &[], ADDRESS.octets());
        assert_eq!(parse(&for_another), None);
        for length in 0..14 + 40 + 24 {
            assert_eq!(parse(&others[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_message_from_farther_away_or_with_an_option_without_length_is_none() {
        let whole = solicitation(VM, ADDRESS);
        assert!(parse(&whole).is_some());
        for (at, byte) in [(18 + 7, 254), (18 + 40 + 1, 1), (18 + 40 + 24 + 1, 0)] {
            let mut wrong = whole.to_vec();
            wrong[at] = byte;
            assert_eq!(parse(&wrong), None, "{at}");
        }
        let mut secure = whole.to_vec();
        secure[18 + 40 + 24] = 14;
        assert!(matches!(
            parse(&secure),
            Some(Nd::Solicitation { secure: true, .. })
        ));
    }

    #[test]
    fn ours_are_what_the_rfcs_say() {
        let frame = advertisement(VM, ADDRESS, true);
        let begins = [
            0x33, 0x33, 0, 0, 0, 1, 0, 0x50, 0x56, 0, 0, 0x50, 0x81, 0, 0, 7, 0x86, 0xdd,
        ];
        assert_eq!(frame[..18], begins);
        let unasked = Nd::Advertisement {
            target: ADDRESS,
            router: true,
            overrides: true,
        };
        assert_eq!(parse(&frame), Some(unasked));
        // The sum over pseudo header and message, checksum included, is all ones (RFC 1071).
        let icmp = &frame[18 + 40..];
        let sum =
            checksum::sum(&frame[18 + 8..18 + 40]) + icmp.len() as u32 + 58 + checksum::sum(icmp);
        assert_eq!(checksum::fold(sum), 0xffff);

        let frame = solicitation(VM, ADDRESS);
        assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0, 0, 0x50]);
        let Some(Nd::Solicitation { from, target, .. }) = parse(&frame) else {
            panic!("none");
        };
        assert_eq!(
            (from, target),
            ("fe80::250:56ff:fe00:50".parse().unwrap(), ADDRESS)
        );
    }

    #[test]
    fn an_answer_says_what_the_owner_would() {
        let asker = StationKey::new(7, [2, 0, 0, 0, 0, 9]);
        let asks = solicitation(asker, ADDRESS);
        let header = EthernetHeader::parse(&asks[..]).unwrap();
        let from = link_local(asker.mac);
        for router in [false, true] {
            let (mac, router) = (VM.mac, Some(router));
            let frame = answer(&asks, &header, from, ADDRESS, Known { mac, router });
            assert_eq!(
                (&frame[..6], &frame[12..18]),
                (&asker.mac[..], &asks[12..18])
            );
            assert_eq!(frame[18 + 24..18 + 40], from.octets());
            let says = Nd::Advertisement {
                target: ADDRESS,
                router: router == Some(true),
                overrides: true,
            };
            assert_eq!(
                (parse(&frame), frame[18 + 44] & SOLICITED),
                (Some(says), SOLICITED)
            );
        }
    }
}
