//! What the operator says at the control socket.

use std::time::Instant;

use super::{
    super::{
        super::{PeerIndex, StationKey},
        Changes, Origin,
    },
    SiteRegistry,
};
use crate::spec::StationName;

/// What the operator wants with a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// It lives behind that peer, though it was no station until now.
    Add(PeerIndex),
    /// It lives at home.
    Remove,
    /// It lives behind another peer from now on.
    Move(PeerIndex),
    /// What was said of it, or that it moves too much, is forgotten: it may be learnt.
    Clear,
}

/// The operator's last word on a station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It lives behind that peer.
    Behind(PeerIndex),
    /// It lives at home, whoever says otherwise.
    Home,
}

impl SiteRegistry {
    /// Does what the operator wants.
    ///
    /// # Errors
    ///
    /// A text that says why not, and what to do. Nothing has changed then.
    pub fn command(
        &mut self,
        station: StationKey,
        verb: Verb,
        now: Instant,
    ) -> Result<Changes, String> {
        match verb {
            Verb::Add(peer) => self.check_add(station, peer)?,
            Verb::Remove => self.check_remove(station)?,
            Verb::Move(peer) => self.check_move(station, peer)?,
            Verb::Clear => self.check_clear(station)?,
        }
        match verb {
            Verb::Add(peer) | Verb::Move(peer) => self.place_behind(station, peer),
            Verb::Remove if self.may_come_back(station) => {
                self.words.insert(station, Word::Home);
            }
            Verb::Remove | Verb::Clear => drop(self.words.remove(&station)),
        }
        if let Some(learnt) = self.learnt.get_mut(&station) {
            learnt.frozen = false;
        }
        self.moves.forget(station);
        let mut changes = Changes {
            save: true,
            ..Changes::default()
        };
        self.look_again(station, now, &mut changes);
        Ok(changes)
    }

    /// A word that says what the configuration says is none.
    fn place_behind(&mut self, station: StationKey, peer: PeerIndex) {
        match self.configured.get(&station) == Some(&peer) {
            true => drop(self.words.remove(&station)),
            false => drop(self.words.insert(station, Word::Behind(peer))),
        }
    }

    /// Whether a station that was removed would be away again without a word against it.
    fn may_come_back(&self, station: StationKey) -> bool {
        let mut ranges = self.clouds.iter().flat_map(|c| &c.rules.ranges);
        self.configured.contains_key(&station) || ranges.any(|r| r.covers(station))
    }

    fn check_add(&self, station: StationKey, peer: PeerIndex) -> Result<(), String> {
        let name = StationName(station);
        if station.mac == self.own_mac {
            return Err(format!("{name} is the address of the LAN port itself"));
        }
        match self.away.get(&station) {
            // What was learnt becomes the operator's word.
            Some(away) if away.origin == Origin::Learnt && away.peer == peer => Ok(()),
            Some(away) => Err(format!(
                "{name} is {} behind {} already: `causeway station move {name} PEER` moves it",
                away.origin.label(),
                self.name_of(away.peer)
            )),
            None if self.is_full() => Err(format!(
                "the table is full with {} stations: remove some first",
                self.away.len()
            )),
            None => Ok(()),
        }
    }

    fn check_remove(&self, station: StationKey) -> Result<(), String> {
        let name = StationName(station);
        match (self.away.get(&station), self.words.get(&station)) {
            (Some(_), _) => Ok(()),
            (None, Some(_)) => Err(format!("{name} is removed already")),
            (None, None) => Err(format!(
                "{name} is no station that is away: `causeway station list` shows those"
            )),
        }
    }

    fn check_move(&self, station: StationKey, peer: PeerIndex) -> Result<(), String> {
        let name = StationName(station);
        match self.away.get(&station) {
            Some(away) if away.peer == peer => {
                Err(format!("{name} is behind {} already", self.name_of(peer)))
            }
            Some(_) => Ok(()),
            None => Err(format!(
                "{name} is no station that is away: `causeway station add {name}={}` makes it one",
                self.name_of(peer)
            )),
        }
    }

    fn check_clear(&self, station: StationKey) -> Result<(), String> {
        let removed = self.words.get(&station) == Some(&Word::Home);
        if removed || self.is_frozen(station) {
            return Ok(());
        }
        let name = StationName(station);
        Err(format!(
            "{name} is neither frozen nor removed: there is nothing to clear"
        ))
    }

    fn name_of(&self, peer: PeerIndex) -> &str {
        &self.clouds[usize::from(peer)].rules.name
    }
}
