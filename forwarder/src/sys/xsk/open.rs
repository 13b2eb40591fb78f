//! Opening: what is asked for, what can be wrong with it, and the socket on its queue.

use std::{
    ffi::CString,
    io,
    num::NonZeroU32,
    time::{Duration, Instant},
};

use rustix::io::Errno;
use xsk_rs::{
    CompQueue, FillQueue, FrameDesc, RxQueue, Socket, TxQueue, Umem,
    config::{
        BindFlags, FrameSize, Interface, LibxdpFlags, QueueSize, SocketConfig, UmemConfig,
        XDP_UMEM_MIN_CHUNK_SIZE,
    },
};

use super::XskTuning;
use crate::options::AutoOnOff;

/// Bytes of a chunk that the kernel keeps for XDP programs
/// (`XDP_PACKET_HEADROOM`, include/uapi/linux/bpf.h).
const XDP_HEADROOM: usize = 256;

/// The longest frame that fits the largest chunk.
pub const MAX_CHUNK_FRAME: usize = MAX_CHUNK - XDP_HEADROOM;

/// Bytes of a huge page on x86-64 and, with pages of 4 KiB, on arm64. Where the default is another size
/// (`Hugepagesize` in /proc/meminfo), the kernel refuses or rounds up.
const HUGE_PAGE: usize = 2 << 20;

/// The largest chunk: a page (`xdp_umem_reg`, net/xdp/xdp_umem.c).
const MAX_CHUNK: usize = 4096;

/// The longest frame, in three chunks: what jumbo LANs and uplinks of MTU 9,216 have, and room for headers.
pub const MAX_FRAME: usize = 3 * MAX_CHUNK_FRAME;

