//! The stations of a snapshot, laid out for looking up: one multiplication and, nearly always, one cache line.

use std::hash::{BuildHasher, RandomState};

use super::{SPREAD, Station, StationKey};
use crate::sys::prefetch::prefetch_value;

/// Places in the smallest table, a power of two.
const SMALLEST: usize = 16;

/// A station farther than this from its home is no chance: in a table half full of ordinary addresses none is.
const FAR: usize = 128;

/// A place in the table: free if it has no station.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    station: Option<Station>,
}

/// Open addressing with linear probing (Knuth, TAOCP 3, section 6.4, algorithm L), at most half full,
/// so that the search for a station that is not there ends as soon as that for one that is.
#[derive(Clone, Debug)]
pub(super) struct Table {
    /// A power of two of them.
    slots: Box<[Slot]>,
    /// What leaves the upper bits of a product: as many as number the slots.
    shift: u32,
    len: usize,
    /// What spreads keys: [`SPREAD`], until somebody has found addresses that it does not spread.
    spread: u64,
    /// How far from its home a station may be before another number takes the place of `spread`.
    far: usize,
}

impl Default for Table {
    fn default() -> Self {
        Self::with_slots(SMALLEST)
    }
}

impl Table {
    fn with_slots(slots: usize) -> Self {
        Self {
            slots: vec![Slot::default(); slots].into(),
            shift: u64::BITS - slots.ilog2(),
            len: 0,
            spread: SPREAD,
            far: FAR,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn get(&self, key: u64) -> Option<Station> {
        let mut at = self.home(key);
        let mut slot = self.slots.get(at)?;
        while slot.key != key && slot.station.is_some() {
            at += 1;
            slot = &self.slots[at & (self.slots.len() - 1)];
        }
        slot.station
    }

    /// Has the place where the search for `key` begins brought into the cache.
    #[inline]
    pub(super) fn prefetch(&self, key: u64) {
        if let Some(slot) = self.slots.get(self.home(key)) {
            prefetch_value(slot);
        }
    }

    /// Bytes of it.
    #[inline]
    pub(super) fn size(&self) -> usize {
        size_of_val(&*self.slots)
    }

    pub(super) fn insert(&mut self, key: u64, station: Station) -> Option<Station> {
        if 2 * (self.len + 1) > self.slots.len() {
            self.grow();
        }
        let at = self.find(key);
        let slot = &mut self.slots[at];
        slot.key = key;
        let before = slot.station.replace(station);
        self.len += usize::from(before.is_none());
        let distance = at.wrapping_sub(self.home(key)) & (self.slots.len() - 1);
        if distance > self.far {
            self.spread_anew();
        }
        before
    }

    /// Takes out a station and moves those behind it up that would not be found across the gap
    /// (Knuth, algorithm R).
    pub(super) fn remove(&mut self, key: u64) -> Option<Station> {
        let mut gap = self.find(key);
        let removed = self.slots[gap].station?;
        let mask = self.slots.len() - 1;
        let mut at = gap;
        loop {
            at = (at + 1) & mask;
            let slot = self.slots[at];
            if slot.station.is_none() {
                break;
            }
            // How far it stands from its home, and from the gap.
            let (from_home, from_gap) =
                (at.wrapping_sub(self.home(slot.key)), at.wrapping_sub(gap));
            if from_home & mask >= from_gap & mask {
                self.slots[gap] = slot;
                gap = at;
            }
        }
        self.slots[gap] = Slot::default();
        self.len -= 1;
        Some(removed)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (StationKey, Station)> + '_ {
        let stations = self.slots.iter();
        stations.filter_map(|slot| Some((key_of(slot.key), slot.station?)))
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        (key.wrapping_mul(self.spread) >> self.shift) as usize
    }

    /// Where `key` is, or would be.
    fn find(&self, key: u64) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = self.home(key);
        while self.slots[at].station.is_some() && self.slots[at].key != key {
            at = (at + 1) & mask;
        }
        at
    }

    fn grow(&mut self) {
        self.lay_out(2 * self.slots.len());
    }

    /// Spreads the keys by a number that nobody can know: machines on a LAN from which stations are learnt choose
    /// their addresses, and could all choose such as have one home. The next time has to be twice as bad, so that this
    /// happens a few times at most.
    #[cold]
    fn spread_anew(&mut self) {
        self.spread = RandomState::new().hash_one(self.len) | 1;
        self.far *= 2;
        self.lay_out(self.slots.len());
    }

    fn lay_out(&mut self, slots: usize) {
        let (spread, far) = (self.spread, self.far);
        let new = Self {
            spread,
            far,
            ..Self::with_slots(slots)
        };
        let before = std::mem::replace(self, new);
        for slot in before.slots {
            if let Some(station) = slot.station {
                self.insert(slot.key, station);
            }
        }
    }
}

/// The key that the number stands for: the VLAN above the 48 bits of the MAC address.
fn key_of(number: u64) -> StationKey {
    let [v0, v1, mac @ ..] = number.to_be_bytes();
    StationKey::new(u16::from_be_bytes([v0, v1]), mac)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::stations::Place;

    fn station(peer: u16) -> Station {
        Station {
            place: Place::Away,
            peer,
        }
    }

    /// Numbers that have one home in every table of up to 2^16 slots: multiples of 2^48 of the
    /// multiplier's inverse differ in the lowest bits of the product only.
    fn colliding(n: u64) -> u64 {
        let mut inverse = SPREAD;
        for _ in 0..6 {
            inverse = inverse.wrapping_mul(2_u64.wrapping_sub(SPREAD.wrapping_mul(inverse)));
        }
        inverse.wrapping_mul(n)
    }

    #[test]
    fn a_number_that_is_free_slots_key_is_not_there() {
        let mut table = Table::default();
        assert_eq!(table.get(0), None);
        table.insert(0, station(7));
        assert_eq!(table.get(0), Some(station(7)));
        assert_eq!(table.remove(0), Some(station(7)));
        assert_eq!((table.get(0), table.remove(0)), (None, None));
    }

    /// A vendor gives out addresses one after the other.
    #[test]
    fn consecutive_macs_are_found_at_once() {
        let mut table = Table::default();
        for mac in 0x0050_5600_0000..0x0050_5600_8000_u64 {
            table.insert(mac, station(1));
        }
        let mask = table.slots.len() - 1;
        let away = |(at, slot): (usize, &Slot)| at.wrapping_sub(table.home(slot.key)) & mask;
        let taken = table.slots.iter().enumerate();
        let farthest = taken.filter(|(_, s)| s.station.is_some()).map(away).max();
        assert!(farthest.is_some_and(|away| away < 4), "{farthest:?}");
    }

    #[test]
    fn keys_that_somebody_has_chosen_to_be_in_each_others_way_are_spread_anew() {
        let mut table = Table::default();
        for n in 0..4_096 {
            table.insert(colliding(n), station(n as u16));
        }
        assert_ne!(table.spread, SPREAD);
        let mask = table.slots.len() - 1;
        let away = |(at, slot): (usize, &Slot)| at.wrapping_sub(table.home(slot.key)) & mask;
        let taken = table.slots.iter().enumerate();
        let sum: usize = taken.filter(|(_, s)| s.station.is_some()).map(away).sum();
        assert!(sum / 4_096 < FAR, "{sum}");
        assert!((0..4_096).all(|n| table.get(colliding(n)) == Some(station(n as u16))));
    }

    #[test]
    fn as_many_stations_as_the_kernel_has_place_for() {
        let mut table = Table::default();
        for n in 0..65_536 {
            assert_eq!(table.insert(n, station(n as u16)), None);
        }
        assert_eq!((table.len(), table.slots.len()), (65_536, 131_072));
        assert!((0..65_536).all(|n| table.get(n) == Some(station(n as u16))));
        assert_eq!(table.get(65_536), None);
    }

    proptest! {
        #[test]
        fn agrees_with_a_map(steps in prop::collection::vec((any::<bool>(), any::<bool>(), 0u64..40, any::<u16>()), 1..400)) {
            let (mut table, mut map) = (Table::default(), HashMap::new());
            for (remove, collide, n, peer) in steps {
                let key = if collide { colliding(n) } else { n };
                if remove {
                    prop_assert_eq!(table.remove(key), map.remove(&key));
                } else {
                    prop_assert_eq!(table.insert(key, station(peer)), map.insert(key, station(peer)));
                }
                prop_assert_eq!(table.len(), map.len());
                for n in 0..40 {
                    prop_assert_eq!(table.get(n), map.get(&n).copied());
                    prop_assert_eq!(table.get(colliding(n)), map.get(&colliding(n)).copied());
                }
            }
            let all: HashMap<_, _> = table.iter().map(|(k, s)| (u64::from(k), s)).collect();
            prop_assert_eq!(all, map);
        }
    }
}
