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
    progress::{Progress, left},
    traffic::{
        Link,
        account::{Account, Counts},
        generate::KEPT,
        generator::Remote,
        latency::{Latency, text},
    },
};

/// Between two looks.
const TICK: Duration = Duration::from_millis(250);

/// How far behind its schedule it may be in between, besides what is tolerated at its end.
const PAUSE: Duration = Duration::from_secs(2);

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
    /// Frames a second that are to be sent.
    pub(super) rate: f64,
    /// How long a frame may be on its way before it counts as lost.
    pub(super) settle: Duration,
    pub(super) period: Duration,
    /// Latency of the periods that are over.
    pub(super) latency: Latency,
    pub(super) started: Instant,
    pub(super) time: Duration,
    pub(super) progress: Progress,
}

impl Watch<'_> {
    /// Until its time is over, the generator has ended, a signal came, or the budget is exceeded: then it says how.
    ///
    /// # Errors
    ///
    /// The sending port is gone.
    pub(super) fn run(&mut self, ended: impl Fn() -> bool) -> Result<Option<String>> {
        let time = self.time;
        let mut next_line = self.started + self.period;
        // How many frames had been sent at which time, for the last few seconds.
        let mut sent = VecDeque::from([(self.started, 0)]);
        while self.started.elapsed() < time && !ended() && !interrupt::raised() {
            std::thread::sleep(TICK);
            self.progress.reached(self.started.elapsed());
            let now = Instant::now();
            sent.push_back((now, self.remote.frames.load(Ordering::Relaxed)));
            while sent
                .get(1)
                .is_some_and(|(then, _)| *then + self.settle <= now)
            {
                sent.pop_front();
            }
            let due = sent.front().map_or(0, |(_, frames)| *frames);
            let mut p99_s = None;
            if now >= next_line {
                next_line += self.period;
                p99_s = self.line(due);
                if let Some(delay) = self.behind()? {
                    return Ok(Some(delay));
                }
            }
            // What is lost early is a smaller part of the whole.
            let whole = self.rate * time.as_secs_f64();
            if let Some(excess) = self.judge(due, whole, p99_s)? {
                return Ok(Some(excess));
            }
        }
        Ok(None)
    }

    /// Whether it is so far behind its schedule that it will not keep it.
    fn behind(&self) -> Result<Option<String>> {
        let due = self.rate * self.started.elapsed().as_secs_f64();
        let sent = self.remote.frames.load(Ordering::Relaxed);
        let sent = sent.saturating_sub(self.refused()?) as f64;
        // The generator makes up for a short pause.
        let pause = self.rate * PAUSE.as_secs_f64();
        Ok((sent + pause < due * KEPT).then(|| not_kept(sent, due)))
    }

    /// Whether what is known when `sent` frames should have come is too much, of those that were `due`.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub(super) fn judge(&self, sent: u64, due: f64, p99_s: Option<f64>) -> Result<Option<String>> {
        let counts = self.counts();
        let mut tally = Tally {
            due,
            lost: sent.saturating_sub(counts.received),
            reordered: counts.reordered,
            duplicated: counts.duplicated,
            corrupted: counts.corrupted,
            p99_s,
        };
        if tally.lost > self.budget.lost(due) {
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
        let elapsed = self.started.elapsed();
        let rest = self.time.saturating_sub(elapsed).as_secs();
        self.progress.note(format!(
            "{} s, {}: sent {}, received {}, lost {}, reordered {}, duplicated {}, corrupted {}, p99 {}",
            elapsed.as_secs(),
            left(Duration::from_secs(rest)),
            self.remote.frames.load(Ordering::Relaxed),
            c.received,
            sent.saturating_sub(c.received),
            c.reordered,
            c.duplicated,
            c.corrupted,
            text(p99),
        ));
        p99
    }
}

/// That fewer frames were sent than were due.
pub(super) fn not_kept(sent: f64, due: f64) -> String {
    format!("the schedule was not kept: {sent:.0} frames sent, {due:.0} were due")
}
