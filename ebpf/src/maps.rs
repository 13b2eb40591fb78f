//! The maps between user space and the XDP program: names, sizes and layouts.

use core::net::IpAddr;

use crate::flood::FloodPolicy;

/// Name of the XDP program of the lan port.
pub const LAN_PROGRAM: &str = "causeway_lan";

/// Hash map: [`StationKey`] to [`StationEntry`], [`MAX_STATIONS`] entries.
pub const STATIONS: &str = "STATIONS";
/// Hash map, used as a set: the host's own IP addresses, each an [`AddressKey`].
pub const OWN_ADDRESSES: &str = "OWN_ADDRESSES";
/// Hash map, used as a set: MAC addresses (as `u64`, see [`probe_key`]) that `causeway doctor` made up for its probes.
pub const PROBES: &str = "PROBES";
/// Array of one [`LanConfig`].
pub const CONFIG: &str = "CONFIG";
/// Per-CPU array of `u64`: frames for each [`Verdict`](crate::Verdict), by its index.
pub const COUNTERS: &str = "COUNTERS";
/// XSKMAP: receive queue of the lan port to the AF_XDP socket bound to it.
pub const LAN_SOCKETS: &str = "LAN_SOCKETS";
/// Ring buffer of [`Sighting`](crate::Sighting), of [`SIGHTINGS_BYTES`].
pub const SIGHTINGS: &str = "SIGHTINGS";
/// LRU hash map: [`Told::key`](crate::sighting::Told::key) to [`Told`](crate::sighting::Told), [`MAX_TOLD`] entries.
pub const TOLD: &str = "TOLD";
/// Hash map, used as a set: the stations (each a [`StationKey`]) whose injected frames the workers note.
pub const WATCHED: &str = "WATCHED";
/// Array of [`injected::ELEMENTS`](crate::injected::ELEMENTS) of 64 bytes, which user space has in its memory: the
/// notes of injected frames.
pub const INJECTED: &str = "INJECTED";
/// Per-CPU array of `u64`: by [`SightingCounter`](crate::SightingCounter).
pub const SIGHTING_COUNTERS: &str = "SIGHTING_COUNTERS";

/// Name of the XDP program of the uplink.
pub const UPLINK_PROGRAM: &str = "causeway_uplink";

/// Array of one [`UplinkConfig`].
pub const UPLINK_CONFIG: &str = "UPLINK_CONFIG";
/// Hash map, used as a set: our UDP ports (as `u32`).
pub const UPLINK_PORTS: &str = "UPLINK_PORTS";
/// Hash map, used as a set: the addresses that we are reached at, each an [`AddressKey`].
pub const UPLINK_OWN: &str = "UPLINK_OWN";
/// Per-CPU array of `u64`: frames for each [`UplinkVerdict`](crate::UplinkVerdict), by its index.
pub const UPLINK_COUNTERS: &str = "UPLINK_COUNTERS";
/// XSKMAP: receive queue of the uplink to the AF_XDP socket bound to it.
pub const UPLINK_SOCKETS: &str = "UPLINK_SOCKETS";

/// Stations that the table holds.
pub const MAX_STATIONS: u32 = 65_536;
/// Bytes of the ring buffer: a power of two, and room for 1,600 entries.
pub const SIGHTINGS_BYTES: u32 = 256 * 1_024;
/// Stations whose last sighting the program remembers.
pub const MAX_TOLD: u32 = 16_384;
/// Stations that can be watched at once.
pub const MAX_WATCHED: u32 = 4_096;
/// Own addresses that the set holds.
pub const MAX_OWN_ADDRESSES: u32 = 1_024;
/// Addresses of probes that the set holds: a run of `causeway doctor` has fewer.
pub const MAX_PROBES: u32 = 64;
/// Receive queues that can have an AF_XDP socket.
pub const MAX_LAN_QUEUES: u32 = 64;
/// Receive queues of the uplink that can have an AF_XDP socket.
pub const MAX_UPLINK_QUEUES: u32 = 64;
/// UDP ports of ours: one, or one for each worker.
pub const MAX_UPLINK_PORTS: u32 = 64;

