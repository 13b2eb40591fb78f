//! Learning the addresses of stations and hosts from what they say where they live.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tracing::trace;

use super::Control;
use crate::{
    bindings::{Bindings, Learnt, Segment},
    gateways::Gateways,
    snoop::{Said, What},
    stations::{Place, Role, StationKey, StationTable},
    status::SnoopingStatus,
    worker::{Command, Origin, Punted},
};

/// How often bindings are looked through for old ones.
const AGEING: Duration = Duration::from_secs(10);

/// Milliseconds between two snapshots at least, and addresses for which there is another: 65,536 take some 3 ms to
/// copy, twice in a second and a half.
const LEAST_PAUSE: u64 = 100;
const PER_MS: u64 = 100;

/// What is known of addresses, and what was not taken.
pub(super) struct Snooping {
    pub(super) bindings: Bindings,
    aged: Option<Instant>,
    /// Whether there is something that the workers do not know yet.
    is_news: bool,
    /// Not before then.
    publish_at: Option<Instant>,
    full: u64,
    not_theirs: u64,
}

impl Snooping {
    /// For an end that is part of as many segments as it has peers, or a site, which is of one.
    pub(super) fn new(role: Role, peers: usize) -> Self {
        let segments = match role {
            Role::Site => 1,
            Role::Cloud => peers,
        };
        Self {
            bindings: Bindings::new(segments),
            aged: None,
            is_news: false,
            publish_at: None,
            full: 0,
            not_theirs: 0,
        }
    }
}

impl Control {
    /// Learns from a frame that a worker let us see.
    pub(super) fn snoop(&mut self, punted: &Punted, now: Instant) {
        let Some(Said { station, what }) = Said::of(punted.kind, punted.frame()) else {
            return;
        };
        let learnt = match what {
            What::Gives(to, address) => {
                // Wherever the server is: it says what the station has asked for where that lives.
                let (segment, known) = segment_of(&self.stations, to, punted.origin);
                let bindings = &mut self.snooping.bindings;
                bindings.give(segment, to, known, address, now)
            }
            what => {
                let Some(segment) = lives_at(&self.stations, station, punted.origin) else {
                    self.snooping.not_theirs += 1;
                    return;
                };
                let gateways = &self.parts.config.gateways;
                if takes_a_gateways(gateways, &self.snooping.bindings, segment, station, what) {
                    self.snooping.not_theirs += 1;
                    return;
                }
                let known = gateways.is_one(station) || self.stations.get(station).is_some();
                let bindings = &mut self.snooping.bindings;
                bindings.learn(segment, station, known, what, now)
            }
        };
        trace!("{station:?} from {:?}: {what:?}: {learnt:?}", punted.origin);
        match learnt {
            Learnt::Full => self.snooping.full += 1,
            Learnt::News => self.snooping.is_news = true,
            Learnt::Known | Learnt::Nothing => {}
        }
    }

    /// Forgets what is old, from time to time.
    pub(super) fn age_bindings(&mut self, now: Instant) {
        let aged = *self.snooping.aged.get_or_insert(now);
        if now < aged + AGEING {
            return;
        }
        self.snooping.aged = Some(now);
        let (stations, gateways) = (&self.stations, &self.parts.config.gateways);
        let forgot = self.snooping.bindings.age(now, |_, station| {
            gateways.is_one(station) || stations.get(station).is_some()
        });
        self.snooping.is_news |= forgot;
    }

    fn workers_look_up(&self) -> bool {
        let config = &self.parts.config;
        config.arp_suppress || !config.gateways.local.is_empty()
    }

    /// Gives the workers what is new, a tenth of a second after the last time or, since a copy of many addresses takes
    /// time, later.
    pub(super) fn publish_bindings(&mut self, now: Instant) {
        let (due, is_news) = (self.snooping.publish_at, self.snooping.is_news);
        if !is_news || !self.workers_look_up() || due.is_some_and(|due| now < due) {
            return;
        }
        let pause = (self.snooping.bindings.len() as u64 / PER_MS).max(LEAST_PAUSE);
        self.snooping.publish_at = Some(now + Duration::from_millis(pause));
        self.snooping.is_news = false;
        let snapshot = Arc::new(self.snooping.bindings.snapshot());
        self.tell_all(|| Command::Neighbours(Arc::clone(&snapshot)));
    }

