//! Where a port's chunks are, and what the kernel has counted for it.

use std::io;

use super::XskPort;

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

impl XskPort {
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
}
