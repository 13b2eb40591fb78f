//! Lanes: one worker's one-way stream of datagrams to one peer.
//!
//! [`TxLane`] takes frames and gives datagrams, in runs or in memory that a [`DatagramSink`] lends;
//! [`RxLane`] takes datagrams and gives frames. Each has one owner, so there is no lock.

mod held;
mod rx;
mod sink;
mod tx;

pub use held::Beginning;
pub use rx::{Received, RxLane};
pub use sink::{DatagramSink, Deliver};
pub use tx::TxLane;

/// How much one call to the kernel takes: the bounds of a [`Run`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    /// The most datagrams: UDP_MAX_SEGMENTS for GSO (64, since Linux 6.9 128), or 1.
    pub max_segments: usize,
    /// The most bytes: 65,507 is the largest payload of one send over IPv4.
    pub max_bytes: usize,
}

/// Sealed datagrams that lie one behind the other, of equal size but for the
/// last, which may be shorter: what UDP segmentation offload takes in one send.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// All bytes of all datagrams, never empty.
    pub bytes: &'a [u8],
    /// The size of each datagram but the last.
    pub segment_size: usize,
}

impl<'a> Run<'a> {
    /// The datagrams, one by one.
    pub fn datagrams(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        self.bytes.chunks(self.segment_size)
    }
}
