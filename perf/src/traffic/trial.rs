//! One trial: a generator at one port, a sink at another, each on a core of its own, and the sum of it.

mod ends;

use std::time::Duration;

use self::ends::{Ends, Sent};
use super::{
    Link, Stream, account::Counts, generate::KEPT, generator::Limit, latency::Latency,
    options::GeneratorKind,
};
use crate::error::{Error, Result};

/// Both ports of the tester (RFC 2544, section 6), and the cores that serve them.
#[derive(Clone, Debug)]
pub(crate) struct Ports {
    pub(crate) tx: Link,
    pub(crate) rx: Link,
    pub(crate) cpu: usize,
    pub(crate) rx_cpu: usize,
}

/// How much to send in a trial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Frames a second; none: as many as the generator can.
    pub(crate) rate: Option<f64>,
    pub(crate) limit: Limit,
}

impl Load {
    /// A rate for a time.
    pub(crate) fn of(rate: Option<f64>, time: Duration) -> Self {
        let limit = Limit {
            frames: None,
            time: Some(time),
        };
        Self { rate, limit }
    }
}

/// What became of the frames of a trial.
#[derive(Clone)]
pub(crate) struct Trial {
    /// Frames that left the sending port.
    pub(crate) sent: u64,
    /// Different ones of them that came in.
    pub(crate) received: u64,
    /// What the sending took.
    pub(crate) elapsed: Duration,
    /// Frames that the sending port dropped itself: they count as never sent.
    pub(crate) refused: u64,
    /// Frames that came in at the receiving port and were lost in the harness: they count as lost.
    pub(crate) dropped_at_sink: u64,
    /// Whether the generator sent as fast as it was to.
    pub(crate) kept_schedule: bool,
    /// What a sink that looks at each frame found; none of one that only counts.
    pub(crate) seen: Option<Seen>,
}

/// What only a sink knows that looks at each frame.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) counts: Counts,
    pub(crate) latency: Latency,
}

impl Trial {
    /// This and another one at the same rate as one.
    pub(crate) fn and(mut self, other: &Self) -> Self {
        self.sent += other.sent;
        self.received += other.received;
        self.elapsed += other.elapsed;
        self.refused += other.refused;
        self.dropped_at_sink += other.dropped_at_sink;
        self.kept_schedule &= other.kept_schedule;
        if let (Some(seen), Some(other)) = (&mut self.seen, &other.seen) {
            seen.counts.add(&other.counts);
            seen.latency.merge(&other.latency);
        }
        self
    }

    /// Frames that are missing.
    pub(crate) fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// The same as a part of what was sent.
    pub(crate) fn loss_ratio(&self) -> f64 {
        self.lost() as f64 / self.sent.max(1) as f64
    }

    /// Frames sent in a second.
    pub(crate) fn offered(&self) -> f64 {
        self.sent as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// Frames of a second that came in.
    pub(crate) fn delivered(&self) -> f64 {
        self.received.min(self.sent) as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// Generator and sink for one stream between two ports.
pub(crate) struct Tester {
    ends: Ends,
    settle: Duration,
}

impl Tester {
    /// Opens both. `settle` is how long to wait for frames that are missing after the last was sent.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] or [`Error::CannotRun`], with what to do.
    pub(crate) fn open(
        ports: &Ports,
        stream: &Stream,
        kind: GeneratorKind,
        settle: Duration,
    ) -> Result<Self> {
        Ok(Self {
            ends: Ends::open(ports, stream, kind)?,
            settle,
        })
    }

    /// Runs a trial.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`], [`Error::Failed`] if nothing could be sent.
    pub(crate) fn trial(&mut self, load: Load) -> Result<Trial> {
        let (sent, arrived) = self.ends.run(load, self.settle)?;
        let Sent {
            frames,
            refused,
            elapsed,
        } = sent;
        if frames == 0 {
            return Err(Error::Failed(
                "the sending port took no frame at all: see `ip -s link`".into(),
            ));
        }
        let kept = |rate| (frames + refused) as f64 >= rate * elapsed.as_secs_f64() * KEPT;
        Ok(Trial {
            sent: frames,
            received: arrived.received,
            elapsed,
            refused,
            dropped_at_sink: arrived.dropped,
            kept_schedule: load.rate.is_none_or(kept),
            seen: arrived.seen,
        })
    }
}
