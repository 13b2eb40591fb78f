//! A site and two clouds, their processes and sessions, and what gets lost between them.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::{Duration, Instant},
};

use causeway_tunnel::{
    message::{Applied, LENGTH_PREFIX, Message},
    stations::{Stations, StationsUpdate},
};

use super::super::{
    super::{PeerIndex, Station, StationKey},
    Changes, CloudRegistry, Memory, PeerRules, SiteRegistry, Verb,
};

pub(super) const CLOUDS: usize = 2;
pub(super) const STATIONS: u8 = 6;
pub(super) const AGEING: Duration = Duration::from_secs(300);
const SITE_MAC: [u8; 6] = [2, 0x77, 0, 0, 0, 2];

/// The stations of the test: the last is in no range.
pub(super) fn station(number: u8) -> StationKey {
    let vendor = if number + 1 == STATIONS { 0x57 } else { 0x56 };
    StationKey::new(0, [0, 0x50, vendor, 0, 0, number])
}

/// One process: who it is, and the session that it holds to be the current one with each peer.
struct Process<R> {
    registry: R,
    instance: u64,
    live: Vec<Option<usize>>,
    /// What the kernel's table and the workers would have.
    places: HashMap<StationKey, Station>,
}

impl<R> Process<R> {
    fn carry_out(&mut self, changes: &Changes) {
        for (station, place) in &changes.places {
            match place {
                Some(place) => drop(self.places.insert(*station, *place)),
                None => drop(self.places.remove(station)),
            }
        }
    }
}

/// A session: what each end said first, and what is under way.
struct Session {
    cloud: usize,
    /// The site's process, and the cloud's.
    instances: (u64, u64),
    /// What the site's and the cloud's Hello said that they hold of the other.
    applied: (Option<Applied>, Option<Applied>),
    to_site: VecDeque<Vec<u8>>,
    to_cloud: VecDeque<Vec<u8>>,
}

pub(super) struct World {
    pub(super) now: Instant,
    site: Process<SiteRegistry>,
    clouds: Vec<Process<CloudRegistry>>,
    sessions: Vec<Session>,
    /// Sessions that were dialled and are not established at the site and the cloud yet.
    waiting: (Vec<usize>, Vec<usize>),
    /// What the site's state file has.
    file: Memory,
    learn_limit: usize,
    /// Stations that were heard at the clouds where they are home, since these last asked, and when that was.
    heard: Vec<(Vec<StationKey>, Instant)>,
    instances: u64,
}

impl World {
    /// A world whose site takes `learn_limit` stations of each cloud, and has station 0 configured behind cloud 0.
    pub(super) fn new(learn_limit: usize) -> Self {
        let now = Instant::now();
        let cloud = |number| Process {
            registry: CloudRegistry::new(1, [2, 0x77, 0, 0, 1, number], AGEING),
            instance: 100 + u64::from(number),
            live: vec![None],
            places: HashMap::new(),
        };
        let mut world = Self {
            now,
            site: Process {
                registry: site_registry(learn_limit, now),
                instance: 1,
                live: vec![None; CLOUDS],
                places: HashMap::new(),
            },
            clouds: (0..CLOUDS as u8).map(cloud).collect(),
            sessions: Vec::new(),
            waiting: (Vec::new(), Vec::new()),
            file: Memory::default(),
            learn_limit,
            heard: vec![(Vec::new(), now); CLOUDS],
            instances: 1_000,
        };
        world.load_places();
        world
    }

    /// A starting site fills its tables from its registry.
    fn load_places(&mut self) {
        let away = self.site.registry.iter();
        let place = super::super::super::Place::Away;
        self.site.places = away
            .map(|(key, a)| {
                (
                    key,
                    Station {
                        place,
                        peer: a.peer,
                    },
                )
            })
            .collect();
    }

    fn new_instance(&mut self) -> u64 {
        self.instances += 1;
        self.instances
    }

    // --- what happens -----------------------------------------------------------------------------------------

    /// A frame of a station comes from the LAN of a cloud.
    pub(super) fn frame(&mut self, cloud: usize, station: StationKey) {
        let process = &mut self.clouds[cloud];
        if process.registry.get(station).is_some() {
            self.heard[cloud].0.push(station);
            return;
        }
        if let Ok(changes) = process.registry.sighted(station, self.now) {
            process.carry_out(&changes);
        }
        self.send();
    }

    pub(super) fn command(&mut self, station: StationKey, verb: Verb) -> Result<(), String> {
        let changes = self.site.registry.command(station, verb, self.now)?;
        self.site_changed(&changes);
        Ok(())
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        let changes = self.site.registry.tick(self.now);
        self.site_changed(&changes);
        for (number, cloud) in self.clouds.iter_mut().enumerate() {
            let (heard, since) = std::mem::replace(&mut self.heard[number], (Vec::new(), self.now));
            let changes = cloud.registry.heard(&heard, since, self.now);
            cloud.carry_out(&changes);
            let changes = cloud.registry.age(self.now);
            cloud.carry_out(&changes);
        }
        self.send();
    }

