//! What the XDP program sees of stations that are not where they should be.

use std::{io, os::fd::AsFd};

use causeway_ebpf::{Sighting, SightingKind};
use tokio::sync::mpsc;
use tracing::{debug, error};

use super::{Control, event::Event};
use crate::{spec::StationName, sys::readable::Readable, xdp::Sightings};

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
        for sighting in sightings {
            match sighting.kind() {
                SightingKind::Unknown => self.unknown_sighted(sighting),
                SightingKind::Returned => self.away_sighted(sighting),
            }
        }
    }

    /// At the cloud end: a frame of a station that the site has not granted.
    fn unknown_sighted(&mut self, sighting: &Sighting) {
        self.unknown_station(sighting.station());
    }

    /// At the site: a frame from a station that is away.
    fn away_sighted(&mut self, sighting: &Sighting) {
        let station = StationName(sighting.station());
        debug!("station {station} is away and a frame from it was seen on the LAN");
    }
}
