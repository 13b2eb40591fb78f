//! How the datagrams of a lane lie in memory: a type for each, so that the code for one is not in the way of the other.

use std::time::Instant;

use causeway_tunnel::{
    DropReason,
    lane::{Beginning, Deliver, Received, RxLane},
};

/// How datagrams lie.
pub(super) trait Lie {
    /// Bytes of the first of them.
    fn first(&self, run: &[u8]) -> usize;

    /// Has the lane receive them. Returns how many bytes it took, and the beginning of a frame at their end that waits
    /// for the next ones.
    fn receive<'r>(
        self,
        lane: &mut RxLane,
        run: &'r mut [u8],
        now: Instant,
        to: &mut impl Deliver,
        verdict: &mut impl FnMut(Result<Received, DropReason>),
    ) -> (usize, Option<Beginning<'r>>);
}

/// One behind the other, all but the last of so many bytes.
pub(super) struct InRun(pub(super) usize);

impl Lie for InRun {
    #[inline]
    fn first(&self, _: &[u8]) -> usize {
        self.0
    }

    #[inline]
    fn receive<'r>(
        self,
        lane: &mut RxLane,
        run: &'r mut [u8],
        now: Instant,
        to: &mut impl Deliver,
        verdict: &mut impl FnMut(Result<Received, DropReason>),
    ) -> (usize, Option<Beginning<'r>>) {
        (lane.receive_run(run, self.0, now, to, verdict), None)
    }
}

/// One by itself.
pub(super) struct Apart<'b> {
    /// What was at the end of the one before it.
    pub(super) before: Option<Beginning<'b>>,
    /// Whether nothing comes behind it for now.
    pub(super) last: bool,
}

impl Lie for Apart<'_> {
    #[inline]
    fn first(&self, run: &[u8]) -> usize {
        run.len()
    }

    #[inline]
    fn receive<'r>(
        self,
        lane: &mut RxLane,
        run: &'r mut [u8],
        now: Instant,
        to: &mut impl Deliver,
        verdict: &mut impl FnMut(Result<Received, DropReason>),
    ) -> (usize, Option<Beginning<'r>>) {
        let length = run.len();
        let (received, beginning) = lane.receive_apart(self.before, run, self.last, now, to);
        verdict(received);
        (length, beginning)
    }
}

/// The beginning of a frame at the end of a datagram, and whose lane's that is.
#[must_use = "its lane has no copy of it yet"]
pub struct Pending<'a> {
    pub(super) spi: [u8; 4],
    pub(super) beginning: Beginning<'a>,
}
