//! The beginning of a frame that stays where it was opened, for the datagram behind it.

use crate::Frame;
use crate::unbundle::Piece;

/// A beginning of so many bytes at most is moved over the few bytes between it and what continues it, where it cannot
/// be delivered from where it is. What is longer would take longer than to copy it once to the joiner.
const SHORT: usize = 512;

/// The beginning of a frame at the end of a datagram, for the next datagram of its lane, which lies somewhere else.
#[derive(Debug)]
#[must_use = "its lane has no copy of it yet"]
pub struct Beginning<'a> {
    pub(super) held: Held,
    pub(super) datagram: &'a [u8],
}

/// The beginning of a frame, which lies in its run until the run ends, or what comes next shows what becomes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The number of the last datagram that it has bytes of, at the end of which it stands.
    sequence: u64,
    /// Where in the run it begins.
    at: usize,
    /// How many bytes of the frame are here.
    here: usize,
    /// How many it lacks.
    lacks: usize,
}

impl Held {
    /// The `piece`, which ends at `end` of the run.
    #[inline]
    pub(super) fn new(sequence: u64, piece: &Piece<'_>, end: usize) -> Self {
        let here = piece.bytes.len();
        Self {
            sequence,
            at: end - here,
            here,
            lacks: piece.ahead - here,
        }
    }

    /// Whether a piece in datagram `sequence` that is `ahead` bytes from the end of its frame is the next of this one.
    #[inline]
    pub(super) const fn is_before(&self, sequence: u64, ahead: usize) -> bool {
        self.sequence + 1 == sequence && self.lacks == ahead
    }

    /// Whether it may be the head of a frame in two parts.
    #[inline]
    pub(super) const fn is_head(&self) -> bool {
        self.here >= Frame::MIN_HEAD
    }

    /// Whether it is cheap to move.
    #[inline]
    pub(super) const fn is_short(&self) -> bool {
        self.here <= SHORT
    }

    /// The frame, of which all that it lacks stands at `from` at the end of `run`.
    #[inline]
    pub(super) fn with<'a>(&self, run: &'a [u8], from: usize) -> Frame<'a> {
        Frame::halves(self.bytes(run), &run[from..])
    }

    /// Moves it to before the piece that comes next, in datagram `sequence` and at `from` at the end of `run`: over a
    /// trailer and a header, and maybe datagrams between. All of that was taken or refused before, and nothing but this is
    /// held there. Returns both together.
    pub(super) fn close_up(&self, sequence: u64, run: &mut [u8], from: usize) -> Self {
        let (at, next) = (from - self.here, run.len() - from);
        run.copy_within(self.at..self.at + self.here, at);
        Self {
            sequence,
            at,
            here: self.here + next,
            lacks: self.lacks - next,
        }
    }

    /// The number of its datagram, and the piece itself.
    pub(super) fn piece<'a>(&self, run: &'a [u8]) -> (u64, Piece<'a>) {
        let piece = Piece {
            ahead: self.here + self.lacks,
            begins: true,
            bytes: self.bytes(run),
        };
        (self.sequence, piece)
    }

    /// Its bytes, where the run is this.
    #[inline]
    pub(super) fn bytes<'a>(&self, run: &'a [u8]) -> &'a [u8] {
        &run[self.at..][..self.here]
    }
}