    fn site_changed(&mut self, changes: &Changes) {
        self.site.carry_out(changes);
        if changes.save {
            self.file = self.site.registry.memory();
        }
        self.send();
    }

    pub(super) fn restart_site(&mut self, with_file: bool) {
        self.site.registry = site_registry(self.learn_limit, self.now);
        if !with_file {
            self.file = Memory::default();
        }
        self.site.registry.restore(&self.file, self.now);
        self.file = self.site.registry.memory();
        self.site.instance = self.new_instance();
        self.site.live = vec![None; CLOUDS];
        self.waiting.0.clear();
        self.load_places();
    }

    pub(super) fn restart_cloud(&mut self, cloud: usize) {
        let instance = self.new_instance();
        let process = &mut self.clouds[cloud];
        process.registry = CloudRegistry::new(1, [2, 0x77, 0, 0, 1, cloud as u8], AGEING);
        process.instance = instance;
        process.live = vec![None];
        process.places.clear();
        self.waiting.1.retain(|s| self.sessions[*s].cloud != cloud);
        self.heard[cloud] = (Vec::new(), self.now);
    }

    // --- sessions ---------------------------------------------------------------------------------------------

    /// The ends say Hello; neither uses the session yet.
    pub(super) fn dial(&mut self, cloud: usize) {
        let applied = (
            self.site.registry.applied(cloud as PeerIndex),
            self.clouds[cloud].registry.applied(0),
        );
        let number = self.sessions.len();
        self.sessions.push(Session {
            cloud,
            instances: (self.site.instance, self.clouds[cloud].instance),
            applied,
            to_site: VecDeque::new(),
            to_cloud: VecDeque::new(),
        });
        self.waiting.0.push(number);
        self.waiting.1.push(number);
    }

    /// The site takes the oldest session that waits as its current one; or the cloud end does.
    pub(super) fn establish(&mut self, at_site: bool) {
        let waiting = if at_site {
            &mut self.waiting.0
        } else {
            &mut self.waiting.1
        };
        if waiting.is_empty() {
            return;
        }
        let number = waiting.remove(0);
        let Session { cloud, applied, .. } = self.sessions[number];
        if at_site {
            let instance = self.site.instance;
            let peer = cloud as PeerIndex;
            self.site.live[cloud] = Some(number);
            self.site.registry.begin(peer, applied.1, instance);
            let allow = Message::Allow(self.site.registry.allow(peer));
            self.sessions[number].to_cloud.push_back(encoded(&allow));
        } else {
            let process = &mut self.clouds[cloud];
            process.live[0] = Some(number);
            process.registry.begin(0, applied.0, process.instance);
        }
        self.send();
    }

    /// The current session is lost with what is under way; `noticed` by the site, by the cloud.
    pub(super) fn lose(&mut self, cloud: usize, noticed: (bool, bool)) {
        for number in [self.site.live[cloud], self.clouds[cloud].live[0]]
            .into_iter()
            .flatten()
        {
            self.sessions[number].to_site.clear();
            self.sessions[number].to_cloud.clear();
            self.waiting.0.retain(|s| *s != number);
            self.waiting.1.retain(|s| *s != number);
            // What is sent to it from now on arrives nowhere.
            self.sessions[number].cloud = usize::MAX;
        }
        if noticed.0 && self.site.live[cloud].take().is_some() {
            self.site.registry.end(cloud as PeerIndex, self.now);
        }
        if noticed.1 && self.clouds[cloud].live[0].take().is_some() {
            self.clouds[cloud].registry.end(0);
        }
    }

    /// Each end sends what there is to be told.
    fn send(&mut self) {
        for cloud in 0..CLOUDS {
            if let Some(number) = self.site.live[cloud]
                && let Some(update) = self.site.registry.update(cloud as PeerIndex)
            {
                let lost = self.sessions[number].cloud == usize::MAX;
                let parts = cut(update).filter(|_| !lost);
                self.sessions[number].to_cloud.extend(parts);
            }
            let process = &mut self.clouds[cloud];
            if let Some(number) = process.live[0]
                && let Some(update) = process.registry.update(0)
            {
                let lost = self.sessions[number].cloud == usize::MAX;
                let parts = cut(update).filter(|_| !lost);
                self.sessions[number].to_site.extend(parts);
            }
        }
    }

    /// The next message arrives; whether there was one.
    pub(super) fn deliver(&mut self, cloud: usize, to_site: bool) -> bool {
        let live = if to_site {
            self.site.live[cloud]
        } else {
            self.clouds[cloud].live[0]
        };
        let Some(number) = live else { return false };
        let session = &mut self.sessions[number];
        let queue = if to_site {
            &mut session.to_site
        } else {
            &mut session.to_cloud
        };
        let Some(bytes) = queue.pop_front() else {
            return false;
        };
        let instances = session.instances;
        let message = Message::decode(&bytes[LENGTH_PREFIX..]).unwrap().unwrap();
        let arrived = match to_site {
            true => self.arrive_at_site(cloud, instances.1, message),
            false => self.arrive_at_cloud(cloud, instances.0, message),
        };
        if !arrived {
            self.lose(cloud, (true, true));
        }
        self.send();
        true
    }

