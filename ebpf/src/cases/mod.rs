//! The verdict table as data: frames, the tables they meet, and the verdict on each.
//!
//! The same cases run on the host (this package's tests) and in the kernel, through BPF
//! test-run (`forwarder/tests/xdp_verdicts`). Their stations and addresses make one small
//! world for each [`Role`]:
//!
//! | station | VLAN | at the site | at the cloud end |
//! |---|---|---|---|
//! | [`MOVED`] | 0 and 4094 | away | home |
//! | [`MOVED_TAGGED`] | 10 | away | home |
//! | [`SECOND_MOVED`] | 0 and 10 | away | home |
//! | [`SERVER`] | 0 and 10 | home | away |
//! | [`STRANGER`] | – | not listed | not listed |
//! | [`LOWEST`], [`HIGHEST`] | 4095 and 0 | away | home |

mod both;
mod cloud;
mod floods;
pub mod frames;
mod site;
mod truncated;
pub mod uplink;

pub use floods::floods;

use std::{format, string::String, vec, vec::Vec};

use crate::{
    lan::Tables,
    maps::{AddressKey, LanConfig, Place, Role, StationKey},
    verdict::Verdict,
};

/// The lan port itself.
pub const LAN_PORT: [u8; 6] = [0x00, 0x50, 0x56, 0x00, 0x00, 0x01];
/// A moved station without a tag, and with the highest ordinary VID.
pub const MOVED: [u8; 6] = [0x00, 0x50, 0x56, 0x00, 0x00, 0x10];
/// A moved station of VLAN 10 only.
pub const MOVED_TAGGED: [u8; 6] = [0x00, 0x50, 0x56, 0x00, 0x00, 0x11];
/// Another moved station, untagged and in VLAN 10.
pub const SECOND_MOVED: [u8; 6] = [0x00, 0x50, 0x56, 0x00, 0x00, 0x12];
/// A station that stayed on the old LAN, and is listed.
pub const SERVER: [u8; 6] = [0x00, 0x50, 0x56, 0x00, 0x00, 0x20];
/// A station of which nobody has told the program.
pub const STRANGER: [u8; 6] = [0x00, 0x50, 0x56, 0x00, 0x00, 0x30];
/// The smallest individual address, moved, with the reserved VID 4095.
pub const LOWEST: [u8; 6] = [0x00, 0x00, 0x00, 0x00, 0x00, 0x00];
/// The largest individual address, moved, untagged.
pub const HIGHEST: [u8; 6] = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff];
/// An address that `causeway doctor` made up.
pub const PROBE: [u8; 6] = [0x02, 0xd0, 0xc7, 0x00, 0x00, 0x40];
/// Everybody.
pub const BROADCAST: [u8; 6] = [0xff; 6];

/// An IPv4 address of the host behind the lan port (RFC 5737).
pub const OWN_V4: [u8; 4] = [192, 0, 2, 1];
/// An IPv6 address of the host behind the lan port (RFC 3849).
pub const OWN_V6: [u8; 16] = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// One frame and the verdict on it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What the frame is, for a failure's message. Unique.
    pub name: String,
    /// The end that the frame arrives at.
    pub role: Role,
    /// The frame.
    pub frame: Vec<u8>,
    /// What has to become of it, if its receive queue has a socket.
    pub expected: Verdict,
}

impl Case {
    fn new(name: &str, role: Role, frame: Vec<u8>, expected: Verdict) -> Self {
        Self {
            name: format!("{role:?}: {name}"),
            role,
            frame,
            expected,
        }
    }

    /// The same frame with the same verdict at both ends.
    fn both(name: &str, frame: &[u8], expected: Verdict) -> [Self; 2] {
        [Role::Site, Role::Cloud].map(|role| Self::new(name, role, frame.to_vec(), expected))
    }
}

/// Every case.
pub fn all() -> Vec<Case> {
    [
        both::cases(),
        truncated::cases(),
        site::cases(),
        cloud::cases(),
    ]
    .concat()
}

/// What the program is told of the lan port in every case.
pub fn config(role: Role) -> LanConfig {
    LanConfig::new(role, LAN_PORT)
        .with_probes(true)
        .with_strangers(true)
}

/// The host's own addresses in every case.
pub fn own_addresses() -> [AddressKey; 2] {
    [AddressKey::v4(OWN_V4), AddressKey::v6(OWN_V6)]
}

/// The station table of one end.
pub fn stations(role: Role) -> Vec<(StationKey, Place)> {
    let (moved, stayed) = match role {
        Role::Site => (Place::Away, Place::Home),
        Role::Cloud => (Place::Home, Place::Away),
    };
    vec![
        (StationKey::new(0, MOVED), moved),
        (StationKey::new(4094, MOVED), moved),
        (StationKey::new(10, MOVED_TAGGED), moved),
        (StationKey::new(0, SECOND_MOVED), moved),
        (StationKey::new(10, SECOND_MOVED), moved),
        (StationKey::new(4095, LOWEST), moved),
        (StationKey::new(0, HIGHEST), moved),
        (StationKey::new(0, SERVER), stayed),
        (StationKey::new(10, SERVER), stayed),
    ]
}

/// The tables of one end, in user space.
#[derive(Clone, Debug)]
pub struct World {
    stations: Vec<(StationKey, Place)>,
}

impl World {
    /// The tables of the end `role`.
    pub fn new(role: Role) -> Self {
        Self {
            stations: stations(role),
        }
    }
}

impl Tables for World {
    fn place(&self, key: &StationKey) -> Option<Place> {
        self.stations
            .iter()
            .find(|(station, _)| station == key)
            .map(|&(_, place)| place)
    }

    fn hears_at_home(&self, key: &StationKey, _: u16) -> bool {
        self.place(key) == Some(Place::Home)
    }

    fn is_own_address(&self, address: &AddressKey) -> bool {
        own_addresses().contains(address)
    }

    fn is_probe(&self, mac: &[u8; 6]) -> bool {
        *mac == PROBE
    }
}
