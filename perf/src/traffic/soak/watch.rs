//! The supervisor of a soak: looks every second, tells every minute, ends it when too much went wrong.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::{Duration, Instant},
};

use super::budget::{Budget, Tally};
use crate::{
    error::Result,
    interrupt,
    traffic::{
        Link,
        account::{Account, Counts},
        generator::Remote,
        latency::{Latency, text},
    },
};

/// Between two looks.
const TICK: Duration = Duration::from_millis(250);

/// A period with fewer frames has no p99.
const ENOUGH: u64 = 1_000;

/// What it looks at, and what it found.
pub(super) struct Watch<'a> {
    pub(super) account: &'a Mutex<Account>,
    pub(super) remote: &'a Remote,
    pub(super) tx: &'a Link,
    /// What the sending port had dropped before.
    pub(super) refused_before: u64,
    pub(super) budget: Budget,
    /// How long a frame may be on its way before it counts as lost.
    pub(super) settle: Duration,
    pub(super) period: Duration,
    /// Latency of the periods that are over.
    pub(super) latency: Latency,
    pub(super) started: Instant,
}

impl Watch<'_> {
    /// Until `time` is over, the generator has ended, a signal came, or the budget is exceeded: then it says how.
    ///
    /// # Errors
    ///
    /// The sending port is gone.
    pub(super) fn run(
        &mut self,
        time: Duration,
        ended: impl Fn() -> bool,
    ) -> Result<Option<String>> {
        let mut next_line = self.started + self.period;
        // How many frames had been sent at which time, for the last few seconds.
        let mut sent = VecDeque::from([(self.started, 0)]);
        while self.started.elapsed() < time && !ended() && !interrupt::raised() {
            std::thread::sleep(TICK);
            let now = Instant::now();
            sent.push_back((now, self.remote.frames.load(Ordering::Relaxed)));
            while sent
                .get(1)
                .is_some_and(|(then, _)| *then + self.settle <= now)
            {
                sent.pop_front();
            }
            let due = sent.front().map_or(0, |(_, frames)| *frames);
            let p99_s = if now >= next_line {
                next_line += self.period;
                self.line(due)
            } else {
                None
            };
            if let Some(excess) = self.judge(due, p99_s)? {
                return Ok(Some(excess));
            }
        }
        Ok(None)
    }

    /// Whether what is known when `sent` frames should have come is too much.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub(super) fn judge(&self, sent: u64, p99_s: Option<f64>) -> Result<Option<String>> {
        let counts = self.counts();
        let mut tally = Tally {
            lost: sent.saturating_sub(counts.received),
            reordered: counts.reordered,
            duplicated: counts.duplicated,
            corrupted: counts.corrupted,
            p99_s,
        };
        if tally.lost > self.budget.lost {
            // Only now: what the sending port refused was never on its way, and asking costs a process.
            tally.lost = tally.lost.saturating_sub(self.refused()?);
        }
        Ok(self.budget.exceeded(&tally))
    }

    /// Frames that the sending port dropped itself since the beginning.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub(super) fn refused(&self) -> Result<u64> {
        Ok(self
            .tx
            .info()?
            .tx_dropped
            .saturating_sub(self.refused_before))
    }

    /// What came up to now.
    pub(super) fn counts(&self) -> Counts {
        let account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        account.counts()
    }

    /// Ends a period: its p99.
    pub(super) fn end_period(&mut self) -> (u64, Option<f64>) {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let period = account.latency();
        let (frames, p99) = (period.len(), period.quantile(0.99));
        self.latency.merge(period);
        period.clear();
        (frames, p99.filter(|_| frames >= ENOUGH))
    }

    /// Says how it goes, and ends the period.
    fn line(&mut self, sent: u64) -> Option<f64> {
        let c = self.counts();
        let (_, p99) = self.end_period();
        eprintln!(
            "{} s: sent {}, received {}, lost {}, reordered {}, duplicated {}, corrupted {}, p99 {}",
            self.started.elapsed().as_secs(),
            self.remote.frames.load(Ordering::Relaxed),
            c.received,
            sent.saturating_sub(c.received),
            c.reordered,
            c.duplicated,
            c.corrupted,
            text(p99),
        );
        p99
    }
}
