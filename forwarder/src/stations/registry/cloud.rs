//! The cloud end's view: what the sites have granted to it, and what it has seen on its LAN.

mod seen;

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use causeway_ebpf::maps::MAX_STATIONS;
use causeway_tunnel::{
    message::{Allow, Applied},
    stations::{Stations, StationsUpdate},
};

use self::seen::Seen;
use super::{
    super::{
        PeerIndex, Place, Station, StationKey,
        inbox::Misfit,
        ledger::Ledger,
        range::{MAX_WIRE_RANGES, StationRange},
    },
    Changes, Refusal, Refusals, Told,
};

/// Stations that all sites together may grant; one that a site granted before counts for each.
const MOST_GRANTED: usize = 2 * MAX_STATIONS as usize;

/// One site.
#[derive(Debug, Default)]
struct Site {
    /// What it wants to hear of, as it said.
    allow: Allow,
    /// The same, checked.
    ranges: Vec<StationRange>,
    /// What it has granted, whether or not another did so before.
    granted: HashSet<StationKey>,
    /// What was seen here and is advertised to it.
    seen: HashMap<StationKey, Seen>,
    ledger: Ledger,
    told: Told,
}

/// A station that is home here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// The site that granted it.
    pub peer: PeerIndex,
    /// Since when.
    pub since: Instant,
}

/// The cloud end's registry.
#[derive(Debug)]
pub struct CloudRegistry {
    sites: Vec<Site>,
    home: HashMap<StationKey, Home>,
    own_mac: [u8; 6],
    ageing: Duration,
    /// Whether a station was granted that found no room.
    some_wait: bool,
    /// Stations that were seen and could not be advertised.
    refusals: Refusals,
}

impl CloudRegistry {
    /// A registry for so many sites; `own_mac` is the LAN port's.
    pub fn new(sites: usize, own_mac: [u8; 6], ageing: Duration) -> Self {
        Self {
            sites: (0..sites).map(|_| Site::default()).collect(),
            home: HashMap::new(),
            own_mac,
            ageing,
            some_wait: false,
            refusals: Refusals::default(),
        }
    }

    /// Where the station belongs to, if it is home.
    pub fn get(&self, station: StationKey) -> Option<Home> {
        self.home.get(&station).copied()
    }

