//! How a station table crosses: updates, cut into messages and joined again.
//!
//! The sender numbers the states of its table (*generations*, from 1; 0 is the empty table
//! before any). An update leads from one generation to a later one. The receiver says in its
//! `Hello` which generation it holds, so a new session begins with the difference only.

use minicbor::{Decode, Encode};

use crate::message::Message;

/// Stations in one message; 180 kB of at most 1 MiB.
pub const STATIONS_PER_MESSAGE: usize = 16_384;

/// A (VLAN, MAC) pair. On the wire: an array of the two, to which later versions may append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(array)]
pub struct Station {
    /// VLAN identifier, 0 for untagged.
    #[n(0)]
    pub vlan: u16,
    /// MAC address.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub mac: [u8; 6],
}

/// One message of an update.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub struct Stations {
    /// The generation that the table has after the update.
    #[n(0)]
    pub generation: u64,
    /// The generation that the update starts from: 0 for a full table, which replaces all.
    #[n(1)]
    pub since: u64,
    /// Whether more messages of the same update follow.
    #[n(2)]
    pub more: bool,
    /// Stations that are new since then.
    #[n(3)]
    pub added: Vec<Station>,
    /// Stations that are gone since then.
    #[n(4)]
    pub withdrawn: Vec<Station>,
}

/// A whole update, to be applied at once: first withdrawals, then additions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StationsUpdate {
    /// The generation that the table has after the update.
    pub generation: u64,
    /// The generation that the update starts from: 0 for a full table, which replaces all.
    pub since: u64,
    /// Stations that are new since then.
    pub added: Vec<Station>,
    /// Stations that are gone since then.
    pub withdrawn: Vec<Station>,
}

impl StationsUpdate {
    /// Whether the update replaces the whole table.
    pub fn is_full(&self) -> bool {
        self.since == 0
    }

    /// The messages that carry the update, each below the size limit; at least one.
    pub fn into_messages(self) -> impl Iterator<Item = Message> {
        let StationsUpdate {
            generation,
            since,
            added,
            withdrawn,
        } = self;
        let pieces = (added.len() + withdrawn.len())
            .div_ceil(STATIONS_PER_MESSAGE)
            .max(1);
        let mut withdrawn = withdrawn.into_iter();
        let mut added = added.into_iter();
        (1..=pieces).map(move |piece| {
            let withdrawn: Vec<_> = withdrawn.by_ref().take(STATIONS_PER_MESSAGE).collect();
            let room = STATIONS_PER_MESSAGE - withdrawn.len();
            let added = added.by_ref().take(room).collect();
            let more = piece < pieces;
            Message::Stations(Stations {
                generation,
                since,
                more,
                added,
                withdrawn,
            })
        })
    }
}

/// Why the messages of an update do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StationsError {
    /// More stations than this end is willing to hold.
    #[error("the peer's update has more than {0} stations, the limit of this end")]
    TooMany(usize),
    /// A message of another update came before the last one of this.
    #[error("the peer mixed the station updates to generations {0} and {1}")]
    Mixed(u64, u64),
    /// An update must lead to a later generation.
    #[error("the peer's station update leads from generation {0} to {1}")]
    Backwards(u64, u64),
}

/// Joins the messages of updates.
#[derive(Debug)]
pub struct StationsJoiner {
    limit: usize,
    pending: Option<StationsUpdate>,
}

impl StationsJoiner {
    /// A joiner that accepts up to `limit` stations (added plus withdrawn) in one update.
    pub fn new(limit: usize) -> StationsJoiner {
        StationsJoiner {
            limit,
            pending: None,
        }
    }

    /// Takes the next message; returns the update once it is whole.
    ///
    /// # Errors
    /// [`StationsError`]; what was gathered is forgotten.
    pub fn push(&mut self, message: Stations) -> Result<Option<StationsUpdate>, StationsError> {
        let Stations {
            generation,
            since,
            more,
            added,
            withdrawn,
        } = message;
        if since >= generation {
            return Err(StationsError::Backwards(since, generation));
        }
        let fresh = || StationsUpdate {
            generation,
            since,
            ..Default::default()
        };
        let mut update = self.pending.take().unwrap_or_else(fresh);
        if (update.generation, update.since) != (generation, since) {
            return Err(StationsError::Mixed(update.generation, generation));
        }
        update.added.extend(added);
        update.withdrawn.extend(withdrawn);
        if update.added.len() + update.withdrawn.len() > self.limit {
            return Err(StationsError::TooMany(self.limit));
        }
        if more {
            self.pending = Some(update);
            return Ok(None);
        }
        Ok(Some(update))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{LENGTH_PREFIX, MAX_FRAME_LEN};

    fn stations(range: std::ops::Range<u32>) -> Vec<Station> {
        let station = |n: u32| {
            let [a, b, c, d] = n.to_be_bytes();
            Station {
                vlan: (n % 4095) as u16,
                mac: [2, 0, a, b, c, d],
            }
        };
        range.map(station).collect()
    }

    fn join(messages: impl Iterator<Item = Message>, limit: usize) -> Vec<StationsUpdate> {
        let mut joiner = StationsJoiner::new(limit);
        let mut updates = Vec::new();
        for message in messages {
            let frame = message.encode().unwrap();
            assert!(frame.len() <= MAX_FRAME_LEN);
            let decoded = Message::decode(&frame[LENGTH_PREFIX..]).unwrap();
            let Some(Message::Stations(part)) = decoded else {
                panic!("{decoded:?}")
            };
            updates.extend(joiner.push(part).unwrap());
        }
        updates
    }

    #[test]
    fn updates_of_every_size_survive_being_cut() {
        let per = STATIONS_PER_MESSAGE as u32;
        for (added, withdrawn) in [
            (0, 0),
            (1, 0),
            (0, per),
            (per, 1),
            (per - 1, per + 2),
            (65_536, 65_536),
        ] {
            let update = StationsUpdate {
                generation: 9,
                since: 4,
                added: stations(0..added),
                withdrawn: stations(1 << 20..(1 << 20) + withdrawn),
            };
            let updates = join(update.clone().into_messages(), 200_000);
            assert_eq!(updates, [update], "{added} {withdrawn}");
        }
    }

    #[test]
    fn contradictions_are_refused() {
        let part = |generation, since, more, n| Stations {
            generation,
            since,
            more,
            added: stations(0..n),
            withdrawn: vec![],
        };
        let mut joiner = StationsJoiner::new(10);
        assert_eq!(joiner.push(part(3, 0, true, 6)), Ok(None));
        assert_eq!(
            joiner.push(part(4, 0, false, 1)),
            Err(StationsError::Mixed(3, 4))
        );
        assert_eq!(joiner.push(part(3, 0, true, 6)), Ok(None));
        assert_eq!(
            joiner.push(part(3, 0, false, 6)),
            Err(StationsError::TooMany(10))
        );
        assert_eq!(
            joiner.push(part(3, 3, false, 0)),
            Err(StationsError::Backwards(3, 3))
        );
    }
}
