//! The receiving end of a lane.

use crate::join::Joiner;
use crate::sa::{InboundSa, Limits, SaKeys};
use crate::unbundle::{self, Item};
use crate::wire::{NextHeader, is_frame_length};
use crate::{DropReason, Spi, esp};
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
/// A whole frame is delivered where it was decrypted, without a copy; a cut one
/// from a buffer that is used again. Nothing is allocated per datagram.
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
    /// now complete to `deliver`, which may change it.
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
        deliver: &mut impl FnMut(&mut [u8]),
    ) -> Result<Received, DropReason> {
        let highest = self.sa.highest();
        let opened = esp::open(&mut self.sa, datagram, now)?;
        let newest = opened.sequence > highest;
        let frames = match opened.next_header {
            NextHeader::Bundle => self.unbundle(opened.sequence, opened.payload, now, deliver)?,
            NextHeader::Ethernet if !is_frame_length(opened.payload.len()) => {
                return Err(DropReason::BadFrameLength);
            }
            NextHeader::Ethernet => {
                deliver(opened.payload);
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
        sequence: u64,
        payload: &mut [u8],
        now: Instant,
        deliver: &mut impl FnMut(&mut [u8]),
    ) -> Result<usize, DropReason> {
        let (continuation, mut rest) = unbundle::split(payload)?;
        let mut frames = 0;
        if let Some(piece) = continuation {
            frames += usize::from(self.joiner.add(sequence, &piece, now, deliver)?);
        }
        while let Some(item) = unbundle::next(&mut rest)? {
            match item {
                Item::Frame(frame) => {
                    deliver(frame);
                    frames += 1;
                }
                Item::Piece(piece) => {
                    frames += usize::from(self.joiner.add(sequence, &piece, now, deliver)?);
                }
            }
        }
        Ok(frames)
    }
}

impl From<unbundle::Malformed> for DropReason {
    fn from(_: unbundle::Malformed) -> Self {
        Self::MalformedBundle
    }
}
