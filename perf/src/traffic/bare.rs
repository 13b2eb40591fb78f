//! A bare veth pair in a namespace of its own: what the harness reaches with nothing in between.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use super::Link;
use crate::error::{Error, Result};

const A: &str = "perf-a";
const B: &str = "perf-b";

/// The pair. It goes with this value.
pub(crate) struct BareVeth {
    netns: String,
}

impl BareVeth {
    /// Makes a namespace with the pair in it, for frames of up to `frame_bytes` with FCS and one VLAN tag.
    ///
    /// # Errors
    ///
    /// [`Error::CannotRun`] without root or iproute2.
    pub(crate) fn new(frame_bytes: usize) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let netns = format!("causeway-perf-{}-{number}", std::process::id());
        ip(&["netns", "add", &netns])?;
        let veth = Self { netns };
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
        [A, B].map(|end| Link::new(&self.netns, end))
    }

    fn link(&self, arguments: &[&str]) -> Result {
        ip(&[&["-n", &self.netns, "link"][..], arguments].concat())
    }
}

impl Drop for BareVeth {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.netns]) {
            eprintln!("causeway-perf: a namespace is left behind: {error}");
        }
    }
}

fn ip(arguments: &[&str]) -> Result {
    let output = Command::new("ip").args(arguments).output();
    let output =
        output.map_err(|e| Error::CannotRun(format!("cannot run ip ({e}): install iproute2")))?;
    if output.status.success() {
        return Ok(());
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    Err(Error::CannotRun(format!(
        "`ip {}`: {}",
        arguments.join(" "),
        reason.trim()
    )))
}
