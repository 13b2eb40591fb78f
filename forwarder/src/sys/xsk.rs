//! An AF_XDP socket on one queue of a network device, behind a safe face.
//!
//! Frames live in a UMEM that this port alone owns. Every chunk of it is at any
//! time in exactly one place: the fill ring or RX ring (the kernel's), the TX or
//! completion ring (the kernel's), or one of the vectors below (ours). Callers
//! never hold a chunk: received frames are lent to a closure and go back to the
//! free list when it returns; frames to send are copied into a free chunk, or written in one
//! that stays the port's ([`XskPort::draft`]).
//!
//! Practice learnt from other users of AF_XDP: fill before anything is redirected
//! here (xsk-rs hands out the fill ring of a bound socket only, so not before bind),
//! keep the fill ring fuller than the RX ring, reap completions even when nothing is received,
//! submit before kicking, and take ENOBUFS, EAGAIN, EBUSY and ENETDOWN from a
//! kick as "later".

mod draft;
mod multi_buffer;
mod open;
mod tuning;

use std::{
    io::{self, Write},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use rustix::{
    io::Errno,
    net::{RecvFlags, SendFlags},
};
use xsk_rs::{CompQueue, FillQueue, FrameDesc, RxQueue, TxQueue, Umem};

use self::{draft::Drafts, multi_buffer::Assembly};
pub use self::{
    open::{CopyMode, MAX_CHUNK_FRAME, MAX_FRAME, XskConfig, XskError},
    tuning::{LEAST_CHUNKS, MOST_CHUNKS, XskTuning},
};
use super::prefetch::prefetch;

/// Largest number of frames taken from or given to a ring at once.
const BATCH: usize = 256;

/// Frames that [`XskPort::transmit`] writes at most before it hands them to the kernel: chunks that come
/// back soon are used again while they are in the cache; a whole ring of them is not.
pub const FLUSH_EVERY: usize = 64;

/// Length of frame from which on [`XskPort::transmit`] fetches the beginning of the next chunk into the cache, for as
/// long a frame: shorter ones are written before that could help.
pub const PREFETCH_FROM: usize = 512;

/// How many received frames ahead [`XskPort::receive`] fetches from, and how many bytes of each: the headers, and the
/// start of what is read in one go, which the CPU follows by itself.
const AHEAD: usize = 3;
const HEAD: usize = 256;

/// How often one flush asks the kernel to go on transmitting before it leaves
/// the rest to the next flush.
const KICKS_PER_FLUSH: usize = 8;

/// Shortest frame that may be transmitted: an Ethernet header. The kernel gives the chunk of an empty
/// frame never back (`xp_aligned_validate_desc`, net/xdp/xsk_queue.h), and what drivers do to one
/// that ends inside its header is up to each of them.
const MIN_FRAME: usize = 14;

/// Why a frame was not taken for transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// Longer than [`XskConfig::max_frame`].
    TooLong,
    /// Shorter than an Ethernet header.
    TooShort,
    /// No free chunk or no room in the TX ring; the device is slower than we are.
    Full,
}

/// What the kernel counted for the socket (`struct xdp_statistics`, include/uapi/linux/if_xdp.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct XskStatistics {
    /// Frames dropped because they did not fit a chunk or for other reasons.
    pub rx_dropped: u64,
    /// Frames dropped because the RX ring was full: the worker is too slow.
    pub rx_ring_full: u64,
    /// Times that the fill ring was empty.
    pub rx_fill_ring_empty: u64,
    /// Descriptors for transmission that the kernel refused.
    pub tx_invalid: u64,
}

/// Where the chunks of a port are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunks {
    /// All of them.
    pub total: usize,
    /// In nobody's hands.
    pub free: usize,
    /// Waiting for the kernel to receive into.
    pub fill_ring: usize,
    /// Holding received frames that wait for [`XskPort::receive`].
    pub rx_ring: usize,
    /// Holding frames to transmit, being written or written, or transmitted but not taken back yet.
    pub transmit: usize,
}

impl Chunks {
    /// Those that are nowhere else. In copy mode the kernel keeps one after a frame for which the RX
    /// ring was full, and uses it for the next (`xp_free`, net/xdp/xsk_buff_pool.c).
    pub fn kept_by_kernel(&self) -> usize {
        self.total - self.free - self.fill_ring - self.rx_ring - self.transmit
    }
}

/// An open port.
pub struct XskPort {
    // Order of fields is order of dropping: rings before the UMEM.
    rx: RxQueue,
    tx: TxQueue,
    fill: FillQueue,
    completion: CompQueue,
    umem: Umem,
    /// Chunks that belong to us and hold nothing.
    free: Vec<FrameDesc>,
    /// Chunks written by [`Self::transmit`], not yet in the TX ring.
    written: Vec<FrameDesc>,
    /// Chunks that a frame to transmit is being written in.
    drafts: Drafts,
    /// Chunks in the TX or completion ring.
    in_flight: usize,
    /// Room for descriptors on their way through [`Self::receive`].
    scratch: Vec<FrameDesc>,
    /// A frame in several chunks, of which [`Self::receive`] has not seen the last.
    assembly: Assembly,
    /// Bytes of a frame that fit a chunk.
    chunk_room: usize,
    chunks: usize,
    ring_size: usize,
    max_frame: usize,
    copy_mode: CopyMode,
    kicks_deferred: u64,
    /// Whether our system calls make the device look for frames.
    busy_poll: bool,
    ordinary_pages: Option<String>,
}

