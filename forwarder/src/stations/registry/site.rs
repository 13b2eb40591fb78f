//! The site's truth: what is away, and behind whom.
//!
//! The word of the operator goes before what was learnt: first what was said at the control socket, then the
//! configuration, then what a cloud has seen last.

mod learning;
mod memory;
mod verbs;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use causeway_ebpf::maps::MAX_STATIONS;
use causeway_tunnel::{
    message::{Allow, Applied},
    stations::StationsUpdate,
};

pub use self::{
    memory::Memory,
    verbs::{Verb, Word},
};
use super::{
    super::{PeerIndex, Place, Station, StationKey, ledger::Ledger, range::StationRange},
    Changes, Origin, Refusal, Refusals, Told,
    moves::Moves,
};

/// What the configuration says of a peer's stations.
#[derive(Clone, Debug, Default)]
pub struct PeerRules {
    /// Its name, for error texts.
    pub name: String,
    /// What may be learnt from it.
    pub ranges: Vec<StationRange>,
    /// How many stations it may advertise at once.
    pub learn_limit: usize,
}

/// One cloud end.
#[derive(Debug)]
struct Cloud {
    rules: PeerRules,
    /// What it has seen on its LAN, within its ranges; and whether it has said so lately (or we remember it).
    adverts: HashMap<StationKey, Advert>,
    /// When what it has not said lately is given up.
    unconfirmed_until: Option<Instant>,
    /// Since when there has been no session with it.
    silent_since: Option<Instant>,
    ledger: Ledger,
    told: Told,
}

/// A station that a cloud has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Advert {
    Confirmed,
    /// The cloud has restarted since, or we have.
    Remembered,
}

/// Where a learnt station was seen last.
#[derive(Clone, Copy, Debug)]
struct Learnt {
    peer: PeerIndex,
    /// It has moved too often, and stays there.
    frozen: bool,
}

/// A station that is away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Away {
    /// The peer that it is behind.
    pub peer: PeerIndex,
    /// Who says so.
    pub origin: Origin,
    /// Since when it is behind that peer.
    pub since: Instant,
}

/// The site's registry.
#[derive(Debug)]
pub struct SiteRegistry {
    clouds: Vec<Cloud>,
    configured: HashMap<StationKey, PeerIndex>,
    words: HashMap<StationKey, Word>,
    learnt: HashMap<StationKey, Learnt>,
    /// What follows from these.
    away: HashMap<StationKey, Away>,
    moves: Moves,
    own_mac: [u8; 6],
    /// What is never learnt.
    gateways: Vec<StationKey>,
    ageing: Duration,
}

impl SiteRegistry {
    /// A registry of the peers and stations of the configuration; `own_mac` is the LAN port's.
    pub fn new(
        peers: Vec<PeerRules>,
        configured: impl IntoIterator<Item = (StationKey, PeerIndex)>,
        own_mac: [u8; 6],
        ageing: Duration,
        now: Instant,
    ) -> Self {
        let cloud = |rules| Cloud {
            rules,
            adverts: HashMap::new(),
            unconfirmed_until: None,
            silent_since: Some(now),
            ledger: Ledger::default(),
            told: Told::default(),
        };
        let clouds: Vec<_> = peers.into_iter().map(cloud).collect();
        let mut registry = Self {
            moves: Moves::new(clouds.len()),
            clouds,
            configured: configured.into_iter().collect(),
            words: HashMap::new(),
            learnt: HashMap::new(),
            away: HashMap::new(),
            own_mac,
            gateways: Vec::new(),
            ageing,
        };
        let configured: Vec<_> = registry.configured.keys().copied().collect();
        for station in configured {
            registry.settle(station, now, &mut Changes::default());
        }
        registry
    }

    /// These are default gateways of the site, which no cloud's word moves, whatever its ranges. To be said before
    /// anything else happens.
    pub fn set_gateways(&mut self, gateways: Vec<StationKey>) {
        self.gateways = gateways;
    }

    /// Where the station is, if it is away.
    pub fn get(&self, station: StationKey) -> Option<Away> {
        self.away.get(&station).copied()
    }