    /// All stations that are home, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (StationKey, Home)> + '_ {
        self.home.iter().map(|(station, home)| (*station, *home))
    }

    /// What the site wants to hear of.
    pub fn ranges(&self, peer: PeerIndex) -> &[StationRange] {
        &self.sites[usize::from(peer)].ranges
    }

    /// How many stations are advertised to the site, and how many of its own were refused.
    pub fn learning(&self, peer: PeerIndex) -> (usize, &Refusals) {
        let site = &self.sites[usize::from(peer)];
        (site.seen.len(), &site.told.refusals)
    }

    /// How many stations were seen that could not be advertised.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Counts stations of the peer that were not taken.
    pub fn refuse(&mut self, peer: PeerIndex, refusal: Refusal, number: usize) {
        let site = &mut self.sites[usize::from(peer)];
        site.told.refusals.add(refusal, number);
    }

    /// The LAN port has this address now.
    pub fn set_own_mac(&mut self, mac: [u8; 6]) {
        self.own_mac = mac;
    }

    /// The table of the peer that we hold.
    pub fn applied(&self, peer: PeerIndex) -> Option<Applied> {
        self.sites[usize::from(peer)].told.inbox.applied()
    }

    /// A session with the peer begins: it says that it holds `applied` of ours; `instance` is our own.
    pub fn begin(&mut self, peer: PeerIndex, applied: Option<Applied>, instance: u64) {
        let site = &mut self.sites[usize::from(peer)];
        site.told.inbox.begin();
        site.ledger.begin(applied, instance);
    }

    /// The session with the peer is over. What it granted stays granted.
    pub fn end(&mut self, peer: PeerIndex) {
        self.sites[usize::from(peer)].ledger.end();
    }

    /// What the peer is to be told now; it counts as told.
    pub fn update(&mut self, peer: PeerIndex) -> Option<StationsUpdate> {
        self.sites[usize::from(peer)].ledger.update()
    }

    /// The site says what it wants to hear of.
    pub fn allow(&mut self, peer: PeerIndex, mut allow: Allow, now: Instant) -> Changes {
        let mut changes = Changes::default();
        // Whatever the site says: what is seen is chosen by hosts on the LAN.
        allow.limit = allow.limit.min(MAX_STATIONS);
        allow.ranges.truncate(MAX_WIRE_RANGES);
        let site = &mut self.sites[usize::from(peer)];
        if site.allow == allow {
            return changes;
        }
        let ranges = allow.ranges.iter();
        site.ranges = ranges.filter_map(|r| (*r).try_into().ok()).collect();
        site.allow = allow;
        self.review(&mut changes);
        let granted: Vec<_> = self.home.keys().copied().collect();
        for station in granted {
            self.watch(station, now);
        }
        changes
    }

    /// Takes a part of what the peer, a process called `instance`, grants.
    ///
    /// # Errors
    ///
    /// [`Misfit`]: the session has to end; nothing has changed.
    pub fn take(
        &mut self,
        peer: PeerIndex,
        instance: u64,
        part: Stations,
        now: Instant,
    ) -> Result<Changes, Misfit> {
        let mut changes = Changes::default();
        let site = &mut self.sites[usize::from(peer)];
        let Some(news) = site.told.take(instance, part)? else {
            return Ok(changes);
        };
        let gone: Vec<_> = match news.full {
            true => {
                let kept: HashSet<_> = news.added.iter().collect();
                let gone = site.granted.iter().filter(|key| !kept.contains(key));
                gone.copied().collect()
            }
            false => news.withdrawn,
        };
        // A site that has restarted does not say that these are elsewhere: it may not know of them.
        let forget = news.continued || !news.full;
        for station in gone {
            self.ungrant(peer, station, forget, now, &mut changes);
        }
        for station in news.added {
            if let Err(refusal) = self.grant(peer, station, now, &mut changes) {
                let site = &mut self.sites[usize::from(peer)];
                site.told.refuse(station, refusal, &mut changes);
            }
        }
        self.seat_waiting(now, &mut changes);
        Ok(changes)
    }

    /// What was granted when there was no room comes home when there is.
    fn seat_waiting(&mut self, now: Instant, changes: &mut Changes) {
        if !self.some_wait || self.is_full() {
            return;
        }
        self.some_wait = false;
        for peer in 0..self.sites.len() {
            let granted = self.sites[peer].granted.iter();
            let waits = |s: &&StationKey| !self.home.contains_key(s) && s.mac != self.own_mac;
            let waiting: Vec<_> = granted.filter(waits).copied().collect();
            for station in waiting {
                if self.is_full() {
                    self.some_wait = true;
                    return;
                }
                self.settle(station, Some(peer as PeerIndex), now, changes);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.home.len() >= MAX_STATIONS as usize
    }

    /// The site grants a station: it is home here, unless it belongs to another site.
    fn grant(
        &mut self,
        peer: PeerIndex,
        station: StationKey,
        now: Instant,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        let granted: usize = self.sites.iter().map(|s| s.granted.len()).sum();
        let site = &mut self.sites[usize::from(peer)];
        if site.granted.contains(&station) {
            return Ok(());
        }
        if granted >= MOST_GRANTED {
            return Err(Refusal::TableFull);
        }
        site.granted.insert(station);
        match self.home.get(&station) {
            Some(_) => Err(Refusal::OtherSite),
            None if station.mac == self.own_mac => Err(Refusal::OwnAddress),
            None if self.is_full() => {
                self.some_wait = true;
                Err(Refusal::TableFull)
            }
            None => {
                self.settle(station, Some(peer), now, changes);
                Ok(())
            }
        }
    }

    /// The site grants a station no longer; `forget`: because it is elsewhere.
    fn ungrant(
        &mut self,
        peer: PeerIndex,
        station: StationKey,
        forget: bool,
        now: Instant,
        changes: &mut Changes,
    ) {
        let site = &mut self.sites[usize::from(peer)];
        if !site.granted.remove(&station) {
            return;
        }
        if forget {
            self.forget(peer, station, changes);
        }
        if self.home.get(&station).is_some_and(|h| h.peer == peer) {
            let mut others = 0..self.sites.len();
            let next = others.find(|other| self.sites[*other].granted.contains(&station));
            self.settle(station, next.map(|other| other as PeerIndex), now, changes);
        }
    }

    fn settle(
        &mut self,
        station: StationKey,
        site: Option<PeerIndex>,
        now: Instant,
        changes: &mut Changes,
    ) {
        let place = site.map(|peer| {
            self.home.insert(station, Home { peer, since: now });
            let place = Place::Home;
            Station { place, peer }
        });
        if place.is_none() {
            self.home.remove(&station);
        }
        changes.places.push((station, place));
        self.watch(station, now);
    }
}
