//! Joining the parts of cut frames, whichever datagram arrives first.
//!
//! Between two datagrams with neighbouring sequence numbers is a *seam*; it has
//! the number of the datagram before it. A frame that is cut crosses one seam or
//! several. Bytes that wait for a neighbour are a *part*; a part is open at the
//! seam before it (unless the frame begins in it) and at the seam behind it
//! (unless the frame ends in it). A ring indexed by seam number finds the part
//! that a newly arrived piece belongs to, so a piece costs two looks and a copy.
//!
//! A piece knows how far it is from the *end* of its frame, whoever else has
//! arrived. So a part keeps its bytes right-aligned in a buffer for the largest
//! frame: each piece goes to its final place at once, and a complete frame is
//! contiguous. The last piece of a frame, when all before it are here, is not
//! copied, but for what the head of a frame in two parts lacks: it is delivered from where it lies, behind the part.
//!
//! Bounds: [`SEAMS`] in the ring, so never more parts than that, each of at most
//! [`MAX_FRAME`](crate::wire::MAX_FRAME) bytes, for at most about [`MAX_AGE`]. Buffers are reused, last
//! used first; datagrams that arrive in order need one.

mod part;

use crate::unbundle::Piece;
use crate::{DropReason, Frame};
use part::Part;
use std::time::{Duration, Instant};

/// How many seams are remembered: how far a datagram may overtake another.
pub const SEAMS: usize = 256;

/// How long a part waits for its neighbours.
pub const MAX_AGE: Duration = Duration::from_secs(1);
/// How often parts are looked through for old ones.
const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// The parts of one lane's cut frames.
pub struct Joiner {
    ring: Vec<Option<Seam>>,
    parts: Vec<Part>,
    /// Places in `parts` that are not in use.
    free: Vec<usize>,
    given_up: u64,
    next_sweep: Option<Instant>,
}

/// Which neighbour of a seam is here; it waits for the other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Before,
    Behind,
}

#[derive(Clone, Copy)]
struct Seam {
    number: u64,
    here: Side,
    part: usize,
}

impl Default for Joiner {
    fn default() -> Self {
        let ring = vec![None; SEAMS];
        Self {
            ring,
            parts: Vec::new(),
            free: Vec::new(),
            given_up: 0,
            next_sweep: None,
        }
    }
}

