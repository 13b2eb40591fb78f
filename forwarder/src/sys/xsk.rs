//! An AF_XDP socket on one queue of a network device, behind a safe face.
//!
//! Frames live in a UMEM that this port alone owns. Every chunk of it is at any
//! time in exactly one place: the fill ring or RX ring (the kernel's), the TX or
//! completion ring (the kernel's), or one of the vectors below (ours). Callers
//! never hold a chunk: received frames are lent to a closure and go back to the
//! free list when it returns; frames to send are copied into a free chunk.
//!
//! Practice learnt from other users of AF_XDP: fill before anything is redirected
//! here (xsk-rs hands out the fill ring of a bound socket only, so not before bind),
//! keep the fill ring fuller than the RX ring, reap completions even when nothing is received,
//! submit before kicking, and take ENOBUFS, EAGAIN, EBUSY and ENETDOWN from a
//! kick as "later".

use std::{
    ffi::CString,
    io::{self, Write},
    num::NonZeroU32,
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use rustix::{io::Errno, net::SendFlags};
use xsk_rs::{
    CompQueue, FillQueue, FrameDesc, RxQueue, Socket, TxQueue, Umem,
    config::{
        BindFlags, FrameSize, Interface, LibxdpFlags, QueueSize, SocketConfig, UmemConfig,
        XDP_UMEM_MIN_CHUNK_SIZE,
    },
};

use super::sockopt;

/// Largest number of frames taken from or given to a ring at once.
const BATCH: usize = 256;

/// How often one flush asks the kernel to go on transmitting before it leaves
/// the rest to the next flush.
const KICKS_PER_FLUSH: usize = 8;

/// Bytes of a chunk that the kernel keeps for XDP programs
/// (`XDP_PACKET_HEADROOM`, include/uapi/linux/bpf.h).
const XDP_HEADROOM: usize = 256;

/// What to open: one queue of one device, and the size of its rings.
#[derive(Clone, Debug)]
pub struct XskConfig {
    /// Name of the network device.
    pub interface: String,
    /// Receive and transmit queue of the device.
    pub queue: u32,
    /// Entries of the RX, TX and completion ring, a power of two; the fill ring has twice as many.
    pub ring_size: u32,
    /// Largest frame to carry, in bytes from the destination address on, without FCS.
    pub max_frame: usize,
}

/// How the kernel moves frames between the device and the UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyMode {
    /// The device reads and writes the UMEM.
    ZeroCopy,
    /// The kernel copies (veth, tap, and most drivers of virtual machines).
    Copy,
}

impl CopyMode {
    /// The word for `status` and the log.
    pub fn label(self) -> &'static str {
        match self {
            Self::ZeroCopy => "zero-copy",
            Self::Copy => "copy",
        }
    }
}

/// Why a port could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum XskError {
    /// The frames would not fit a chunk.
    #[error(
        "frames of {max_frame} bytes do not fit an AF_XDP chunk (at most {limit}): lower the MTU of {interface}"
    )]
    FrameTooLarge {
        /// The device.
        interface: String,
        /// Bytes wanted.
        max_frame: usize,
        /// Bytes possible.
        limit: usize,
    },
    /// A ring size that is no power of two.
    #[error("ring size {0} is not a power of two between 64 and 32768")]
    RingSize(u32),
    /// The UMEM could not be made.
    #[error(
        "cannot reserve {bytes} bytes of frame memory ({source}): raise the memlock limit (LimitMEMLOCK=infinity) or lower --ring-size"
    )]
    Umem {
        /// Size of the region.
        bytes: usize,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The socket could not be made or bound.
    #[error("cannot open an AF_XDP socket on {interface} queue {queue}: {source}{hint}")]
    Socket {
        /// The device.
        interface: String,
        /// The queue.
        queue: u32,
        /// The kernel's answer.
        source: io::Error,
        /// What to do about it, if known.
        hint: &'static str,
    },
}