/// A station: a MAC address in a VLAN. The key of the station table.
///
/// Eight bytes without padding, as the kernel hashes every byte of a key.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StationKey {
    /// VLAN identifier, host byte order; 0 is untagged.
    pub vlan: u16,
    /// The station's MAC address.
    pub mac: [u8; 6],
}

impl StationKey {
    /// The station `mac` in `vlan`.
    #[inline(always)]
    pub const fn new(vlan: u16, mac: [u8; 6]) -> Self {
        Self { vlan, mac }
    }

    /// The key as the map holds it.
    #[inline(always)]
    pub const fn to_bytes(self) -> [u8; 8] {
        let [v0, v1] = self.vlan.to_ne_bytes();
        let [m0, m1, m2, m3, m4, m5] = self.mac;
        [v0, v1, m0, m1, m2, m3, m4, m5]
    }

    /// The key that the map holds.
    #[inline(always)]
    pub const fn from_bytes([v0, v1, mac @ ..]: [u8; 8]) -> Self {
        Self::new(u16::from_ne_bytes([v0, v1]), mac)
    }
}

/// For hash tables of user space: the VLAN above the 48 bits of the MAC address.
impl From<StationKey> for u64 {
    fn from(key: StationKey) -> u64 {
        let [v0, v1] = key.vlan.to_be_bytes();
        let [m0, m1, m2, m3, m4, m5] = key.mac;
        u64::from_be_bytes([v0, v1, m0, m1, m2, m3, m4, m5])
    }
}

/// A MAC address as the key of the set of probes.
#[inline(always)]
pub const fn probe_key(mac: &[u8; 6]) -> u64 {
    let [a, b, c, d, e, f] = *mac;
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// An IP address. The key of the set of own addresses; aligned, as the verifier
/// allows misaligned accesses to frames but not to the stack, where keys are made.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressKey([u8; 16]);

impl AddressKey {
    /// The IPv4 address, as the IPv6 address `::ffff:a.b.c.d` (RFC 4291 section 2.5.5.2).
    #[inline(always)]
    pub const fn v4([a, b, c, d]: [u8; 4]) -> Self {
        Self([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d])
    }

    /// The IPv6 address.
    #[inline(always)]
    pub const fn v6(address: [u8; 16]) -> Self {
        Self(address)
    }

    /// The key as the map holds it.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}

/// What is known of a station. The value of the station table.
///
/// User space replaces it as a whole. The program writes to the epoch alone, in place: the element that it
/// found may be another station's by then, as the kernel reuses removed ones at once, and all that can
/// happen is that the other seems to have been heard.
#[repr(C, align(4))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StationEntry {
    /// The [`Place`], as a number, since a map can hold any.
    place: u16,
    /// When a frame from it was last seen, if it is at home.
    pub epoch: u16,
}

impl StationEntry {
    /// A station at `place` that has been heard in `epoch`.
    pub const fn new(place: Place, epoch: u16) -> Self {
        Self {
            place: place as u16,
            epoch,
        }
    }

    /// Where it lives, or `None` if the entry is none of ours.
    #[inline(always)]
    pub const fn place(&self) -> Option<Place> {
        Place::from_value(self.place)
    }

    /// The entry as the map holds it.
    pub const fn to_bytes(self) -> [u8; 4] {
        let ([p0, p1], [e0, e1]) = (self.place.to_ne_bytes(), self.epoch.to_ne_bytes());
        [p0, p1, e0, e1]
    }

    /// The entry that the map holds.
    pub const fn from_bytes([p0, p1, e0, e1]: [u8; 4]) -> Self {
        Self {
            place: u16::from_ne_bytes([p0, p1]),
            epoch: u16::from_ne_bytes([e0, e1]),
        }
    }
}

/// Where a station lives. Part of a [`StationEntry`].
#[repr(u16)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// On this LAN.
    Home = 1,
    /// Behind a peer.
    Away = 2,
}

