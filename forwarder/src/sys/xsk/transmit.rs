//! The transmitting half of a port: free chunks to TX ring, and back by the completion ring.

use std::{io::Write as _, os::fd::AsFd as _};

use rustix::{io::Errno, net::SendFlags};

use super::{BATCH, XskPort};
use crate::sys::prefetch::prefetch;

/// Frames that [`XskPort::transmit`] writes at most before it hands them to the kernel: chunks that come
/// back soon are used again while they are in the cache; a whole ring of them is not.
pub const FLUSH_EVERY: usize = 64;

/// Length of frame from which on [`XskPort::transmit`] fetches the beginning of the next chunk into the cache, for as
/// long a frame: shorter ones are written before that could help.
pub const PREFETCH_FROM: usize = 512;

/// How often one flush asks the kernel to go on transmitting before it leaves
/// the rest to the next flush.
const KICKS_PER_FLUSH: usize = 8;

/// Shortest frame that may be transmitted: an Ethernet header. The kernel gives the chunk of an empty
/// frame never back (`xp_aligned_validate_desc`, net/xdp/xsk_queue.h), and what drivers do to one
/// that ends inside its header is up to each of them.
pub(super) const MIN_FRAME: usize = 14;

/// Why a frame was not taken for transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// Longer than [`XskConfig::max_frame`](super::XskConfig::max_frame).
    TooLong,
    /// Shorter than an Ethernet header.
    TooShort,
    /// No free chunk or no room in the TX ring; the device is slower than we are.
    Full,
}

impl XskPort {
    /// Copies `frame` into a chunk for transmission, or into several if it is longer than one; [`Self::flush`], or
    /// every [`FLUSH_EVERY`]th chunk, hands it to the kernel.
    ///
    /// # Errors
    ///
    /// [`TransmitError`]; the frame is not taken then.
    pub fn transmit(&mut self, frame: &[u8]) -> Result<(), TransmitError> {
        self.transmit_parts(&[], frame)
    }

    /// Like [`Self::transmit`], of a frame in two parts.
    ///
    /// # Errors
    ///
    /// [`TransmitError`]; the frame is not taken then.
    pub fn transmit_parts(&mut self, headers: &[u8], body: &[u8]) -> Result<(), TransmitError> {
        let length = headers.len() + body.len();
        if length > self.max_frame {
            return Err(TransmitError::TooLong);
        }
        if length < MIN_FRAME {
            return Err(TransmitError::TooShort);
        }
        if length > self.chunk_room {
            return self.transmit_in_chunks(headers, body);
        }
        if self.written.len() >= FLUSH_EVERY || !self.can_write(1) {
            self.flush();
        }
        if !self.can_write(1) {
            return Err(TransmitError::Full);
        }
        let mut desc = self.free.pop().ok_or(TransmitError::Full)?;
        // SAFETY: the chunk was on our free list: no ring and no other descriptor refers to it.
        let mut data = unsafe { self.umem.data_mut(&mut desc) };
        let mut cursor = data.cursor();
        cursor.set_pos(0);
        let written = cursor
            .write_all(headers)
            .and_then(|()| cursor.write_all(body));
        if written.is_err() {
            // max_frame fits behind the headroom; a driver that received into this chunk farther
            // behind its start than that may have left less room.
            self.free.insert(0, desc);
            return Err(TransmitError::TooLong);
        }
        desc.set_options(0);
        self.written.push(desc);
        if length >= PREFETCH_FROM {
            self.prefetch_next(length);
        }
        Ok(())
    }

    /// Fetches the beginning of the chunk that is written next into the cache.
    pub(super) fn prefetch_next(&mut self, length: usize) {
        let Some(mut next) = self.free.last().copied() else {
            return;
        };
        // SAFETY: the chunk is on our free list: no ring and no other descriptor refers to it.
        let mut data = unsafe { self.umem.data_mut(&mut next) };
        data.cursor().set_pos(length);
        prefetch(data.contents());
    }

    /// Whether there are so many chunks, and room in the TX and the completion ring for them.
    pub(super) fn can_write(&self, chunks: usize) -> bool {
        self.on_the_way() + chunks <= self.ring_size && self.free.len() >= chunks
    }

    /// Chunks that hold frames to transmit, from the first byte until they are back.
    pub(super) fn on_the_way(&self) -> usize {
        self.drafts.count() + self.written.len() + self.in_flight
    }

    /// Submits what was written, has the kernel send it, and takes back what it has sent.
    pub fn flush(&mut self) {
        if !self.written.is_empty() {
            // SAFETY: the descriptors are of this UMEM and their chunks are ours; from here on they
            // are the kernel's until they show up in the completion ring.
            let submitted = unsafe { self.tx.produce(&self.written) };
            debug_assert_eq!(
                submitted,
                self.written.len(),
                "transmit() keeps within the ring"
            );
            self.in_flight += submitted;
            self.written.drain(..submitted);
        }
        for _ in 0..KICKS_PER_FLUSH {
            if self.not_taken() == 0 || !self.tx.needs_wakeup() || !self.kick() {
                break;
            }
        }
        self.reap();
    }

    /// Whether frames wait that the kernel has not taken yet: the port wants [`Self::flush`] again.
    ///
    /// Frames that it has taken but not reported as sent need nothing: their chunks come back
    /// with a later flush.
    pub fn has_unsent(&mut self) -> bool {
        !self.written.is_empty() || self.not_taken() > 0
    }

    /// Frames in the TX ring that the kernel has not taken, as far as it has told: it may have
    /// taken some more (`xskq_cons_release`, net/xdp/xsk_queue.h), until the next kick.
    fn not_taken(&mut self) -> usize {
        if self.in_flight == 0 {
            return 0;
        }
        self.ring_size - self.tx.nb_free_exact() as usize
    }

    /// One kick. True: more is to do and progress was made.
    fn kick(&mut self) -> bool {
        let before = self.not_taken();
        match rustix::net::send(self.as_fd(), &[], SendFlags::DONTWAIT) {
            Ok(_) => false,
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::BUSY | Errno::NETDOWN) => {
                self.kicks_deferred += 1;
                self.not_taken() < before
            }
            // What else sendto() answers (EBADF, ENXIO: the device is gone) shows up as a socket
            // without frames; the control plane watches the device.
            Err(_) => false,
        }
    }

    /// Takes chunks that the kernel has sent back to the free list.
    fn reap(&mut self) {
        while self.in_flight > 0 {
            // SAFETY: the scratch descriptors are overwritten with completed chunks of this UMEM.
            let done = unsafe { self.completion.consume(&mut self.scratch) };
            self.free.extend_from_slice(&self.scratch[..done]);
            self.in_flight -= done;
            if done < BATCH {
                return;
            }
        }
    }
}