/// Why a frame was not taken for transmission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransmitError {
    /// Longer than [`XskConfig::max_frame`].
    TooLong,
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
    /// Chunks in the TX or completion ring.
    in_flight: usize,
    /// Room for descriptors on their way through [`Self::receive`].
    scratch: Vec<FrameDesc>,
    ring_size: usize,
    max_frame: usize,
    copy_mode: CopyMode,
    kicks_deferred: u64,
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
        let chunk = chunk_size(config)?;
        let ring_size = checked_ring_size(config.ring_size)?;
        // Fill ring (2), RX ring (1), TX and completion ring (1).
        let chunks = config.ring_size * 4;
        let (umem, mut free) = create_umem(config, chunk, ring_size, chunks)?;
        let (socket, copy_mode) = bind(config, &umem, ring_size)?;
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
            in_flight: 0,
            scratch: vec![FrameDesc::default(); BATCH],
            ring_size: config.ring_size as usize,
            max_frame: config.max_frame,
            copy_mode,
            kicks_deferred: 0,
        };
        // Both are ceilings of how much one kick transmits in copy mode; older kernels lack the first.
        let _ = sockopt::set_xdp_max_tx_budget(port.as_fd(), config.ring_size);
        let _ =
            sockopt::force_send_buffer(port.as_fd(), config.ring_size as usize * chunk as usize);
        port.refill();
        Ok(port)
    }

    /// How the kernel moves frames of this port.
    pub fn copy_mode(&self) -> CopyMode {
        self.copy_mode
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

    /// Chunks in nobody's hands; all of them but those in the fill and RX rings when idle.
    pub fn free_chunks(&self) -> usize {
        self.free.len()
    }

    /// Lends up to `limit` received frames to `visit`, oldest first; returns their number.
    pub fn receive(&mut self, limit: usize, mut visit: impl FnMut(&mut [u8])) -> usize {
        self.refill();
        let mut total = 0;
        while total < limit {
            let want = BATCH.min(limit - total);
            // SAFETY: the scratch descriptors are overwritten with what the RX ring holds, which
            // the kernel took from our fill ring: chunks of this UMEM that nobody else refers to.
            let got = unsafe { self.rx.consume(&mut self.scratch[..want]) };
            for desc in &mut self.scratch[..got] {
                // SAFETY: the chunk came out of the RX ring just now, so it is ours alone until
                // it goes back to the fill ring.
                let mut data = unsafe { self.umem.data_mut(desc) };
                visit(data.contents_mut());
            }
            self.free.extend_from_slice(&self.scratch[..got]);
            total += got;
            if got < want {
                break;
            }
        }
        if total > 0 {
            self.refill();
        }
        total
    }

    /// Copies `frame` into a chunk for transmission; [`Self::flush`] hands it to the kernel.
    ///
    /// # Errors
    ///
    /// [`TransmitError`]; the frame is not taken then.
    pub fn transmit(&mut self, frame: &[u8]) -> Result<(), TransmitError> {
        if frame.len() > self.max_frame {
            return Err(TransmitError::TooLong);
        }
        if self.written.len() + self.in_flight >= self.ring_size || self.free.is_empty() {
            self.flush();
            if self.in_flight >= self.ring_size || self.free.is_empty() {
                return Err(TransmitError::Full);
            }
        }
        let Some(mut desc) = self.free.pop() else {
            return Err(TransmitError::Full);
        };
        // SAFETY: the chunk was on our free list: no ring and no other descriptor refers to it.
        let mut data = unsafe { self.umem.data_mut(&mut desc) };
        let mut cursor = data.cursor();
        cursor.set_pos(0);
        let copied = cursor.write(frame).unwrap_or(0);
        debug_assert_eq!(copied, frame.len(), "max_frame fits a chunk");
        desc.set_options(0);
        self.written.push(desc);
        Ok(())
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
        self.reap();
        for _ in 0..KICKS_PER_FLUSH {
            if self.in_flight == 0 || !self.tx.needs_wakeup() || !self.kick() {
                break;
            }
        }
    }

    /// Whether frames wait for the device: the port wants [`Self::flush`] again.
    pub fn has_unsent(&self) -> bool {
        self.in_flight > 0 || !self.written.is_empty()
    }

    /// One kick. True: more may be to do and progress was made.
    fn kick(&mut self) -> bool {
        let before = self.in_flight;
        let answer = rustix::net::send(self.as_fd(), &[], SendFlags::DONTWAIT);
        self.reap();
        match answer {
            Ok(_) => false,
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::BUSY | Errno::NETDOWN) => {
                self.kicks_deferred += 1;
                self.in_flight < before
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

    /// Gives free chunks to the fill ring until it is full, but keeps enough to transmit.
    fn refill(&mut self) {
        let room = self.fill.nb_free(BATCH as u32) as usize;
        let spare = self
            .free
            .len()
            .saturating_sub(self.ring_size - self.in_flight.min(self.ring_size));
        let mut todo = room.min(spare);
        while todo > 0 {
            let n = todo.min(BATCH);
            let at = self.free.len() - n;
            // SAFETY: the chunks were on our free list; from here on they are the kernel's until
            // they show up in the RX ring.
            let filled = unsafe { self.fill.produce(&self.free[at..]) };
            self.free.truncate(self.free.len() - filled);
            if filled < n {
                return;
            }
            todo -= n;
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

fn chunk_size(config: &XskConfig) -> Result<u32, XskError> {
    [XDP_UMEM_MIN_CHUNK_SIZE, 4096]
        .into_iter()
        .find(|chunk| config.max_frame <= *chunk as usize - XDP_HEADROOM)
        .ok_or_else(|| XskError::FrameTooLarge {
            interface: config.interface.clone(),
            max_frame: config.max_frame,
            limit: 4096 - XDP_HEADROOM,
        })
}

fn checked_ring_size(size: u32) -> Result<QueueSize, XskError> {
    if !(64..=32_768).contains(&size) {
        return Err(XskError::RingSize(size));
    }
    QueueSize::new(size).map_err(|_| XskError::RingSize(size))
}

fn create_umem(
    config: &XskConfig,
    chunk: u32,
    ring_size: QueueSize,
    chunks: u32,
) -> Result<(Umem, Vec<FrameDesc>), XskError> {
    let bytes = chunk as usize * chunks as usize;
    let refused = |source: io::Error| XskError::Umem { bytes, source };
    let fill_size =
        QueueSize::new(config.ring_size * 2).map_err(|_| XskError::RingSize(config.ring_size))?;
    let umem_config = UmemConfig::builder()
        .frame_size(FrameSize::new(chunk).map_err(|e| refused(io::Error::other(e)))?)
        .fill_queue_size(fill_size)
        .comp_queue_size(ring_size)
        .build()
        .map_err(|e| refused(io::Error::other(e)))?;
    let chunks = NonZeroU32::new(chunks).ok_or(XskError::RingSize(0))?;
    Umem::new(umem_config, chunks, false).map_err(|e| refused(source_of(&e)))
}

type Bound = (TxQueue, RxQueue, Option<(FillQueue, CompQueue)>);

fn bind(
    config: &XskConfig,
    umem: &Umem,
    ring_size: QueueSize,
) -> Result<(Bound, CopyMode), XskError> {
    let name = CString::new(config.interface.as_str()).unwrap_or_default();
    let interface = Interface::new(name);
    let modes = [
        (CopyMode::ZeroCopy, BindFlags::XDP_ZEROCOPY),
        (CopyMode::Copy, BindFlags::XDP_COPY),
    ];
    let mut last = io::Error::from(io::ErrorKind::Unsupported);
    for (mode, flag) in modes {
        let socket_config = SocketConfig::builder()
            .rx_queue_size(ring_size)
            .tx_queue_size(ring_size)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(BindFlags::XDP_USE_NEED_WAKEUP | flag)
            .build();
        // SAFETY: this UMEM has no other socket, so no fill or completion ring is shared with
        // another (device, queue) pair.
        match unsafe { Socket::new(socket_config, umem, &interface, config.queue) } {
            Ok(socket) => return Ok((socket, mode)),
            Err(e) => last = source_of(&e),
        }
    }
    Err(XskError::Socket {
        interface: config.interface.clone(),
        queue: config.queue,
        hint: hint(&last),
        source: last,
    })
}

fn hint(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::BUSY) => ": another program has an AF_XDP socket on this queue; stop it",
        Some(Errno::PERM | Errno::ACCESS) => ": run as root or with CAP_NET_RAW and CAP_BPF",
        Some(Errno::INVAL) => ": does the device have this queue? see --workers and ethtool -l",
        Some(Errno::NODEV) => ": there is no such interface",
        _ => "",
    }
}

/// The operating system's error below one of xsk-rs.
fn source_of(error: &dyn std::error::Error) -> io::Error {
    match error.source().and_then(|s| s.downcast_ref::<io::Error>()) {
        Some(e) => e.raw_os_error().map_or_else(
            || io::Error::other(e.to_string()),
            io::Error::from_raw_os_error,
        ),
        None => io::Error::other(error.to_string()),
    }
}