impl Place {
    /// The place of a map value, or `None` if it is neither.
    #[inline(always)]
    pub const fn from_value(value: u16) -> Option<Self> {
        match value {
            1 => Some(Self::Home),
            2 => Some(Self::Away),
            _ => None,
        }
    }
}

/// Which end of the segment this is.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The old LAN: stations that moved are [away](Place::Away), everything else is foreign.
    Site = 0,
    /// Beside the moved stations, which are [home](Place::Home); everything else is away.
    Cloud = 1,
}

/// What the program knows of its port. The only element of [`CONFIG`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanConfig {
    /// The [`Role`], as a byte, since a map can hold any.
    role: u8,
    /// Bit 0: whether the set of probes is to be asked, while `causeway doctor` works. Bits 1 and 2: the
    /// [`FloodPolicy`]. Bit 3: whether at the cloud end strangers are told of.
    flags: u8,
    /// MAC address of the lan port itself.
    mac: [u8; 6],
    /// What is written to a station that is heard. In the second word, so that it changes without the first.
    epoch: u16,
    reserved: [u8; 6],
}

impl LanConfig {
    /// The lan port with the address `mac`, at the end `role`.
    pub const fn new(role: Role, mac: [u8; 6]) -> Self {
        Self {
            role: role as u8,
            flags: 0,
            mac,
            epoch: 0,
            reserved: [0; 6],
        }
    }

    /// The same with the set of probes asked, or not.
    pub const fn with_probes(self, asked: bool) -> Self {
        Self {
            flags: self.flags & !1 | asked as u8,
            ..self
        }
    }

    /// The same with this policy.
    pub const fn with_flood(self, policy: FloodPolicy) -> Self {
        Self {
            flags: self.flags & !6 | (policy as u8) << 1,
            ..self
        }
    }

    /// The same with stations that nobody granted told of, or not: at the cloud end, as long as somebody wants to hear of
    /// any.
    pub const fn with_strangers(self, told: bool) -> Self {
        Self {
            flags: self.flags & !8 | (told as u8) << 3,
            ..self
        }
    }

    /// The same of a lan port with this address.
    pub const fn with_mac(self, mac: [u8; 6]) -> Self {
        Self { mac, ..self }
    }

    /// Which broadcasts and multicasts may cross.
    #[inline(always)]
    pub const fn flood(&self) -> FloodPolicy {
        FloodPolicy::from_bits(self.flags >> 1 & 3)
    }

    /// The same in another epoch.
    pub const fn with_epoch(self, epoch: u16) -> Self {
        Self { epoch, ..self }
    }

    /// What is written to a station that is heard: see [`StationEntry`].
    #[inline(always)]
    pub const fn epoch(&self) -> u16 {
        self.epoch
    }

    /// Whether the set of probes is to be asked: without probes under way no frame pays for it.
    #[inline(always)]
    pub const fn probing(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Whether stations that nobody granted are told of.
    #[inline(always)]
    pub const fn strangers(&self) -> bool {
        self.flags & 8 != 0
    }

    /// Which end this is.
    #[inline(always)]
    pub const fn role(&self) -> Role {
        if self.role == Role::Cloud as u8 {
            Role::Cloud
        } else {
            Role::Site
        }
    }

    /// MAC address of the lan port itself.
    #[inline(always)]
    pub const fn mac(&self) -> &[u8; 6] {
        &self.mac
    }

    /// The configuration as the map holds it.
    pub const fn to_bytes(self) -> [u8; 16] {
        let [m0, m1, m2, m3, m4, m5] = self.mac;
        let [e0, e1] = self.epoch.to_ne_bytes();
        let (role, flags) = (self.role, self.flags);
        [
            role, flags, m0, m1, m2, m3, m4, m5, e0, e1, 0, 0, 0, 0, 0, 0,
        ]
    }
}

/// What the uplink's program knows of its device. The only element of [`UPLINK_CONFIG`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkConfig {
    /// Longest frame, in bytes, that the AF_XDP sockets take.
    max_frame: u16,
    mac: [u8; 6],
}

impl UplinkConfig {
    /// A device with the address `mac`, and room for frames of `max_frame` bytes.
    pub const fn new(mac: [u8; 6], max_frame: u16) -> Self {
        Self { max_frame, mac }
    }