impl Joiner {
    /// Adds the `piece` that came in datagram `sequence`, 1 at least; returns the frame that is
    /// now complete, if there is one.
    ///
    /// # Errors
    /// [`DropReason::MalformedBundle`] if the piece and its neighbours disagree
    /// about their frame: then neither is kept.
    #[inline(never)]
    pub fn add<'a>(
        &'a mut self,
        sequence: u64,
        piece: &Piece<'a>,
        now: Instant,
    ) -> Result<Option<Frame<'a>>, DropReason> {
        let rest = piece.ahead - piece.bytes.len();
        let before = if piece.begins {
            None
        } else {
            self.take(sequence - 1, Side::Before)
        };
        let behind = if rest == 0 {
            None
        } else {
            self.take(sequence, Side::Behind)
        };
        let agree = before.is_none_or(|p| self.parts[p].rest == piece.ahead)
            && behind.is_none_or(|p| self.parts[p].ahead == rest);
        if !agree {
            before
                .into_iter()
                .chain(behind)
                .for_each(|part| self.release(part));
            return Err(DropReason::MalformedBundle);
        }

        if let Some(part) = before
            && rest == 0
            && self.parts[part].begins
        {
            let lacks = self.parts[part].lacks().min(piece.bytes.len());
            let (near, far) = piece.bytes.split_at(lacks);
            self.parts[part]
                .at(piece.ahead, lacks)
                .copy_from_slice(near);
            self.parts[part].rest -= lacks;
            self.release(part);
            return Ok(Some(Frame::halves(self.parts[part].bytes(), far)));
        }
        let part = match (before, behind) {
            (Some(part), _) => self.lengthen(part, sequence, rest),
            (None, Some(part)) => self.lead(part, sequence, piece),
            (None, None) => self.new_part(sequence, piece, now),
        };
        self.parts[part]
            .at(piece.ahead, piece.bytes.len())
            .copy_from_slice(piece.bytes);
        if let (Some(_), Some(behind)) = (before, behind) {
            self.merge(part, behind);
        }

        if self.parts[part].is_complete() {
            self.release(part);
            return Ok(Some(Frame::whole(self.parts[part].bytes())));
        }
        let waits_before = !piece.begins && before.is_none();
        let waits_behind = rest > 0 && behind.is_none();
        let _kept = (!waits_before || self.wait(sequence - 1, Side::Behind, part))
            && (!waits_behind || self.wait(sequence, Side::Before, part));
        Ok(None)
    }

    /// Whether a part waits for the datagram `sequence` to end with the piece before it.
    #[inline]
    pub fn has_behind(&self, sequence: u64) -> bool {
        // Mostly nothing waits here.
        if self.free.len() == self.parts.len() {
            return false;
        }
        let seam = self.ring[slot(sequence)];
        seam.is_some_and(|seam| seam.number == sequence && seam.here == Side::Behind)
    }

    /// Gives up the parts that have waited [`MAX_AGE`], a little later.
    pub fn sweep(&mut self, now: Instant) {
        if self.next_sweep.is_some_and(|at| now < at) {
            return;
        }
        self.next_sweep = now.checked_add(SWEEP_INTERVAL);
        for slot in 0..SEAMS {
            let Some(seam) = self.ring[slot] else {
                continue;
            };
            if now.saturating_duration_since(self.parts[seam.part].since) >= MAX_AGE {
                self.give_up(seam.part);
            }
        }
    }

    /// How many parts were given up since this was last asked.
    pub fn take_given_up(&mut self) -> u64 {
        std::mem::take(&mut self.given_up)
    }

    /// Takes the part that stands on the side `here` of seam `number` out of the ring.
    #[inline]
    fn take(&mut self, number: u64, here: Side) -> Option<usize> {
        let slot = &mut self.ring[slot(number)];
        let seam = slot.filter(|seam| seam.number == number && seam.here == here)?;
        *slot = None;
        Some(seam.part)
    }

    /// Puts `part`, which stands on the side `here`, into the ring at seam `number`.
    /// Of two seams in one place the younger stays; returns whether that is this one.
    #[inline]
    fn wait(&mut self, number: u64, here: Side, part: usize) -> bool {
        if let Some(old) = self.ring[slot(number)] {
            if old.number > number || old.part == part {
                self.give_up(part);
                return false;
            }
            self.give_up(old.part);
        }
        self.ring[slot(number)] = Some(Seam { number, here, part });
        true
    }

    /// A part of one piece, in a buffer that was used before if there is one.
    #[inline]
    fn new_part(&mut self, sequence: u64, piece: &Piece<'_>, now: Instant) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.parts.push(Part::unused(now));
            self.parts.len() - 1
        });
        let part = &mut self.parts[index];
        (part.first, part.last, part.since) = (sequence, sequence, now);
        (part.ahead, part.begins) = (piece.ahead, piece.begins);
        part.rest = piece.ahead - piece.bytes.len();
        index
    }

    /// The piece in `sequence` comes behind `part`; `rest` bytes come behind the piece.
    #[inline]
    fn lengthen(&mut self, part: usize, sequence: u64, rest: usize) -> usize {
        self.parts[part].last = sequence;
        self.parts[part].rest = rest;
        part
    }

    /// The `piece` in `sequence` comes before `part`.
    #[inline]
    fn lead(&mut self, part: usize, sequence: u64, piece: &Piece<'_>) -> usize {
        self.parts[part].first = sequence;
        self.parts[part].ahead = piece.ahead;
        self.parts[part].begins = piece.begins;
        part
    }

    /// Moves the bytes of `behind` to `part`, its neighbour, and puts `part` in its place.
    fn merge(&mut self, part: usize, behind: usize) {
        let [part_here, from] = self
            .parts
            .get_disjoint_mut([part, behind])
            .expect("two seams, two parts");
        let (ahead, bytes) = (from.ahead, from.ahead - from.rest);
        part_here
            .at(ahead, bytes)
            .copy_from_slice(from.at(ahead, bytes));
        (part_here.last, part_here.rest) = (from.last, from.rest);
        if let Some(seam) = &mut self.ring[slot(from.last)]
            && seam.part == behind
        {
            seam.part = part;
        }
        self.free.push(behind);
    }

    /// Releases a part whose frame can no longer become complete.
    fn give_up(&mut self, part: usize) {
        self.given_up += 1;
        self.release(part);
    }

    /// Takes a part out of the ring and keeps its buffer for the next; until then its bytes stay.
    #[inline]
    fn release(&mut self, part: usize) {
        let Part { first, last, .. } = self.parts[part];
        for number in [first - 1, last] {
            let slot = &mut self.ring[slot(number)];
            if slot.is_some_and(|seam| seam.part == part) {
                *slot = None;
            }
        }
        self.free.push(part);
    }
}

#[inline]
const fn slot(number: u64) -> usize {
    number as usize % SEAMS
}

#[cfg(test)]
mod tests;
