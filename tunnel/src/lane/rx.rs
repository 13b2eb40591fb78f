//! The receiving end of a lane.

use super::held::Held;
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
/// A frame is delivered where it was decrypted, without a copy, where its datagrams are neighbours
/// in one run; of one that was cut between runs, and is in order, the first half was copied,
/// to a buffer that is used again. Nothing is allocated per datagram.
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
    /// A frame that is cut between two neighbours is delivered from both, without a copy.
    ///
    /// Ends before one, but the first, that claims another SPI. Returns how many bytes of the run were taken.
    #[inline]
    pub fn receive_run(
        &mut self,
        run: &mut [u8],
        segment_size: usize,
        now: Instant,
        deliver: &mut impl FnMut(Frame<'_>),
        verdict: &mut impl FnMut(Result<Received, DropReason>),
    ) -> usize {
        let spi = self.spi().to_be_bytes();
        let (mut held, mut at, mut last) = (None, 0, run.is_empty());
        while !last {
            let end = run.len().min(at + segment_size.max(1));
            let (earlier, rest) = run.split_at_mut(at);
            // The last of this lane has no neighbour in the run: what it holds would be copied a moment later.
            last = !rest[end - at..].starts_with(&spi);
            let mut place = Place {
                earlier,
                held: &mut held,
                last,
            };
            verdict(self.receive_at(&mut place, &mut rest[..end - at], now, deliver));
            at = end;
        }
        if let Some(held) = held {
            self.settle(&held, &run[..at], now, deliver);
        }
        at
    }

    #[inline]
    fn receive_at(
        &mut self,
        place: &mut Place<'_>,
        datagram: &mut [u8],
        now: Instant,
        deliver: &mut impl FnMut(Frame<'_>),
    ) -> Result<Received, DropReason> {
        let highest = self.sa.highest();
        let opened = esp::open(&mut self.sa, datagram, now)?;
        let (sequence, newest) = (opened.sequence, opened.sequence > highest);
        let frames = match opened.next_header {
            NextHeader::Bundle => self.unbundle(place, sequence, opened.payload, now, deliver)?,
            NextHeader::Ethernet if !is_frame_length(opened.payload.len()) => {
                return Err(DropReason::BadFrameLength);
            }
            NextHeader::Ethernet => {
                deliver(Frame {
                    alone: true,
                    ..Frame::whole(opened.payload)
                });
                1
            }
            NextHeader::Dummy => 0,
        };
        Ok(Received { frames, newest })
    }

    /// Gives up parts of cut frames that have waited too long. Called once per batch.
    /// Returns how many parts were given up since the last call, for that reason or
    /// for younger ones' sake: each counts as [`DropReason::Incomplete`].
    #[inline]
    pub fn tick(&mut self, now: Instant) -> u64 {
        self.joiner.sweep(now);
        self.joiner.take_given_up()
    }

    /// Delivers the frames of a bundle. Returns how many there were.
    #[inline]
    fn unbundle(
        &mut self,
        place: &mut Place<'_>,
        sequence: u64,
        payload: &mut [u8],
        now: Instant,
        deliver: &mut impl FnMut(Frame<'_>),
    ) -> Result<usize, DropReason> {
        // Where the payload ends in the run; padding, trailer and ICV come behind it.
        let end = place.earlier.len() + ESP_HEADER + payload.len();
        let (continuation, mut rest) = unbundle::split(payload)?;
        let mut frames = 0;
        if let Some(piece) = continuation {
            frames += usize::from(self.resume(place, sequence, &piece, now, deliver)?);
        }
        while let Some(item) = unbundle::next(&mut rest)? {
            match item {
                Item::Frame(frame) => {
                    deliver(Frame::whole(frame));
                    frames += 1;
                }
                // Whoever has the other half already is the joiner.
                Item::Piece(piece) if place.last || self.joiner.has_behind(sequence) => {
                    frames += usize::from(self.joiner.add(sequence, &piece, now, deliver)?);
                }
                Item::Piece(piece) => {
                    let held = Held::new(sequence, &piece, end);
                    if let Some(before) = place.held.replace(held) {
                        self.settle(&before, place.earlier, now, deliver);
                    }
                }
            }
        }
        Ok(frames)
    }

    /// Takes a `piece` that continues a frame. Returns whether that is complete now.
    #[inline]
    fn resume(
        &mut self,
        place: &mut Place<'_>,
        sequence: u64,
        piece: &Piece<'_>,
        now: Instant,
        deliver: &mut impl FnMut(Frame<'_>),
    ) -> Result<bool, DropReason> {
        if let Some(held) = place.held.take() {
            if let Some(frame) = held.complete(place.earlier, sequence, piece) {
                deliver(frame);
                return Ok(true);
            }
            self.settle(&held, place.earlier, now, deliver);
        }
        self.joiner.add(sequence, piece, now, deliver)
    }

    /// Gives what was held, and is not completed by the datagram behind it in the run, to the joiner.
    /// The joiner had nothing to join it with when it was held, and has got nothing since: that would
    /// have been a continuation, before which what is held is settled.
    #[cold]
    fn settle(
        &mut self,
        held: &Held,
        run: &[u8],
        now: Instant,
        deliver: &mut impl FnMut(Frame<'_>),
    ) {
        let (sequence, piece) = held.piece(run);
        let joined = self.joiner.add(sequence, &piece, now, deliver);
        debug_assert_eq!(joined, Ok(false), "its other half was not there");
    }
}

/// Where a datagram is in its run.
struct Place<'a> {
    /// The run before it.
    earlier: &'a [u8],
    /// The beginning of a frame in there.
    held: &'a mut Option<Held>,
    /// Whether nothing of this lane comes right behind it.
    last: bool,
}

impl From<unbundle::Malformed> for DropReason {
    fn from(_: unbundle::Malformed) -> Self {
        Self::MalformedBundle
    }
}
