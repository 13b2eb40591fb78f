//! What one peer is told of our stations: the states that the table towards it went through.
//!
//! Each change makes a state of its own, numbered from 1. The peer may be at an earlier one, or at none: it
//! is sent the difference, as long as we know it, or the whole table.

use std::collections::{BTreeMap, HashMap};

use causeway_tunnel::{
    message::Applied,
    stations::{Station as WireStation, StationsUpdate},
};

use super::StationKey;

/// Stations that are gone and still known, so that a peer that was away for a while hears of them. Of the oldest
/// beyond that the difference is no longer known.
const MOST_GONE: usize = 16_384;

/// The state in which a station was last changed.
#[derive(Clone, Copy, Debug)]
struct Entry {
    changed: u64,
    present: bool,
}

/// The table towards one peer.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// The present state.
    generation: u64,
    entries: HashMap<StationKey, Entry>,
    /// Stations by the state in which they were last changed.
    changes: BTreeMap<u64, StationKey>,
    /// Of them, those that are gone.
    gone: BTreeMap<u64, StationKey>,
    /// Differences from earlier states than this are not known.
    oldest: u64,
    /// The state that the peer has or will have when it has received what is under way; `None`: it has none.
    told: Option<u64>,
    /// Whether there is a session to tell it by.
    open: bool,
}

impl Default for Ledger {
    /// The empty table, which is a state too.
    fn default() -> Self {
        Self {
            generation: 1,
            entries: HashMap::new(),
            changes: BTreeMap::new(),
            gone: BTreeMap::new(),
            oldest: 0,
            told: None,
            open: false,
        }
    }
}

impl Ledger {
    /// Number of stations in the present state.
    pub fn len(&self) -> usize {
        self.entries.len() - self.gone.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the station is in the present state.
    pub fn contains(&self, station: StationKey) -> bool {
        self.entries.get(&station).is_some_and(|e| e.present)
    }

    /// The stations of the present state, in no order.
    pub fn stations(&self) -> impl Iterator<Item = StationKey> + '_ {
        let present = self.entries.iter().filter(|(_, entry)| entry.present);
        present.map(|(station, _)| *station)
    }

    /// Puts a station into the table, or says once more that it is there.
    pub fn set(&mut self, station: StationKey) {
        self.change(station, true);
    }

    /// Takes a station out. Does nothing if it is not in.
    pub fn remove(&mut self, station: StationKey) {
        if !self.contains(station) {
            return;
        }
        self.change(station, false);
        self.gone.insert(self.generation, station);
        if self.gone.len() > MOST_GONE
            && let Some((changed, station)) = self.gone.pop_first()
        {
            self.entries.remove(&station);
            self.changes.remove(&changed);
            self.oldest = changed;
        }
    }

    fn change(&mut self, station: StationKey, present: bool) {
        self.generation += 1;
        let changed = self.generation;
        let entry = Entry { changed, present };
        if let Some(before) = self.entries.insert(station, entry) {
            self.changes.remove(&before.changed);
            self.gone.remove(&before.changed);
        }
        self.changes.insert(changed, station);
    }

    /// A session begins whose peer says that it holds `applied`; `instance` is our own.
    pub fn begin(&mut self, applied: Option<Applied>, instance: u64) {
        let ours = applied.filter(|a| a.instance == instance);
        let known = ours.map(|a| a.generation);
        self.told = known.filter(|g| (1..=self.generation).contains(g));
        self.open = true;
    }

    /// The session is over: nothing is to be told until the next.
    pub fn end(&mut self) {
        self.open = false;
    }

    /// What is to be sent now, if anything; the peer counts as told.
    pub fn update(&mut self) -> Option<StationsUpdate> {
        if !self.open || self.told == Some(self.generation) {
            return None;
        }
        let since = self.told.filter(|told| *told >= self.oldest).unwrap_or(0);
        self.told = Some(self.generation);
        let mut update = StationsUpdate {
            generation: self.generation,
            since,
            ..Default::default()
        };
        for (changed, station) in self.changes.range(since + 1..) {
            match self.gone.contains_key(changed) {
                false => update.added.push(to_wire(*station)),
                true if since > 0 => update.withdrawn.push(to_wire(*station)),
                true => {}
            }
        }
        Some(update)
    }
}

/// A station as it is named to a peer.
pub fn to_wire(key: StationKey) -> WireStation {
    WireStation {
        vlan: key.vlan,
        mac: key.mac,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: u32) -> StationKey {
        let [a, b, c, d] = n.to_be_bytes();
        StationKey::new(0, [2, 0, a, b, c, d])
    }

    fn told(ledger: &mut Ledger) -> Option<(u64, u64, Vec<u8>, Vec<u8>)> {
        let last = |stations: Vec<WireStation>| stations.iter().map(|s| s.mac[5]).collect();
        let update = ledger.update()?;
        let (added, withdrawn) = (last(update.added), last(update.withdrawn));
        Some((update.since, update.generation, added, withdrawn))
    }

    fn at(generation: u64) -> Option<Applied> {
        let instance = 7;
        Some(Applied {
            instance,
            generation,
        })
    }

    #[test]
    fn a_session_begins_with_the_whole_table_and_goes_on_with_changes() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.update(), None, "nobody listens");
        ledger.begin(None, 7);
        assert_eq!(told(&mut ledger), Some((0, 1, vec![], vec![])));
        assert_eq!(told(&mut ledger), None);
        ledger.set(key(1));
        ledger.set(key(2));
        ledger.remove(key(9));
        assert_eq!(told(&mut ledger), Some((1, 3, vec![1, 2], vec![])));
        ledger.remove(key(1));
        ledger.set(key(2));
        assert_eq!(told(&mut ledger), Some((3, 5, vec![2], vec![1])));
        // A new process, or one that holds another's table, or a state that never was.
        for applied in [
            None,
            Some(Applied {
                instance: 8,
                generation: 5,
            }),
            at(6),
            at(0),
        ] {
            ledger.begin(applied, 7);
            assert_eq!(told(&mut ledger), Some((0, 5, vec![2], vec![])));
        }
    }

    #[test]
    fn a_session_begins_with_the_difference_where_it_is_known() {
        let mut ledger = Ledger::default();
        (1..=3).for_each(|n| ledger.set(key(n)));
        ledger.begin(at(4), 7);
        assert_eq!(told(&mut ledger), None);
        ledger.end();
        ledger.remove(key(3));
        ledger.set(key(1));
        ledger.set(key(4));
        ledger.remove(key(4));
        assert_eq!(told(&mut ledger), None);
        ledger.begin(at(4), 7);
        assert_eq!(told(&mut ledger), Some((4, 8, vec![1], vec![3, 4])));
        assert_eq!(ledger.stations().count(), ledger.len());
        assert_eq!(ledger.len(), 2);
    }

    #[test]
    fn what_is_long_gone_is_forgotten_and_then_the_whole_table_is_told() {
        let mut ledger = Ledger::default();
        ledger.set(key(0));
        let before = ledger.generation;
        for n in 1..=MOST_GONE as u32 + 1 {
            ledger.set(key(n));
            ledger.remove(key(n));
        }
        assert_eq!(ledger.entries.len(), MOST_GONE + 1);
        assert_eq!(ledger.changes.len(), MOST_GONE + 1);
        ledger.begin(at(before), 7);
        assert_eq!(
            ledger.update().map(|u| (u.since, u.added.len())),
            Some((0, 1))
        );
        ledger.begin(at(ledger.oldest), 7);
        let update = ledger.update().unwrap();
        assert_eq!((update.added.len(), update.withdrawn.len()), (0, MOST_GONE));
    }
}
