//! Snapshots of the stations for the workers: the first change at once, a flood of changes in steps.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use super::super::{Control, event::Event};
use crate::{stations::StationTable, worker::Command};

/// Snapshots follow each other in this time at the earliest: a copy of the largest table takes a millisecond.
const STEP: Duration = Duration::from_millis(20);

/// What was published.
#[derive(Default)]
pub(super) struct Publisher {
    last: Option<Instant>,
    /// Whether a step is being waited for.
    waits: bool,
    /// Snapshots that workers may still have: the last owner frees one, and that should not be a worker.
    snapshots: VecDeque<Arc<StationTable>>,
}

impl Control {
    /// Has the workers know the stations: now, or in a moment if they were told just before.
    pub(super) fn publish(&mut self, now: Instant) {
        let publisher = &mut self.parts.segment.publisher;
        if publisher.waits {
            return;
        }
        let due = publisher.last.map(|at| at + STEP);
        let Some(wait) = due.and_then(|due| due.checked_duration_since(now)) else {
            return self.publish_now(now);
        };
        publisher.waits = true;
        let events = self.events.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            let _ = events.send(Event::Publish).await;
        });
    }

    /// Has the workers know the stations.
    pub(in crate::control) fn publish_now(&mut self, now: Instant) {
        self.filter_for_stations();
        let snapshot = Arc::new(self.stations.clone());
        self.tell_all(|| Command::Stations(Arc::clone(&snapshot)));
        let publisher = &mut self.parts.segment.publisher;
        publisher.waits = false;
        publisher.last = Some(now);
        publisher.snapshots.push_back(snapshot);
        publisher.snapshots.retain(|old| Arc::strong_count(old) > 1);
    }
}
