//! What the XDP program sees of stations that are not where they should be.

use std::{io, os::fd::AsFd, time::Instant};

use causeway_ebpf::{Sighting, SightingKind};
use tokio::sync::mpsc;
use tracing::error;

use super::{Control, alarms::AlarmKind, event::Event};
use crate::{
    spec::StationName,
    stations::{Place, StationKey},
    summary::summary,
    sys::readable::Readable,
    xdp::Sightings,
};

/// Sightings in one event at most.
const BATCH: usize = 64;

/// Passes on what the program tells, for as long as it runs. When the control plane is busy it waits, and
/// the ring fills: the kernel counts what is lost.
pub(super) async fn watch(mut sightings: Sightings, events: mpsc::Sender<Event>) {
    if let Err(e) = pass_on(&mut sightings, &events).await {
        error!(
            "sightings cannot be read ({e}): nothing is learnt from the LAN and no duplicate is noticed"
        );
    }
}

async fn pass_on(sightings: &mut Sightings, events: &mpsc::Sender<Event>) -> io::Result<()> {
    let descriptor = Readable::new(sightings.as_fd().try_clone_to_owned()?)?;
    loop {
        let batch = descriptor.read(|_| next_batch(sightings)).await?;
        if events.send(Event::Sighted(batch)).await.is_err() {
            return Ok(());
        }
    }
}

fn next_batch(sightings: &mut Sightings) -> io::Result<Vec<Sighting>> {
    let batch: Vec<_> = std::iter::from_fn(|| sightings.next())
        .take(BATCH)
        .collect();
    match batch.is_empty() {
        true => Err(io::ErrorKind::WouldBlock.into()),
        false => Ok(batch),
    }
}

impl Control {
    pub(super) fn sighted(&mut self, sightings: &[Sighting]) {
        let now = Instant::now();
        for sighting in sightings {
            match sighting.kind() {
                SightingKind::Unknown => self.unknown_sighted(sighting),
                kind => self.away_sighted(kind, sighting, now),
            }
        }
    }

    /// At the cloud end: a frame of a station that the site has not granted.
    fn unknown_sighted(&mut self, sighting: &Sighting) {
        self.unknown_station(sighting.station());
    }

    /// At the site: a frame from a station that is away.
    fn away_sighted(&mut self, kind: SightingKind, sighting: &Sighting, now: Instant) {
        let key = sighting.station();
        // It may have been until a moment ago.
        let station = self.stations.get(key);
        let Some(station) = station.filter(|s| s.place == Place::Away) else {
            return;
        };
        if kind != SightingKind::NotOurs {
            return self.suspects.seen(key, now);
        }
        if !self.suspects.others(key, now) {
            return;
        }
        let peer = &self.peers[usize::from(station.peer)].spec.name;
        let text = format!(
            "station {} lives behind peer {peer} and on this LAN: stop it at one of them, or take it out of the stations if it has come home",
            StationName(key)
        );
        let frame = summary(sighting.head(), sighting.length() as usize);
        let kind = AlarmKind::DuplicateStation;
        self.alarms
            .raise(kind, key, station.peer, &text, Some(frame), now);
    }

    /// Ends the alarms about a station by the operator's word; how many there were. What goes on raises them
    /// anew.
    pub(super) fn clear_alarms(&mut self, station: StationKey) -> usize {
        self.suspects.acquit(station);
        self.alarms.clear(station)
    }

    /// What suspicions and alarms need ten times a second.
    pub(super) fn look_at_suspects(&mut self, now: Instant) {
        let stations = &self.stations;
        let is_away = |key| stations.get(key).is_some_and(|s| s.place == Place::Away);
        let program = &mut self.parts.program;
        self.suspects
            .tick(program, &self.context.workers, is_away, now);
        self.alarms.tick(is_away, now);
    }
}
