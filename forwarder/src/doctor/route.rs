//! The way to another by the kernel's routes, and what it costs. Nothing is sent.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// A socket that would send to there.
pub fn route_to(remote: SocketAddr) -> Option<UdpSocket> {
    let any = match remote {
        SocketAddr::V4(_) => "0.0.0.0:0",
        SocketAddr::V6(_) => "[::]:0",
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(remote).ok()?;
    Some(socket)
}

/// Our address on the way there.
pub fn local_address(remote: SocketAddr) -> Option<IpAddr> {
    Some(route_to(remote)?.local_addr().ok()?.ip())
}

/// What an IP packet to there has beyond the UDP payload, in bytes (RFC 791, RFC 8200, RFC 768).
pub fn headers(remote: SocketAddr) -> u16 {
    match remote.ip().to_canonical() {
        IpAddr::V4(_) => 20 + 8,
        IpAddr::V6(_) => 40 + 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_those_of_the_packet_that_is_sent() {
        for (remote, bytes) in [
            ("192.0.2.1:1", 28),
            ("[::ffff:192.0.2.1]:1", 28),
            ("[2001:db8::1]:1", 48),
        ] {
            assert_eq!(headers(remote.parse().unwrap()), bytes);
        }
    }

    #[test]
    fn to_ourselves_our_address_is_that() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(local_address(loopback), Some(loopback.ip()));
    }
}
