//! The kernel by itself, without a tunnel or without a cipher: what a bridge and an encapsulation cost.

use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::Program,
    },
    error::Result,
    rig::{KernelWork, Side},
};

/// No tunnel: the uplink is one more port of each bridge.
pub(crate) struct Bridge;

impl Peer for Bridge {
    fn name(&self) -> &'static str {
        "bridge"
    }

    fn about(&self) -> &'static str {
        "kernel bridges, no tunnel"
    }

    fn encrypted(&self) -> bool {
        false
    }

    fn needs(&self) -> &'static [Program] {
        &[]
    }

    fn kernel_work(&self) -> KernelWork {
        KernelWork::OnGateways
    }

    fn port(&self) -> Option<&'static str> {
        Some("wan")
    }

    fn is_process(&self) -> bool {
        false
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        on.rig
            .gateway(side)
            .ip("link set wan master br0".split(' '))
    }
}

/// The kernel's VXLAN, without a cipher.
pub(crate) struct Vxlan;

impl Peer for Vxlan {
    fn name(&self) -> &'static str {
        "vxlan"
    }

    fn about(&self) -> &'static str {
        "VXLAN of the kernel, no cipher"
    }

    fn encrypted(&self) -> bool {
        false
    }

    fn needs(&self) -> &'static [Program] {
        &[]
    }

    fn kernel_work(&self) -> KernelWork {
        KernelWork::OnGateways
    }

    fn port(&self) -> Option<&'static str> {
        Some("vx0")
    }

    fn is_process(&self) -> bool {
        false
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        vxlan(on, side, side.wan(), side.other().wan())
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
