//! vpncloud: a switch over tap and UDP, in Rust.

use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::{Program, Source},
    },
    error::Result,
    rig::Side,
};

const VPNCLOUD: Program = Program {
    name: "vpncloud",
    source: Source::Crate("vpncloud", "2.3.0"),
};

/// vpncloud with one of its ciphers.
pub(crate) struct VpnCloud {
    name: &'static str,
    about: &'static str,
    algorithm: &'static str,
}

/// With AES-256-GCM.
pub(crate) const AES256: VpnCloud = VpnCloud {
    name: "vpncloud-aes256",
    about: "vpncloud, AES-256-GCM",
    algorithm: "AES256",
};

/// With AES-128-GCM.
pub(crate) const AES128: VpnCloud = VpnCloud {
    name: "vpncloud-aes128",
    about: "vpncloud, AES-128-GCM",
    algorithm: "AES128",
};

impl Peer for VpnCloud {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn encrypted(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Program] {
        &[VPNCLOUD]
    }

    fn port(&self) -> Option<&'static str> {
        Some("tap0")
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let gateway = on.rig.gateway(side);
        // It looks its own address up at the start, and panics without a route to anywhere. No packet takes it.
        gateway.ip("route replace default dev wan".split(' '))?;
        let listen = format!("{}:3210", side.wan());
        let connect = format!("{}:3210", side.other().wan());
        let fixed = "-t tap -d tap0 --mode switch -p comparison --no-port-forwarding".split(' ');
        let own = [
            "--algorithm",
            self.algorithm,
            "--listen",
            &listen,
            "-c",
            &connect,
        ];
        gateway.spawn(on.programs.path(&VPNCLOUD)?, fixed.chain(own))?;
        gateway.bridge("tap0")
    }
}
