//! Frames as hosts send them, byte by byte.

use std::{vec, vec::Vec};

use super::BROADCAST;

/// Ethertype of IPv4.
pub const IPV4: u16 = 0x0800;
/// Ethertype of ARP.
pub const ARP: u16 = 0x0806;
/// Ethertype of IPv6.
pub const IPV6: u16 = 0x86dd;

/// An 802.1Q tag for VLAN `vid`, with priority 5, so that more than the VID is set.
pub const fn dot1q(vid: u16) -> [u8; 4] {
    tag(0x8100, vid)
}

/// An 802.1ad tag for VLAN `vid`.
pub const fn dot1ad(vid: u16) -> [u8; 4] {
    tag(0x88a8, vid)
}

const fn tag(tpid: u16, vid: u16) -> [u8; 4] {
    let [p0, p1] = tpid.to_be_bytes();
    let [v0, v1] = (vid | 0xa000).to_be_bytes();
    [p0, p1, v0, v1]
}

/// A frame, padded to the 60 bytes of the shortest one on a wire (without its FCS).
pub fn frame(
    destination: [u8; 6],
    source: [u8; 6],
    tags: &[[u8; 4]],
    ethertype: u16,
    payload: &[u8],
) -> Vec<u8> {
    let ethertype = ethertype.to_be_bytes();
    let mut frame = [
        &destination[..],
        &source,
        tags.as_flattened(),
        &ethertype,
        payload,
    ]
    .concat();
    frame.resize(frame.len().max(60), 0);
    frame
}

/// A TCP segment without data from 192.0.2.7 to 192.0.2.8: unicast IPv4.
pub fn tcp(destination: [u8; 6], source: [u8; 6], tags: &[[u8; 4]]) -> Vec<u8> {
    let mut packet = ipv4(6, [192, 0, 2, 7], [192, 0, 2, 8], 20);
    packet.extend([
        0x9c, 0x40, 0x00, 0x50, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff,
    ]);
    packet.extend([0, 0, 0, 0]);
    frame(destination, source, tags, IPV4, &packet)
}

/// A DHCP DISCOVER, with its 240 bytes and the option that says so.
pub fn dhcp_discover(source: [u8; 6], tags: &[[u8; 4]]) -> Vec<u8> {
    let mut packet = ipv4(17, [0; 4], [255; 4], 8 + 244);
    packet.extend([0, 68, 0, 67, 0, 252, 0, 0]);
    let mut bootp = vec![1, 1, 6, 0, 0x39, 0x03, 0xf3, 0x26];
    bootp.resize(28, 0);
    bootp.extend(source);
    bootp.resize(236, 0);
    bootp.extend([99, 130, 83, 99, 53, 1, 1, 255]);
    packet.extend(bootp);
    frame(BROADCAST, source, tags, IPV4, &packet)
}

/// An IPv4 header for `length` bytes of payload.
fn ipv4(protocol: u8, from: [u8; 4], to: [u8; 4], length: u16) -> Vec<u8> {
    let [l0, l1] = (20 + length).to_be_bytes();
    let fixed = [0x45, 0, l0, l1, 0, 1, 0x40, 0, 64, protocol, 0, 0];
    [&fixed[..], &from, &to].concat()
}

/// An ARP packet of operation `operation` (1 request, 2 reply) about `target`.
pub fn arp_packet(operation: u8, sender: ([u8; 6], [u8; 4]), target: [u8; 4]) -> Vec<u8> {
    let fixed = [0, 1, 8, 0, 6, 4, 0, operation];
    [&fixed[..], &sender.0, &sender.1, &[0; 6], &target].concat()
}

/// A broadcast ARP request of `source` at 192.0.2.7 for `target`.
pub fn arp_request(source: [u8; 6], tags: &[[u8; 4]], target: [u8; 4]) -> Vec<u8> {
    let packet = arp_packet(1, (source, [192, 0, 2, 7]), target);
    frame(BROADCAST, source, tags, ARP, &packet)
}

/// An ICMPv6 packet of type `kind` about `target`, as all of neighbour discovery is.
pub fn icmpv6_packet(kind: u8, target: [u8; 16]) -> Vec<u8> {
    let mut from = [0; 16];
    from[..2].copy_from_slice(&[0xfe, 0x80]);
    let fixed = [0x60, 0, 0, 0, 0, 32, 58, 255];
    let icmp = [kind, 0, 0, 0, 0, 0, 0, 0];
    let option = [1, 1, 0x00, 0x50, 0x56, 0x00, 0x00, 0x30];
    [
        &fixed[..],
        &from,
        &solicited_node(target),
        &icmp,
        &target,
        &option,
    ]
    .concat()
}

/// The multicast address that solicitations for `target` go to (RFC 4291 section 2.7.1).
fn solicited_node(target: [u8; 16]) -> [u8; 16] {
    let mut address = [0; 16];
    address[..2].copy_from_slice(&[0xff, 0x02]);
    address[11..].copy_from_slice(&[1, 0xff, target[13], target[14], target[15]]);
    address
}

/// A multicast Neighbor Solicitation of `source` for `target`.
pub fn solicitation(source: [u8; 6], tags: &[[u8; 4]], target: [u8; 16]) -> Vec<u8> {
    let group = [0x33, 0x33, 0xff, target[13], target[14], target[15]];
    frame(group, source, tags, IPV6, &icmpv6_packet(135, target))
}
