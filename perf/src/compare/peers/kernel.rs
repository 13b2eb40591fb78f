//! The kernel by itself, without a tunnel or without a cipher: what a bridge and an encapsulation cost.

use crate::{
    compare::peer::{Peer, Setup},
    error::Result,
    rig::{KernelWork, Side},
};

/// Something that the kernel does by itself.
pub(crate) struct Kernel {
    name: &'static str,
    about: &'static str,
    /// The tunnel's port of each bridge.
    port: &'static str,
    start: fn(&Setup<'_>, Side) -> Result,
}

/// No tunnel: the uplink is one more port of each bridge.
pub(crate) const BRIDGE: Kernel = Kernel {
    name: "bridge",
    about: "kernel bridges, no tunnel",
    port: "wan",
    start: |on, side| {
        let gateway = on.rig.gateway(side);
        gateway.ip("link set wan master br0".split(' '))
    },
};

/// The kernel's VXLAN, without a cipher.
pub(crate) const VXLAN: Kernel = Kernel {
    name: "vxlan",
    about: "VXLAN of the kernel, no cipher",
    port: "vx0",
    start: |on, side| vxlan(on, side, side.wan(), side.other().wan()),
};

impl Peer for Kernel {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn encrypted(&self) -> bool {
        false
    }

    fn kernel_work(&self) -> KernelWork {
        KernelWork::OnGateways
    }

    fn port(&self) -> Option<&'static str> {
        Some(self.port)
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        (self.start)(on, side)
    }
}

/// A VXLAN between two addresses, in the bridge. The one that is there is kept.
pub(crate) fn vxlan(on: &Setup<'_>, side: Side, local: &str, remote: &str) -> Result {
    let gateway = on.rig.gateway(side);
    if gateway.ip(["link", "show", "vx0"]).is_err() {
        let head = "link add vx0 type vxlan id 77 dstport 4789 nolearning".split(' ');
        gateway.ip(head.chain(["local", local, "remote", remote]))?;
    }
    gateway.ip("link set vx0 mtu 1500 master br0 up".split(' '))
}
