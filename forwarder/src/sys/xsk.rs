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

mod account;
mod draft;
mod multi_buffer;
mod open;
mod receive;
mod transmit;
mod tuning;

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use xsk_rs::{CompQueue, FillQueue, FrameDesc, RxQueue, TxQueue, Umem};

pub use self::{
    account::{Chunks, XskStatistics},
    open::{CopyMode, MAX_CHUNK_FRAME, MAX_FRAME, XskConfig, XskError},
    receive::ReceivedFrames,
    transmit::{FLUSH_EVERY, PREFETCH_FROM, TransmitError},
    tuning::{LEAST_CHUNKS, MOST_CHUNKS, XskTuning},
};
use self::{draft::Drafts, multi_buffer::Assembly};

/// Largest number of frames taken from or given to a ring at once.
const BATCH: usize = 256;

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
}

impl AsFd for XskPort {
    fn as_fd(&self) -> BorrowedFd<'_> {
        let fd = self.rx.fd().as_raw_fd();
        // SAFETY: the descriptor belongs to the socket inside `rx`, which lives as long as `self`.
        unsafe { BorrowedFd::borrow_raw(fd) }
    }
}
