//! What became of the frames that were sent, as far as the sink can tell.

use causeway_ebpf::perf::Stamp;
use serde::Serialize;

use super::{
    frame::Parsed,
    latency::Latency,
    window::{Arrival, WINDOW, Window},
};
use crate::sizes::FCS;

/// Where the numbers of a flow begin.
#[derive(Clone, Debug)]
enum Start {
    /// The sink does not know the generator: at 0, or at the first one that comes where that is so large
    /// that the sink must have missed the beginning.
    Guess,
    /// For each flow; there are no others.
    Known(Vec<u64>),
}

/// All flows of a sink.
pub(crate) struct Account {
    start: Start,
    flows: Vec<Option<Window>>,
    counts: Counts,
    latency: Latency,
}

/// How many frames of which kind came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Different test frames: each counts once, whatever its order.
    pub(crate) received: u64,
    /// Frames that are missing before the newest of their flow.
    pub(crate) lost: u64,
    /// Frames with a smaller number than one before them (RFC 4737), duplicates not counted.
    pub(crate) reordered: u64,
    /// Frames that came again.
    pub(crate) duplicated: u64,
    /// Test frames with a wrong checksum or impossible fields. They are lost, too.
    pub(crate) corrupted: u64,
    /// More than 65,536 frames behind: reordered or duplicated, nobody knows. They count as lost.
    pub(crate) too_late: u64,
    /// Of an earlier trial.
    pub(crate) stale: u64,
    /// No test frames.
    pub(crate) foreign: u64,
    /// Bytes of the received frames, FCS included.
    #[serde(skip)]
    pub(crate) bytes: u64,
}

impl Counts {
    /// Takes another trial's counts in.
    pub(crate) fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.duplicated += other.duplicated;
        self.corrupted += other.corrupted;
        self.too_late += other.too_late;
        self.stale += other.stale;
        self.foreign += other.foreign;
        self.bytes += other.bytes;
    }
}

impl Account {
    /// Of a sink that knows nothing of the generator.
    pub(crate) fn new() -> Self {
        Self::with(Start::Guess)
    }

    /// Of a trial: each flow's first number.
    pub(crate) fn of_trial(first: &[u64]) -> Self {
        Self::with(Start::Known(first.to_vec()))
    }

    fn with(start: Start) -> Self {
        Self {
            start,
            flows: Vec::new(),
            counts: Counts::default(),
            latency: Latency::new(),
        }
    }

    /// A frame of `length` bytes in memory came at `now_ns`.
    pub(crate) fn frame(&mut self, parsed: Parsed, length: usize, now_ns: u64) {
        match parsed {
            Parsed::Test(stamp) => self.test_frame(stamp, length, now_ns),
            Parsed::Corrupted => self.counts.corrupted += 1,
            Parsed::Foreign => self.counts.foreign += 1,
        }
    }

    /// All counts up to now.
    pub(crate) fn counts(&self) -> Counts {
        let windows = self.flows.iter().flatten();
        Counts {
            lost: windows.map(Window::missing).sum(),
            ..self.counts
        }
    }

    /// Flows of which something came.
    pub(crate) fn flows(&self) -> usize {
        self.flows.iter().flatten().count()
    }

    /// Latency of all frames that count as received.
    pub(crate) fn latency(&mut self) -> &mut Latency {
        &mut self.latency
    }

    fn test_frame(&mut self, stamp: Stamp, length: usize, now_ns: u64) {
        let Some(window) = self.window(stamp) else {
            self.counts.corrupted += 1;
            return;
        };
        match window.arrive(stamp.sequence) {
            Arrival::InOrder => {}
            Arrival::Reordered => self.counts.reordered += 1,
            Arrival::Duplicate => return self.counts.duplicated += 1,
            Arrival::TooLate => return self.counts.too_late += 1,
            Arrival::Stale => return self.counts.stale += 1,
        }
        self.counts.received += 1;
        self.counts.bytes += (length + FCS) as u64;
        self.latency.record(stamp.timestamp, now_ns);
    }

    /// The window of a flow; none if there is no such flow.
    fn window(&mut self, stamp: Stamp) -> Option<&mut Window> {
        let index = usize::from(stamp.flow);
        let base = match &self.start {
            Start::Guess if stamp.sequence < WINDOW => 0,
            Start::Guess => stamp.sequence,
            Start::Known(first) => *first.get(index)?,
        };
        if self.flows.len() <= index {
            self.flows.resize_with(index + 1, || None);
        }
        Some(self.flows[index].get_or_insert_with(|| Window::starting_at(base)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(flow: u16, sequence: u64) -> Parsed {
        Parsed::Test(Stamp {
            flow,
            sequence,
            timestamp: 1_000,
        })
    }

    fn count(account: &mut Account, frames: &[Parsed]) -> Counts {
        for frame in frames {
            account.frame(*frame, 60, 3_000);
        }
        account.counts()
    }

    #[test]
    fn each_kind_is_counted_once() {
        let mut account = Account::new();
        let frames = [
            tag(0, 0),
            tag(0, 3),
            tag(0, 1),
            tag(0, 1),
            tag(1, 2),
            Parsed::Corrupted,
            Parsed::Foreign,
        ];
        let expected = Counts {
            received: 4,
            lost: 3,
            reordered: 1,
            duplicated: 1,
            corrupted: 1,
            foreign: 1,
            bytes: 4 * 64,
            ..Counts::default()
        };
        assert_eq!(count(&mut account, &frames), expected);
        assert_eq!(account.flows(), 2);
        assert_eq!(account.latency().summary().latency_frames, 4);
    }

    #[test]
    fn a_sink_that_came_late_counts_from_there() {
        let counts = count(&mut Account::new(), &[tag(0, WINDOW), tag(0, WINDOW + 2)]);
        assert_eq!((counts.received, counts.lost), (2, 1));
    }

    #[test]
    fn a_trial_knows_its_flows_and_where_they_begin() {
        let mut account = Account::of_trial(&[10, 20]);
        let counts = count(
            &mut account,
            &[tag(0, 9), tag(0, 10), tag(1, 21), tag(2, 0)],
        );
        assert_eq!((counts.received, counts.lost), (2, 1));
        assert_eq!((counts.stale, counts.corrupted), (1, 1));
    }
}
