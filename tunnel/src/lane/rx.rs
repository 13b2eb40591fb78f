//! The receiving end of a lane.

use super::Deliver;
use super::held::{Beginning, Held};
use crate::join::Joiner;
use crate::sa::{InboundSa, Limits, SaKeys};
use crate::unbundle::{self, Item, Piece};
use crate::wire::{ESP_HEADER, NextHeader, is_frame_length};
use crate::{DropReason, Frame, Spi, esp};
use std::time::Instant;

/// What an authentic datagram brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Frames delivered, those included that this datagram completed.
    pub frames: usize,
    /// Whether it is the newest of the lane so far: its sender's address is the
    /// one to answer to.
    pub newest: bool,
}

/// Opens datagrams and takes the frames out of them.
///
/// A frame is delivered where it was decrypted, where its datagrams came in order, in one run or apart; in a run a
/// beginning too short to be looked at alone, or in front of a whole datagram of its frame, is moved to what continues it. Of one
/// that was cut between runs, and is in order, the first half was copied, to a buffer that is used again. Nothing is
/// allocated per datagram.
pub struct RxLane {
    sa: InboundSa,
    joiner: Joiner,
}

impl RxLane {
    /// A lane with a fresh SA.
    pub fn new(spi: Spi, keys: &SaKeys, limits: Limits, now: Instant) -> Self {
        Self {
            sa: InboundSa::new(spi, keys, limits, now),
            joiner: Joiner::default(),
        }
    }

    /// The SPI of the lane's datagrams.
    #[inline]
    pub fn spi(&self) -> Spi {
        self.sa.spi()
    }

    /// The highest authentic sequence number so far, 0 before the first.
    #[inline]
    pub fn highest(&self) -> u64 {
        self.sa.highest()
    }

    /// Opens `datagram`, a whole UDP payload, in place and hands each frame that is
    /// now complete to `deliver`.
    ///
    /// # Errors
    /// Those of [`esp::open`]; then nothing was delivered. Of an authentic datagram:
    /// [`DropReason::BadFrameLength`] for a lone frame, and [`DropReason::MalformedBundle`],
    /// when what came before the contradiction has been delivered.
    #[inline]
    pub fn receive(
        &mut self,
        datagram: &mut [u8],
        now: Instant,
        deliver: &mut impl FnMut(Frame<'_>),
    ) -> Result<Received, DropReason> {
        let mut verdict = Err(DropReason::MalformedDatagram);
        let size = datagram.len().max(1);
        self.receive_run(datagram, size, now, deliver, &mut |v| verdict = v);
        verdict
    }

    /// As [`receive`](Self::receive) of each datagram of a `run` that lie one behind the other, all but
    /// the last of `segment_size` bytes (UDP_GRO): for each, `verdict` is told what `receive` returns.
    /// A frame that is cut between two of them is delivered from both, and only a short beginning is moved for it.
    ///
    /// Ends before one, but the first, that claims another SPI. Returns how many bytes of the run were taken.
    #[inline]
    pub fn receive_run(
        &mut self,
        run: &mut [u8],
        segment_size: usize,
        now: Instant,
        to: &mut impl Deliver,
        verdict: &mut impl FnMut(Result<Received, DropReason>),
    ) -> usize {
        let spi = self.spi().to_be_bytes();
        let (mut held, mut at, mut last) = (None, 0, run.is_empty());
        while !last {
            let end = run.len().min(at + segment_size.max(1));
            // The last of this lane has no neighbour in the run: what it holds would be copied a moment later.
            last = !run[end..].starts_with(&spi);
            let mut place = Place {
                at,
                last,
                held: &mut held,
                before: None,
            };
            verdict(self.receive_at(&mut place, &mut run[..end], now, to));
            at = end;
        }
        if let Some(held) = held {
            self.settle(&held, &run[..at], now);
        }
        at
    }

    /// As [`receive`](Self::receive) of a datagram that lies apart from the one of this lane before it, for which
    /// `before` was returned: a frame that is cut between the two is delivered from both. Unless this is the `last` for
    /// now, returns the beginning of a frame at its end, for the next call or for [`put_aside`](Self::put_aside).
    #[inline]
    pub fn receive_apart<'a>(
        &mut self,
        before: Option<Beginning<'_>>,
        datagram: &'a mut [u8],
        last: bool,
        now: Instant,
        to: &mut impl Deliver,
    ) -> (Result<Received, DropReason>, Option<Beginning<'a>>) {
        let mut held = None;
        let mut place = Place {
            at: 0,
            last,
            held: &mut held,
            before,
        };
        let received = self.receive_at(&mut place, datagram, now, to);
        if let Some(before) = place.before {
            self.put_aside(before, now);
        }
        let beginning = held.map(|held| Beginning { held, datagram });
        (received, beginning)
    }

