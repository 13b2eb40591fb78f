//! Counters that one worker writes and everybody may read.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use causeway_tunnel::DropReason;
use crossbeam::utils::CachePadded;

/// A counter with a single writer: adding is a plain load and store, no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only the owning worker may.
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.get().wrapping_add(n), Ordering::Relaxed);
    }

    /// Replaces the value; only the owning worker may.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The value as of some batch ago.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What went to and came from one peer through one worker.
#[derive(Debug, Default)]
pub struct PeerCounters {
    /// Frames accepted for the peer.
    pub tx_frames: Counter,
    /// Bytes of those frames, from the destination address on.
    pub tx_bytes: Counter,
    /// Datagrams sent in the current session.
    pub tx_datagrams: Counter,
    /// Authentic frames of the peer that were injected into the LAN.
    pub rx_frames: Counter,
    /// Bytes of those frames.
    pub rx_bytes: Counter,
    /// Authentic datagrams of the peer.
    pub rx_datagrams: Counter,
}

/// A counter of its own, that its writer and a reader hold.
pub type SharedCounter = Arc<CachePadded<Counter>>;

/// All counters of a worker, on cache lines of their own: what other workers count takes none away.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerCounters {
    /// Frames taken from the LAN port.
    pub lan_rx_frames: Counter,
    /// Frames handed to the LAN port.
    pub lan_tx_frames: Counter,
    /// Datagrams that arrived for the worker, at its UDP socket or by AF_XDP.
    pub wan_rx_datagrams: Counter,
    /// Datagrams that its AF_XDP port on the uplink received, for itself or for another worker.
    pub wan_xdp_rx: Counter,
    /// Datagrams that arrived here and were handed over to the worker that they are for.
    pub wan_handed_over: Counter,
    /// Datagrams that the kernel dropped because the socket's receive buffer was full.
    pub wan_rx_overflow: Counter,
    /// Datagrams handed to the kernel, or to the device by AF_XDP.
    pub wan_tx_datagrams: Counter,
    /// Those of them that left by AF_XDP.
    pub wan_xdp_tx: Counter,
    /// Calls that handed them over: runs.
    pub wan_tx_runs: Counter,
    /// Partial checksums completed.
    pub checksums_finished: Counter,
    /// SYNs of TCP whose MSS was lowered.
    pub mss_clamped: Counter,
    /// Frames whose ECN field was set to what the path had marked their datagrams with.
    pub ecn_marked: Counter,
    /// Frames of the control plane handed to the LAN port.
    pub lan_injected: Counter,
    /// Frames of the control plane accepted for a peer.
    pub wan_injected: Counter,
    /// Frames for the site's gateway handed to one of this LAN.
    pub local_gateway: Counter,
    /// Copies of frames left for the control plane.
    pub punted: Counter,
    /// Frames that it would have seen, had there not been too many in that second.
    pub punt_limited: Counter,
    /// Frames that it would have seen, had it taken out those before.
    pub punt_full: Counter,
    /// Keepalives sent.
    pub keepalives: Counter,
    /// Times the worker went to sleep for want of work.
    pub sleeps: Counter,
    /// Kicks of the LAN port that the kernel put off.
    pub kicks_deferred: Counter,
    /// The kernel's counters of the LAN socket: dropped, RX ring full, fill ring empty, TX invalid.
    pub xsk: [Counter; 4],
    /// Kicks of the AF_XDP port on the uplink that the kernel put off.
    pub uplink_kicks_deferred: Counter,
    /// The kernel's counters of that port's socket, as above.
    pub uplink_xsk: [Counter; 4],
    /// Drops by reason; frames, or datagrams where the reason is about a datagram.
    pub drops: [Counter; DropReason::COUNT],
    /// By peer index.
    pub peers: Box<[CachePadded<PeerCounters>]>,
}

impl WorkerCounters {
    /// All zero, for this many peers.
    pub fn new(peers: usize) -> Self {
        Self {
            lan_rx_frames: Counter::default(),
            lan_tx_frames: Counter::default(),
            wan_rx_datagrams: Counter::default(),
            wan_xdp_rx: Counter::default(),
            wan_handed_over: Counter::default(),
            wan_rx_overflow: Counter::default(),
            wan_tx_datagrams: Counter::default(),
            wan_xdp_tx: Counter::default(),
            wan_tx_runs: Counter::default(),
            checksums_finished: Counter::default(),
            mss_clamped: Counter::default(),
            ecn_marked: Counter::default(),
            lan_injected: Counter::default(),
            wan_injected: Counter::default(),
            local_gateway: Counter::default(),
            punted: Counter::default(),
            punt_limited: Counter::default(),
            punt_full: Counter::default(),
            keepalives: Counter::default(),
            sleeps: Counter::default(),
            kicks_deferred: Counter::default(),
            xsk: Default::default(),
            uplink_kicks_deferred: Counter::default(),
            uplink_xsk: Default::default(),
            drops: std::array::from_fn(|_| Counter::default()),
            peers: (0..peers).map(|_| CachePadded::default()).collect(),
        }
    }

    /// Counts one drop.
    #[inline]
    pub fn drop_one(&self, reason: DropReason) {
        self.drops[reason.index()].add(1);
    }
}
