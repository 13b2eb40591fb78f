//! The decisions about a frame without a NIC, a socket or a thread: where it goes
//! (`lan_to_wan::classify`), whether it may enter a LAN (`wan_to_lan::admit`), that both agree with
//! the XDP program, and both ends back to back over a wire that is a `Vec`.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod admit;
mod classify;
mod damaged;
mod marks;
mod pair;
mod verdicts;
mod vlans;

use causeway::stations::{PeerIndex, Place, Role, Station, StationKey, StationTable};
use causeway_ebpf::{
    cases::frames::{dot1ad, dot1q},
    ethernet::EthernetHeader,
};
use causeway_tunnel::DropReason;

/// Moved stations: the first behind peer 0, the second behind peer 1, the third in VLAN 10 only.
const MOVED: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x10];
const MOVED_ELSEWHERE: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x11];
const MOVED_TAGGED: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x12];
/// A second station behind peer 0.
const MOVED_TOO: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x13];
/// One that stayed, and is listed at the site as home.
const SERVER: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x20];
/// One that nobody has heard of.
const STRANGER: [u8; 6] = [0x00, 0x50, 0x56, 0, 0, 0x30];
const BROADCAST: [u8; 6] = [0xff; 6];
const MULTICAST: [u8; 6] = [0x01, 0x00, 0x5e, 0, 0, 0xfb];

/// The header, as each direction asks for it first.
fn header(frame: &[u8]) -> Result<EthernetHeader, DropReason> {
    EthernetHeader::parse(frame).ok_or(DropReason::BadFrameLength)
}

/// The stations as one end has them. Both ends number their peers alike: at the cloud, peer 0 and
/// peer 1 are two sites whose stations live here.
fn table(role: Role) -> StationTable {
    let moved = match role {
        Role::Site => Place::Away,
        Role::Cloud => Place::Home,
    };
    let mut table = StationTable::new(role);
    let mut add = |vlan, mac, place, peer: PeerIndex| {
        table.insert(StationKey::new(vlan, mac), Station { place, peer });
    };
    add(0, MOVED, moved, 0);
    add(0, MOVED_TOO, moved, 0);
    add(0, MOVED_ELSEWHERE, moved, 1);
    add(10, MOVED_TAGGED, moved, 0);
    if role == Role::Site {
        add(0, SERVER, Place::Home, 0);
    }
    table
}

/// The ways to be in VLAN 0: no tag, and priority tags.
fn untagged() -> Vec<Vec<[u8; 4]>> {
    vec![
        vec![],
        vec![dot1q(0)],
        vec![dot1ad(0)],
        vec![dot1q(0), dot1q(0)],
    ]
}

/// The ways to be in VLAN `vid`: 802.1Q, 802.1ad, QinQ with either, behind a priority tag, and with three tags.
fn tagged(vid: u16) -> Vec<Vec<[u8; 4]>> {
    vec![
        vec![dot1q(vid)],
        vec![dot1ad(vid)],
        vec![dot1ad(vid), dot1q(99)],
        vec![dot1q(vid), dot1q(99)],
        vec![dot1q(0), dot1q(vid)],
        vec![dot1q(vid), dot1q(0), dot1q(99)],
    ]
}

/// Every length at which a frame with these tags ends inside its Ethernet header.
fn truncations(frame: &[u8], tags: usize) -> impl Iterator<Item = &[u8]> {
    (0..14 + 4 * tags.min(2)).map(|length| &frame[..length])
}
