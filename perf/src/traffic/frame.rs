//! The test frame of [`causeway_ebpf::perf`]: made here, and taken apart again.

mod checksum;
mod parse;

use causeway_ebpf::perf::{self, Stamp};

use self::checksum::{finish, sum};
pub(crate) use self::parse::{Parsed, parse};
use crate::sizes;

/// RFC 2544, appendix C.2.2.
const SOURCE_ADDRESS: [u8; 4] = [198, 18, 0, 1];
const DESTINATION_ADDRESS: [u8; 4] = [198, 19, 0, 1];

const ETHERNET: usize = 14;
const TAG: usize = 4;
const IPV4: usize = perf::IPV4_LEN;

/// Where frames go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) source: [u8; 6],
    pub(crate) destination: [u8; 6],
    pub(crate) vlan: Option<u16>,
}

/// A frame of one size, of which only the stamp changes.
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
        bytes[udp + 2..udp + 4].copy_from_slice(&perf::DESTINATION_PORT.to_be_bytes());
        bytes[udp + 4..udp + 6].copy_from_slice(&udp_length.to_be_bytes());
        let fixed = parse::pseudo_header(udp_length) + sum(&bytes[udp..]);
        Self { bytes, udp, fixed }
    }

    /// The frame with this stamp.
    pub(crate) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        let udp = &mut self.bytes[self.udp..];
        udp[..2].copy_from_slice(&perf::source_port(stamp.flow).to_be_bytes());
        udp[6..8].copy_from_slice(&stamp.checksum(self.fixed).to_be_bytes());
        let payload = &mut udp[perf::UDP_LEN..perf::UDP_LEN + perf::PAYLOAD_LEN];
        payload.copy_from_slice(&stamp.to_bytes());
        &self.bytes
    }
}

/// The shortest frame with or without VLAN tag, FCS included.
pub(crate) fn shortest(vlan: Option<u16>) -> usize {
    let tag = if vlan.is_some() { TAG } else { 0 };
    ETHERNET + tag + IPV4 + perf::UDP_LEN + perf::PAYLOAD_LEN + sizes::FCS
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
