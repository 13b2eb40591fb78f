//! An AF_XDP socket, to be put into the program's map.
#![allow(
    unsafe_code,
    reason = "xsk-rs asks its callers to rule out a double bind"
)]

use std::{
    num::NonZeroU32,
    os::fd::{AsRawFd, RawFd},
};

use xsk_rs::{
    CompQueue, FillQueue, RxQueue, TxQueue, Umem,
    config::{LibxdpFlags, SocketConfig, UmemConfig},
};

/// A socket bound to one queue, with rings that nobody uses.
pub(crate) struct Socket {
    rx: RxQueue,
    _tx: TxQueue,
    _fill_and_completion: Option<(FillQueue, CompQueue)>,
    _umem: Umem,
}

impl Socket {
    /// Binds a socket to `queue` of `interface` in the calling thread's namespace.
    pub(crate) fn bind(interface: &str, queue: u32) -> Self {
        let frames = NonZeroU32::new(64).expect("not 0");
        let (umem, _) = Umem::new(UmemConfig::default(), frames, false).expect("a UMEM");
        let config = SocketConfig::builder()
            .libxdp_flags(LibxdpFlags::XSK_LIBXDP_FLAGS_INHIBIT_PROG_LOAD)
            .build();
        let interface = interface.parse().expect("an interface's name");
        // SAFETY: the UMEM is new, so no socket shares it, and libxdp loads no program.
        let socket = unsafe { xsk_rs::Socket::new(config, &umem, &interface, queue) };
        let (tx, rx, fill_and_completion) = socket.expect("an AF_XDP socket");
        Self {
            rx,
            _tx: tx,
            _fill_and_completion: fill_and_completion,
            _umem: umem,
        }
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.rx.fd().as_raw_fd()
    }
}