    /// Keeps a copy of the beginning of a frame, until what continues it comes. It is one of this lane's.
    pub fn put_aside(&mut self, beginning: Beginning<'_>, now: Instant) {
        self.settle(&beginning.held, beginning.datagram, now);
    }

    /// Receives the last datagram of `run`, which is the run up to there.
    // What takes frames is in it: it is to be part of each of its callers.
    #[inline(always)]
    fn receive_at(
        &mut self,
        place: &mut Place<'_, '_>,
        run: &mut [u8],
        now: Instant,
        to: &mut impl Deliver,
    ) -> Result<Received, DropReason> {
        let highest = self.sa.highest();
        let opened = esp::open(&mut self.sa, &mut run[place.at..], now)?;
        let (sequence, payload) = (opened.sequence, opened.payload);
        // Where the payload ends in the run; padding, trailer and ICV come behind it.
        let end = place.at + ESP_HEADER + payload.len();
        let (mut complete, mut rest) = match opened.next_header {
            NextHeader::Bundle => {
                let (continuation, frames) = unbundle::split(payload)?;
                let (ahead, bytes) = continuation.map_or((0, 0), |p| (p.ahead, p.bytes.len()));
                let behind = end - frames.len();
                let (done, frames) = run[..end].split_at_mut(behind);
                let complete = match ahead {
                    0 => None,
                    _ => self.resume(place, sequence, ahead, behind - bytes, done, now)?,
                };
                (complete, frames)
            }
            NextHeader::Ethernet => (Some(lone(payload)?), Default::default()),
            NextHeader::Dummy => (None, Default::default()),
        };
        if to.looks_ahead() {
            unbundle::beginnings(rest, |beginning| to.foresee(beginning));
        }
        let mut frames = 0;
        loop {
            // Here and nowhere else: what takes frames is compiled into this loop, not called from it.
            if let Some(frame) = complete {
                to.deliver(frame);
                frames += 1;
            }
            complete = match unbundle::next(&mut rest)? {
                None => break,
                Some(Item::Frame(frame)) => Some(Frame::whole(frame)),
                Some(Item::Piece(piece)) if self.is_joiners(place, sequence) => {
                    self.joiner.add(sequence, &piece, now)?
                }
                Some(Item::Piece(piece)) => {
                    let held = Held::new(sequence, &piece, end);
                    if let Some(before) = place.held.replace(held) {
                        self.settle(&before, &run[..place.at], now);
                    }
                    // Nothing comes behind it; to know that here keeps what is held out of the loop's registers.
                    break;
                }
            };
        }
        let newest = sequence > highest;
        Ok(Received { frames, newest })
    }

    /// Whether the joiner takes the beginning of a frame at the end of datagram `sequence`, instead of that being held:
    /// it has the other half already, or nothing comes behind the datagram.
    #[inline]
    fn is_joiners(&self, place: &Place<'_, '_>, sequence: u64) -> bool {
        place.last || self.joiner.has_behind(sequence)
    }

