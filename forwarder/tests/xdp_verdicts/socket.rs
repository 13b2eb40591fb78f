//! An AF_XDP socket, to be put into the program's map.

use causeway::sys::xsk::{XskConfig, XskPort, XskTuning};

/// Binds a socket to `queue` of `interface` in the calling thread's namespace.
pub(crate) fn bind(interface: &str, queue: u32) -> XskPort {
    let config = XskConfig {
        interface: interface.into(),
        queue,
        ring_size: 64,
        max_frame: 1_522,
        tuning: XskTuning::default(),
    };
    XskPort::open(&config).expect("an AF_XDP socket")
}
