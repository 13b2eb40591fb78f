//! Frames for the LAN port that are made while it lends out what it has received.

use causeway_tunnel::DropReason;

/// Frames that wait for the end of the batch, in memory that was there before.
#[derive(Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Outbox {
    /// With room for so many frames of so many bytes each.
    pub(super) fn new(frames: usize, length: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(frames * length),
            ends: Vec::with_capacity(frames),
        }
    }

    /// Puts a frame in, which may be changed there.
    ///
    /// # Errors
    ///
    /// [`DropReason::LanFull`]: there is no room.
    pub(super) fn push(&mut self, frame: &[u8]) -> Result<&mut [u8], DropReason> {
        let start = self.bytes.len();
        let has_room = self.bytes.capacity() - start >= frame.len();
        if !has_room || self.ends.len() == self.ends.capacity() {
            return Err(DropReason::LanFull);
        }
        self.bytes.extend_from_slice(frame);
        self.ends.push(self.bytes.len());
        Ok(&mut self.bytes[start..])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Gives each frame to `send`, and forgets it.
    pub(super) fn empty(&mut self, mut send: impl FnMut(&[u8])) {
        let mut start = 0;
        for end in self.ends.drain(..) {
            send(&self.bytes[start..end]);
            start = end;
        }
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_as_they_went_in_and_no_more_than_there_is_room_for() {
        let mut outbox = Outbox::new(3, 4);
        outbox.push(&[1, 2, 3]).unwrap()[0] = 9;
        outbox.push(&[4; 9]).unwrap();
        assert!(outbox.push(&[5]).is_err());
        let mut out = Vec::new();
        outbox.empty(|frame| out.push(frame.to_vec()));
        assert_eq!(out, [vec![9, 2, 3], vec![4; 9]]);
        assert!(outbox.is_empty());
        assert!((0..3).all(|n| outbox.push(&[n]).is_ok()));
        assert!(outbox.push(&[3]).is_err());
    }
}
