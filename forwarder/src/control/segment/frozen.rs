//! Alarms about stations that moved too often, and are frozen where they are.

use std::time::Instant;

use super::{
    super::{Control, alarms::AlarmKind},
    Registry,
};
use crate::{
    spec::StationName,
    stations::{PeerIndex, StationKey, registry::Frozen},
};

impl Control {
    pub(super) fn note_frozen(&mut self, frozen: &Frozen, now: Instant) {
        let name = StationName(frozen.station);
        let peer = |index: PeerIndex| &self.peers[usize::from(index)].spec.name;
        let (here, before) = (peer(frozen.peer), peer(frozen.before));
        let text = format!(
            "station {name} moves between peers {before} and {here} too often: does it live twice? It stays with {here} until `causeway station clear {name}`"
        );
        self.raise_frozen(frozen.station, frozen.peer, &text, now);
    }

    fn raise_frozen(&mut self, station: StationKey, peer: PeerIndex, text: &str, now: Instant) {
        let kind = AlarmKind::MacFlapping;
        self.alarms.raise(kind, station, peer, text, None, now);
    }

    /// Alarms last as long as stations are frozen: also over a restart, and not beyond a `clear`.
    pub(super) fn review_frozen(&mut self, now: Instant) {
        let Registry::Site(site) = &self.parts.segment.registry else {
            return;
        };
        self.alarms.thaw(|station| site.is_frozen(station), now);
        let kind = AlarmKind::MacFlapping;
        let silent = site
            .frozen()
            .filter(|(key, _)| !self.alarms.is_on(kind, *key));
        for (station, peer) in silent.collect::<Vec<_>>() {
            let name = StationName(station);
            let here = &self.peers[usize::from(peer)].spec.name;
            let text = format!(
                "station {name} moved between peers too often: it stays with {here} until `causeway station clear {name}`"
            );
            self.raise_frozen(station, peer, &text, now);
        }
    }
}