    /// All stations that are away, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (StationKey, Away)> + '_ {
        self.away.iter().map(|(station, away)| (*station, *away))
    }

    /// Stations that the operator has removed though they are configured or might be learnt.
    pub fn removed(&self) -> impl Iterator<Item = StationKey> + '_ {
        let home = self.words.iter().filter(|(_, word)| **word == Word::Home);
        home.map(|(station, _)| *station)
    }

    /// Stations that have moved too often, and where they stay.
    pub fn frozen(&self) -> impl Iterator<Item = (StationKey, PeerIndex)> + '_ {
        let frozen = self.learnt.iter().filter(|(_, learnt)| learnt.frozen);
        frozen.map(|(station, learnt)| (*station, learnt.peer))
    }

    /// Whether the station has moved too often and stays where it is.
    pub fn is_frozen(&self, station: StationKey) -> bool {
        self.learnt.get(&station).is_some_and(|l| l.frozen)
    }

    /// What may be learnt from the peer.
    pub fn ranges(&self, peer: PeerIndex) -> &[StationRange] {
        &self.clouds[usize::from(peer)].rules.ranges
    }

    /// How many stations the peer has seen, and how many it advertised in vain.
    pub fn learning(&self, peer: PeerIndex) -> (usize, &Refusals) {
        let cloud = &self.clouds[usize::from(peer)];
        (cloud.adverts.len(), &cloud.told.refusals)
    }

    /// Counts stations of the peer that were not taken.
    pub fn refuse(&mut self, peer: PeerIndex, refusal: Refusal, number: usize) {
        let cloud = &mut self.clouds[usize::from(peer)];
        cloud.told.refusals.add(refusal, number);
    }

    /// The LAN port has this address now.
    pub fn set_own_mac(&mut self, mac: [u8; 6]) {
        self.own_mac = mac;
    }

    /// What the peer is told first in a session.
    pub fn allow(&self, peer: PeerIndex) -> Allow {
        let rules = &self.clouds[usize::from(peer)].rules;
        Allow {
            ranges: rules.ranges.iter().map(|r| (*r).into()).collect(),
            limit: u32::try_from(rules.learn_limit).unwrap_or(u32::MAX),
        }
    }

    /// The table of the peer that we hold.
    pub fn applied(&self, peer: PeerIndex) -> Option<Applied> {
        self.clouds[usize::from(peer)].told.inbox.applied()
    }

    /// A session with the peer begins: it says that it holds `applied` of ours; `instance` is our own.
    pub fn begin(&mut self, peer: PeerIndex, applied: Option<Applied>, instance: u64) {
        let cloud = &mut self.clouds[usize::from(peer)];
        cloud.silent_since = None;
        cloud.told.inbox.begin();
        cloud.ledger.begin(applied, instance);
    }

    /// The session with the peer is over.
    pub fn end(&mut self, peer: PeerIndex, now: Instant) {
        let cloud = &mut self.clouds[usize::from(peer)];
        cloud.silent_since.get_or_insert(now);
        cloud.ledger.end();
    }

    /// What the peer is to be told now; it counts as told.
    pub fn update(&mut self, peer: PeerIndex) -> Option<StationsUpdate> {
        self.clouds[usize::from(peer)].ledger.update()
    }

    /// Draws the conclusion for one station, after something that bears on it has changed.
    fn settle(&mut self, station: StationKey, now: Instant, changes: &mut Changes) {
        let before = self.away.get(&station).copied();
        let after = self.resolve(station);
        if before.map(|b| (b.peer, b.origin)) == after {
            return;
        }
        let moved = before.map(|b| b.peer) != after.map(|(peer, _)| peer);
        match after {
            Some((peer, origin)) => {
                let since = before.filter(|_| !moved).map_or(now, |b| b.since);
                let away = Away {
                    peer,
                    origin,
                    since,
                };
                self.away.insert(station, away);
            }
            None => drop(self.away.remove(&station)),
        }
        changes.save = true;
        if !moved {
            return;
        }
        // Whom it is taken from hears of it first.
        if let Some(before) = before {
            self.clouds[usize::from(before.peer)].ledger.remove(station);
            changes.tell(before.peer);
        }
        let place = after.map(|(peer, _)| Station {
            place: Place::Away,
            peer,
        });
        if let Some((peer, _)) = after {
            self.clouds[usize::from(peer)].ledger.set(station);
            changes.tell(peer);
        }
        changes.places.push((station, place));
    }

    fn resolve(&self, station: StationKey) -> Option<(PeerIndex, Origin)> {
        match self.words.get(&station) {
            Some(Word::Behind(peer)) => return Some((*peer, Origin::Added)),
            Some(Word::Home) => return None,
            None => {}
        }
        let configured = self.configured.get(&station);
        let configured = configured.map(|peer| (*peer, Origin::Configured));
        let learnt = || self.learnt.get(&station).map(|l| (l.peer, Origin::Learnt));
        configured.or_else(learnt)
    }

    /// Whether the operator or the configuration has a word on it.
    fn is_settled(&self, station: StationKey) -> bool {
        self.words.contains_key(&station) || self.configured.contains_key(&station)
    }

    fn is_full(&self) -> bool {
        self.away.len() >= MAX_STATIONS as usize
    }
}
