//! The uplink: what is steered to a worker, and all that is the kernel's.

use std::{format, string::String, vec::Vec};

use super::{
    BROADCAST, OWN_V4, OWN_V6, STRANGER,
    frames::{IPV4, IPV6, arp_request, dot1ad, dot1q, frame, tcp},
};
use crate::{
    maps::{AddressKey, UplinkConfig},
    uplink::UplinkTables,
    verdict::UplinkVerdict::{self, Esp, Irregular, Other, Quic, TooLong},
};

/// MAC address of the uplink.
pub const UPLINK: [u8; 6] = [0x00, 0x50, 0x56, 0x00, 0x00, 0x02];
/// The port that we are reached at.
pub const PORT: u16 = 24_500;
/// The longest frame that fits the frame memory of this world.
pub const MAX_FRAME: u16 = 1_000;

const NEIGHBOUR: [u8; 6] = STRANGER;
const PEER_V4: [u8; 4] = [203, 0, 113, 9];
const PEER_V6: [u8; 16] = [0x20, 1, 0x0d, 0xb8, 1, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];

/// One frame and the verdict on it.
#[derive(Clone, Debug)]
pub struct UplinkCase {
    /// What the frame is, for a failure's message. Unique.
    pub name: String,
    /// The frame.
    pub frame: Vec<u8>,
    /// What has to become of it, if its receive queue has a socket.
    pub expected: UplinkVerdict,
}

/// What the program is told of the uplink.
pub fn config() -> UplinkConfig {
    UplinkConfig::new(UPLINK, MAX_FRAME)
}

/// The tables, in user space.
#[derive(Clone, Copy, Debug)]
pub struct UplinkWorld;

impl UplinkTables for UplinkWorld {
    fn is_our_port(&self, port: u16) -> bool {
        port == PORT
    }

    fn is_our_address(&self, address: &AddressKey) -> bool {
        [AddressKey::v4(OWN_V4), AddressKey::v6(OWN_V6)].contains(address)
    }
}

/// A UDP header from port 4321 and `payload`.
fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    let [p0, p1] = port.to_be_bytes();
    let [l0, l1] = (8 + payload.len() as u16).to_be_bytes();
    [&[0x10, 0xe1, p0, p1, l0, l1, 0, 0], payload].concat()
}

/// An IPv4 packet from the peer; the header checksum is nobody's concern here.
fn ipv4(to: [u8; 4], protocol: u8, options: &[u8], fragment: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let first = 0x45 + (options.len() / 4) as u8;
    let [l0, l1] = (20 + options.len() as u16 + payload.len() as u16).to_be_bytes();
    let [f0, f1] = fragment;
    let fixed = [first, 0, l0, l1, 0, 0, f0, f1, 64, protocol, 0, 0];
    [&fixed[..], &PEER_V4, &to, options, payload].concat()
}

fn ipv6(to: [u8; 16], next: u8, payload: &[u8]) -> Vec<u8> {
    let [l0, l1] = (payload.len() as u16).to_be_bytes();
    let fixed = [0x60, 0, 0, 0, l0, l1, next, 64];
    [&fixed[..], &PEER_V6, &to, payload].concat()
}

/// A frame to the uplink with an ESP datagram of `length` bytes, over IPv4 or IPv6.
pub fn esp(version: u8, tags: &[[u8; 4]], length: usize) -> Vec<u8> {
    datagram(version, tags, &payload(0x81, length))
}

fn payload(first: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|i| if i == 0 { first } else { i as u8 })
        .collect()
}

fn datagram(version: u8, tags: &[[u8; 4]], payload: &[u8]) -> Vec<u8> {
    let udp = udp(PORT, payload);
    match version {
        4 => to_us(tags, IPV4, &ipv4(OWN_V4, 17, &[], [0x40, 0], &udp)),
        _ => to_us(tags, IPV6, &ipv6(OWN_V6, 17, &udp)),
    }
}

fn to_us(tags: &[[u8; 4]], ethertype: u16, packet: &[u8]) -> Vec<u8> {
    frame(UPLINK, NEIGHBOUR, tags, ethertype, packet)
}