    /// MAC address of the device.
    #[inline(always)]
    pub const fn mac(&self) -> &[u8; 6] {
        &self.mac
    }

    /// Longest frame that the sockets take.
    #[inline(always)]
    pub const fn max_frame(&self) -> usize {
        self.max_frame as usize
    }

    /// The configuration as the map holds it.
    pub const fn to_bytes(self) -> [u8; 8] {
        let [l0, l1] = self.max_frame.to_ne_bytes();
        let [m0, m1, m2, m3, m4, m5] = self.mac;
        [l0, l1, m0, m1, m2, m3, m4, m5]
    }
}

// No padding anywhere: the kernel compares and copies every byte.
const _: () = assert!(size_of::<StationKey>() == 8);
const _: () = assert!(size_of::<AddressKey>() == 16);
const _: () = assert!(size_of::<StationEntry>() == 4);
const _: () = assert!(size_of::<LanConfig>() == 16);
const _: () = assert!(size_of::<UplinkConfig>() == 8);

#[cfg(test)]
mod tests {
    use super::{AddressKey, FloodPolicy, LanConfig, Place, Role, StationEntry, StationKey};

    #[test]
    fn keys_keep_vlan_and_mac_apart() {
        let key = StationKey::new(0x0102, [3, 4, 5, 6, 7, 8]);
        assert_eq!(u64::from(key), 0x0102_0304_0506_0708);
        assert_eq!(key.to_bytes()[..2], 0x0102_u16.to_ne_bytes());
        assert_eq!(key.to_bytes()[2..], [3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn both_spellings_of_an_ipv4_address_are_one_key() {
        let v4 = AddressKey::from(core::net::IpAddr::from([192, 0, 2, 1]));
        let mapped: core::net::Ipv6Addr = "::ffff:192.0.2.1".parse().expect("an address");
        assert_eq!(v4, AddressKey::v4([192, 0, 2, 1]));
        assert_eq!(v4, AddressKey::from(core::net::IpAddr::V6(mapped)));
        assert_eq!(v4.to_bytes()[10..], [0xff, 0xff, 192, 0, 2, 1]);
    }

    #[test]
    fn map_values_round_trip() {
        for place in [Place::Home, Place::Away] {
            assert_eq!(Place::from_value(place as u16), Some(place));
            let entry = StationEntry::new(place, 0xfffe);
            assert_eq!(StationEntry::from_bytes(entry.to_bytes()), entry);
            assert_eq!((entry.place(), entry.epoch), (Some(place), 0xfffe));
        }
        assert_eq!(Place::from_value(0), None);
        for role in [Role::Site, Role::Cloud] {
            let config = LanConfig::new(role, [1, 2, 3, 4, 5, 6]);
            assert_eq!(config.role(), role);
            assert_eq!(config.to_bytes()[..8], [role as u8, 0, 1, 2, 3, 4, 5, 6]);
            assert_eq!(config.with_epoch(7).epoch(), 7);
            let probing = config.with_probes(true);
            assert_eq!(probing.to_bytes()[..8], [role as u8, 1, 1, 2, 3, 4, 5, 6]);
            assert!(probing.probing() && !config.probing());
            let strict = probing.with_flood(FloodPolicy::Nothing);
            assert_eq!(strict.flood(), FloodPolicy::Nothing);
            assert!(strict.probing() && !strict.with_probes(false).probing());
            assert_eq!(strict.with_probes(false).flood(), FloodPolicy::Nothing);
            assert_eq!(config.flood(), FloodPolicy::All);
            let told = strict.with_strangers(true);
            assert!(told.strangers() && told.probing() && !strict.strangers());
            assert_eq!(told.flood(), FloodPolicy::Nothing);
            assert!(told.with_flood(FloodPolicy::All).strangers());
            assert_eq!(told.with_strangers(false), strict);
            let moved = told.with_mac([9; 6]);
            assert_eq!((moved.mac(), moved.with_mac(*told.mac())), (&[9; 6], told));
        }
    }
}
