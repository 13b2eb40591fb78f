//! DPDK's testpmd in gateway A: forwarding in user space without a cipher. Gateway B is a bridge, because two pollers
//! cannot share a CPU.

use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::Program,
    },
    error::{Error, Result},
    interrupt,
    rig::Side,
};

const TESTPMD: Program = Program::debian("dpdk-testpmd", "dpdk-dev");

/// testpmd with one of its drivers.
pub(crate) struct TestPmd {
    name: &'static str,
    about: &'static str,
    driver: &'static str,
}

/// AF_XDP.
pub(crate) const AF_XDP: TestPmd = TestPmd {
    name: "testpmd-af-xdp",
    about: "DPDK's testpmd on net_af_xdp in gateway A, a bridge in B",
    driver: "net_af_xdp",
};

/// AF_PACKET with its rings.
pub(crate) const AF_PACKET: TestPmd = TestPmd {
    name: "testpmd-af-packet",
    about: "DPDK's testpmd on net_af_packet in gateway A, a bridge in B",
    driver: "net_af_packet",
};

impl Peer for TestPmd {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn encrypted(&self) -> bool {
        false
    }

    fn needs(&self) -> &'static [Program] {
        &[TESTPMD]
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let gateway = on.rig.gateway(side);
        if side == Side::B {
            return gateway.ip("link set wan master br0".split(' '));
        }
        let _ = gateway.ip("link del br0".split(' ')); // gone already, after a restart
        let cpus = on.rig.cpus();
        let device = |n, interface| format!("{}{n},iface={interface}", self.driver);
        let prefix = format!("--file-prefix=cwperf{}", std::process::id());
        let cores = format!("{},{}", cpus.hosts, cpus.gateways);
        let main = format!("--main-lcore={}", cpus.hosts);
        let (lan, wan) = (device(0, "lan"), device(1, "wan"));
        let own = ["-l", &cores, &main, "--vdev", &lan, "--vdev", &wan, &prefix];
        let environment = "--no-pci --no-huge -m 512 --no-telemetry --".split(' ');
        let forward = "--forward-mode=io --auto-start --stats-period 0 --total-num-mbufs=32768";
        let arguments = own.into_iter().chain(environment).chain(forward.split(' '));
        gateway.spawn_on(
            &[cpus.hosts, cpus.gateways],
            on.programs.path(&TESTPMD)?,
            arguments,
        )?;
        interrupt::sleep(std::time::Duration::from_secs(1))?;
        if gateway.netns().pids().is_empty() {
            return Err(Error::Failed(format!(
                "testpmd ended{}",
                gateway.last_words()
            )));
        }
        Ok(())
    }

    fn is_process(&self) -> bool {
        false // not at the far end
    }
}
