//! What can be set of a port beside the size of its rings, and what the kernel made of it.

use std::{io, os::fd::AsFd as _};

use super::{XskConfig, XskError, XskPort};
use crate::{options::AutoOnOff, sys::sockopt};

/// Chunks for each entry of a ring: fill ring (2), RX ring (1), TX and completion ring (1). More would lie idle.
pub const MOST_CHUNKS: u32 = 4;

/// With fewer the RX and the TX ring could not both be full.
pub const LEAST_CHUNKS: u32 = 2;

/// Time that a system call may poll the device, in microseconds. Calls of ours never wait: any but 0 does.
const BUSY_POLL_TIME: u32 = 20;

/// Settings of a port that have a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XskTuning {
    /// Chunks of frame memory, [`LEAST_CHUNKS`] to [`MOST_CHUNKS`] for each entry of a ring; `None`: the most.
    pub chunks: Option<u32>,
    /// Whether the frame memory lies in huge pages; `Auto`: if there are enough.
    pub huge_pages: AutoOnOff,
    /// Frames that one system call transmits in copy mode, 32 to the ring's size; `None`: the ring's size, where
    /// the kernel (6.18) has the option.
    pub tx_budget: Option<u32>,
    /// Bytes of the send buffer, which limits what is on its way in copy mode; `None`: a ring full of chunks.
    pub send_buffer: Option<usize>,
    /// Frames that the device is polled for by our system calls; `None`: it interrupts.
    pub busy_poll: Option<u16>,
}

impl Default for XskTuning {
    fn default() -> Self {
        Self {
            chunks: None,
            huge_pages: AutoOnOff::Auto,
            tx_budget: None,
            send_buffer: None,
            busy_poll: None,
        }
    }
}

impl XskTuning {
    pub(super) fn chunks(&self, ring_size: u32) -> u32 {
        let range = LEAST_CHUNKS * ring_size..=MOST_CHUNKS * ring_size;
        let most = *range.end();
        self.chunks.map_or(most, |n| n.clamp(*range.start(), most))
    }
}

/// Sets the socket's options. What nobody asked for may be refused: an older kernel does without.
pub(super) fn apply(port: &XskPort, config: &XskConfig, chunk: u32) -> Result<(), XskError> {
    let (tuning, fd) = (&config.tuning, port.as_fd());
    let refused = |option| move |source: io::Error| XskError::Option { option, source };
    let budget = tuning.tx_budget.unwrap_or(config.ring_size);
    let set = sockopt::set_xdp_max_tx_budget(fd, budget.min(config.ring_size));
    if tuning.tx_budget.is_some() {
        set.map_err(refused("--tx-budget (it takes Linux 6.18)"))?;
    }
    let whole = config.ring_size as usize * chunk as usize;
    let set = sockopt::force_send_buffer(fd, tuning.send_buffer.unwrap_or(whole));
    if tuning.send_buffer.is_some() {
        set.map_err(refused("--xdp-send-buffer"))?;
    }
    if let Some(budget) = tuning.busy_poll {
        sockopt::prefer_busy_poll(fd, BUSY_POLL_TIME, budget)
            .map_err(refused("--busy-poll (it takes CAP_NET_ADMIN)"))?;
    }
    Ok(())
}
