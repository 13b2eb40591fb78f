//! The headers around a datagram on the path: Ethernet, IPv4 or IPv6, UDP.

use crate::{
    ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader},
    maps::AddressKey,
    packet::Packet,
};

/// Bytes of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// Bytes of an IPv6 header.
pub const IPV6_LEN: usize = 40;
/// Bytes of a UDP header.
pub const UDP_LEN: usize = 8;
/// The protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

/// More fragments, or an offset (RFC 791): all but "don't fragment" and the reserved bit.
const FRAGMENT: u16 = 0x3fff;

/// A UDP datagram in one piece, behind an IP header without options or extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// Source address; IPv4 as [`AddressKey::v4`] has it.
    pub source: AddressKey,
    /// Destination address.
    pub destination: AddressKey,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Where the IP header begins.
    pub ip: usize,
    /// Where the UDP payload begins.
    pub payload: usize,
    /// Bytes of UDP payload. All of them are in the frame.
    pub length: usize,
}

/// Why a frame holds no [`Outer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotPlain {
    /// UDP, but a fragment, with IP options or extension headers, or cut short.
    Irregular,
    /// Another protocol.
    Other,
}

impl Outer {
    /// Parses what is behind the Ethernet `header`.
    ///
    /// The IPv4 header's checksum is not looked at: a router looks at it, a host need not twice, and
    /// the XDP program hands on what it takes to somebody who does.
    ///
    /// # Errors
    ///
    /// [`NotPlain`]: then it is for the kernel to say what the frame is.
    #[inline(always)]
    pub fn parse<P>(packet: &P, header: &EthernetHeader) -> Result<Self, NotPlain>
    where
        P: Packet + ?Sized,
    {
        match header.ethertype {
            ETHERTYPE_IPV4 => ipv4(packet, header.len),
            ETHERTYPE_IPV6 => ipv6(packet, header.len),
            _ => Err(NotPlain::Other),
        }
    }
}

#[inline(always)]
fn ipv4<P: Packet + ?Sized>(packet: &P, at: usize) -> Result<Outer, NotPlain> {
    let [first, _, l0, l1, _, _, f0, f1, _, protocol, ..]: [u8; IPV4_LEN] =
        packet.load(at).ok_or(NotPlain::Other)?;
    if protocol != PROTOCOL_UDP {
        return Err(NotPlain::Other);
    }
    if first != 0x45 || u16::from_be_bytes([f0, f1]) & FRAGMENT != 0 {
        return Err(NotPlain::Irregular);
    }
    let source = packet.load(at + 12).ok_or(NotPlain::Other)?;
    let destination = packet.load(at + 16).ok_or(NotPlain::Other)?;
    let addresses = (AddressKey::v4(source), AddressKey::v4(destination));
    let length = u16::from_be_bytes([l0, l1]) as usize;
    let length = length.checked_sub(IPV4_LEN).ok_or(NotPlain::Irregular)?;
    udp(packet, at, at + IPV4_LEN, length, addresses)
}

#[inline(always)]
fn ipv6<P: Packet + ?Sized>(packet: &P, at: usize) -> Result<Outer, NotPlain> {
    let [first, _, _, _, l0, l1, next, _]: [u8; 8] = packet.load(at).ok_or(NotPlain::Other)?;
    match next {
        PROTOCOL_UDP => {}
        // Hop-by-hop options, routing, fragment, authentication, destination options (RFC 8200).
        0 | 43 | 44 | 51 | 60 => return Err(NotPlain::Irregular),
        _ => return Err(NotPlain::Other),
    }
    if first >> 4 != 6 {
        return Err(NotPlain::Irregular);
    }
    let source = packet.load(at + 8).ok_or(NotPlain::Other)?;
    let destination = packet.load(at + 24).ok_or(NotPlain::Other)?;
    let addresses = (AddressKey::v6(source), AddressKey::v6(destination));
    let length = u16::from_be_bytes([l0, l1]) as usize;
    udp(packet, at, at + IPV6_LEN, length, addresses)
}

/// `length` is what the IP header promises behind itself; UDP has to agree, and the frame to hold it.
#[inline(always)]
fn udp<P: Packet + ?Sized>(
    packet: &P,
    ip: usize,
    at: usize,
    length: usize,
    (source, destination): (AddressKey, AddressKey),
) -> Result<Outer, NotPlain> {
    let [s0, s1, d0, d1, l0, l1, _, _]: [u8; UDP_LEN] =
        packet.load(at).ok_or(NotPlain::Irregular)?;
    let agrees = u16::from_be_bytes([l0, l1]) as usize == length;
    if !agrees || length < UDP_LEN || packet.length() < at + length {
        return Err(NotPlain::Irregular);
    }
    Ok(Outer {
        source,
        destination,
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        ip,
        payload: at + UDP_LEN,
        length: length - UDP_LEN,
    })
}
