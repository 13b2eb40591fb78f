//! Frames that are longer than a chunk: one descriptor for each chunk, all but the last of them marked
//! (`XDP_PKT_CONTD`, Documentation/networking/af_xdp.rst, "Multi-Buffer Support").
//!
//! Whoever gets such a frame wants it in one piece, so its parts are copied together: one copy more
//! than for a frame in one chunk, which passes by here untouched.

use std::io::Write as _;

use super::{FLUSH_EVERY, TransmitError, XskPort};

/// More of the frame comes in the next descriptor (`XDP_PKT_CONTD`, include/uapi/linux/if_xdp.h).
const CONTINUED: u32 = 1;

/// A received frame whose last part is yet to come.
#[derive(Default)]
pub(super) struct Assembly {
    /// Empty: no frame is begun.
    bytes: Vec<u8>,
}

impl Assembly {
    /// Takes the next part of a frame. Lends the frame to `visit` if it is whole now, and
    /// returns how many that were.
    #[inline]
    pub(super) fn add(
        &mut self,
        part: &mut [u8],
        continued: bool,
        visit: &mut impl FnMut(&mut [u8]),
    ) -> usize {
        if !continued && self.bytes.is_empty() {
            visit(part);
            return 1;
        }
        self.append(part);
        if continued {
            return 0;
        }
        visit(&mut self.bytes);
        self.bytes.clear();
        1
    }

    /// The kernel makes no frame of more than `MAX_SKB_FRAGS` + 1 parts, so the buffer has an end.
    #[cold]
    fn append(&mut self, part: &[u8]) {
        self.bytes.extend_from_slice(part);
    }
}

impl XskPort {
    /// Copies a frame in two parts into as many chunks as it takes.
    ///
    /// # Errors
    ///
    /// [`TransmitError`]; nothing is taken then.
    #[cold]
    pub(super) fn transmit_in_chunks(
        &mut self,
        mut headers: &[u8],
        mut body: &[u8],
    ) -> Result<(), TransmitError> {
        let chunks = (headers.len() + body.len()).div_ceil(self.chunk_room);
        if self.written.len() >= FLUSH_EVERY || !self.can_write(chunks) {
            self.flush();
        }
        if !self.can_write(chunks) {
            return Err(TransmitError::Full);
        }
        let before = self.written.len();
        for left in (0..chunks).rev() {
            let (first, headers_left) = headers.split_at(headers.len().min(self.chunk_room));
            let room = self.chunk_room - first.len();
            let (second, body_left) = body.split_at(body.len().min(room));
            (headers, body) = (headers_left, body_left);
            let mut desc = self.free.pop().ok_or(TransmitError::Full)?;
            // SAFETY: the chunk was on our free list: no ring and no other descriptor refers to it.
            let mut data = unsafe { self.umem.data_mut(&mut desc) };
            let mut cursor = data.cursor();
            cursor.set_pos(0);
            let written = cursor
                .write_all(first)
                .and_then(|()| cursor.write_all(second));
            desc.set_options(if left > 0 { CONTINUED } else { 0 });
            self.written.push(desc);
            if written.is_err() {
                // As for a frame in one chunk: a driver left less room in it.
                let back = self.written.drain(before..);
                self.free.splice(0..0, back);
                return Err(TransmitError::TooLong);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_become_frames_in_their_order() {
        let mut assembly = Assembly::default();
        let mut frames = Vec::new();
        let parts: [(&str, bool); 6] = [
            ("one", false),
            ("tw", true),
            ("o-", true),
            ("long", false),
            ("three", false),
            ("begun", true),
        ];
        let mut whole = Vec::new();
        for (part, continued) in parts {
            let mut part = part.as_bytes().to_vec();
            let visit =
                &mut |frame: &mut [u8]| frames.push(String::from_utf8_lossy(frame).into_owned());
            whole.push(assembly.add(&mut part, continued, visit));
        }
        assert_eq!(frames, ["one", "two-long", "three"]);
        assert_eq!(whole, [1, 0, 0, 1, 1, 0]);
    }
}
