//! The receiving half of a port: fill ring to RX ring.

use std::os::fd::AsFd as _;

use rustix::net::RecvFlags;

use super::{BATCH, XskPort};
use crate::sys::prefetch::prefetch;

/// How many received frames ahead [`XskPort::receive`] fetches from, and how many bytes of each: the headers, and the
/// start of what is read in one go, which the CPU follows by itself.
const AHEAD: usize = 3;
const HEAD: usize = 256;

impl XskPort {
    /// Lends up to `limit` received frames to `visit`, oldest first; returns their number.
    pub fn receive(&mut self, limit: usize, mut visit: impl FnMut(&mut [u8])) -> usize {
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
            for index in 0..got {
                self.prefetch_received(index + AHEAD, got);
                let desc = &mut self.scratch[index];
                let continued = desc.has_more_frames();
                // SAFETY: the chunk came out of the RX ring just now, so it is ours alone until
                // it goes back to the fill ring.
                let mut data = unsafe { self.umem.data_mut(desc) };
                let part = data.contents_mut();
                total += self.assembly.add(part, continued, &mut visit);
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

    /// Fetches the head of a received frame, whose descriptor is one of the first `got` in the scratch, into the cache:
    /// another core, or the device, has written it.
    #[inline]
    fn prefetch_received(&self, index: usize, got: usize) {
        if index < got {
            // SAFETY: the chunk came out of the RX ring, so it is ours alone until it goes back to the fill ring.
            let data = unsafe { self.umem.data(&self.scratch[index]) };
            let bytes = data.contents();
            prefetch(&bytes[..bytes.len().min(HEAD)]);
        }
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
