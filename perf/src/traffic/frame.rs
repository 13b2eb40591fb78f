//! The test frame: one UDP/IPv4 packet that knows its flow, its number and when it was due.
//!
//! ```text
//! Ethernet [802.1Q] | IPv4 198.18.0.1 > 198.19.0.1 | UDP 49152 + flow > 9 |
//!     magic u16 | flow u16 | sequence u48 | timestamp u64 | zeros
//! ```

mod checksum;
mod parse;

use self::checksum::{add, finish, sum};
pub(crate) use self::parse::{Parsed, parse};
use crate::sizes;

const MAGIC: u16 = 0xca5e;
const SOURCE_ADDRESS: [u8; 4] = [198, 18, 0, 1];
const DESTINATION_ADDRESS: [u8; 4] = [198, 19, 0, 1];
const DISCARD: u16 = 9;
const FIRST_PORT: u16 = 49_152;
const PORTS: u16 = 16_384;
/// Largest sequence number.
const MAX_SEQUENCE: u64 = (1 << 48) - 1;

const ETHERNET: usize = 14;
const TAG: usize = 4;
const IPV4: usize = 20;
const UDP: usize = 8;
const PAYLOAD: usize = 18;

/// What a test frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) flow: u16,
    /// Its number in the flow, of 48 bits.
    pub(crate) sequence: u64,
    /// When it was due, by [`super::clock`].
    pub(crate) timestamp_ns: u64,
}

/// Where frames go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) source: [u8; 6],
    pub(crate) destination: [u8; 6],
    pub(crate) vlan: Option<u16>,
}

/// The UDP source port of a flow.
pub(crate) fn port(flow: u16) -> u16 {
    FIRST_PORT + flow % PORTS
}

/// A frame of one size, of which only the tag changes.
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where the UDP header is.
    udp: usize,
    /// Sum of what does not change, for the UDP checksum.
    fixed: u32,
}

impl Template {
    /// Of `frame_bytes` with FCS; at least 64, with a VLAN tag 68.
    pub(crate) fn new(addresses: &Addresses, frame_bytes: usize) -> Self {
        let length = frame_bytes - sizes::FCS;
        let mut bytes = Vec::with_capacity(length);
        bytes.extend(addresses.destination);
        bytes.extend(addresses.source);
        if let Some(vlan) = addresses.vlan {
            bytes.extend(0x8100_u16.to_be_bytes());
            bytes.extend(vlan.to_be_bytes());
        }
        bytes.extend(0x0800_u16.to_be_bytes());
        let ip_length = (length - bytes.len()) as u16;
        bytes.extend(ipv4(ip_length));
        let udp = bytes.len();
        let udp_length = ip_length - IPV4 as u16;
        bytes.resize(length, 0);
        bytes[udp + 2..udp + 4].copy_from_slice(&DISCARD.to_be_bytes());
        bytes[udp + 4..udp + 6].copy_from_slice(&udp_length.to_be_bytes());
        bytes[udp + UDP..udp + UDP + 2].copy_from_slice(&MAGIC.to_be_bytes());
        let fixed = parse::pseudo_header(udp_length) + sum(&bytes[udp..]);
        Self { bytes, udp, fixed }
    }

    /// The frame with this tag.
    pub(crate) fn tagged(&mut self, tag: Tag) -> &[u8] {
        let udp = &mut self.bytes[self.udp..];
        let port = port(tag.flow);
        udp[..2].copy_from_slice(&port.to_be_bytes());
        udp[10..12].copy_from_slice(&tag.flow.to_be_bytes());
        udp[12..18].copy_from_slice(&tag.sequence.to_be_bytes()[2..]);
        udp[18..26].copy_from_slice(&tag.timestamp_ns.to_be_bytes());
        let mut total = self.fixed + u32::from(port);
        total = add(total, sum(&udp[10..26]));
        // 0 would mean that there is none (RFC 768).
        let checksum = match finish(total) {
            0 => 0xffff,
            checksum => checksum,
        };
        udp[6..8].copy_from_slice(&checksum.to_be_bytes());
        &self.bytes
    }
}

/// The shortest frame with or without VLAN tag, FCS included.
pub(crate) fn shortest(vlan: Option<u16>) -> usize {
    let tag = if vlan.is_some() { TAG } else { 0 };
    ETHERNET + tag + IPV4 + UDP + PAYLOAD + sizes::FCS
}

fn ipv4(length: u16) -> [u8; IPV4] {
    let mut header = [0; IPV4];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length.to_be_bytes());
    header[6] = 0x40; // don't fragment
    header[8] = 64;
    header[9] = 17;
    header[12..16].copy_from_slice(&SOURCE_ADDRESS);
    header[16..20].copy_from_slice(&DESTINATION_ADDRESS);
    let checksum = finish(sum(&header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

#[cfg(test)]
mod tests;
