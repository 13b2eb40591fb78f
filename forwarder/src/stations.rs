//! Who lives where: the snapshot of stations that the workers look frames up in.
//!
//! The control plane owns the truth and hands workers a new snapshot when it changes; the
//! XDP program has the same places in its own map and has sorted out most frames already.

mod ends;
pub mod inbox;
pub mod injected;
pub mod ledger;
pub mod range;
pub mod registry;
pub mod state;
mod table;

use std::{hash::Hasher, sync::Arc};

pub use self::ends::Ends;
use self::{injected::InjectedSources, table::Table};
pub use causeway_ebpf::maps::{Place, Role, StationKey};

/// Position of a peer in the configuration; at most 65,535 peers.
pub type PeerIndex = u16;

/// Bytes of the largest table that is not prefetched from, that of 4,096 stations: a smaller one stays near enough to the core
/// by itself, as measured (`causeway-perf pipeline --stations`).
const CACHED: usize = 128 << 10;

/// A station: where it lives, and the peer it belongs to.
///
/// At the site, an away station lives behind `peer`. At the cloud, a home station was granted
/// to us by `peer`, the site whose segment it is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// Home or away.
    pub place: Place,
    /// The peer it lives behind, or that granted it.
    pub peer: PeerIndex,
}

impl Station {
    /// Behind a peer.
    pub fn away(peer: PeerIndex) -> Self {
        let place = Place::Away;
        Self { place, peer }
    }
}

/// A snapshot of all stations.
#[derive(Clone, Debug)]
pub struct StationTable {
    /// Which end we are: it decides what an unknown station means.
    pub role: Role,
    /// At the cloud end, while stations are learnt: where to note the sources of what is injected.
    pub injected: Option<Arc<InjectedSources>>,
    stations: Table,
}

impl StationTable {
    /// An empty table.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            injected: None,
            stations: Table::default(),
        }
    }

    /// Where the station lives, if we know it; by its key or the key's number.
    #[inline]
    pub fn get(&self, key: impl Into<u64>) -> Option<Station> {
        self.stations.get(key.into())
    }

    /// Whether looking up means to wait for memory, unless the entry was [prefetched](Self::prefetch): once there have been
    /// more than 4,096 stations.
    #[inline]
    pub fn wants_prefetch(&self) -> bool {
        self.stations.size() > CACHED
    }

    /// Has what is looked up for a frame that begins so brought into the cache: worth it if the table
    /// [wants it](Self::wants_prefetch). Returns the frame's ends, unless its header is cut.
    #[inline]
    pub fn prefetch(&self, frame: &[u8]) -> Option<Ends> {
        let (ends, _) = Ends::parse(frame)?;
        self.stations.prefetch(ends.source);
        self.stations.prefetch(ends.destination);
        Some(ends)
    }

    /// Adds or replaces a station; gives the one it replaced.
    pub fn insert(&mut self, key: StationKey, station: Station) -> Option<Station> {
        self.stations.insert(u64::from(key), station)
    }

    /// Removes a station.
    pub fn remove(&mut self, key: StationKey) -> Option<Station> {
        self.stations.remove(u64::from(key))
    }

    /// The addresses of stations that live behind peers, whatever their VLANs; one in several VLANs comes several times.
    pub fn away_macs(&self) -> impl Iterator<Item = [u8; 6]> + '_ {
        let away = self.iter().filter(|(_, s)| s.place == Place::Away);
        away.map(|(key, _)| key.mac)
    }

    /// All stations, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (StationKey, Station)> + '_ {
        self.stations.iter()
    }

    /// Number of stations.
    pub fn len(&self) -> usize {
        self.stations.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What spreads the bits of a key: 2^64 divided by the golden ratio (Knuth, TAOCP 3, section 6.4).
///
/// It is known to everybody: a table that takes in what others choose (MAC addresses of stations that are learnt)
/// must notice if keys collide.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

/// Spreads the bits of an SPI: one multiplication.
#[derive(Clone, Copy, Default)]
pub struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    #[inline]
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        let product = (self.0 ^ value).wrapping_mul(SPREAD);
        // The table uses the top 7 and the bottom bits: bring high bits down.
        self.0 = product ^ (product >> 32);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlan_is_part_of_the_station() {
        let mut table = StationTable::new(Role::Site);
        let mac = [0, 0x50, 0x56, 0, 0, 1];
        let station = Station {
            place: Place::Away,
            peer: 3,
        };
        assert_eq!(table.insert(StationKey::new(7, mac), station), None);
        assert_eq!(table.get(StationKey::new(7, mac)), Some(station));
        assert_eq!(table.get(StationKey::new(0, mac)), None);
        let all: Vec<_> = table.iter().collect();
        assert_eq!(all, [(StationKey::new(7, mac), station)]);
        assert_eq!(table.remove(StationKey::new(7, mac)), Some(station));
        assert!(table.is_empty());
    }

    #[test]
    fn large_tables_want_prefetching() {
        let mut table = StationTable::new(Role::Site);
        for n in 0..5_000_u32 {
            assert_eq!(table.wants_prefetch(), n > 4_096, "{n}");
            let [.., a, b] = n.to_be_bytes();
            table.insert(StationKey::new(0, [2, 0, 0, 0, a, b]), Station::away(1));
        }
        let frame = [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8][..], &[0; 48]].concat();
        let (ends, _) = Ends::parse(&frame).expect("a header");
        assert_eq!(table.prefetch(&frame), Some(ends));
        assert_eq!(table.prefetch(&frame[..13]), None);
    }

    #[test]
    fn spis_of_one_worker_spread_over_the_low_bits() {
        let mut buckets = [0u32; 256];
        for i in 0..65_536_u32 {
            let mut hasher = KeyHasher::default();
            hasher.write_u32(i << 8);
            buckets[(hasher.finish() & 0xFF) as usize] += 1;
        }
        assert!(
            buckets.iter().all(|n| (128..512).contains(n)),
            "{buckets:?}"
        );
    }
}
