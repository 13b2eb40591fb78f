//! What a peer tells us of its stations: parts of updates, joined, and checked against the state we hold.

use std::collections::HashSet;

use causeway_ebpf::maps::MAX_STATIONS;
use causeway_tunnel::{
    message::Applied,
    stations::{Station as WireStation, Stations, StationsError, StationsJoiner},
};

use super::StationKey;

/// Why a peer's update cannot be taken; the session ends, and the next begins with what we hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Its messages do not fit together.
    #[error(transparent)]
    Parts(#[from] StationsError),
    /// It starts from a state that we do not hold, or leads back.
    #[error(
        "the peer's station update from generation {since} to {generation} is for a table that we do not have"
    )]
    Basis {
        /// Where it starts.
        since: u64,
        /// Where it leads.
        generation: u64,
    },
}

/// A whole update of a peer's table, as stations of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// Whether it replaces the table.
    pub full: bool,
    /// Whether it is of the process whose table we held before.
    pub continued: bool,
    /// Stations that are in the table; where the update is not full, seen or granted anew.
    pub added: Vec<StationKey>,
    /// Stations that are in it no longer; empty where the update is full.
    pub withdrawn: Vec<StationKey>,
    /// Entries that are no stations: group addresses, the address zero, no VLAN.
    pub nonsense: usize,
}

/// The receiving half of a peer's table.
#[derive(Debug)]
pub struct Inbox {
    joiner: StationsJoiner,
    applied: Option<Applied>,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            joiner: new_joiner(),
            applied: None,
        }
    }
}

impl Inbox {
    /// The table that we hold.
    pub fn applied(&self) -> Option<Applied> {
        self.applied
    }

    /// A session begins: what the one before had begun to tell is told anew.
    pub fn begin(&mut self) {
        self.joiner = new_joiner();
    }

    /// What was held is given up: the peer has to tell the whole table.
    pub fn forget(&mut self) {
        self.applied = None;
    }

    /// Takes the next message of the process `instance`; gives the update once it is whole.
    ///
    /// # Errors
    ///
    /// [`Misfit`]: the session has to end.
    pub fn take(&mut self, instance: u64, part: Stations) -> Result<Option<News>, Misfit> {
        let Some(update) = self.joiner.push(part)? else {
            return Ok(None);
        };
        let held = self.applied.filter(|a| a.instance == instance);
        // By an earlier session we may have got further than we said when this one began.
        let fits = held.is_some_and(|a| (update.since..=update.generation).contains(&a.generation));
        if !update.is_full() && !fits {
            let (since, generation) = (update.since, update.generation);
            return Err(Misfit::Basis { since, generation });
        }
        let generation = update.generation;
        self.applied = Some(Applied {
            instance,
            generation,
        });
        let full = update.is_full();
        let withdrawn = if full { Vec::new() } else { update.withdrawn };
        let none = |s: &&WireStation| from_wire(s).is_none();
        let nonsense = update.added.iter().chain(&withdrawn).filter(none).count();
        Ok(Some(News {
            full,
            continued: held.is_some(),
            added: unique(&update.added),
            withdrawn: unique(&withdrawn),
            nonsense,
        }))
    }
}

/// Updates of the largest table fit, withdrawals of another such included.
fn new_joiner() -> StationsJoiner {
    StationsJoiner::new(2 * MAX_STATIONS as usize)
}

/// The stations among them, each once.
fn unique(stations: &[WireStation]) -> Vec<StationKey> {
    let mut seen = HashSet::new();
    let keys = stations.iter().filter_map(from_wire);
    keys.filter(|key| seen.insert(*key)).collect()
}

/// A station as the peer names it, unless it is none: a group address, the address zero, or no VLAN.
pub fn from_wire(station: &WireStation) -> Option<StationKey> {
    let WireStation { vlan, mac } = *station;
    let is_station = vlan <= 4_094 && mac[0] & 1 == 0 && mac != [0; 6];
    is_station.then(|| StationKey::new(vlan, mac))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(since: u64, generation: u64, macs: &[u8]) -> Stations {
        let station = |last: &u8| WireStation {
            vlan: 0,
            mac: [2, 0, 0, 0, 0, *last],
        };
        Stations {
            generation,
            since,
            more: false,
            added: macs.iter().map(station).collect(),
            withdrawn: vec![],
        }
    }

    #[test]
    fn an_update_may_start_before_what_we_hold_but_not_behind_it() {
        let mut inbox = Inbox::default();
        assert!(inbox.take(1, part(4, 5, &[])).is_err());
        let news = inbox.take(1, part(0, 5, &[1])).unwrap().unwrap();
        assert!(news.full && !news.continued);
        assert!(inbox.take(1, part(5, 9, &[2])).is_ok());
        // A session that began when we held 5, while another took us to 9.
        let news = inbox.take(1, part(5, 9, &[2])).unwrap().unwrap();
        assert!(!news.full && news.continued && news.added.len() == 1);
        for (since, generation) in [(10, 11), (5, 8)] {
            assert_eq!(
                inbox.take(1, part(since, generation, &[])),
                Err(Misfit::Basis { since, generation })
            );
        }
        assert!(inbox.take(2, part(9, 10, &[])).is_err());
        let news = inbox.take(2, part(0, 3, &[])).unwrap().unwrap();
        assert!(news.full && !news.continued);
        let instance = 2;
        assert_eq!(
            inbox.applied(),
            Some(Applied {
                instance,
                generation: 3
            })
        );
    }

    #[test]
    fn what_is_no_station_is_counted_and_left_out() {
        let mut inbox = Inbox::default();
        let mut message = part(0, 1, &[7, 7]);
        message.added.push(WireStation {
            vlan: 0,
            mac: [0; 6],
        });
        message.added.push(WireStation {
            vlan: 4_095,
            mac: [2; 6],
        });
        message.added.push(WireStation {
            vlan: 1,
            mac: [3; 6],
        });
        let news = inbox.take(1, message).unwrap().unwrap();
        assert_eq!((news.added.len(), news.nonsense), (1, 3));
    }
}
