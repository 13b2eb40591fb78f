//! The stations of the segment, carried out: what the registry decides goes to the XDP program, the workers and the
//! peers.

mod border;
mod frozen;
mod keeper;
mod listing;
mod opening;
mod publisher;
mod requests;
mod telling;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_tunnel::{
    message::{Allow, Applied},
    stations::Stations,
};
use tracing::{debug, info, warn};

use super::{Control, event::SessionId};
use crate::{
    spec::StationName,
    stations::{
        PeerIndex, Role, Station, StationKey, StationTable,
        injected::InjectedSources,
        registry::{Changes, CloudRegistry, Refusal, SiteRegistry},
    },
};
use keeper::Keeper;
pub use listing::ListedStation;
use publisher::Publisher;
pub(super) use requests::Reply;
pub use requests::{StationAnswer, StationRequest};

/// What a session says it allows is taken this often: a site of ours says it once.
const ALLOWS: u32 = 16;

/// How often ageing is looked at.
const AGE: Duration = Duration::from_secs(1);

/// How often in the time of ageing the XDP program is asked whom it has heard.
const LISTENS: u32 = 8;

/// The decisions of this end.
enum Registry {
    Site(Box<SiteRegistry>),
    Cloud(Box<CloudRegistry>),
}

/// What the control plane has for the stations.
pub struct Segment {
    registry: Registry,
    keeper: Option<Keeper>,
    publisher: Publisher,
    next_age: Instant,
    /// When the XDP program was last asked whom it has heard.
    listened: Instant,
    /// When a refused station was last worth a line in the log.
    refusal_logged: Option<Instant>,
}

impl Segment {
    /// Who lives where now.
    pub fn table(&self) -> StationTable {
        match &self.registry {
            Registry::Site(site) => {
                let mut table = StationTable::new(Role::Site);
                for (station, away) in site.iter() {
                    table.insert(station, Station::away(away.peer));
                }
                table
            }
            Registry::Cloud(_) => StationTable::new(Role::Cloud),
        }
    }

    /// The LAN port has this address now.
    pub(super) fn set_own_mac(&mut self, mac: [u8; 6]) {
        match &mut self.registry {
            Registry::Site(site) => site.set_own_mac(mac),
            Registry::Cloud(cloud) => cloud.set_own_mac(mac),
        }
    }

    /// Counts stations of a peer that were not even looked at.
    fn refuse(&mut self, peer: PeerIndex, refusal: Refusal, number: usize) {
        match &mut self.registry {
            Registry::Site(site) => site.refuse(peer, refusal, number),
            Registry::Cloud(cloud) => cloud.refuse(peer, refusal, number),
        }
    }

    fn applied(&self, peer: PeerIndex) -> Option<Applied> {
        match &self.registry {
            Registry::Site(site) => site.applied(peer),
            Registry::Cloud(cloud) => cloud.applied(peer),
        }
    }
}

impl Control {
    /// Takes a part of the peer's station table: at the cloud what the site grants, at the site what the cloud has seen.
    pub(super) fn take_stations(&mut self, index: PeerIndex, id: SessionId, part: Stations) {
        let Some(live) = self.live_session(index, id) else {
            return;
        };
        let instance = live.hello().instance;
        let now = Instant::now();
        let (part, foreign) = border::inward(&self.parts.config.vlans, index, part);
        self.parts
            .segment
            .refuse(index, Refusal::OtherVlan, foreign);
        let taken = match &mut self.parts.segment.registry {
            Registry::Site(site) => site.take(index, instance, part, now),
            Registry::Cloud(cloud) => cloud.take(index, instance, part, now),
        };
        match taken {
            Ok(changes) => {
                self.note_applied(index);
                self.note_taken(index, &changes);
                self.carry_out(&changes, now);
            }
            Err(misfit) => self.end_for_stations(index, &misfit.to_string()),
        }
    }

    /// The site says which stations it wants to hear of.
    pub(super) fn take_allow(&mut self, index: PeerIndex, id: SessionId, allow: Allow) {
        let peer = &mut self.peers[usize::from(index)];
        let Some(live) = peer.live.as_mut().filter(|live| live.id == id) else {
            return;
        };
        live.allows += 1;
        if live.allows > ALLOWS {
            return debug!(
                "peer {}: it says too often what it allows, which is ignored in this session",
                peer.spec.name
            );
        }
        let now = Instant::now();
        let Registry::Cloud(cloud) = &mut self.parts.segment.registry else {
            let name = &self.peers[usize::from(index)].spec.name;
            return debug!("peer {name}: what a cloud end allows is ignored");
        };
        let allow = border::allow_inward(&self.parts.config.vlans, index, allow);
        let changes = cloud.allow(index, allow, now);
        let strangers = (0..self.peers.len()).any(|p| !cloud.ranges(p as PeerIndex).is_empty());
        if let Err(e) = self.parts.program.tell_of_strangers(strangers) {
            warn!("stations that are not granted are not seen: {e}");
        }
        if self.stations.injected.is_none() && !cloud.ranges(index).is_empty() {
            self.stations.injected = Some(Arc::new(InjectedSources::new(now)));
            self.publish(now);
        }
        self.carry_out(&changes, now);
    }

