//! The receiving half of a port: fill ring to RX ring.

use std::{os::fd::AsFd as _, slice};

use rustix::net::RecvFlags;
use xsk_rs::{FrameDesc, Umem};

use super::{BATCH, XskPort, multi_buffer::Assembly};
use crate::sys::prefetch::{groups, prefetch, prefetch_value};

/// How many received frames ahead is fetched from, and how many bytes of each: the headers, and the
/// start of what is read in one go, which the CPU follows by itself.
const AHEAD: usize = 3;
const HEAD: usize = 256;

/// Frames of one batch, oldest first, which stay where they are until all of it was seen.
pub struct ReceivedFrames<'a>(Source<'a>);

enum Source<'a> {
    /// Each in a chunk of its own.
    Chunks(&'a Umem, slice::IterMut<'a, FrameDesc>),
    /// One, put together from several.
    Assembled(Option<&'a mut [u8]>),
}

impl<'a> Iterator for ReceivedFrames<'a> {
    type Item = &'a mut [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a mut [u8]> {
        match &mut self.0 {
            Source::Assembled(frame) => frame.take(),
            Source::Chunks(umem, descs) => {
                let desc = descs.next()?;
                // The socket asked for none of several chunks (`XDP_USE_SG`), so the kernel drops them.
                debug_assert!(!desc.has_more_frames(), "frames fit a chunk");
                if let Some(ahead) = descs.as_slice().get(AHEAD - 1) {
                    // SAFETY: of this batch, and not handed out yet.
                    unsafe { prefetch_head(umem, ahead) };
                }
                // SAFETY: the chunk came out of the RX ring, so it is ours alone until it goes back to the fill ring,
                // after `'a`.
                let mut data = unsafe { umem.data_mut(desc) };
                let bytes = data.contents_mut();
                // SAFETY: the bytes are the chunk's, whatever becomes of the view of them. Each descriptor is handed out
                // once, and the kernel gives back each chunk that it was given once.
                Some(unsafe { slice::from_raw_parts_mut(bytes.as_mut_ptr(), bytes.len()) })
            }
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            Source::Assembled(frame) => usize::from(frame.is_some()),
            Source::Chunks(_, descs) => descs.len(),
        };
        (left, Some(left))
    }
}

impl ExactSizeIterator for ReceivedFrames<'_> {}

/// Fetches the head of a received frame into the cache: another core, or the device, has written it.
///
/// # Safety
///
/// As of [`contents`].
#[inline]
unsafe fn prefetch_head(umem: &Umem, desc: &FrameDesc) {
    // SAFETY: as of ours.
    let bytes = unsafe { contents(umem, desc) };
    prefetch(&bytes[..bytes.len().min(HEAD)]);
}

/// The bytes of a received chunk whose turn has not come.
///
/// # Safety
///
/// The chunk is one of `umem`'s and came out of the RX ring, and for `'a` neither goes back to the fill ring nor is lent to
/// anybody to write to.
#[inline]
unsafe fn contents<'a>(umem: &'a Umem, desc: &'a FrameDesc) -> &'a [u8] {
    // SAFETY: the caller's.
    unsafe { umem.data(desc) }.contents()
}

