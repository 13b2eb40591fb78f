//! What the site learns from the clouds.

use std::{collections::HashSet, time::Instant};

use causeway_tunnel::stations::Stations;

use super::{
    super::{
        super::{PeerIndex, StationKey, inbox::Misfit},
        Changes, Frozen, Refusal,
    },
    Advert, Learnt, SiteRegistry,
};

impl SiteRegistry {
    /// Takes a part of what the peer, a process called `instance`, advertises.
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
        let cloud = &mut self.clouds[usize::from(peer)];
        let Some(news) = cloud.told.take(instance, part)? else {
            return Ok(changes);
        };
        if news.full {
            self.replace(peer, &news.added, news.continued, now, &mut changes);
        }
        for station in news.withdrawn {
            self.withdraw(peer, station, now, &mut changes);
        }
        for station in news.added {
            if news.full && self.confirm(peer, station) {
                continue;
            }
            if let Err(refusal) = self.claim(peer, station, now, &mut changes) {
                let cloud = &mut self.clouds[usize::from(peer)];
                cloud.told.refuse(station, refusal, &mut changes);
            }
        }
        Ok(changes)
    }

    /// Gives up what is not in the peer's whole table any more: at once if it is the process that told the table
    /// before, which knows; after a while if it has restarted, or we have.
    fn replace(
        &mut self,
        peer: PeerIndex,
        table: &[StationKey],
        continued: bool,
        now: Instant,
        changes: &mut Changes,
    ) {
        let kept: HashSet<_> = table.iter().collect();
        let cloud = &mut self.clouds[usize::from(peer)];
        let gone = cloud.adverts.keys().filter(|key| !kept.contains(key));
        let gone: Vec<_> = gone.copied().collect();
        if continued {
            for station in gone {
                self.withdraw(peer, station, now, changes);
            }
        } else if !gone.is_empty() {
            cloud.unconfirmed_until = Some(now + self.ageing);
            let remembered = gone.into_iter().map(|key| (key, Advert::Remembered));
            cloud.adverts.extend(remembered);
        }
    }

    /// Notes that the peer still has a station; whether it was known to have it.
    fn confirm(&mut self, peer: PeerIndex, station: StationKey) -> bool {
        let adverts = &mut self.clouds[usize::from(peer)].adverts;
        let known = adverts.get_mut(&station);
        known.map(|advert| *advert = Advert::Confirmed).is_some()
    }

    /// The peer has just seen a station.
    fn claim(
        &mut self,
        peer: PeerIndex,
        station: StationKey,
        now: Instant,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        if station.mac == self.own_mac {
            return Err(Refusal::OwnAddress);
        }
        if self.gateways.contains(&station) {
            return Err(Refusal::Gateway);
        }
        let cloud = &mut self.clouds[usize::from(peer)];
        if !cloud.rules.ranges.iter().any(|r| r.covers(station)) {
            return Err(Refusal::OutsideRanges);
        }
        let known = cloud.adverts.contains_key(&station);
        if !known && cloud.adverts.len() >= cloud.rules.learn_limit {
            return Err(Refusal::LearnLimit);
        }
        cloud.adverts.insert(station, Advert::Confirmed);
        if self.is_settled(station) {
            changes.save |= self.remember(station, peer);
            return Ok(());
        }
        self.follow(peer, station, now, changes)
    }

    /// A station on which nobody else has a word goes where it was seen.
    fn follow(
        &mut self,
        peer: PeerIndex,
        station: StationKey,
        now: Instant,
        changes: &mut Changes,
    ) -> Result<(), Refusal> {
        match self.learnt.get(&station) {
            Some(learnt) if learnt.peer == peer => return Ok(()),
            Some(learnt) if learnt.frozen => return Err(Refusal::Frozen),
            None if self.is_full() => return Err(Refusal::TableFull),
            _ => {}
        }
        let before = self.moves.seen(station, peer, now);
        if let Some(before) = before {
            changes.frozen.push(Frozen {
                station,
                peer,
                before,
            });
        }
        let frozen = before.is_some();
        self.learnt.insert(station, Learnt { peer, frozen });
        self.settle(station, now, changes);
        Ok(())
    }

    /// Notes where a station was seen for the time when nobody else has a word on it; whether that is news.
    fn remember(&mut self, station: StationKey, peer: PeerIndex) -> bool {
        let before = self.learnt.get(&station);
        if before.is_some_and(|l| l.frozen || l.peer == peer) {
            return false;
        }
        let frozen = false;
        self.learnt.insert(station, Learnt { peer, frozen });
        true
    }

    /// The peer has a station no longer.
    fn withdraw(
        &mut self,
        peer: PeerIndex,
        station: StationKey,
        now: Instant,
        changes: &mut Changes,
    ) {
        let cloud = &mut self.clouds[usize::from(peer)];
        if cloud.adverts.remove(&station).is_some() {
            self.look_again(station, now, changes);
        }
    }

    /// A learnt station is where it was, as long as it is seen or frozen there; else with whoever sees it.
    pub(super) fn look_again(&mut self, station: StationKey, now: Instant, changes: &mut Changes) {
        let learnt = self.learnt.get(&station).copied();
        let sees = |peer: PeerIndex| {
            let adverts = &self.clouds[usize::from(peer)].adverts;
            adverts.contains_key(&station)
        };
        if learnt.is_some_and(|l| l.frozen || sees(l.peer)) {
            return self.settle(station, now, changes);
        }
        let room = self.away.contains_key(&station) || self.is_settled(station) || !self.is_full();
        let other = (0..self.clouds.len() as PeerIndex).find(|peer| room && sees(*peer));
        match other {
            Some(peer) => {
                let frozen = false;
                self.learnt.insert(station, Learnt { peer, frozen });
            }
            None => drop(self.learnt.remove(&station)),
        }
        changes.save = true;
        self.settle(station, now, changes);
    }

    /// Gives up what has not been heard of for the time of silence. To be called every second or so.
    pub fn tick(&mut self, now: Instant) -> Changes {
        let mut changes = Changes::default();
        self.moves.age(now);
        for peer in 0..self.clouds.len() {
            let cloud = &mut self.clouds[peer];
            let silent = cloud.silent_since;
            let lost = silent.is_some_and(|s| now.saturating_duration_since(s) >= self.ageing);
            let overdue = cloud.unconfirmed_until.is_some_and(|until| until <= now);
            if overdue {
                cloud.unconfirmed_until = None;
            }
            if !(overdue || lost) || cloud.adverts.is_empty() {
                continue;
            }
            if lost {
                cloud.told.inbox.forget();
            }
            let gone =
                |(_, advert): &(&StationKey, &Advert)| lost || **advert == Advert::Remembered;
            let gone: Vec<_> = cloud.adverts.iter().filter(gone).map(|(k, _)| *k).collect();
            for station in gone {
                self.withdraw(peer as PeerIndex, station, now, &mut changes);
            }
        }
        changes
    }
}