    /// Takes a piece that continues a frame, `ahead` bytes from its end: what stands at `from` at the end of `run`.
    /// Returns the frame, if it is complete now.
    #[inline]
    fn resume<'a, 'b: 'a>(
        &'a mut self,
        place: &mut Place<'_, 'b>,
        sequence: u64,
        ahead: usize,
        from: usize,
        run: &'a mut [u8],
        now: Instant,
    ) -> Result<Option<Frame<'a>>, DropReason> {
        if let Some(Beginning { held, datagram }) = place.before.take() {
            let next = held.is_before(sequence, ahead) && ahead == run.len() - from;
            if next && held.is_head() {
                return Ok(Some(Frame::halves(held.bytes(datagram), &run[from..])));
            }
            self.settle(&held, datagram, now);
        }
        if let Some(held) = place.held.take() {
            if held.is_before(sequence, ahead) {
                if ahead == run.len() - from && held.is_head() {
                    return Ok(Some(held.with(run, from)));
                }
                if held.is_short() {
                    return self.close_up(place, held, sequence, from, run, now);
                }
            }
            self.settle(&held, run, now);
        }
        let piece = Piece {
            ahead,
            begins: false,
            bytes: &run[from..],
        };
        self.joiner.add(sequence, &piece, now)
    }

    /// As [`Self::resume`] of what is `held`, after it was moved to before the piece. Apart, as few frames are cut so.
    #[inline(never)]
    fn close_up<'a>(
        &'a mut self,
        place: &mut Place<'_, '_>,
        held: Held,
        sequence: u64,
        from: usize,
        run: &'a mut [u8],
        now: Instant,
    ) -> Result<Option<Frame<'a>>, DropReason> {
        let held = held.close_up(sequence, run, from);
        let (_, piece) = held.piece(run);
        if piece.ahead == piece.bytes.len() {
            return Ok(Some(Frame::whole(piece.bytes)));
        }
        if self.is_joiners(place, sequence) {
            return self.joiner.add(sequence, &piece, now);
        }
        *place.held = Some(held);
        Ok(None)
    }

    /// Gives up parts of cut frames that have waited too long. Called once per batch.
    /// Returns how many parts were given up since the last call, for that reason or
    /// for younger ones' sake: each counts as [`DropReason::Incomplete`].
    #[inline]
    pub fn tick(&mut self, now: Instant) -> u64 {
        self.joiner.sweep(now);
        self.joiner.take_given_up()
    }

    /// Gives what was held, and is not completed by the datagram behind it in the run, to the joiner.
    /// The joiner had nothing to join it with when it was held, and has got nothing since: that would
    /// have been, in a run or apart, a continuation, before which what is held is settled, or to which it is moved, and then the joiner
    /// is asked anew.
    #[cold]
    fn settle(&mut self, held: &Held, run: &[u8], now: Instant) {
        let (sequence, piece) = held.piece(run);
        let joined = self.joiner.add(sequence, &piece, now);
        debug_assert!(matches!(joined, Ok(None)), "its other half was not there");
    }
}

/// The frame that is all that its datagram carried.
#[inline]
fn lone(payload: &[u8]) -> Result<Frame<'_>, DropReason> {
    if !is_frame_length(payload.len()) {
        return Err(DropReason::BadFrameLength);
    }
    Ok(Frame {
        alone: true,
        ..Frame::whole(payload)
    })
}

/// A datagram in its run.
struct Place<'a, 'b> {
    /// Where it begins.
    at: usize,
    /// Whether nothing of its lane comes right behind it.
    last: bool,
    /// The beginning of a frame before it, in the run.
    held: &'a mut Option<Held>,
    /// The same in a datagram that lies apart.
    before: Option<Beginning<'b>>,
}

impl From<unbundle::Malformed> for DropReason {
    fn from(_: unbundle::Malformed) -> Self {
        Self::MalformedBundle
    }
}
