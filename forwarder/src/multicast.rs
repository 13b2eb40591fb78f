//! Who listens to which multicast group: a worker's snapshot of it, so that a group goes only where it is wanted.
//!
//! A group is known by its MAC address: 32 groups of IPv4 share one, and then they go where any of them is
//! wanted (RFC 4541, section 2.1.2, note). Two things make it known: a static list, or snooping, which
//! begins in a VLAN when somebody asks there who listens (a querier), since nobody is to be believed
//! silent who was not asked. Snooping follows RFC 4541: data goes to members and to queriers; reports go to
//! queriers alone, or they would silence other members; what belongs to a link (224.0.0.x, and of IPv6 the
//! lowest addresses and the solicited nodes) is flooded like broadcast.

mod memberships;
mod said;
pub mod spec;

use std::{collections::HashMap, hash::BuildHasherDefault};

use causeway_ebpf::{ethernet::EthernetHeader, kind::Kind};

pub use self::{
    memberships::Memberships,
    said::{Said, read},
};
use crate::stations::{KeyHasher, PeerIndex, StationKey};

/// Stands for every VLAN in the static list.
const ANY_VLAN: u16 = u16::MAX;

/// A set of peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerSet([u64; 4]);

impl PeerSet {
    /// Adds a peer; one beyond the number of peers that there can be is none.
    pub fn insert(&mut self, peer: PeerIndex) {
        if let Some(word) = self.0.get_mut(usize::from(peer / 64)) {
            *word |= 1 << (peer % 64);
        }
    }

    /// Whether the peer is in it.
    #[inline]
    pub fn contains(&self, peer: PeerIndex) -> bool {
        let word = self.0.get(usize::from(peer / 64));
        word.is_some_and(|word| word >> (peer % 64) & 1 == 1)
    }

    fn with(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }
}

/// Whom a frame to a group is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Nothing is known of it: what the flood policy says.
    Policy,
    /// Everybody, whatever the policy says.
    Everybody,
    /// These peers, whatever the policy says.
    Only(PeerSet),
}

impl Audience {
    /// Whether the peer belongs to it.
    #[inline]
    pub fn includes(&self, peer: PeerIndex) -> bool {
        match self {
            Self::Policy | Self::Everybody => true,
            Self::Only(peers) => peers.contains(peer),
        }
    }
}

type Map<V> = HashMap<u64, V, BuildHasherDefault<KeyHasher>>;

/// What workers know of groups.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    /// The static list.
    listed: Map<PeerSet>,
    /// By snooping: members.
    members: Map<PeerSet>,
    /// By snooping: queriers, in each VLAN that has one.
    queriers: HashMap<u16, PeerSet>,
    /// By snooping: who has more members than are known.
    all: PeerSet,
    snooping: bool,
}

impl Groups {
    /// A list of groups; and whether there is snooping too.
    pub fn new(list: impl IntoIterator<Item = (StationKey, PeerSet)>, snooping: bool) -> Self {
        let list = list.into_iter().map(|(key, peers)| (u64::from(key), peers));
        Self {
            listed: list.collect(),
            snooping,
            ..Self::default()
        }
    }

    /// Whether it may know of any group.
    pub fn is_used(&self) -> bool {
        self.snooping || !self.listed.is_empty()
    }

    /// Whether reports are read.
    pub fn snooping(&self) -> bool {
        self.snooping
    }

    /// Whom a frame is for that goes to a group.
    #[inline]
    pub fn audience(&self, frame: &[u8]) -> Audience {
        match self.is_used() {
            true => self.look_up(frame),
            false => Audience::Policy,
        }
    }

    fn look_up(&self, frame: &[u8]) -> Audience {
        let Some(header) = EthernetHeader::parse(frame) else {
            return Audience::Policy;
        };
        if let Some(peers) = self.list(&header) {
            return Audience::Only(peers);
        }
        if !self.snooping {
            return Audience::Policy;
        }
        let queriers = self.queriers.get(&header.vlan).copied();
        match Kind::of(frame, &header) {
            Some(Kind::Igmp | Kind::Mld) => match queriers {
                Some(queriers) if said::is_report(frame) => Audience::Only(queriers),
                _ => Audience::Everybody,
            },
            Some(_) => Audience::Policy,
            None => match queriers {
                Some(queriers) if is_snooped(&header.destination) => {
                    let members = self.members.get(&u64::from(header.destination_station()));
                    Audience::Only(
                        members
                            .copied()
                            .unwrap_or_default()
                            .with(queriers)
                            .with(self.all),
                    )
                }
                _ => Audience::Policy,
            },
        }
    }

    fn list(&self, header: &EthernetHeader) -> Option<PeerSet> {
        let group = header.destination;
        let here = self.listed.get(&u64::from(header.destination_station()));
        let anywhere = || {
            self.listed
                .get(&u64::from(StationKey::new(ANY_VLAN, group)))
        };
        here.or_else(anywhere).copied()
    }

    /// What was snooped, in place of what was before: members, queriers, and peers that all that is snooped goes to.
    pub fn with_snooped(
        &self,
        members: impl IntoIterator<Item = (StationKey, PeerIndex)>,
        queriers: impl IntoIterator<Item = (u16, Option<PeerIndex>)>,
        all: impl IntoIterator<Item = PeerIndex>,
    ) -> Self {
        let mut groups = Self {
            members: Map::default(),
            queriers: HashMap::new(),
            all: PeerSet::default(),
            ..self.clone()
        };
        all.into_iter().for_each(|peer| groups.all.insert(peer));
        for (key, peer) in members {
            groups
                .members
                .entry(u64::from(key))
                .or_default()
                .insert(peer);
        }
        for (vlan, peer) in queriers {
            let set = groups.queriers.entry(vlan).or_default();
            peer.into_iter().for_each(|peer| set.insert(peer));
        }
        groups
    }
}

/// Whether membership says where frames to this group address go.
fn is_snooped(mac: &[u8; 6]) -> bool {
    match mac {
        // 224.0.0.x, and what shares its addresses.
        [0x01, 0x00, 0x5e, 0, 0, _] => false,
        [0x01, 0x00, 0x5e, high, ..] => *high < 0x80,
        // ff02::1 and its like; solicited nodes.
        [0x33, 0x33, 0, 0, 0, _] | [0x33, 0x33, 0xff, ..] => false,
        [0x33, 0x33, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
