//! n2n 1.3 of Debian: edges, and a supernode beside the far one.

use std::{thread, time::Duration};

use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::Program,
    },
    error::Result,
    rig::Side,
};

const EDGE: Program = Program::debian("edge", "n2n");
const SUPERNODE: Program = Program::debian("supernode", "n2n");

/// n2n with its Twofish.
pub(crate) struct N2n;

impl Peer for N2n {
    fn name(&self) -> &'static str {
        "n2n"
    }

    fn about(&self) -> &'static str {
        "n2n 1.3, Twofish"
    }

    fn encrypted(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Program] {
        &[EDGE, SUPERNODE]
    }

    fn port(&self) -> Option<&'static str> {
        Some("tap0")
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let gateway = on.rig.gateway(side);
        if side == Side::B {
            gateway.spawn(on.programs.path(&SUPERNODE)?, ["-l", "7654"])?;
            thread::sleep(Duration::from_millis(200));
        }
        let address = format!("10.99.9.{}", side.number());
        let mac = format!("02:00:00:00:01:{:02x}", side.number());
        let supernode = format!("{}:7654", Side::B.wan());
        let fixed = "-d tap0 -s 255.255.255.0 -c comparison -k comparison -M 1500 -r".split(' ');
        let own = ["-a", &address, "-m", &mac, "-l", &supernode];
        gateway.spawn(on.programs.path(&EDGE)?, fixed.chain(own))?;
        gateway.await_link("tap0")?;
        thread::sleep(Duration::from_millis(300)); // it sets its address after the interface is there
        gateway.ip("addr flush dev tap0".split(' '))?;
        gateway.bridge("tap0")
    }
}
