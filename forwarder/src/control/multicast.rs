//! Who listens to which group: what workers heard, and what they are told.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_ebpf::EthernetHeader;
use tracing::{info, warn};

use super::Control;
use crate::{
    multicast::Memberships,
    spec::MacName,
    stations::PeerIndex,
    worker::{Command, Punted},
};

/// How often old members and queriers are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of groups.
pub(super) struct Multicast {
    heard: Memberships,
    /// Peers that have more groups than are kept, as far as was said.
    overflowed: Vec<PeerIndex>,
    /// Whether the workers know less.
    is_news: bool,
    looked: Option<Instant>,
}

impl Multicast {
    pub(super) fn new(peers: usize) -> Self {
        Self {
            heard: Memberships::new(peers),
            overflowed: Vec::new(),
            is_news: false,
            looked: None,
        }
    }
}

impl Control {
    /// Takes note of IGMP or MLD.
    pub(super) fn hear_members(&mut self, punted: &Punted, now: Instant) {
        let header = EthernetHeader::parse(punted.frame());
        let snooping = self.parts.config.groups.snooping();
        if let Some(header) = header.filter(|_| snooping) {
            let (heard, origin) = (&mut self.multicast.heard, punted.origin);
            self.multicast.is_news |= heard.hear(punted.frame(), header.vlan, origin, now);
        }
    }

    /// Forgets what is old and tells the workers what is new, at every tick.
    pub(super) fn tell_groups(&mut self, now: Instant) {
        let multicast = &mut self.multicast;
        if multicast.looked.is_none_or(|at| now >= at + LOOK) {
            multicast.looked = Some(now);
            multicast.is_news |= multicast.heard.age(now);
        }
        if !std::mem::take(&mut multicast.is_news) {
            return;
        }
        let overflowed: Vec<_> = multicast.heard.overflowed().collect();
        let before = std::mem::replace(&mut multicast.overflowed, overflowed);
        let name = |peer: PeerIndex| &self.peers[usize::from(peer)].spec.name;
        let (after, multicast) = (&self.multicast.overflowed, &self.multicast);
        for peer in after.iter().filter(|peer| !before.contains(peer)) {
            warn!(
                "peer {}: more multicast groups than are kept of one peer: all multicast goes there",
                name(*peer)
            );
        }
        for peer in before.iter().filter(|peer| !after.contains(peer)) {
            info!("peer {}: its multicast groups have room again", name(*peer));
        }
        let groups = Arc::new(multicast.heard.snapshot(&self.parts.config.groups));
        self.tell_all(|| Command::Groups(Arc::clone(&groups)));
    }

    /// How often a group of the peer was not kept.
    pub(super) fn groups_refused(&self, peer: usize) -> u64 {
        self.multicast.heard.refused(peer as PeerIndex)
    }

    /// Groups that were snooped, as `[VLAN/]MAC`, and the peers with members.
    pub(super) fn group_status(&self) -> BTreeMap<String, Vec<String>> {
        let mut groups = BTreeMap::<String, Vec<String>>::new();
        for (key, peer) in self.multicast.heard.members() {
            let mac = MacName(key.mac);
            let group = match key.vlan {
                0 => mac.to_string(),
                vlan => format!("{vlan}/{mac}"),
            };
            let name = self.peers[usize::from(peer)].spec.name.clone();
            groups.entry(group).or_default().push(name);
        }
        groups.values_mut().for_each(|peers| peers.sort());
        groups
    }
}
