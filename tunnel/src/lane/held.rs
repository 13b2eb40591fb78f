//! The beginning of a frame that stays where it was opened, for the datagram behind it.

use crate::Frame;
use crate::unbundle::Piece;
use std::ops::Range;

/// The beginning of a frame at the end of a datagram of a run, which lies there until the run ends.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// The datagram's number.
    sequence: u64,
    /// The frame's length.
    length: usize,
    /// Where in the run its first bytes are.
    at: Range<usize>,
}

impl Held {
    /// The `piece`, which ends at `end` of the run.
    pub(super) fn new(sequence: u64, piece: &Piece<'_>, end: usize) -> Self {
        Self {
            sequence,
            length: piece.ahead,
            at: end - piece.bytes.len()..end,
        }
    }

    /// The frame, if `piece`, in datagram `sequence`, is all that it lacks. `run` is the run as far as
    /// the piece's datagram.
    #[inline]
    pub(super) fn complete<'a>(
        &self,
        run: &'a [u8],
        sequence: u64,
        piece: &Piece<'a>,
    ) -> Option<Frame<'a>> {
        let next = self.sequence + 1 == sequence && self.at.len() >= Frame::MIN_HEAD;
        let rest = self.length - self.at.len();
        let fits = piece.ahead == rest && piece.bytes.len() == rest;
        (next && fits).then(|| Frame::halves(&run[self.at.clone()], piece.bytes))
    }

    /// The number of its datagram, and the piece itself.
    pub(super) fn piece<'a>(&self, run: &'a [u8]) -> (u64, Piece<'a>) {
        let piece = Piece {
            ahead: self.length,
            begins: true,
            bytes: &run[self.at.clone()],
        };
        (self.sequence, piece)
    }
}
