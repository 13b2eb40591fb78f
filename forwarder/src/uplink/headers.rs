//! The headers around a datagram that leaves by AF_XDP: Ethernet, a VLAN tag, IPv4 or IPv6, UDP; and the
//! way back, from a frame to its datagram and where it came from.
//!
//! - IPv4: "don't fragment", identification 0 (RFC 6864: it means nothing then), TTL 64.
//! - UDP over IPv4: checksum 0, that is none. RFC 3948, section 2.1, asks it of ESP in UDP; the tag of
//!   AES-GCM covers the payload better, and a pass over it is saved. NAT leaves a zero alone.
//! - UDP over IPv6: the checksum is mandatory (RFC 8200, section 8.1) and is there.

use std::net::{IpAddr, SocketAddr};

use causeway_ebpf::{
    EthernetHeader, Outer,
    ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, HEADER_LEN, TAG_LEN},
    maps::AddressKey,
    outer::{IPV4_LEN, IPV6_LEN, PROTOCOL_UDP, UDP_LEN},
};

use super::{Arrival, NextHop, Path};
use crate::{
    checksum::{fold, sum},
    traffic_class,
};

/// The most that is in front of a datagram.
const MAX_LEN: usize = HEADER_LEN + TAG_LEN + IPV6_LEN + UDP_LEN;

/// As Linux has it by default (`net.ipv4.ip_default_ttl`, `net.ipv6.conf.*.hop_limit`).
const HOP_LIMIT: u8 = 64;

/// The headers of all datagrams to one place; what differs from one to the next is filled in.
pub struct Template {
    bytes: [u8; MAX_LEN],
    length: usize,
    /// Where the IP header begins.
    ip: usize,
    /// IPv4: the sum of the header without its length; IPv6: that of the pseudo header without it.
    sum: u32,
    ipv6: bool,
    mtu: usize,
    /// The traffic class that they have.
    class: u8,
}

impl Template {
    /// Headers from `port` at the hop's source address to `remote`, over `hop`. `None` if one address is
    /// of another family than the other.
    pub fn new(hop: &NextHop, port: u16, remote: SocketAddr) -> Option<Self> {
        let mut headers = Vec::with_capacity(MAX_LEN);
        headers.extend(hop.mac);
        headers.extend(hop.source_mac);
        if let Some(tag) = hop.tag {
            headers.extend(tag.protocol.to_be_bytes());
            headers.extend(tag.vlan.to_be_bytes());
        }
        let ip = headers.len() + 2;
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let sum = match (hop.source, remote.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                headers.extend(ETHERTYPE_IPV4.to_be_bytes());
                headers.extend([0x45, 0, 0, 0, 0, 0, 0x40, 0, HOP_LIMIT, PROTOCOL_UDP, 0, 0]);
                headers.extend(source.octets());
                headers.extend(destination.octets());
                sum(&headers[ip..])
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                headers.extend(ETHERTYPE_IPV6.to_be_bytes());
                headers.extend([0x60, 0, 0, 0, 0, 0, PROTOCOL_UDP, HOP_LIMIT]);
                headers.extend(source.octets());
                headers.extend(destination.octets());
                sum(&headers[ip + 8..]) + u32::from(PROTOCOL_UDP)
            }
            _ => return None,
        };
        headers.extend(port.to_be_bytes());
        headers.extend(remote.port().to_be_bytes());
        headers.extend([0; 4]);
        let length = headers.len();
        headers.resize(MAX_LEN, 0);
        Some(Self {
            bytes: headers.try_into().ok()?,
            length,
            ip,
            sum,
            ipv6: remote.is_ipv6(),
            mtu: hop.mtu,
            class: 0,
        })
    }

    /// Bytes of the headers.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The longest UDP payload that the next hop's MTU lets through.
    pub fn max_payload(&self) -> usize {
        self.mtu.saturating_sub(self.length - self.ip)
    }

    /// Gives them another traffic class.
    #[inline]
    pub fn set_class(&mut self, class: u8) {
        if class == self.class {
            return;
        }
        let ip = self.ip;
        if self.ipv6 {
            (self.bytes[ip], self.bytes[ip + 1]) = (0x60 | class >> 4, class << 4);
        } else {
            self.bytes[ip + 1] = class;
            // It is the low half of a word.
            self.sum = self.sum - u32::from(self.class) + u32::from(class);
        }
        self.class = class;
    }

    /// The headers for this payload.
    #[inline]
    pub fn headers(&mut self, payload: &[u8]) -> &[u8] {
        let udp_length = UDP_LEN + payload.len();
        let udp = self.length - UDP_LEN;
        self.bytes[udp + 4..udp + 6].copy_from_slice(&(udp_length as u16).to_be_bytes());
        let (field, value) = if self.ipv6 {
            (self.ip + 4, udp_length as u16)
        } else {
            (self.ip + 2, (IPV4_LEN + udp_length) as u16)
        };
        self.bytes[field..field + 2].copy_from_slice(&value.to_be_bytes());
        let (field, checksum) = if self.ipv6 {
            (udp + 6, self.udp_checksum(udp_length, payload))
        } else {
            (self.ip + 10, !fold(self.sum + u32::from(value)))
        };
        self.bytes[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
        &self.bytes[..self.length]
    }

    fn udp_checksum(&self, udp_length: usize, payload: &[u8]) -> u16 {
        let udp = self.length - UDP_LEN;
        // Twice the length: in the pseudo header and in the header itself.
        let headers = self.sum + udp_length as u32 + sum(&self.bytes[udp..udp + 6]);
        // Zero would mean "none": its other form is sent instead (RFC 8200, section 8.1).
        match !fold(headers + sum(payload)) {
            0 => 0xFFFF,
            checksum => checksum,
        }
    }
}

/// The datagram in a frame that the uplink's XDP program steered to us, and where it came from. `None`
/// if there is none, or the IPv4 header is damaged.
///
/// The UDP checksum is not looked at: nothing of the payload is believed before its tag verifies, and a
/// sender on this machine may have left it unfinished.
#[inline]
pub fn datagram_of(frame: &mut [u8]) -> Option<(&mut [u8], Arrival)> {
    let header = EthernetHeader::parse(&*frame)?;
    let outer = Outer::parse(&*frame, &header).ok()?;
    if header.ethertype == ETHERTYPE_IPV4 && sum(&frame[outer.ip..][..IPV4_LEN]) != 0xFFFF {
        return None;
    }
    let path = Path {
        remote: SocketAddr::new(ip(outer.source), outer.source_port),
        local: Some(ip(outer.destination)),
    };
    let ecn = traffic_class::ECN
        & match header.ethertype {
            ETHERTYPE_IPV4 => frame[outer.ip + 1],
            _ => frame[outer.ip + 1] >> 4,
        };
    let payload = &mut frame[outer.payload..][..outer.length];
    Some((payload, Arrival { path, ecn }))
}

fn ip(key: AddressKey) -> IpAddr {
    IpAddr::from(key.to_bytes()).to_canonical()
}

#[cfg(test)]
mod tests;