/// Every case.
pub fn cases() -> Vec<UplinkCase> {
    let mut all = Vec::new();
    let mut case = |name: &str, frame: Vec<u8>, expected| {
        let name = String::from(name);
        all.push(UplinkCase {
            name,
            frame,
            expected,
        });
    };
    for version in [4, 6] {
        let name = |text: &str| format!("IPv{version}: {text}");
        case(&name("ESP"), esp(version, &[], 60), Esp);
        case(&name("ESP in a VLAN"), esp(version, &[dot1q(7)], 60), Esp);
        case(
            &name("ESP in two"),
            esp(version, &[dot1ad(9), dot1q(7)], 60),
            Esp,
        );
        case(
            &name("ESP in three"),
            esp(version, &[dot1q(1), dot1q(2), dot1q(3)], 60),
            Other,
        );
        case(&name("an SPI and no more"), esp(version, &[], 4), Esp);
        case(&name("less than an SPI"), esp(version, &[], 3), Quic);
        case(&name("no payload"), esp(version, &[], 0), Quic);
        for first in [0x40, 0x7f, 0xc0, 0xff] {
            let quic = datagram(version, &[], &payload(first, 60));
            case(&name(&format!("QUIC, {first:#x}")), quic, Quic);
        }
        for first in [0x01, 0x3f, 0x80, 0xbf] {
            let esp = datagram(version, &[], &payload(first, 60));
            case(&name(&format!("ESP, {first:#x}")), esp, Esp);
        }
        let headers = if version == 4 { 42 } else { 62 };
        let most = usize::from(MAX_FRAME) - headers;
        case(&name("the longest"), esp(version, &[], most), Esp);
        case(
            &name("a byte too long"),
            esp(version, &[], most + 1),
            TooLong,
        );
        case(
            &name("a tag too long"),
            esp(version, &[dot1q(7)], most),
            TooLong,
        );
        let mut foreign = esp(version, &[], 60);
        foreign[..6].copy_from_slice(&NEIGHBOUR);
        case(&name("to another MAC address"), foreign, Other);
        let mut padded = esp(version, &[], 60);
        padded.extend([0; 9]);
        case(&name("padding behind it"), padded, Esp);
        let whole = esp(version, &[], 60);
        let cut = whole[..whole.len() - 1].to_vec();
        case(&name("cut short"), cut, Irregular);
    }
    ipv4_cases(&mut case);
    ipv6_cases(&mut case);
    case("ARP", arp_request(NEIGHBOUR, &[], OWN_V4), Other);
    case("TCP to us", tcp(UPLINK, NEIGHBOUR, &[]), Other);
    case(
        "a broadcast",
        frame(BROADCAST, NEIGHBOUR, &[], IPV4, &[0x45; 60]),
        Other,
    );
    case("half an Ethernet header", UPLINK.to_vec(), Other);
    case(
        "an Ethernet header alone",
        esp(4, &[], 60)[..14].to_vec(),
        Other,
    );
    case("half an IPv4 header", esp(4, &[], 60)[..24].to_vec(), Other);
    case("half an IPv6 header", esp(6, &[], 60)[..44].to_vec(), Other);
    case(
        "an IPv4 header alone",
        esp(4, &[], 60)[..34].to_vec(),
        Irregular,
    );
    case(
        "half a UDP header",
        esp(6, &[], 60)[..58].to_vec(),
        Irregular,
    );
    all
}

fn ipv4_cases(case: &mut impl FnMut(&str, Vec<u8>, UplinkVerdict)) {
    let udp_of = |port| udp(port, &payload(0x81, 60));
    let ours = udp_of(PORT);
    let mut ip = |name: &str, packet: Vec<u8>, expected| {
        case(
            &format!("IPv4: {name}"),
            to_us(&[], IPV4, &packet),
            expected,
        );
    };
    let plain = [0x40, 0];
    ip(
        "may be fragmented",
        ipv4(OWN_V4, 17, &[], [0, 0], &ours),
        Esp,
    );
    ip(
        "the first fragment",
        ipv4(OWN_V4, 17, &[], [0x20, 0], &ours),
        Irregular,
    );
    ip(
        "a later fragment",
        ipv4(OWN_V4, 17, &[], [0x20, 9], &ours),
        Irregular,
    );
    ip(
        "the last fragment",
        ipv4(OWN_V4, 17, &[], [0, 9], &ours),
        Irregular,
    );
    ip(
        "options",
        ipv4(OWN_V4, 17, &[1, 1, 1, 1], plain, &ours),
        Irregular,
    );
    ip("TCP", ipv4(OWN_V4, 6, &[], plain, &ours), Other);
    ip(
        "ESP without UDP",
        ipv4(OWN_V4, 50, &[], plain, &ours),
        Other,
    );
    ip(
        "another port",
        ipv4(OWN_V4, 17, &[], plain, &udp_of(PORT + 1)),
        Other,
    );
    ip(
        "another port, low byte",
        ipv4(OWN_V4, 17, &[], plain, &udp_of(PORT & 0xff)),
        Other,
    );
    ip(
        "another address",
        ipv4([192, 0, 2, 2], 17, &[], plain, &ours),
        Other,
    );
    let mut disagrees = ours.clone();
    disagrees[5] -= 1;
    ip(
        "lengths disagree",
        ipv4(OWN_V4, 17, &[], plain, &disagrees),
        Irregular,
    );
    let mut wrong = ipv4(OWN_V4, 17, &[], plain, &ours);
    wrong[0] = 0x65;
    ip("of version 6", wrong, Irregular);
    let mut short = ipv4(OWN_V4, 17, &[], plain, &ours);
    short[2..4].copy_from_slice(&[0, 19]);
    ip("shorter than its header", short, Irregular);
}

fn ipv6_cases(case: &mut impl FnMut(&str, Vec<u8>, UplinkVerdict)) {
    let udp_of = |port| udp(port, &payload(0x81, 60));
    let ours = udp_of(PORT);
    let mut ip = |name: &str, packet: Vec<u8>, expected| {
        case(
            &format!("IPv6: {name}"),
            to_us(&[], IPV6, &packet),
            expected,
        );
    };
    for (name, next) in [
        ("hop by hop", 0),
        ("routing", 43),
        ("a fragment", 44),
        ("options", 60),
    ] {
        let extension = [&[17, 0, 0, 0, 0, 0, 0, 0], &ours[..]].concat();
        ip(name, ipv6(OWN_V6, next, &extension), Irregular);
    }
    ip("ICMPv6", ipv6(OWN_V6, 58, &ours), Other);
    ip("another port", ipv6(OWN_V6, 17, &udp_of(PORT + 1)), Other);
    let mut other = OWN_V6;
    other[15] = 2;
    ip("another address", ipv6(other, 17, &ours), Other);
    let mut mapped = [0; 16];
    mapped[10..12].fill(0xff);
    mapped[12..].copy_from_slice(&OWN_V4);
    // It is none on a wire (RFC 4291, 2.5.5.2), but to the table it is the address it stands for.
    ip("an IPv4-mapped address", ipv6(mapped, 17, &ours), Esp);
    let mut wrong = ipv6(OWN_V6, 17, &ours);
    wrong[0] = 0x45;
    ip("of version 4", wrong, Irregular);
}
