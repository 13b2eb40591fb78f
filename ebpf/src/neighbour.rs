//! Whose address a broadcast ARP or a multicast Neighbor Solicitation asks for.

use crate::{
    ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV6, EthernetHeader},
    maps::AddressKey,
    packet::Packet,
};

/// The frame ends before the address that its type promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated;

/// ARP for IPv4 over Ethernet: hardware type 1, protocol 0x0800, lengths 6 and 4 (RFC 826).
const ARP_IPV4_ETHERNET: [u8; 6] = [0x00, 0x01, 0x08, 0x00, 6, 4];
const ARP_TARGET: usize = 24;
const IPV6_NEXT_HEADER: usize = 6;
const IPV6_HEADER_LEN: usize = 40;
const NEXT_HEADER_ICMPV6: u8 = 58;
/// ICMPv6 type of a Neighbor Solicitation (RFC 4861 section 4.3).
const NEIGHBOR_SOLICITATION: u8 = 135;
const SOLICITATION_TARGET: usize = 8;

/// The address that an ARP packet or a Neighbor Solicitation is about; `Ok(None)` for
/// every other frame.
///
/// Requests, replies, probes and gratuitous announcements alike have their target here
/// (RFC 5227: an announcement's target is the address announced). A solicitation behind IPv6
/// extension headers is not looked for: nobody sends one, and RFC 6980 forbids fragments.
/// Whether the packet is otherwise valid is for the stack to say that gets it.
///
/// # Errors
///
/// [`Truncated`] if the frame ends before that address, or inside the IPv6 header.
#[inline(always)]
pub fn target_address<P: Packet + ?Sized>(
    packet: &P,
    header: &EthernetHeader,
) -> Result<Option<AddressKey>, Truncated> {
    match header.ethertype {
        ETHERTYPE_ARP => arp_target(packet, header.len),
        ETHERTYPE_IPV6 => solicitation_target(packet, header.len),
        _ => Ok(None),
    }
}

#[inline(always)]
fn arp_target<P: Packet + ?Sized>(packet: &P, at: usize) -> Result<Option<AddressKey>, Truncated> {
    let kind: [u8; 6] = packet.load(at).ok_or(Truncated)?;
    if kind != ARP_IPV4_ETHERNET {
        return Ok(None);
    }
    let target = packet.load(at + ARP_TARGET).ok_or(Truncated)?;
    Ok(Some(AddressKey::v4(target)))
}

#[inline(always)]
fn solicitation_target<P: Packet + ?Sized>(
    packet: &P,
    at: usize,
) -> Result<Option<AddressKey>, Truncated> {
    let header: [u8; IPV6_HEADER_LEN] = packet.load(at).ok_or(Truncated)?;
    if header[IPV6_NEXT_HEADER] != NEXT_HEADER_ICMPV6 {
        return Ok(None);
    }
    let icmp = at + IPV6_HEADER_LEN;
    let [kind] = packet.load(icmp).ok_or(Truncated)?;
    if kind != NEIGHBOR_SOLICITATION {
        return Ok(None);
    }
    let target = packet.load(icmp + SOLICITATION_TARGET).ok_or(Truncated)?;
    Ok(Some(AddressKey::v6(target)))
}
