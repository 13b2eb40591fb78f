//! Who lives where, decided: the truth about the stations of an end, without sockets, clocks or kernel.
//!
//! News come in (what a peer says, what was seen on the LAN, what the operator wants) with the time, and
//! [`Changes`] come out: where stations live now, which peers have to be told, what is worth a word. The
//! site's [`SiteRegistry`] is the one source of truth for a segment; the cloud end's [`CloudRegistry`] holds what it was
//! granted and what it has seen. How the two agree is in PROTOCOL.md under *Learning*.

mod cloud;
mod moves;
mod site;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use causeway_tunnel::stations::Stations;
use serde::{Deserialize, Serialize};

pub use self::{
    cloud::{CloudRegistry, Home},
    site::{Away, Memory, PeerRules, SiteRegistry, Verb, Word},
};
use super::{
    PeerIndex, Station, StationKey,
    inbox::{Inbox, Misfit, News},
};

/// Where the word of a station's place comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The configuration names it.
    Configured,
    /// It was added, or moved, at the control socket.
    Added,
    /// A cloud end has seen it.
    Learnt,
    /// At a cloud end: the site has granted it.
    Granted,
}

impl Origin {
    /// A word for the status.
    pub fn label(self) -> &'static str {
        match self {
            Self::Configured => "configured",
            Self::Added => "added",
            Self::Learnt => "learnt",
            Self::Granted => "granted",
        }
    }
}

/// Why a station that a peer named, or that was seen, was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// It is in none of the peer's ranges.
    OutsideRanges,
    /// The peer has as many learnt stations as it may.
    LearnLimit,
    /// The table has no room.
    TableFull,
    /// It has moved too often and stays where it is.
    Frozen,
    /// It is the LAN port's own address.
    OwnAddress,
    /// It is a default gateway of the site.
    Gateway,
    /// At a cloud end: another site has granted it already.
    OtherSite,
    /// Its VLAN does not come in from the peer.
    OtherVlan,
    /// At a cloud end: it was our own frame that came back.
    Returned,
    /// It is none: a group address, the address zero, or no VLAN.
    NoStation,
}

impl Refusal {
    /// All reasons.
    pub const ALL: [Self; 10] = [
        Self::OutsideRanges,
        Self::LearnLimit,
        Self::TableFull,
        Self::Frozen,
        Self::OwnAddress,
        Self::Gateway,
        Self::OtherSite,
        Self::OtherVlan,
        Self::Returned,
        Self::NoStation,
    ];

    /// A word for status and metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::OutsideRanges => "outside_ranges",
            Self::LearnLimit => "learn_limit",
            Self::TableFull => "table_full",
            Self::Frozen => "frozen",
            Self::OwnAddress => "own_address",
            Self::Gateway => "gateway",
            Self::OtherSite => "other_site",
            Self::OtherVlan => "other_vlan",
            Self::Returned => "returned",
            Self::NoStation => "no_station",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutsideRanges => "in none of the ranges that it may be learnt from",
            Self::LearnLimit => "more than may be learnt from this peer",
            Self::TableFull => "the table of stations is full",
            Self::Frozen => "it moved too often and is frozen",
            Self::OwnAddress => "the LAN port's own address",
            Self::Gateway => "a default gateway by --gateway-mac, which lives at the site",
            Self::OtherSite => "another site granted it before",
            Self::OtherVlan => {
                "in a VLAN that does not come in from the peer: see --vlans and --vlan-map"
            }
            Self::Returned => "a frame that we injected came back",
            Self::NoStation => "no station (a group address, or no VLAN)",
        })
    }
}

/// How often stations of a peer were refused, by reason.
#[derive(Clone, Debug, Default)]
pub struct Refusals(BTreeMap<Refusal, u64>);

impl Refusals {
    pub(super) fn add(&mut self, refusal: Refusal, number: usize) {
        if number > 0 {
            *self.0.entry(refusal).or_default() += number as u64;
        }
    }

    /// Those that happened.
    pub fn iter(&self) -> impl Iterator<Item = (Refusal, u64)> + '_ {
        self.0.iter().map(|(refusal, number)| (*refusal, *number))
    }
}

/// What a peer tells of its stations, and how much of it was refused.
#[derive(Debug, Default)]
struct Told {
    inbox: Inbox,
    refusals: Refusals,
}

impl Told {
    /// Takes the next message of the process `instance`; gives the update once it is whole, and has counted what in it is
    /// no station.
    fn take(&mut self, instance: u64, part: Stations) -> Result<Option<News>, Misfit> {
        let news = self.inbox.take(instance, part)?;
        let nonsense = news.as_ref().map_or(0, |news| news.nonsense);
        self.refusals.add(Refusal::NoStation, nonsense);
        Ok(news)
    }

    /// A station of the update is not taken.
    fn refuse(&mut self, station: StationKey, refusal: Refusal, changes: &mut Changes) {
        self.refusals.add(refusal, 1);
        changes.refused.get_or_insert((station, refusal));
    }
}

/// A station that was frozen where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Which.
    pub station: StationKey,
    /// Where it stays.
    pub peer: PeerIndex,
    /// Where it was before.
    pub before: PeerIndex,
}

/// What has to be done about news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Stations whose place is another: what it is now; `None`: they are nothing to us any more.
    pub places: Vec<(StationKey, Option<Station>)>,
    /// Peers that have something to be told, each once, in this order.
    pub tell: Vec<PeerIndex>,
    /// Stations that have just been frozen.
    pub frozen: Vec<Frozen>,
    /// The first station of each peer that was refused, and why.
    pub refused: Option<(StationKey, Refusal)>,
    /// Whether something is different that is to survive a restart.
    pub save: bool,
}

impl Changes {
    fn tell(&mut self, peer: PeerIndex) {
        if !self.tell.contains(&peer) {
            self.tell.push(peer);
        }
    }
}