/// A queue is busy for some milliseconds after its socket was closed, by us or by a process that was
/// killed: the kernel releases it from a work queue (`xp_release_deferred`, net/xdp/xsk_buff_pool.c).
const RELEASE: Duration = Duration::from_millis(500);

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
    /// What else can be set.
    pub tuning: XskTuning,
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
    /// The frames would take too many chunks.
    #[error(
        "frames of {max_frame} bytes are longer than AF_XDP is used for here (at most {limit}): lower the MTU of {interface}"
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
    /// There are not enough huge pages.
    #[error(
        "cannot reserve {bytes} bytes of frame memory in huge pages ({source}): set vm.nr_hugepages to {pages} more (sysctl), or use --huge-pages auto"
    )]
    HugePages {
        /// Size of the region.
        bytes: usize,
        /// The same in huge pages.
        pages: usize,
        /// The kernel's answer.
        source: io::Error,
    },
    /// The kernel refused a socket option that was asked for.
    #[error("the kernel refuses {option}: {source}; leave it out")]
    Option {
        /// The flag.
        option: &'static str,
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

pub(super) fn chunk_size(config: &XskConfig) -> Result<u32, XskError> {
    if config.max_frame > MAX_FRAME {
        return Err(XskError::FrameTooLarge {
            interface: config.interface.clone(),
            max_frame: config.max_frame,
            limit: MAX_FRAME,
        });
    }
    let small = config.max_frame <= chunk_room(XDP_UMEM_MIN_CHUNK_SIZE);
    Ok(if small {
        XDP_UMEM_MIN_CHUNK_SIZE
    } else {
        MAX_CHUNK as u32
    })
}

/// Bytes of a frame that fit a chunk of that size.
pub(super) const fn chunk_room(chunk: u32) -> usize {
    chunk as usize - XDP_HEADROOM
}

pub(super) fn checked_ring_size(size: u32) -> Result<QueueSize, XskError> {
    if !(64..=32_768).contains(&size) {
        return Err(XskError::RingSize(size));
    }
    QueueSize::new(size).map_err(|_| XskError::RingSize(size))
}

pub(super) fn create_umem(
    config: &XskConfig,
    chunk: u32,
    ring_size: QueueSize,
    chunks: u32,
) -> Result<(Umem, Vec<FrameDesc>, Option<String>), XskError> {
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
    let mut why = None;
    if config.tuning.huge_pages != AutoOnOff::Off {
        match huge(umem_config, chunks, bytes) {
            Ok((umem, free)) => return Ok((umem, free, None)),
            Err(source) if config.tuning.huge_pages == AutoOnOff::On => {
                let pages = bytes.div_ceil(HUGE_PAGE);
                return Err(XskError::HugePages {
                    bytes,
                    pages,
                    source,
                });
            }
            Err(e) => why = Some(e.to_string()),
        }
    }
    let made = Umem::new(umem_config, chunks, false);
    let (umem, free) = made.map_err(|e| refused(source_of(&e)))?;
    Ok((umem, free, why))
}

/// The memory is populated at once, so what is lacking shows here. To ask for transparent huge pages
/// (madvise) is of no use: those are made by moving pages, and these are pinned.
fn huge(
    config: UmemConfig,
    chunks: NonZeroU32,
    bytes: usize,
) -> Result<(Umem, Vec<FrameDesc>), io::Error> {
    if !bytes.is_multiple_of(HUGE_PAGE) {
        let text = format!("{bytes} bytes are not a multiple of {HUGE_PAGE}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Umem::new(config, chunks, true).map_err(|e| source_of(&e))
}

type Bound = (TxQueue, RxQueue, Option<(FillQueue, CompQueue)>);

/// Binds a socket to the queue; waits for the kernel to let go of one that was closed just now.
pub(super) fn bind(
    config: &XskConfig,
    umem: &Umem,
    ring_size: QueueSize,
    modes: &[CopyMode],
) -> Result<(Bound, CopyMode), XskError> {
    let deadline = Instant::now() + RELEASE;
    loop {
        match bind_now(config, umem, ring_size, modes) {
            Err(e)
                if Errno::from_io_error(&e) == Some(Errno::BUSY) && Instant::now() < deadline =>
            {
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(bound) => return Ok(bound),
            Err(source) => {
                return Err(XskError::Socket {
                    interface: config.interface.clone(),
                    queue: config.queue,
                    hint: hint(&source, config.max_frame),
                    source,
                });
            }
        }
    }
}

/// In the first of the modes that the driver has.
fn bind_now(
    config: &XskConfig,
    umem: &Umem,
    ring_size: QueueSize,
    modes: &[CopyMode],
) -> Result<(Bound, CopyMode), io::Error> {
    let name = CString::new(config.interface.as_str()).unwrap_or_default();
    let interface = Interface::new(name);
    let mut last = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
    // Without it the kernel drops what does not fit a chunk, and spares itself the question.
    let jumbo = config.max_frame > MAX_CHUNK_FRAME;
    let multi_buffer = match jumbo {
        true => BindFlags::XDP_USE_SG,
        false => BindFlags::empty(),
    };
    for mode in modes {
        let flag = match mode {
            // Where the RX ring fills in the middle of a frame, `xsk_rcv_zc` (net/xdp/xsk.c) leaves its head
            // without its end in it, and the next frame would be taken for that.
            CopyMode::ZeroCopy if jumbo => continue,
            CopyMode::ZeroCopy => BindFlags::XDP_ZEROCOPY,
            CopyMode::Copy => BindFlags::XDP_COPY,
        };
        let socket_config = SocketConfig::builder()
            .rx_queue_size(ring_size)
            .tx_queue_size(ring_size)
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .bind_flags(BindFlags::XDP_USE_NEED_WAKEUP | multi_buffer | flag)
            .build();
        // SAFETY: this UMEM has no other socket, so no fill or completion ring is shared with
        // another (device, queue) pair.
        match unsafe { Socket::new(socket_config, umem, &interface, config.queue) } {
            Ok(socket) => return Ok((socket, *mode)),
            Err(e) => last = source_of(&e),
        }
    }
    Err(last)
}

fn hint(error: &io::Error, max_frame: usize) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::BUSY) => ": another program has an AF_XDP socket on this queue; stop it",
        Some(Errno::PERM | Errno::ACCESS) => ": run as root or with CAP_NET_RAW and CAP_BPF",
        Some(Errno::INVAL) if max_frame > MAX_CHUNK_FRAME => {
            ": jumbo frames need Linux 6.6; if that is what runs, does the device have this queue? see ethtool -l"
        }
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
