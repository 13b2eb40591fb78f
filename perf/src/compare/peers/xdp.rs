//! XDP redirect in both gateways: what the kernel forwards at best, without a tunnel.

use crate::{
    compare::peer::{Peer, Setup},
    error::Result,
    rig::Side,
    traffic::{Link, forward::Forwarder},
};

/// A redirect from lan to wan and back.
#[derive(Default)]
pub(crate) struct Redirect {
    forwarders: Vec<Forwarder>,
}

impl Peer for Redirect {
    fn name(&self) -> &'static str {
        "xdp-redirect"
    }

    fn about(&self) -> &'static str {
        "XDP redirect in both gateways, no tunnel"
    }

    fn encrypted(&self) -> bool {
        false
    }

    fn has_own_cpu(&self) -> bool {
        false // redirected frames are handled where they were sent: on the generator's
    }

    fn prepare(&mut self, on: &Setup<'_>) -> Result {
        // A redirected frame has no socket buffer, and a veth takes it only with NAPI: `gro on` is the switch.
        for host in [on.rig.dc(), on.rig.vm()] {
            host.tool("ethtool")
                .args(["-K", "eth0", "gro", "on"])
                .run()?;
        }
        Ok(())
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let gateway = on.rig.gateway(side);
        gateway.ip("link del br0".split(' '))?;
        let link = |interface: &str| Link {
            netns: Some(gateway.netns().name().into()),
            interface: interface.into(),
        };
        self.forwarders
            .push(Forwarder::attach(&link("lan"), &link("wan"))?);
        Ok(())
    }

    fn stop(&mut self) {
        self.forwarders.clear();
    }
}