    fn arrive_at_site(&mut self, cloud: usize, instance: u64, message: Message) -> bool {
        let Message::Stations(part) = message else {
            return true;
        };
        let taken = self
            .site
            .registry
            .take(cloud as PeerIndex, instance, part, self.now);
        taken.map(|changes| self.site_changed(&changes)).is_ok()
    }

    fn arrive_at_cloud(&mut self, cloud: usize, instance: u64, message: Message) -> bool {
        let now = self.now;
        let process = &mut self.clouds[cloud];
        let changes = match message {
            Message::Allow(allow) => Ok(process.registry.allow(0, allow, now)),
            Message::Stations(part) => process.registry.take(0, instance, part, now),
            other => panic!("{other:?}"),
        };
        changes.map(|changes| process.carry_out(&changes)).is_ok()
    }

    /// Sessions with everybody, new ones where there is none or the ends do not fit, and everything that is under way arrives.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            for cloud in 0..CLOUDS {
                if !self.is_connected(cloud) {
                    self.lose(cloud, (true, true));
                    self.dial(cloud);
                }
            }
            while !self.waiting.0.is_empty() || !self.waiting.1.is_empty() {
                self.establish(true);
                self.establish(false);
            }
            let arrived = (0..CLOUDS).any(|c| self.deliver(c, true) | self.deliver(c, false));
            if !arrived && (0..CLOUDS).all(|c| self.is_connected(c)) {
                return;
            }
        }
        panic!("the ends never come to rest");
    }

    fn is_connected(&self, cloud: usize) -> bool {
        let live = self.site.live[cloud];
        let same = live.is_some() && live == self.clouds[cloud].live[0];
        same && live.is_some_and(|s| self.sessions[s].cloud == cloud)
    }

    // --- what is so -------------------------------------------------------------------------------------------

    /// Where the site has the station.
    pub(super) fn at_site(&self, station: StationKey) -> Option<usize> {
        self.site.registry.get(station).map(|a| a.peer.into())
    }

    pub(super) fn is_frozen(&self, station: StationKey) -> bool {
        self.site.registry.is_frozen(station)
    }

    /// The clouds where the station is home.
    pub(super) fn at_clouds(&self, station: StationKey) -> Vec<usize> {
        let home = |c: &usize| self.clouds[*c].registry.get(station).is_some();
        (0..CLOUDS).filter(home).collect()
    }

    /// The ends agree, each with its own tables too, and nothing is where it must not be.
    pub(super) fn check(&self) {
        let site: BTreeMap<_, _> = self
            .site
            .registry
            .iter()
            .map(|(k, a)| (k, a.peer))
            .collect();
        let places: BTreeMap<_, _> = self.site.places.iter().map(|(k, s)| (*k, s.peer)).collect();
        assert_eq!(site, places, "the site's tables");
        for (number, cloud) in self.clouds.iter().enumerate() {
            let home: BTreeMap<_, _> = cloud.registry.iter().map(|(k, _)| (k, number)).collect();
            let granted = site
                .iter()
                .filter(|(_, peer)| usize::from(**peer) == number);
            let granted: BTreeMap<_, _> = granted.map(|(k, _)| (*k, number)).collect();
            assert_eq!(home, granted, "cloud {number} and the site");
            let places: BTreeMap<_, _> = cloud.places.keys().map(|k| (*k, number)).collect();
            assert_eq!(home, places, "the tables of cloud {number}");
            let (learnt, _) = self.site.registry.learning(number as PeerIndex);
            assert!(learnt <= self.learn_limit);
        }
        assert_eq!(self.file, self.site.registry.memory(), "the state file");
    }
}

fn site_registry(learn_limit: usize, now: Instant) -> SiteRegistry {
    let rules = |number: usize| PeerRules {
        name: format!("cloud{number}"),
        ranges: vec!["00:50:56:00:00:00/24".parse().unwrap()],
        learn_limit,
    };
    let peers = (0..CLOUDS).map(rules).collect();
    SiteRegistry::new(peers, [(station(0), 0)], SITE_MAC, AGEING, now)
}

fn encoded(message: &Message) -> Vec<u8> {
    message.encode().unwrap()
}

/// An update in messages of at most two stations, so that sessions are lost in the middle of one.
fn cut(update: StationsUpdate) -> impl Iterator<Item = Vec<u8>> {
    let pieces = update
        .added
        .len()
        .max(update.withdrawn.len())
        .div_ceil(2)
        .max(1);
    (0..pieces).map(move |piece| {
        let part = |of: &[causeway_tunnel::stations::Station]| {
            of.chunks(2).nth(piece).unwrap_or_default().to_vec()
        };
        encoded(&Message::Stations(Stations {
            generation: update.generation,
            since: update.since,
            more: piece + 1 < pieces,
            added: part(&update.added),
            withdrawn: part(&update.withdrawn),
        }))
    })
}
