//! Answering at the near end: `--arp-suppress`.
//!
//! A LAN asks all the time who has which address, and all of it would cross to the other side of the segment. Most of it need
//! not:
//!
//! - Whoever is known to live on the other side is answered for here, as it would answer itself: with its own MAC address
//!   as the source, in its VLAN, whoever asks.
//! - For whom is known to live on this side nothing crosses: it answers itself.
//! - For an address that nobody has been heard to have the question crosses, and again after a second, two, four, up to
//!   [`LONGEST`]: so long an owner that is quiet may take to be found if it did not answer the first time.
//!
//! What changes something crosses always: ARP announcements, replies, advertisements. Who asks whether an address is free
//! (RFC 5227, 4862) must hear it of the owner itself, who alone knows whether it is still there: such questions
//! cross too, for each address twice a second. A unicast question, by which hosts find out whether a neighbour is still
//! there, does as well: it is for one host, and its answer is worth something.
//!
//! For IPv6 an answer says whether the owner is a router, and one that said it wrongly would take a router from its neighbours'
//! lists (RFC 4861, section 7.2.5; RFC 9161, section 3.2 asks a proxy to know it): as long as we do not know, the
//! question crosses like one for an unknown address. So does one with the options of secure discovery, which
//! only the owner can sign.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    time::{Duration, Instant},
};

use causeway_ebpf::ethernet::{EthernetHeader, HEADER_LEN, TAG_LEN};
use causeway_tunnel::DropReason;

use super::{Arp, Kind, Nd, Small, arp, limiter::Limiter, nd};
use crate::{
    bindings::{Address, Known, Neighbours},
    flood::PARTS,
    stations::{Place, Role, StationKey, StationTable},
};

/// From the first question for an unknown address to the next that crosses.
const FIRST: Duration = Duration::from_secs(1);

/// And the longest pause.
const LONGEST: Duration = Duration::from_secs(32);

/// From one question whether an address is free to the next that crosses.
const PROBES: Duration = Duration::from_millis(500);

/// Who asks for which address.
struct Question {
    target: IpAddr,
    asks: Asks,
}

enum Asks {
    Arp(Arp),
    Nd {
        from: std::net::Ipv6Addr,
        secure: bool,
    },
}

impl Question {
    /// Reads a question; none: it is something else.
    fn parse(kind: Kind, frame: &[u8], header: &EthernetHeader) -> Option<Self> {
        match kind {
            Kind::Arp => {
                let arp = Arp::parse(frame, header)?;
                let asks = arp.is_request && !arp.is_announcement();
                let target = arp.target.into();
                asks.then_some(Self {
                    target,
                    asks: Asks::Arp(arp),
                })
            }
            Kind::Nd => match Nd::parse(frame, header)? {
                Nd::Solicitation {
                    from,
                    target,
                    secure,
                    ..
                } => Some(Self {
                    target: target.into(),
                    asks: Asks::Nd { from, secure },
                }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether it asks if the address is free.
    fn is_probe(&self) -> bool {
        match &self.asks {
            Asks::Arp(arp) => arp.is_probe(),
            Asks::Nd { from, .. } => from.is_unspecified(),
        }
    }

    /// The owner's answer, if we know enough to give it.
    fn answer(&self, frame: &[u8], header: &EthernetHeader, owner: Known) -> Option<Small> {
        match (&self.asks, self.target) {
            (Asks::Arp(asks), _) => Some(arp::reply(asks, frame, header, owner.mac)),
            (Asks::Nd { secure: true, .. }, _) => None,
            (Asks::Nd { from, .. }, IpAddr::V6(target)) => {
                owner.router?;
                Some(nd::answer(frame, header, *from, target, owner))
            }
            (Asks::Nd { .. }, IpAddr::V4(_)) => None,
        }
    }
}

/// What becomes of a question.
pub(super) enum Fate {
    /// It crosses.
    Crosses,
    /// This is the answer.
    Answered(Small),
    /// It goes nowhere.
    Dropped(DropReason),
}

/// A worker's part in it.
pub(super) struct Suppress {
    asked: Limiter,
    probed: Limiter,
    keys: RandomState,
}

impl Suppress {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            asked: Limiter::new(FIRST, LONGEST, now),
            probed: Limiter::new(PROBES, PROBES, now),
            keys: RandomState::new(),
        }
    }

    /// A new session has come: questions of the time before it may have been lost, and cross again at once.
    pub(super) fn forget(&mut self, now: Instant) {
        self.asked.forget(now);
        self.probed.forget(now);
    }

    /// What becomes of a frame of this kind from the LAN to all, or to a host that is stood in for.
    pub(super) fn question(
        &mut self,
        kind: Kind,
        frame: &[u8],
        stations: &StationTable,
        neighbours: &Neighbours,
        now: Instant,
    ) -> Fate {
        let Some(header) = EthernetHeader::parse(frame) else {
            return Fate::Crosses;
        };
        // Behind a second tag are networks of their own, whose addresses may be the same.
        if header.len > HEADER_LEN + TAG_LEN {
            return Fate::Crosses;
        }
        let Some(question) = Question::parse(kind, frame, &header) else {
            return Fate::Crosses;
        };
        let address = Address {
            segment: segment_of(stations, &header),
            vlan: header.vlan,
            ip: question.target,
        };
        let hash = self.keys.hash_one(address);
        // Who asks: one that asks for many addresses takes nothing from others.
        let asker = self.keys.hash_one(header.source_station()) as usize % PARTS;
        if question.is_probe() {
            return crosses(self.probed.allows(hash, asker, now));
        }
        let known = neighbours.get(&address);
        match known.filter(|owner| owner.mac != header.source) {
            Some(owner) if lives_here(stations, StationKey::new(header.vlan, owner.mac)) => {
                Fate::Dropped(DropReason::NeighbourAtHome)
            }
            Some(owner) => match question.answer(frame, &header, owner) {
                Some(answer) => Fate::Answered(answer),
                None => crosses(self.asked.allows(hash, asker, now)),
            },
            None => crosses(self.asked.allows(hash, asker, now)),
        }
    }
}

fn crosses(allowed: bool) -> Fate {
    match allowed {
        true => Fate::Crosses,
        false => Fate::Dropped(DropReason::AskedLately),
    }
}

/// The segment that who asks is part of.
fn segment_of(stations: &StationTable, header: &EthernetHeader) -> u16 {
    match stations.role {
        Role::Site => 0,
        Role::Cloud => stations.get(header.source_station()).map_or(0, |s| s.peer),
    }
}

/// Whether the owner of an address lives on this LAN.
fn lives_here(stations: &StationTable, owner: StationKey) -> bool {
    let place = stations.get(owner).map(|s| s.place);
    match stations.role {
        Role::Site => place != Some(Place::Away),
        Role::Cloud => place == Some(Place::Home),
    }
}

#[cfg(test)]
mod tests;
