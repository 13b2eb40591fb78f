//! A bare veth pair in a namespace of its own: what the harness reaches with nothing in between.

use std::sync::atomic::{AtomicU32, Ordering};

use super::Link;
use crate::{error::Result, rig::netns::Namespace};

const A: &str = "perf-a";
const B: &str = "perf-b";

/// The pair. It goes with this value.
pub(crate) struct BareVeth {
    netns: Namespace,
}

impl BareVeth {
    /// Makes a namespace with the pair in it, for frames of up to `frame_bytes` with FCS and one VLAN tag.
    ///
    /// # Errors
    ///
    /// What `ip` says: without root.
    pub(crate) fn new(frame_bytes: usize) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let veth = Self {
            netns: Namespace::create(&format!("bare{number}"))?,
        };
        let mtu = frame_bytes.max(1_518).to_string();
        let queues = ["mtu", &mtu, "numrxqueues", "1", "numtxqueues", "1"];
        let pair = [
            &["add", A][..],
            &queues,
            &["type", "veth", "peer", "name", B],
            &queues,
        ];
        veth.link(&pair.concat())?;
        for end in [A, B] {
            // Silent: no address, no neighbour discovery.
            veth.link(&["set", end, "addrgenmode", "none", "up"])?;
        }
        Ok(veth)
    }

    /// Its two ends.
    pub(crate) fn ends(&self) -> [Link; 2] {
        [A, B].map(|end| Link::new(self.netns.name(), end))
    }

    fn link(&self, arguments: &[&str]) -> Result {
        let arguments = arguments.iter().copied();
        self.netns
            .ip(["link"].into_iter().chain(arguments))
            .map(drop)
    }
}
