//! What has arrived on each lane, so that the sender notices one that fails alone.

use std::net::{IpAddr, SocketAddr};

use minicbor::{Decode, Encode};

/// How far the sender of this message has received on the lanes of the session.
///
/// An end that does not know the message ignores it, and one that never hears it cannot tell
/// dead lanes from others.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Heard {
    /// The lanes that the sender of this message receives on; some may be left out.
    #[n(0)]
    pub lanes: Vec<HeardLane>,
}

/// One lane. On the wire: an array, to which later versions may append; earlier ones end after `highest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct HeardLane {
    /// The SPI of the lane, as [`Lanes`](super::Lanes) has it.
    #[n(0)]
    pub spi: u32,
    /// The highest authentic sequence number so far, 0 if there was none.
    #[n(1)]
    pub highest: u64,
    /// How many authentic datagrams there were; `None`: the sender of the message does not count.
    #[n(2)]
    pub received: Option<u64>,
    /// Where the newest came from; `None`: the sender does not tell, or has received none.
    #[n(3)]
    pub from: Option<SeenAt>,
}

impl HeardLane {
    /// Where the newest came from, if one has come: until then some releases tell where a session before came from.
    pub fn seen_at(&self) -> Option<SocketAddr> {
        self.from.filter(|_| self.highest > 0).map(SocketAddr::from)
    }
}

/// An address as the other end sees it: behind a NAT another than the socket's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(array)]
pub struct SeenAt {
    /// IPv6 address, or IPv4 address in the form of RFC 4291, section 2.5.5.2.
    #[n(0)]
    #[cbor(with = "minicbor::bytes")]
    ip: [u8; 16],
    /// UDP port.
    #[n(1)]
    port: u16,
}

impl From<SocketAddr> for SeenAt {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Self {
            ip: ip.octets(),
            port: address.port(),
        }
    }
}

impl From<SeenAt> for SocketAddr {
    fn from(seen: SeenAt) -> Self {
        SocketAddr::new(IpAddr::from(seen.ip).to_canonical(), seen.port)
    }
}