    /// The addresses of a station of the table.
    pub(super) fn addresses_of(&self, station: StationKey) -> Vec<String> {
        let segment = match (self.stations.role, self.stations.get(station)) {
            (Role::Cloud, Some(known)) => known.peer,
            _ => 0,
        };
        let all = self.snooping.bindings.of(segment, station);
        let mut all: Vec<_> = all.map(|(ip, _)| ip).collect();
        all.sort();
        all.iter().map(ToString::to_string).collect()
    }

    pub(super) fn snooping_status(&self) -> SnoopingStatus {
        SnoopingStatus {
            addresses: self.snooping.bindings.len(),
            full: self.snooping.full,
            not_theirs: self.snooping.not_theirs,
        }
    }
}

/// Whether a station says that it has what a gateway has.
fn takes_a_gateways(
    gateways: &Gateways,
    bindings: &Bindings,
    segment: Segment,
    station: StationKey,
    what: What,
) -> bool {
    let (What::Has { address, .. } | What::Tries(address)) = what else {
        return false;
    };
    let owner = bindings.owner(segment, station.vlan, address);
    owner.is_some_and(|owner| owner != station && gateways.is_one(owner))
}

/// The segment that the station is part of, if it lives where this was said. The workers have let through nothing
/// else, but the table may have changed meanwhile.
fn lives_at(stations: &StationTable, station: StationKey, origin: Origin) -> Option<Segment> {
    let known = stations.get(station);
    match (stations.role, origin, known) {
        (Role::Site, Origin::Lan, Some(s)) if s.place == Place::Away => None,
        (Role::Site, Origin::Lan, _) => Some(0),
        (Role::Site, Origin::Peer(peer), Some(s)) if s.place == Place::Away && s.peer == peer => {
            Some(0)
        }
        (Role::Site, Origin::Peer(_), _) => None,
        (Role::Cloud, Origin::Lan, Some(s)) if s.place == Place::Home => Some(s.peer),
        (Role::Cloud, Origin::Peer(_), Some(s)) if s.place == Place::Home => None,
        (Role::Cloud, Origin::Peer(peer), _) => Some(peer),
        (Role::Cloud, Origin::Lan, _) => None,
    }
}

/// The segment that a DHCP server gives an address in, and whether whom it gives it to is a station of the table.
fn segment_of(stations: &StationTable, to: StationKey, origin: Origin) -> (Segment, bool) {
    let known = stations.get(to);
    let segment = match (stations.role, origin) {
        (Role::Site, _) => 0,
        (Role::Cloud, Origin::Peer(peer)) => peer,
        (Role::Cloud, Origin::Lan) => known.map_or(0, |s| s.peer),
    };
    (segment, known.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stations::Station;

    #[test]
    fn a_station_is_believed_where_it_lives_and_nowhere_else() {
        let key = |n| StationKey::new(0, [0, 0x50, 0x56, 0, 0, n]);
        let (lan, zero, one) = (Origin::Lan, Origin::Peer(0), Origin::Peer(1));
        let mut site = StationTable::new(Role::Site);
        let (place, peer) = (Place::Away, 1);
        site.insert(key(1), Station { place, peer });
        let at_site = |n, origin| lives_at(&site, key(n), origin);
        assert_eq!(
            [lan, zero, one].map(|o| at_site(1, o)),
            [None, None, Some(0)]
        );
        assert_eq!(
            [lan, zero, one].map(|o| at_site(2, o)),
            [Some(0), None, None]
        );
        let mut cloud = StationTable::new(Role::Cloud);
        let place = Place::Home;
        cloud.insert(key(1), Station { place, peer });
        let at_cloud = |n, origin| lives_at(&cloud, key(n), origin);
        assert_eq!(
            [lan, zero, one].map(|o| at_cloud(1, o)),
            [Some(1), None, None]
        );
        assert_eq!(
            [lan, zero, one].map(|o| at_cloud(2, o)),
            [None, Some(0), Some(1)]
        );
    }
}
