//! Packing: frames into the datagram that is open.
//!
//! ```text
//! | offset (2) | bytes of the frame cut before | { length (2) | frame }* |
//! ```
//!
//! Each byte of a frame is copied once, straight to its final place. A
//! [`Bundle`] is only the bookkeeping; whose memory the datagram is, a buffer
//! for a kernel socket or a frame of an AF_XDP ring, is the caller's affair.

use crate::esp;
use crate::wire::{BUNDLE_OFFSET, ESP_HEADER, FRAME_LENGTH};

/// How far the open datagram is filled. Each method is given the same `datagram`:
/// all of its bytes, of which the length is the datagram size.
#[derive(Clone, Copy, Debug)]
pub struct Bundle {
    /// Bytes of payload used, the offset field included.
    used: usize,
    /// The offset field: bytes at the start that continue the frame cut before.
    offset: usize,
    /// Frames that begin here.
    begun: usize,
}

impl Default for Bundle {
    fn default() -> Self {
        Self {
            used: BUNDLE_OFFSET,
            offset: 0,
            begun: 0,
        }
    }
}

impl Bundle {
    /// Whether there is nothing in it yet.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.used == BUNDLE_OFFSET
    }

    /// Whether it holds one frame and nothing of another: then, if the frame is
    /// whole, it can travel as the only payload of the datagram.
    #[inline]
    pub const fn is_single(&self) -> bool {
        self.begun == 1 && self.offset == 0
    }

    /// Bytes that still fit into a datagram of `size` bytes.
    #[inline]
    pub const fn room(&self, size: usize) -> usize {
        esp::payload_capacity(size) - self.used
    }

    /// Whether a frame may begin here: at least one byte of it must fit behind
    /// its length, so that a cut frame has bytes on both sides of the cut.
    #[inline]
    pub const fn can_begin(&self, size: usize) -> bool {
        self.room(size) > FRAME_LENGTH
    }

    /// Begins `frame` with its length and as much of it as fits. Returns how much did.
    ///
    /// # Panics
    /// Unless [`can_begin`](Self::can_begin).
    #[inline]
    pub fn begin(&mut self, datagram: &mut [u8], frame: &[u8]) -> usize {
        let fits = frame.len().min(self.room(datagram.len()) - FRAME_LENGTH);
        let entry = &mut datagram[ESP_HEADER + self.used..][..FRAME_LENGTH + fits];
        let (length, bytes) = entry.split_at_mut(FRAME_LENGTH);
        length.copy_from_slice(&(frame.len() as u16).to_be_bytes());
        bytes.copy_from_slice(&frame[..fits]);
        self.used += entry.len();
        self.begun += 1;
        fits
    }

    /// Continues a frame that was cut before this datagram, whose `remainder`
    /// is still to be sent, in an empty bundle. Returns how much of it fits.
    #[inline]
    pub fn resume(&mut self, datagram: &mut [u8], remainder: &[u8]) -> usize {
        debug_assert!(self.is_empty(), "a continuation comes first");
        let fits = remainder.len().min(self.room(datagram.len()));
        datagram[ESP_HEADER + self.used..][..fits].copy_from_slice(&remainder[..fits]);
        self.used += fits;
        self.offset = remainder.len();
        fits
    }

    /// Writes the offset field. Returns the length of the payload, ready to be sealed.
    #[inline]
    pub fn finish(&self, datagram: &mut [u8]) -> usize {
        let offset = (self.offset as u16).to_be_bytes();
        datagram[ESP_HEADER..][..BUNDLE_OFFSET].copy_from_slice(&offset);
        self.used
    }

    /// The length of the frame in a [single](Self::is_single) bundle that is whole.
    #[inline]
    pub const fn single_len(&self) -> usize {
        self.used - BUNDLE_OFFSET - FRAME_LENGTH
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 256;
    const CAPACITY: usize = SIZE - 34;

    #[test]
    fn a_frame_that_fits_is_whole_and_alone() {
        let (mut datagram, mut bundle) = ([0; SIZE], Bundle::default());
        assert_eq!(bundle.begin(&mut datagram, &[7; 60]), 60);
        assert!(bundle.is_single() && !bundle.is_empty());
        assert_eq!(
            (bundle.single_len(), bundle.finish(&mut datagram)),
            (60, 64)
        );
        assert_eq!(datagram[16..20], [0, 0, 0, 60]);
        assert_eq!(datagram[20..80], [7; 60]);
    }

    #[test]
    fn a_large_frame_spans_three() {
        let (mut datagram, frame) = ([0; SIZE], [9; 600]);
        let mut bundle = Bundle::default();
        let first = bundle.begin(&mut datagram, &frame);
        assert_eq!(first, CAPACITY - 4);
        assert_eq!(bundle.room(SIZE), 0);

        let mut bundle = Bundle::default();
        let second = bundle.resume(&mut datagram, &frame[first..]);
        assert_eq!(second, CAPACITY - 2);
        assert_eq!(bundle.finish(&mut datagram), CAPACITY);
        assert_eq!(datagram[16..18], (600 - first as u16).to_be_bytes());

        let mut bundle = Bundle::default();
        assert_eq!(
            first + second + bundle.resume(&mut datagram, &frame[first + second..]),
            600
        );
        assert!(bundle.can_begin(SIZE) && !bundle.is_single());
    }

    /// 0, 1 and 2 bytes of rest take no frame, 3 take one byte of it.
    #[test]
    fn a_cut_frame_has_bytes_on_both_sides() {
        for (rest, can_begin) in [(0, false), (1, false), (2, false), (3, true)] {
            let (mut datagram, mut bundle) = ([0; SIZE], Bundle::default());
            bundle.begin(&mut datagram, &vec![1; CAPACITY - 4 - rest]);
            assert_eq!(
                (bundle.room(SIZE), bundle.can_begin(SIZE)),
                (rest, can_begin)
            );
            if can_begin {
                assert_eq!(bundle.begin(&mut datagram, &[2; 60]), rest - 2);
            }
        }
    }
}
