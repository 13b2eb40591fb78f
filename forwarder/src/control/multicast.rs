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
    worker::{Command, Punted},
};

/// How often old members and queriers are looked for.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of groups.
#[derive(Default)]
pub(super) struct Multicast {
    heard: Memberships,
    /// Whether the workers know less.
    is_news: bool,
    looked: Option<Instant>,
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
        let before = multicast.heard.overflowed();
        if multicast.looked.is_none_or(|at| now >= at + LOOK) {
            multicast.looked = Some(now);
            multicast.is_news |= multicast.heard.age(now);
        }
        if !std::mem::take(&mut multicast.is_news) {
            return;
        }
        match (before, multicast.heard.overflowed()) {
            (_, true) => warn!("more multicast groups than are kept: all multicast is flooded"),
            (true, false) => info!("multicast groups: there is room again"),
            (false, false) => {}
        }
        let groups = Arc::new(multicast.heard.snapshot(&self.parts.config.groups));
        self.tell_all(|| Command::Groups(Arc::clone(&groups)));
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
