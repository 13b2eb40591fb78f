//! Who listens behind which peer, and where queriers are, until nothing was heard of it for too long.

use std::{
    collections::HashMap,
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

/// Groups behind peers that are kept, of all VLANs and peers. If there are more, everything is flooded.
const MOST: usize = 16_384;

/// Who listens to what.
#[derive(Debug, Default)]
pub struct Memberships {
    members: HashMap<(StationKey, PeerIndex), Instant>,
    /// By VLAN; none for one in our own LAN.
    queriers: HashMap<(u16, Option<PeerIndex>), Instant>,
    overflowed: bool,
}

impl Memberships {
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
                let key = (StationKey::new(vlan, group), peer);
                if self.members.len() >= MOST && !self.members.contains_key(&key) {
                    return !std::mem::replace(&mut self.overflowed, true);
                }
                self.members.insert(key, now + MEMBER).is_none()
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
        self.members.retain(|_, until| *until > now);
        self.queriers.retain(|_, until| *until > now);
        let room = self.members.len() < MOST;
        let again = room && std::mem::take(&mut self.overflowed);
        again || self.members.len() + self.queriers.len() != before
    }

    /// Whether there were more groups than are kept, so that all multicast is flooded.
    pub fn overflowed(&self) -> bool {
        self.overflowed
    }

    /// Each group with the peer that it is wanted behind.
    pub fn members(&self) -> impl Iterator<Item = (StationKey, PeerIndex)> + '_ {
        self.members.keys().copied()
    }

    /// A snapshot for the workers.
    pub fn snapshot(&self, groups: &Groups) -> Groups {
        // Without a querier nothing is snooped.
        let queriers = self.queriers.keys().copied().filter(|_| !self.overflowed);
        groups.with_snooped(self.members(), queriers)
    }
}
