//! Bytes that wait for their neighbours.

use crate::Frame;
use crate::wire::MAX_FRAME;
use std::time::Instant;

/// Neighbouring bytes of one frame, from datagrams `first..=last`.
pub(super) struct Part {
    pub(super) first: u64,
    pub(super) last: u64,
    /// Bytes from this part's start to the frame's end.
    pub(super) ahead: usize,
    /// Bytes from this part's end to the frame's end.
    pub(super) rest: usize,
    pub(super) begins: bool,
    pub(super) since: Instant,
    /// Right-aligned: the frame's last byte is the buffer's.
    buffer: Box<[u8; MAX_FRAME]>,
}

impl Part {
    pub(super) fn unused(now: Instant) -> Self {
        let buffer = Box::new([0; MAX_FRAME]);
        Self {
            first: 1,
            last: 1,
            ahead: 0,
            rest: 0,
            begins: false,
            since: now,
            buffer,
        }
    }

    pub(super) const fn is_complete(&self) -> bool {
        self.begins && self.rest == 0
    }

    /// The `length` bytes that begin `ahead` bytes before the frame's end.
    #[inline]
    pub(super) fn at(&mut self, ahead: usize, length: usize) -> &mut [u8] {
        &mut self.buffer[MAX_FRAME - ahead..][..length]
    }

    /// Bytes that the beginning of a frame lacks for the head of one in two parts. Of one that lacks some, so many that what
    /// lies behind the Ethernet header can be looked at in one piece, too.
    #[inline]
    pub(super) const fn lacks(&self) -> usize {
        match self.ahead - self.rest {
            enough if enough >= Frame::MIN_HEAD => 0,
            few => 2 * Frame::MIN_HEAD - few,
        }
    }

    /// The bytes that are here: the frame, if it is complete.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[MAX_FRAME - self.ahead..MAX_FRAME - self.rest]
    }
}