impl XskPort {
    /// Opens a socket on the queue: zero-copy where the driver has it, else copy mode.
    ///
    /// The XDP program is not touched: the caller puts the socket into the program's
    /// XSKMAP.
    ///
    /// # Errors
    ///
    /// See [`XskError`].
    pub fn open(config: &XskConfig) -> Result<Self, XskError> {
        Self::open_in(config, &[CopyMode::ZeroCopy, CopyMode::Copy])
    }

    /// Like [`Self::open`], but fails where the driver has no zero-copy.
    ///
    /// # Errors
    ///
    /// See [`XskError`].
    pub fn open_zero_copy(config: &XskConfig) -> Result<Self, XskError> {
        Self::open_in(config, &[CopyMode::ZeroCopy])
    }

    fn open_in(config: &XskConfig, modes: &[CopyMode]) -> Result<Self, XskError> {
        let chunk = open::chunk_size(config)?;
        let ring_size = open::checked_ring_size(config.ring_size)?;
        let chunks = config.tuning.chunks(config.ring_size);
        let (umem, mut free, ordinary_pages) = open::create_umem(config, chunk, ring_size, chunks)?;
        let (socket, copy_mode) = open::bind(config, &umem, ring_size, modes)?;
        let (tx, rx, rings) = socket;
        let (fill, completion) = rings.ok_or_else(|| XskError::Socket {
            interface: config.interface.clone(),
            queue: config.queue,
            source: io::ErrorKind::AlreadyExists.into(),
            hint: "",
        })?;
        free.reverse();
        let mut port = Self {
            rx,
            tx,
            fill,
            completion,
            umem,
            free,
            written: Vec::with_capacity(config.ring_size as usize),
            drafts: Drafts::default(),
            in_flight: 0,
            scratch: vec![FrameDesc::default(); BATCH],
            assembly: Assembly::default(),
            chunk_room: open::chunk_room(chunk),
            chunks: chunks as usize,
            ring_size: config.ring_size as usize,
            max_frame: config.max_frame,
            copy_mode,
            kicks_deferred: 0,
            busy_poll: config.tuning.busy_poll.is_some(),
            ordinary_pages,
        };
        tuning::apply(&port, config, chunk)?;
        port.refill();
        Ok(port)
    }

    /// How the kernel moves frames of this port.
    pub fn copy_mode(&self) -> CopyMode {
        self.copy_mode
    }

    /// Why the frame memory lies in ordinary pages, where huge ones were tried.
    pub fn ordinary_pages(&self) -> Option<&str> {
        self.ordinary_pages.as_deref()
    }

    /// How often the kernel put off a kick (ENOBUFS, EAGAIN, EBUSY, ENETDOWN).
    pub fn kicks_deferred(&self) -> u64 {
        self.kicks_deferred
    }

    /// The kernel's counters of this socket.
    ///
    /// # Errors
    ///
    /// What `getsockopt` answers.
    pub fn statistics(&self) -> io::Result<XskStatistics> {
        let s = self.rx.fd().xdp_statistics()?;
        Ok(XskStatistics {
            rx_dropped: s.rx_dropped(),
            rx_ring_full: s.rx_ring_full(),
            rx_fill_ring_empty: s.rx_fill_ring_empty_descs(),
            tx_invalid: s.tx_invalid_descs(),
        })
    }

    /// Where all chunks are. None is ever lost: when nothing is on its way, those not free are in
    /// the fill ring.
    pub fn chunks(&mut self) -> Chunks {
        Chunks {
            total: self.chunks,
            free: self.free.len(),
            fill_ring: 2 * self.ring_size - self.fill.nb_free_exact() as usize,
            rx_ring: self.rx.nb_avail_exact() as usize,
            transmit: self.on_the_way(),
        }
    }

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
    fn prefetch_next(&mut self, length: usize) {
        let Some(mut next) = self.free.last().copied() else {
            return;
        };
        // SAFETY: the chunk is on our free list: no ring and no other descriptor refers to it.
        let mut data = unsafe { self.umem.data_mut(&mut next) };
        data.cursor().set_pos(length);
        prefetch(data.contents());
    }

    /// Whether there are so many chunks, and room in the TX and the completion ring for them.
    fn can_write(&self, chunks: usize) -> bool {
        self.on_the_way() + chunks <= self.ring_size && self.free.len() >= chunks
    }

    /// Chunks that hold frames to transmit, from the first byte until they are back.
    fn on_the_way(&self) -> usize {
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

    /// Gives free chunks to the fill ring until it is full, but keeps enough for a full TX ring.
    fn refill(&mut self) {
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

impl AsFd for XskPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let fd = self.rx.fd().as_raw_fd();
        // SAFETY: the descriptor belongs to the socket inside `rx`, which lives as long as `self`.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }
}
