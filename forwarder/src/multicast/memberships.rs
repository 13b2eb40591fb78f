//! Who listens behind which peer, and where queriers are, until nothing was heard of it for too long.

use std::{
    collections::{HashMap, hash_map::Entry},
    time::{Duration, Instant},
};

use super::{Groups, Said, read};
use crate::{
    stations::{PeerIndex, StationKey},
    worker::Origin,
};

/// How long a member is believed that says no more: twice the interval of queries and the longest answer (RFC
/// 3376, 8.4).
const MEMBER: Duration = Duration::from_secs(260);

/// How long a querier is believed (RFC 3376, 8.5).
const QUERIER: Duration = Duration::from_secs(255);

/// How long a group is kept that somebody has left: two queries of one second each, and their way.
const LAST_MEMBER: Duration = Duration::from_secs(3);

/// Groups behind peers that are kept, of all VLANs and peers: each peer has its share of them, …
const MOST: usize = 32_768;

/// … and one alone no more than this. Of one that has more, it gets all multicast.
const MOST_OF_ONE: usize = 16_384;

/// What a peer has told.
#[derive(Clone, Copy, Debug, Default)]
struct OfPeer {
    groups: usize,
    /// Groups were not kept for want of room, and until then somebody may listen to one of them.
    overflowed: Option<Instant>,
    refused: u64,
}

/// Who listens to what.
#[derive(Debug)]
pub struct Memberships {
    members: HashMap<(StationKey, PeerIndex), Instant>,
    /// By VLAN; none for one in our own LAN.
    queriers: HashMap<(u16, Option<PeerIndex>), Instant>,
    peers: Vec<OfPeer>,
}

impl Memberships {
    /// For so many peers.
    pub fn new(peers: usize) -> Self {
        Self {
            members: HashMap::new(),
            queriers: HashMap::new(),
            peers: vec![OfPeer::default(); peers],
        }
    }

    /// Takes note of a frame in this VLAN; true: the workers should know.
    pub fn hear(&mut self, frame: &[u8], vlan: u16, origin: Origin, now: Instant) -> bool {
        let mut news = false;
        read(frame, &mut |said| {
            news |= self.note(said, vlan, origin, now)
        });
        news
    }

    fn note(&mut self, said: Said, vlan: u16, origin: Origin, now: Instant) -> bool {
        let peer = match origin {
            Origin::Lan => None,
            Origin::Peer(peer) => Some(peer),
        };
        match (said, peer) {
            (Said::Query, _) => self.queriers.insert((vlan, peer), now + QUERIER).is_none(),
            // What our own LAN listens to is its switches' affair.
            (_, None) => false,
            (Said::Joined(group), Some(peer)) => {
                let share = (MOST / self.peers.len().max(1)).min(MOST_OF_ONE);
                let Some(of) = self.peers.get_mut(usize::from(peer)) else {
                    return false;
                };
                match self.members.entry((StationKey::new(vlan, group), peer)) {
                    Entry::Occupied(mut known) => {
                        known.insert(now + MEMBER);
                        false
                    }
                    Entry::Vacant(_) if of.groups >= share => {
                        of.refused += 1;
                        of.overflowed.replace(now + MEMBER).is_none()
                    }
                    Entry::Vacant(new) => {
                        of.groups += 1;
                        new.insert(now + MEMBER);
                        true
                    }
                }
            }
            (Said::Left(group), Some(peer)) => {
                let until = self.members.get_mut(&(StationKey::new(vlan, group), peer));
                if let Some(until) = until {
                    *until = (*until).min(now + LAST_MEMBER);
                }
                false
            }
        }
    }

    /// Forgets what is too old; true: the workers should know.
    pub fn age(&mut self, now: Instant) -> bool {
        let before = self.members.len() + self.queriers.len();
        let peers = &mut self.peers;
        self.members.retain(|(_, peer), until| {
            let stays = *until > now;
            peers[usize::from(*peer)].groups -= usize::from(!stays);
            stays
        });
        self.queriers.retain(|_, until| *until > now);
        let mut again = false;
        for of in peers {
            // Who still listens has said so since, and is among those that are kept.
            again |= of.overflowed.take_if(|until| *until <= now).is_some();
        }
        again || self.members.len() + self.queriers.len() != before
    }

    /// Peers that have told of more groups than are kept, and so get all multicast.
    pub fn overflowed(&self) -> impl Iterator<Item = PeerIndex> + '_ {
        let peers = (0..).zip(&self.peers);
        let over = peers.filter(|(_, of)| of.overflowed.is_some());
        over.map(|(peer, _)| peer)
    }

    /// How often a group of the peer was not kept for want of room.
    pub fn refused(&self, peer: PeerIndex) -> u64 {
        self.peers.get(usize::from(peer)).map_or(0, |of| of.refused)
    }

    /// Each group with the peer that it is wanted behind.
    pub fn members(&self) -> impl Iterator<Item = (StationKey, PeerIndex)> + '_ {
        self.members.keys().copied()
    }

    /// A snapshot for the workers.
    pub fn snapshot(&self, groups: &Groups) -> Groups {
        groups.with_snooped(
            self.members(),
            self.queriers.keys().copied(),
            self.overflowed(),
        )
    }
}
