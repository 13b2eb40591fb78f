//! The verdict on a frame that arrives at the uplink.
//!
//! An ESP datagram for one of our ports goes to the AF_XDP socket of its receive queue. All else is the
//! kernel's, where our UDP sockets hold the same ports: QUIC, and whatever ESP the program does not
//! take, arrives there. So nothing is ever lost for want of a socket, and the kernel refuses
//! nobody who writes to our ports (ICMP port unreachable).

use crate::{
    ethernet::EthernetHeader,
    maps::{AddressKey, UplinkConfig},
    outer::{NotPlain, Outer},
    packet::Packet,
    verdict::UplinkVerdict,
};

/// QUIC's fixed bit (RFC 9000 section 17.2), in the first byte of every QUIC packet and of no SPI.
const QUIC_FIXED_BIT: u8 = 0x40;

/// Bytes of an SPI. A datagram shorter than that is for the socket that the kernel's selector chooses.
const SPI_LEN: usize = 4;

/// The tables that a verdict depends on: kernel maps, or collections in user space.
pub trait UplinkTables {
    /// Whether a worker's UDP socket has this port.
    fn is_our_port(&self, port: u16) -> bool;

    /// Whether we are reached at `address`.
    fn is_our_address(&self, address: &AddressKey) -> bool;
}

/// What becomes of `packet` at the uplink described by `config`.
///
/// Never [`UplinkVerdict::NoSocket`]: that is what the program makes of a verdict to redirect when the
/// receive queue has no socket. A frame for another MAC address, that a promiscuous device or a hub
/// shows us, is not ours, whatever is in it; the VLAN makes no difference, as NICs take the tag away.
#[inline(always)]
pub fn uplink_verdict<P, T>(packet: &P, config: &UplinkConfig, tables: &T) -> UplinkVerdict
where
    P: Packet + ?Sized,
    T: UplinkTables + ?Sized,
{
    let header = match EthernetHeader::parse(packet) {
        Some(header) if header.destination == *config.mac() => header,
        _ => return UplinkVerdict::Other,
    };
    let outer = match Outer::parse(packet, &header) {
        Ok(outer) => outer,
        Err(NotPlain::Irregular) => return UplinkVerdict::Irregular,
        Err(NotPlain::Other) => return UplinkVerdict::Other,
    };
    if !tables.is_our_port(outer.destination_port) || !tables.is_our_address(&outer.destination) {
        return UplinkVerdict::Other;
    }
    match packet.load::<1>(outer.payload) {
        Some([first]) if outer.length >= SPI_LEN && first & QUIC_FIXED_BIT == 0 => {}
        _ => return UplinkVerdict::Quic,
    }
    if packet.length() > config.max_frame() {
        return UplinkVerdict::TooLong;
    }
    UplinkVerdict::Esp
}
