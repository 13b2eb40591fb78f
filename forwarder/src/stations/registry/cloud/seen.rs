//! What the cloud end has seen on its LAN, and tells the site whose ranges it is in.

use std::time::{Duration, Instant};

use super::{
    super::{
        super::{PeerIndex, StationKey},
        Changes, Refusal,
    },
    CloudRegistry,
};

/// A station that is advertised and not granted is advertised again after this time when it is seen,
/// then after twice that, and so on, …
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A station that was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    last: Instant,
    /// Whether the site has been told. If not, it has granted the station by itself, and nothing was seen of it yet.
    told: bool,
    /// When it may be advertised again, and the pause after that.
    again: Instant,
    pause: Duration,
}

impl Seen {
    fn at(now: Instant, told: bool) -> Self {
        Self {
            last: now,
            told,
            again: now + FIRST_PAUSE,
            pause: FIRST_PAUSE,
        }
    }
}

impl CloudRegistry {
    /// A frame of a station came from the LAN that may not cross, since nobody has granted it.
    ///
    /// # Errors
    ///
    /// Why no site hears of it; it is counted.
    pub fn sighted(&mut self, station: StationKey, now: Instant) -> Result<Changes, Refusal> {
        let result = self.advertise(station, now);
        if let Err(refusal) = result {
            self.refusals.add(refusal, 1);
        }
        result
    }

    /// What was seen was our own frame: it is counted, and that is all.
    pub fn returned(&mut self) {
        self.refusals.add(Refusal::Returned, 1);
    }

    fn advertise(&mut self, station: StationKey, now: Instant) -> Result<Changes, Refusal> {
        let mut changes = Changes::default();
        if station.mac == self.own_mac {
            return Err(Refusal::OwnAddress);
        }
        if self.home.contains_key(&station) {
            // It has been granted while this news was under way.
            return Ok(changes);
        }
        let peer = self.listener(station).ok_or(Refusal::OutsideRanges)?;
        let site = &mut self.sites[usize::from(peer)];
        if let Some(seen) = site.seen.get_mut(&station) {
            seen.last = now;
            if now < seen.again {
                return Ok(changes);
            }
            seen.pause = (2 * seen.pause).min(LONGEST_PAUSE);
            seen.again = now + seen.pause;
        }
        if !site.ledger.contains(station) && site.ledger.len() >= site.allow.limit as usize {
            return Err(Refusal::LearnLimit);
        }
        let seen = site.seen.entry(station);
        seen.or_insert(Seen::at(now, true)).told = true;
        site.ledger.set(station);
        changes.tell(peer);
        Ok(changes)
    }

    /// The site that wants to hear of a station: the first of several.
    fn listener(&self, station: StationKey) -> Option<PeerIndex> {
        let covers = |peer: &PeerIndex| {
            let mut ranges = self.ranges(*peer).iter();
            ranges.any(|r| r.covers(station))
        };
        (0..self.sites.len() as PeerIndex).find(covers)
    }

    /// A station that is granted is watched, also if it was not seen here: we may have restarted since, and the site
    /// wants to know whether it is alive.
    pub(super) fn watch(&mut self, station: StationKey, now: Instant) {
        let Some(home) = self.home.get(&station) else {
            return;
        };
        let peer = home.peer;
        if self.listener(station) != Some(peer) {
            return;
        }
        let seen = &mut self.sites[usize::from(peer)].seen;
        let seen = seen.entry(station).or_insert(Seen::at(now, false));
        (seen.again, seen.pause) = (now + FIRST_PAUSE, FIRST_PAUSE);
    }

    /// Nothing is known of the station's being here until it is seen again.
    pub(super) fn forget(&mut self, peer: PeerIndex, station: StationKey, changes: &mut Changes) {
        let site = &mut self.sites[usize::from(peer)];
        if site.seen.remove(&station).is_some() {
            site.ledger.remove(station);
            changes.tell(peer);
        }
    }

    /// Withdraws what no site wants to hear of any more, or another site now.
    pub(super) fn review(&mut self, changes: &mut Changes) {
        for peer in 0..self.sites.len() as PeerIndex {
            let seen = self.sites[usize::from(peer)].seen.keys();
            let gone: Vec<_> = seen
                .filter(|station| self.listener(**station) != Some(peer))
                .copied()
                .collect();
            for station in gone {
                self.forget(peer, station, changes);
            }
        }
    }

    /// These stations at home were heard between `since` and now, or granted then. What was granted before it was seen
    /// here, and is alive, is advertised.
    pub fn heard(&mut self, stations: &[StationKey], since: Instant, now: Instant) -> Changes {
        let mut changes = Changes::default();
        for station in stations {
            let home = self.home.get(station).copied();
            // Of what was granted meanwhile it is not known that it was heard.
            let Some(home) = home.filter(|h| h.since < since) else {
                continue;
            };
            let seen = self.sites[usize::from(home.peer)].seen.get_mut(station);
            match seen {
                Some(seen) if seen.told => seen.last = now,
                Some(_) => self.confirm(home.peer, *station, now, &mut changes),
                None => {}
            }
        }
        changes
    }

    /// Withdraws what has been silent for too long. To be called every second or so.
    pub fn age(&mut self, now: Instant) -> Changes {
        let mut changes = Changes::default();
        for peer in 0..self.sites.len() {
            let seen = self.sites[peer].seen.iter();
            let silent = seen.filter(|(_, seen)| {
                seen.told && now.saturating_duration_since(seen.last) >= self.ageing
            });
            let silent: Vec<_> = silent.map(|(station, _)| *station).collect();
            for station in silent {
                self.forget(peer as PeerIndex, station, &mut changes);
                self.watch(station, now);
            }
        }
        changes
    }

    /// A station that was granted before it was seen has been heard.
    fn confirm(
        &mut self,
        peer: PeerIndex,
        station: StationKey,
        now: Instant,
        changes: &mut Changes,
    ) {
        let site = &mut self.sites[usize::from(peer)];
        let room = site.ledger.len() < site.allow.limit as usize;
        site.seen.insert(station, Seen::at(now, room));
        if room {
            site.ledger.set(station);
            changes.tell(peer);
        }
    }
}
