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

macro_rules! worker_counters {
    ($($(#[doc = $sentence:literal])+ $name:ident,)+) => {
        /// All counters of a worker, on cache lines of their own: what other workers count takes none away.
        #[derive(Debug)]
        #[repr(align(128))]
        pub struct WorkerCounters {
            $($(#[doc = $sentence])+ pub $name: Counter,)+
            /// The kernel's counters of the LAN socket, as `XSK` names them.
            pub xsk: [Counter; 4],
            /// The kernel's counters of the socket of the AF_XDP port on the uplink, as `UPLINK_XSK` names them.
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
                    $($name: Counter::default(),)+
                    xsk: Default::default(),
                    uplink_xsk: Default::default(),
                    drops: std::array::from_fn(|_| Counter::default()),
                    peers: (0..peers).map(|_| CachePadded::default()).collect(),
                }
            }

            /// Those that are neither a drop's nor a peer's, by the word for `status` and metrics
            /// (`snake_case`, stable).
            pub fn by_name(&self) -> impl Iterator<Item = (&'static str, &Counter)> {
                let own = [$((stringify!($name), &self.$name),)+];
                let names = |names: [(&'static str, _); 4]| names.map(|(name, _)| name);
                let lan = names(XSK).into_iter().zip(&self.xsk);
                let uplink = names(UPLINK_XSK).into_iter().zip(&self.uplink_xsk);
                own.into_iter().chain(lan).chain(uplink)
            }
        }

        /// One sentence for an operator about a worker's counter of that name, if there is one.
        pub fn worker_counter_sentence(name: &str) -> Option<&'static str> {
            let own = [$((stringify!($name), concat!($($sentence),+).trim_ascii()),)+];
            let mut all = own.into_iter().chain(XSK).chain(UPLINK_XSK);
            all.find_map(|(known, sentence)| (known == name).then_some(sentence))
        }
    };
}

/// Names of the kernel's counters of the LAN socket, and a sentence each.
const XSK: [(&str, &str); 4] = [
    (
        "xsk_rx_dropped",
        "Frames of the LAN port that the kernel could not give us.",
    ),
    (
        "xsk_rx_ring_full",
        "Frames of the LAN port lost because the worker was too slow.",
    ),
    (
        "xsk_fill_ring_empty",
        "Times that the kernel found no free chunk for a frame of the LAN port.",
    ),
    (
        "xsk_tx_invalid",
        "Frames for the LAN port that the kernel refused.",
    ),
];

/// Names of the kernel's counters of the socket of the AF_XDP port on the uplink, and a sentence each.
const UPLINK_XSK: [(&str, &str); 4] = [
    (
        "uplink_xsk_rx_dropped",
        "Frames of the uplink that the kernel could not give us.",
    ),
    (
        "uplink_xsk_rx_ring_full",
        "Frames of the uplink lost because the worker was too slow.",
    ),
    (
        "uplink_xsk_fill_ring_empty",
        "Times that the kernel found no free chunk for a frame of the uplink.",
    ),
    (
        "uplink_xsk_tx_invalid",
        "Frames for the uplink that the kernel refused.",
    ),
];

worker_counters! {
    /// Frames taken from the LAN port.
    lan_rx_frames,
    /// Frames handed to the LAN port.
    lan_tx_frames,
    /// Datagrams that arrived for the worker, at its UDP socket or by AF_XDP.
    wan_rx_datagrams,
    /// Datagrams that its AF_XDP port on the uplink received, for itself or for another worker.
    wan_xdp_rx,
    /// Datagrams that arrived here and were handed over to the worker that they are for.
    wan_handed_over,
    /// Datagrams that the kernel dropped because the socket's receive buffer was full.
    wan_rx_overflow,
    /// Datagrams handed to the kernel, or to the device by AF_XDP.
    wan_tx_datagrams,
    /// Datagrams that left by AF_XDP.
    wan_xdp_tx,
    /// Calls that handed datagrams over: runs.
    wan_tx_runs,
    /// Partial checksums completed.
    checksums_finished,
    /// SYNs of TCP whose MSS was lowered.
    mss_clamped,
    /// Frames whose ECN field was set to what the path had marked their datagrams with.
    ecn_marked,
    /// Frames of the control plane handed to the LAN port.
    lan_injected,
    /// Frames of the control plane accepted for a peer.
    wan_injected,
    /// Frames for the site's gateway handed to one of this LAN.
    local_gateway,
    /// Copies of frames left for the control plane.
    punted,
    /// Frames that the control plane would have seen, had there not been too many in that second.
    punt_limited,
    /// Frames that the control plane would have seen, had it taken out those before.
    punt_full,
    /// Keepalives sent.
    keepalives,
    /// Times the worker went to sleep for want of work.
    sleeps,
    /// Kicks of the LAN port that the kernel put off.
    kicks_deferred,
    /// Kicks of the AF_XDP port on the uplink that the kernel put off.
    uplink_kicks_deferred,
}

impl WorkerCounters {
    /// Counts one drop.
    #[inline]
    pub fn drop_one(&self, reason: DropReason) {
        self.drops[reason.index()].add(1);
    }
}
