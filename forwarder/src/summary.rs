//! A frame in a line of text, for people who look for the machine that sent it.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use causeway_ebpf::{
    EthernetHeader, Packet,
    ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6},
};

use crate::spec::MacName;

/// The frame that begins with `head` and has `length` bytes in all: what it is, between which addresses, how
/// long. Whatever `head` is, there is a line.
pub fn summary(head: &[u8], length: usize) -> String {
    let Some(header) = EthernetHeader::parse(head) else {
        return format!("{length} bytes, not a whole Ethernet header");
    };
    let packet = head.get(header.len..).unwrap_or_default();
    let what = match header.ethertype {
        ETHERTYPE_ARP => arp(packet),
        ETHERTYPE_IPV4 => ipv4(packet),
        ETHERTYPE_IPV6 => ipv6(packet),
        length if length < 0x600 => Some("IEEE 802.3 (LLC)".into()),
        _ => None,
    };
    let mut line = what.unwrap_or_else(|| format!("ethertype 0x{:04x}", header.ethertype));
    if header.vlan != 0 {
        // A String takes all that memory holds.
        let _ = write!(line, " in VLAN {}", header.vlan);
    }
    let _ = write!(line, " to {}, {length} bytes", MacName(header.destination));
    line
}

fn arp(packet: &[u8]) -> Option<String> {
    let sender: Ipv4Addr = packet.load::<4>(14)?.into();
    let target: Ipv4Addr = packet.load::<4>(24)?.into();
    Some(match packet.load_u16(6)? {
        1 if sender == target => format!("ARP announcement of {sender}"),
        1 if sender.is_unspecified() => format!("ARP probe for {target}"),
        1 => format!("ARP request of {sender} for {target}"),
        2 => format!("ARP reply of {sender} to {target}"),
        operation => format!("ARP operation {operation} of {sender}"),
    })
}

fn ipv4(packet: &[u8]) -> Option<String> {
    let [first, ..] = packet.load::<20>(0)?;
    let [protocol] = packet.load(9)?;
    let from: Ipv4Addr = packet.load::<4>(12)?.into();
    let to: Ipv4Addr = packet.load::<4>(16)?.into();
    // Only a first fragment has ports.
    let first_fragment = packet.load_u16(6)? & 0x1fff == 0;
    let rest = packet.get(usize::from(first & 0x0f) * 4..);
    let rest = rest.filter(|_| first_fragment).unwrap_or_default();
    Some(format!("IPv4 {}", transport(protocol, from, to, rest)))
}

fn ipv6(packet: &[u8]) -> Option<String> {
    let [next_header] = packet.load(6)?;
    let from: Ipv6Addr = packet.load::<16>(8)?.into();
    let to: Ipv6Addr = packet.load::<16>(24)?.into();
    let rest = packet.get(40..).unwrap_or_default();
    Some(format!("IPv6 {}", transport(next_header, from, to, rest)))
}

fn transport(
    protocol: u8,
    from: impl std::fmt::Display,
    to: impl std::fmt::Display,
    rest: &[u8],
) -> String {
    let name = match protocol {
        1 => "ICMP",
        2 => "IGMP",
        6 => "TCP",
        17 => "UDP",
        58 => "ICMPv6",
        number => return format!("protocol {number} {from} > {to}"),
    };
    match (protocol, rest.load_u16(0), rest.load_u16(2)) {
        (6 | 17, Some(source), Some(destination)) => {
            format!("{name} {from} port {source} > {to} port {destination}")
        }
        _ => format!("{name} {from} > {to}"),
    }
}

#[cfg(test)]
mod tests {
    use causeway_ebpf::cases::{self, MOVED, SERVER, frames};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn common_frames_say_who_talks_to_whom() {
        let arp = |operation, sender, target| {
            let packet = frames::arp_packet(operation, (MOVED, sender), target);
            frames::frame([0xff; 6], MOVED, &[frames::dot1q(10)], frames::ARP, &packet)
        };
        let (a, b) = ([192, 0, 2, 7], [192, 0, 2, 8]);
        let everybody = "in VLAN 10 to ff:ff:ff:ff:ff:ff, 60 bytes";
        for (frame, line) in [
            (
                arp(1, a, b),
                format!("ARP request of 192.0.2.7 for 192.0.2.8 {everybody}"),
            ),
            (
                arp(1, a, a),
                format!("ARP announcement of 192.0.2.7 {everybody}"),
            ),
            (
                arp(1, [0; 4], b),
                format!("ARP probe for 192.0.2.8 {everybody}"),
            ),
            (
                arp(2, a, b),
                format!("ARP reply of 192.0.2.7 to 192.0.2.8 {everybody}"),
            ),
            (
                frames::tcp(SERVER, MOVED, &[]),
                "IPv4 TCP 192.0.2.7 port 40000 > 192.0.2.8 port 80 to 00:50:56:00:00:20, 60 bytes"
                    .into(),
            ),
            (
                frames::solicitation(MOVED, &[], cases::OWN_V6),
                "IPv6 ICMPv6 fe80:: > ff02::1:ff00:1 to 33:33:ff:00:00:01, 86 bytes".into(),
            ),
            (
                frames::frame(SERVER, MOVED, &[], 0x8035, &[0; 28]),
                "ethertype 0x8035 to 00:50:56:00:00:20, 60 bytes".into(),
            ),
        ] {
            assert_eq!(summary(&frame, frame.len()), line);
        }
        assert_eq!(
            summary(&[0; 13], 13),
            "13 bytes, not a whole Ethernet header"
        );
    }

    proptest! {
        #[test]
        fn anything_has_a_line(ethertype in prop::sample::select(vec![0x0800_u16, 0x0806, 0x86dd, 0x8100, 40]),
                               rest in prop::collection::vec(any::<u8>(), 0..114)) {
            let head = [&[2; 12][..], &ethertype.to_be_bytes(), &rest].concat();
            let line = summary(&head, head.len());
            prop_assert!(line.contains(&format!("{} bytes", head.len())), "{}", line);
        }
    }
}
