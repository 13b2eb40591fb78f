//! What of the site's registry survives a restart.

use std::time::Instant;

use super::{
    super::{
        super::{PeerIndex, StationKey},
        Changes,
    },
    Advert, Learnt, SiteRegistry, Word,
};

/// What of the registry is not in the configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Stations that were added or moved at the control socket.
    pub added: Vec<(StationKey, PeerIndex)>,
    /// Stations that were removed there, though they are configured or might be learnt.
    pub removed: Vec<StationKey>,
    /// Stations that were learnt.
    pub learnt: Vec<(StationKey, PeerIndex)>,
    /// Stations that moved too often, and where they stay.
    pub frozen: Vec<(StationKey, PeerIndex)>,
}

impl SiteRegistry {
    /// What is to be remembered now, in order.
    pub fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for (station, word) in &self.words {
            match word {
                Word::Behind(peer) => memory.added.push((*station, *peer)),
                Word::Home => memory.removed.push(*station),
            }
        }
        for (station, learnt) in &self.learnt {
            match learnt.frozen {
                true => memory.frozen.push((*station, learnt.peer)),
                false => memory.learnt.push((*station, learnt.peer)),
            }
        }
        memory.added.sort_unstable();
        memory.removed.sort_unstable();
        memory.learnt.sort_unstable();
        memory.frozen.sort_unstable();
        memory
    }

    /// Puts back what was remembered: before anything else happens.
    ///
    /// What was learnt has to be within today's ranges and limits; it is given up after the time of silence
    /// unless its cloud says that it is still there.
    pub fn restore(&mut self, memory: &Memory, now: Instant) {
        let none = &mut Changes::default();
        let behind = memory
            .added
            .iter()
            .map(|(key, peer)| (*key, Word::Behind(*peer)));
        let home = memory.removed.iter().map(|key| (*key, Word::Home));
        for (station, word) in behind.chain(home) {
            // The configuration says it by now, and may say otherwise later.
            let configured = self.configured.get(&station).copied();
            if configured.is_some_and(|peer| word == Word::Behind(peer)) {
                continue;
            }
            let room = self.away.contains_key(&station) || !self.is_full();
            if word == Word::Home || room {
                self.words.insert(station, word);
                self.settle(station, now, none);
            }
        }
        let frozen = memory.frozen.iter().map(|(key, peer)| (*key, *peer, true));
        let learnt = memory.learnt.iter().map(|(key, peer)| (*key, *peer, false));
        for (station, peer, frozen) in frozen.chain(learnt) {
            let cloud = &mut self.clouds[usize::from(peer)];
            let covered = cloud.rules.ranges.iter().any(|r| r.covers(station));
            let covered = covered && !self.gateways.contains(&station);
            let allowed = covered && cloud.adverts.len() < cloud.rules.learn_limit;
            if !allowed || self.away.len() >= causeway_ebpf::maps::MAX_STATIONS as usize {
                continue;
            }
            cloud.adverts.insert(station, Advert::Remembered);
            cloud.unconfirmed_until = Some(now + self.ageing);
            self.learnt.insert(station, Learnt { peer, frozen });
            self.settle(station, now, none);
        }
    }
}