impl XskPort {
    /// As [`Self::receive`], with the frames of a batch all at once: what a closure has seen may be looked at again with what
    /// comes behind it. Where frames may take several chunks, each is a batch.
    pub fn receive_together(
        &mut self,
        limit: usize,
        mut visit: impl FnMut(ReceivedFrames<'_>),
    ) -> usize {
        if self.max_frame > self.chunk_room {
            return self.receive(limit, |frame| {
                visit(ReceivedFrames(Source::Assembled(Some(frame))));
            });
        }
        self.receive_chunks(limit, |umem, descs, _| {
            for desc in descs.iter().take(AHEAD) {
                // SAFETY: of this batch, of which nothing is handed out yet.
                unsafe { prefetch_head(umem, desc) };
            }
            let frames = descs.len();
            visit(ReceivedFrames(Source::Chunks(umem, descs.iter_mut())));
            frames
        })
    }

    /// Lends up to `limit` received frames to `visit`, oldest first; returns their number.
    pub fn receive(&mut self, limit: usize, visit: impl FnMut(&mut [u8])) -> usize {
        self.receive_foreseeing(limit, None::<fn(&[u8])>, visit)
    }

    /// As [`Self::receive`], and shows frames to `foresee`, if there is one, some frames before their turn: of one in
    /// several chunks each chunk.
    pub fn receive_foreseeing(
        &mut self,
        limit: usize,
        foresee: Option<impl Fn(&[u8])>,
        mut visit: impl FnMut(&mut [u8]),
    ) -> usize {
        self.receive_chunks(limit, |umem, descs, assembly| {
            let mut frames = 0;
            for (group, soon) in groups(descs.len()) {
                if let Some(foresee) = &foresee {
                    // SAFETY: called for descriptors of this batch whose turn, to be lent to `visit`, is later.
                    let unseen = |desc| unsafe { contents(umem, desc) };
                    let behind = descs[soon.end..].iter().take(soon.len());
                    behind.for_each(|desc| prefetch_value(unseen(desc)));
                    descs[soon].iter().for_each(|desc| foresee(unseen(desc)));
                }
                for index in group {
                    if let Some(ahead) = descs.get(index + AHEAD) {
                        // SAFETY: of this batch, and lent to nobody before its turn.
                        unsafe { prefetch_head(umem, ahead) };
                    }
                    let desc = &mut descs[index];
                    let continued = desc.has_more_frames();
                    // SAFETY: the chunk came out of the RX ring just now, so it is ours alone until
                    // it goes back to the fill ring.
                    let mut data = unsafe { umem.data_mut(desc) };
                    let part = data.contents_mut();
                    frames += assembly.add(part, continued, &mut visit);
                }
            }
            frames
        })
    }

    /// Lends chunks that hold received frames to `take`, a batch at a time, until these were up to `limit` frames; then
    /// they are free. It returns how many frames are whole now; all together are returned.
    #[inline]
    fn receive_chunks(
        &mut self,
        limit: usize,
        mut take: impl FnMut(&Umem, &mut [FrameDesc], &mut Assembly) -> usize,
    ) -> usize {
        self.refill();
        if self.busy_poll && self.rx.nb_avail_exact() == 0 {
            // The device does not interrupt for us: this call has it look (`xsk_recvmsg`, net/xdp/xsk.c).
            let _ = rustix::net::recv(self.as_fd(), &mut [0_u8; 0], RecvFlags::DONTWAIT);
        }
        let (mut total, mut received) = (0, 0);
        while total < limit {
            let want = BATCH.min(limit - total);
            // SAFETY: the scratch descriptors are overwritten with what the RX ring holds, which
            // the kernel took from our fill ring: chunks of this UMEM that nobody else refers to.
            let got = unsafe { self.rx.consume(&mut self.scratch[..want]) };
            if got > 0 {
                total += take(&self.umem, &mut self.scratch[..got], &mut self.assembly);
            }
            self.free.extend_from_slice(&self.scratch[..got]);
            received += got;
            if got < want {
                break;
            }
        }
        if received > 0 {
            self.refill();
        }
        total
    }

    /// Wakes a zero-copy driver that ran out of chunks just as the last of ours came: it has said so after
    /// [`Self::receive`] looked, and a worker that does not `poll` would never notice.
    pub fn wake_receiver(&self) {
        if self.fill.needs_wakeup() {
            let _ = rustix::net::recv(self.as_fd(), &mut [0_u8; 0], RecvFlags::DONTWAIT);
        }
    }

    /// Gives free chunks to the fill ring until it is full, but keeps enough for a full TX ring.
    pub(super) fn refill(&mut self) {
        let room = self.fill.nb_free(BATCH as u32) as usize;
        let reserve = self.ring_size - self.on_the_way();
        let n = room.min(self.free.len().saturating_sub(reserve));
        if n == 0 {
            return;
        }
        let at = self.free.len() - n;
        // SAFETY: the chunks were on our free list; from here on they are the kernel's until
        // they show up in the RX ring. There is room for all: none is both there and free.
        let filled = unsafe { self.fill.produce(&self.free[at..]) };
        debug_assert_eq!(filled, n, "the room was asked for");
        self.free.truncate(self.free.len() - filled);
        if self.fill.needs_wakeup() {
            // A zero-copy driver that ran out of chunks stops receiving until it is told.
            let _ = rustix::net::recv(self.as_fd(), &mut [0_u8; 0], RecvFlags::DONTWAIT);
        }
    }
}
