//! Frames for each verdict. All are untagged and as short as the wire allows.

use causeway_ebpf::{
    Role,
    Verdict::{self, *},
    cases::{
        LAN_PORT, OWN_V4,
        frames::{IPV4, arp_request, dot1q, frame, tcp},
    },
};

/// Both ends.
pub(super) const ROLES: [Role; 2] = [Role::Site, Role::Cloud];

/// The group of spanning tree (IEEE 802.1D).
const BRIDGES: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00];

/// Nobody's address (RFC 5737).
const OTHER_V4: [u8; 4] = [192, 0, 2, 99];

/// Frames that have one verdict.
pub(super) struct Case {
    pub(super) verdict: Verdict,
    /// The frame number `i`, where the table has `n` stations.
    pub(super) frame: fn(i: u32, n: u32) -> Vec<u8>,
}

/// Every verdict that there is at this end without further settings, the earliest exit first.
pub(super) fn of(role: Role) -> impl Iterator<Item = Case> {
    type Row = (Verdict, fn(u32, u32) -> Vec<u8>);
    let both: [Row; 4] = [
        (Malformed, |i, _| {
            tcp(stranger(i), stranger(i + 1), &[dot1q(1)])[..17].to_vec()
        }),
        (LinkLocal, |i, _| {
            frame(BRIDGES, stranger(i), &[], IPV4, &[])
        }),
        (OwnMac, |i, _| tcp(LAN_PORT, stranger(i), &[])),
        (OwnAddress, |i, _| arp_request(stranger(i), &[], OWN_V4)),
    ];
    let site: &[Row] = &[
        (Reflection, |i, n| tcp(stranger(i), station(i, n), &[])),
        (Foreign, |i, _| tcp(stranger(i), stranger(!i), &[])),
        (Flood, |i, _| arp_request(stranger(i), &[], OTHER_V4)),
        (Tunnel, |i, n| tcp(station(i, n), stranger(i), &[])),
        (NoSocket, |i, n| tcp(station(i, n), stranger(i), &[])),
    ];
    let cloud: &[Row] = &[
        (Reflection, |i, n| tcp(station(i, n), LAN_PORT, &[])),
        (NotGranted, |i, n| tcp(station(i, n), stranger(i), &[])),
        (Local, |i, n| tcp(station(i, n), station(i + 1, n), &[])),
        (Flood, |i, n| arp_request(station(i, n), &[], OTHER_V4)),
        (Tunnel, |i, n| tcp(stranger(i), station(i, n), &[])),
        (NoSocket, |i, n| tcp(stranger(i), station(i, n), &[])),
    ];
    let own = match role {
        Role::Site => site,
        Role::Cloud => cloud,
    };
    let rows = [&both, own].concat().into_iter();
    rows.map(|(verdict, frame)| Case { verdict, frame })
}

/// One of `n` stations, in an order that jumps over the table.
fn station(i: u32, n: u32) -> [u8; 6] {
    station_number(i.wrapping_mul(0x9e37_79b1) % n)
}

/// The station number `i` of the table.
pub(super) fn station_number(i: u32) -> [u8; 6] {
    let [a, b, c, d] = i.to_be_bytes();
    [0x02, 0x50, a, b, c, d]
}

/// Somebody who is in no table.
fn stranger(i: u32) -> [u8; 6] {
    let [a, b, c, d] = i.wrapping_mul(0x9e37_79b1).to_be_bytes();
    [0x06, 0x50, a, b, c, d]
}
