//! Frames that are written where they leave from, bit by bit, before their headers are known.
//!
//! The chunk of such a draft stays the port's: the writer names it by a slot of its own.

use std::slice;

use xsk_rs::{FrameDesc, Umem};

use super::{
    XskPort,
    transmit::{FLUSH_EVERY, MIN_FRAME, PREFETCH_FROM},
};

/// The drafts by slot.
#[derive(Default)]
pub(super) struct Drafts {
    slots: Vec<Option<Draft>>,
    count: usize,
}

struct Draft {
    chunk: FrameDesc,
    /// Bytes left for headers, and those of the body.
    head: usize,
    body: usize,
}

impl Drafts {
    /// Chunks that are written in.
    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count
    }

    #[inline]
    fn get(&mut self, slot: usize) -> Option<&mut Draft> {
        self.slots.get_mut(slot)?.as_mut()
    }

    fn put(&mut self, slot: usize, draft: Draft) {
        if self.slots.len() <= slot {
            // Once for each slot.
            self.slots.resize_with(slot + 1, || None);
        }
        self.count += usize::from(self.slots[slot].replace(draft).is_none());
    }

    #[inline]
    fn take(&mut self, slot: usize) -> Option<Draft> {
        let draft = self.slots.get_mut(slot)?.take();
        self.count -= usize::from(draft.is_some());
        draft
    }
}

impl XskPort {
    /// Begins a frame in a free chunk: `head` bytes for headers, then up to `body` bytes. False: it is longer
    /// than a chunk, or than [`super::XskConfig::max_frame`], or there is no chunk now. A draft that the
    /// slot holds already is thrown away.
    #[inline]
    pub fn draft(&mut self, slot: usize, head: usize, body: usize) -> bool {
        self.discard_draft(slot);
        let length = head + body;
        if length > self.max_frame.min(self.chunk_room) || length < MIN_FRAME {
            return false;
        }
        if self.written.len() >= FLUSH_EVERY || !self.can_write(1) {
            self.flush();
        }
        if !self.can_write(1) {
            return false;
        }
        let Some(mut chunk) = self.free.pop() else {
            return false;
        };
        // SAFETY: the chunk was on our free list: no ring and no other descriptor refers to it.
        if unsafe { room(&self.umem, &mut chunk, length) }.len() < length {
            // A driver that received into it farther behind its start has left less room.
            self.free.insert(0, chunk);
            return false;
        }
        chunk.set_options(0);
        self.drafts.put(slot, Draft { chunk, head, body });
        if length >= PREFETCH_FROM {
            self.prefetch_next(length);
        }
        true
    }

    /// The draft's body; empty if the slot holds none.
    #[inline]
    pub fn draft_body(&mut self, slot: usize) -> &mut [u8] {
        let Some(draft) = self.drafts.get(slot) else {
            return &mut [];
        };
        let length = draft.head + draft.body;
        // SAFETY: the chunk was on our free list when the draft was begun, and is nowhere but here since.
        let room = unsafe { room(&self.umem, &mut draft.chunk, length) };
        &mut room[draft.head..]
    }

    /// Takes the draft for transmission, with these headers, which are as long as was said, and the first
    /// `body` bytes of its body; [`XskPort::flush`] hands it to the kernel. False: there is none; or it is not
    /// what it was begun as, and thrown away.
    #[inline]
    pub fn send_draft(&mut self, slot: usize, headers: &[u8], body: usize) -> bool {
        let Some(mut draft) = self.drafts.take(slot) else {
            return false;
        };
        if headers.len() != draft.head || body > draft.body || headers.len() + body < MIN_FRAME {
            self.free.push(draft.chunk);
            return false;
        }
        // SAFETY: as in `draft_body`. From here on the frame has its final length.
        let room = unsafe { room(&self.umem, &mut draft.chunk, headers.len() + body) };
        room[..headers.len()].copy_from_slice(headers);
        self.written.push(draft.chunk);
        true
    }

    fn discard_draft(&mut self, slot: usize) {
        if let Some(draft) = self.drafts.take(slot) {
            self.free.push(draft.chunk);
        }
    }
}

/// The first bytes of a chunk: `length` of them, which becomes that of its frame, or as many as it has.
///
/// # Safety
///
/// The chunk is one of the UMEM's, and nobody else refers to it.
#[inline]
unsafe fn room<'a>(umem: &'a Umem, chunk: &'a mut FrameDesc, length: usize) -> &'a mut [u8] {
    // SAFETY: the caller sees to it.
    let mut data = unsafe { umem.data_mut(chunk) };
    data.cursor().set_pos(length);
    let contents = data.contents_mut();
    let (start, length) = (contents.as_mut_ptr(), contents.len());
    // SAFETY: the slice that was just lent by the UMEM, for as long as it and the chunk's descriptor are borrowed;
    // `data` would lend it no longer than itself.
    unsafe { slice::from_raw_parts_mut(start, length) }
}