    /// At the cloud end: a frame of a station that nobody has granted came from the LAN.
    ///
    /// The XDP program has dropped it. The site may hear of it, and grant the station.
    pub(super) fn unknown_station(&mut self, station: StationKey) {
        let now = Instant::now();
        let Registry::Cloud(cloud) = &mut self.parts.segment.registry else {
            return;
        };
        let injected = self.stations.injected.as_ref();
        if injected.is_some_and(|sources| sources.is_recent(station, now)) {
            return cloud.returned();
        }
        match cloud.sighted(station, now) {
            Ok(changes) => {
                if !changes.tell.is_empty() {
                    debug!(
                        "station {} is seen here: the site is told",
                        StationName(station)
                    );
                }
                self.carry_out(&changes, now);
            }
            Err(Refusal::OutsideRanges) => {}
            Err(refusal) => self.log_refusal(None, station, refusal, now),
        }
    }

    /// What falls silent is given up; what may wait is written. To be called often.
    pub(super) fn segment_tick(&mut self, now: Instant) {
        if now >= self.parts.segment.next_age {
            self.parts.segment.next_age = now + AGE;
            self.listen(now);
            self.review_frozen(now);
            let changes = match &mut self.parts.segment.registry {
                Registry::Site(site) => site.tick(now),
                Registry::Cloud(cloud) => cloud.age(now),
            };
            if !changes.places.is_empty() {
                info!(
                    "{} stations have been silent for too long",
                    changes.places.len()
                );
            }
            self.carry_out(&changes, now);
            for peer in 0..self.peers.len() {
                self.note_applied(peer as PeerIndex);
            }
        }
        self.keep_if_due(now);
    }

    /// At the cloud end: which of the stations that are home have been heard since it was last asked.
    fn listen(&mut self, now: Instant) {
        let segment = &mut self.parts.segment;
        let Registry::Cloud(cloud) = &mut segment.registry else {
            return;
        };
        let since = segment.listened;
        if now.duration_since(since) < self.parts.config.learning.ageing / LISTENS {
            return;
        }
        segment.listened = now;
        let heard = match self.parts.program.heard() {
            Ok(heard) => heard,
            Err(e) => {
                warn!("whom the XDP program has heard is not known, nobody is given up: {e}");
                cloud.iter().map(|(station, _)| station).collect()
            }
        };
        let changes = cloud.heard(&heard, since, now);
        self.carry_out(&changes, now);
    }

    /// Has everybody know what the registry has decided.
    pub(super) fn carry_out(&mut self, changes: &Changes, now: Instant) {
        let mut moved = Vec::new();
        for (station, place) in &changes.places {
            let before = self.set_place(*station, *place);
            moved.extend(place.or(before).map(|p| (*station, p.peer)));
        }
        if !changes.places.is_empty() {
            let macs = self.stations.away_macs();
            self.parts.rx_filter.follow(macs);
            self.publish(now);
            self.announce(&moved);
        }
        for frozen in &changes.frozen {
            self.note_frozen(frozen, now);
        }
        if let Some(keeper) = self.parts.segment.keeper.as_mut().filter(|_| changes.save) {
            keeper.note();
        }
        for peer in &changes.tell {
            self.tell_stations(*peer);
        }
    }

    /// The XDP program first: frames of a station that it does not know yet are dropped, not carried wrongly.
    /// Gives where it was.
    fn set_place(&mut self, station: StationKey, place: Option<Station>) -> Option<Station> {
        let before = match place {
            Some(place) => self.stations.insert(station, place),
            None => self.stations.remove(station),
        };
        let program = &mut self.parts.program;
        let done = match place {
            Some(now) if before.map(|b| b.place) == Some(now.place) => Ok(()),
            Some(now) => program.set_station(station, now.place),
            None => program.remove_station(station),
        };
        if let Err(e) = done {
            warn!("station {}: {e}", StationName(station));
        }
        before
    }

    /// One line for each update of a peer, however many stations: the peer decides how many there are.
    fn note_taken(&mut self, index: PeerIndex, changes: &Changes) {
        if let Some((station, refusal)) = changes.refused {
            self.log_refusal(Some(index), station, refusal, Instant::now());
        }
        if changes.places.is_empty() {
            return;
        }
        let name = &self.peers[usize::from(index)].spec.name;
        let gone = changes.places.iter().filter(|(_, p)| p.is_none()).count();
        let more = changes.places.len() - gone;
        match self.stations.role {
            Role::Cloud => {
                info!("peer {name}: it grants {more} stations more and {gone} no longer")
            }
            Role::Site => {
                let first = StationName(changes.places[0].0);
                debug!("peer {name}: {more} stations are away now and {gone} are not ({first} …)");
            }
        }
    }

    fn log_refusal(
        &mut self,
        peer: Option<PeerIndex>,
        station: StationKey,
        refusal: Refusal,
        now: Instant,
    ) {
        let name = StationName(station);
        let whose = match peer {
            Some(index) => format!("peer {}: ", self.peers[usize::from(index)].spec.name),
            None => String::new(),
        };
        let logged = &mut self.parts.segment.refusal_logged;
        if logged.is_some_and(|at| now.duration_since(at) < Duration::from_secs(10)) {
            return debug!("{whose}station {name} is not taken: {refusal}");
        }
        *logged = Some(now);
        warn!(
            "{whose}station {name} is not taken: {refusal} (more of this is counted in the status)"
        );
    }
}
