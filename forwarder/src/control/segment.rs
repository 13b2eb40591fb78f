//! The stations of the segment, carried out: what the registry decides goes to the XDP program, the workers and the
//! peers.

mod border;
mod keeper;
mod listing;
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

use super::{Control, alarms::AlarmKind, event::SessionId};
use crate::{
    config::Config,
    spec::StationName,
    stations::{
        PeerIndex, Role, Station, StationKey, StationTable,
        injected::InjectedSources,
        registry::{Changes, CloudRegistry, Frozen, Memory, PeerRules, Refusal, SiteRegistry},
        state::StateFile,
    },
    vlans::Vlans,
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
    /// As the configuration has it, and the state file, which is read here, and written if it has to be.
    ///
    /// # Errors
    ///
    /// A text that names the state file and the mend.
    pub fn open(config: &Config, own_mac: [u8; 6]) -> Result<Self, String> {
        let now = Instant::now();
        let rules = &config.learning;
        let mut keeper = None;
        let registry = match config.role {
            Role::Cloud => {
                let sites = config.peers.len();
                let registry = CloudRegistry::new(sites, own_mac, rules.ageing);
                Registry::Cloud(Box::new(registry))
            }
            Role::Site => {
                let configured = config.stations.iter().map(|(key, s)| (key, s.peer));
                let peers = site_rules(config);
                let mut registry = SiteRegistry::new(peers, configured, own_mac, rules.ageing, now);
                registry.set_gateways(config.gateways.site.clone());
                if let Some(path) = &config.state {
                    let names = config.peers.iter().map(|p| p.name.clone()).collect();
                    let (mut file, mut memory) = StateFile::open(path, names)?;
                    note_set_aside(&mut file, &mut memory, &config.vlans);
                    registry.restore(&memory, now);
                    note_state(&registry);
                    file.write(&file.text(&registry.memory()))?;
                    keeper = Some(Keeper::new(file));
                }
                Registry::Site(Box::new(registry))
            }
        };
        Ok(Self {
            registry,
            keeper,
            publisher: Publisher::default(),
            next_age: now,
            listened: now,
            refusal_logged: None,
        })
    }

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

fn site_rules(config: &Config) -> Vec<PeerRules> {
    let rules = &config.learning;
    let of = |(index, peer): (usize, &crate::spec::PeerSpec)| PeerRules {
        name: peer.name.clone(),
        ranges: rules.ranges.get(index).cloned().unwrap_or_default(),
        learn_limit: rules.limit,
    };
    config.peers.iter().enumerate().map(of).collect()
}

/// Says what of the state file waits for another configuration.
fn note_set_aside(file: &mut StateFile, memory: &mut Memory, vlans: &Vlans) {
    if file.set_aside() > 0 {
        warn!(
            "the state file has {} stations behind peers that the configuration does not name: they wait for those to come back",
            file.set_aside()
        );
    }
    let crosses = |station, peer| vlans.to_wire(peer, station).is_some();
    let out = file.keep_aside(memory, crosses);
    if let Some(first) = out.first() {
        warn!(
            "{} stations of the state file are in VLANs that do not cross to their peer now, {} first: see --vlans and --vlan-map; what was added or frozen waits until they do",
            out.len(),
            StationName(*first)
        );
    }
}

/// Says what the state file changes in the configuration.
fn note_state(registry: &SiteRegistry) {
    let memory = registry.memory();
    if !memory.removed.is_empty() {
        warn!(
            "{} stations were removed by `causeway station remove`, {} first: `causeway station clear` takes that back",
            memory.removed.len(),
            StationName(memory.removed[0])
        );
    }
    info!(
        "stations from the state file: {} added, {} learnt, {} frozen",
        memory.added.len(),
        memory.learnt.len(),
        memory.frozen.len()
    );
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

    fn note_frozen(&mut self, frozen: &Frozen, now: Instant) {
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
    fn review_frozen(&mut self, now: Instant) {
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
