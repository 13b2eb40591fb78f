//! One fixed rig for layer-2 tunnels, in network namespaces of its own:
//!
//! ```text
//! dc eth0 --veth-- lan gwA(br0) wan ==tunnel over a veth of MTU 1500== wan gwB(br0) lan --veth-- eth0 vm
//! 10.77.0.1                192.168.77.1                        192.168.77.2                10.77.0.2
//! ```
//!
//! The hosts dc and vm work on one CPU, both gateways on another. Offloads of hosts and uplink are off: every
//! frame is real, as on a wire. A veth's receive work is done on the sender's CPU; RPS brings that of dc
//! and vm to the hosts' CPU, and where the kernel itself is the gateway that of the gateways to theirs.
//!
//! All of it goes when its owner does: processes, namespaces, files.

pub(crate) mod idle;
pub(crate) mod leftovers;
pub(crate) mod netns;
pub(crate) mod scratch;
mod side;
mod terms;
pub(crate) mod tool;

use std::sync::atomic::{AtomicU32, Ordering};

use self::{netns::Namespace, scratch::Scratch};
pub(crate) use self::{
    side::Gateway,
    terms::{Cpus, KernelWork, Mac, Side, Uplink, text},
};
use crate::error::Result;

/// Address of dc in the stretched LAN.
pub(crate) const DC: &str = "10.77.0.1";
/// Address of vm.
pub(crate) const VM: &str = "10.77.0.2";

/// The rig.
pub(crate) struct Rig {
    gateways: Vec<Gateway>,
    dc: Namespace,
    vm: Namespace,
    macs: [Mac; 2],
    cpus: Cpus,
    // The last to go: logs of the processes above.
    scratch: Scratch,
}

impl Rig {
    /// With two gateways whose bridges hold `lan`, and nothing between them yet.
    ///
    /// # Errors
    ///
    /// The kernel refuses something; all that was built is removed.
    pub(crate) fn build(cpus: Cpus, kernel_work: KernelWork, uplink: Uplink) -> Result<Self> {
        let mut rig = Self::hosts(cpus)?;
        for side in Side::BOTH {
            let namespace = Namespace::create(&rig.label(&format!("gw{}", side.letter())))?;
            let log = rig.scratch.path(format!("{}.log", side.letter()));
            rig.gateways.push(Gateway::new(side, namespace, cpus, log));
        }
        rig.plug(&rig.dc, rig.macs[0], "lan", rig.gateways[0].netns())?;
        rig.plug(&rig.vm, rig.macs[1], "lan", rig.gateways[1].netns())?;
        let [a, b] = [0, 1].map(|n| rig.gateways[n].netns());
        a.ip([
            "link",
            "add",
            "wan",
            "mtu",
            "1500",
            "type",
            "veth",
            "peer",
            "name",
            "wan",
            "netns",
            b.name(),
        ])?;
        for gateway in &rig.gateways {
            gateway.set_up(kernel_work, uplink)?;
        }
        rig.hosts_up()?;
        Ok(rig)
    }

    /// Without gateways: dc and vm at the two ends of one veth.
    ///
    /// # Errors
    ///
    /// As for [`Rig::build`].
    pub(crate) fn bare(cpus: Cpus) -> Result<Self> {
        let rig = Self::hosts(cpus)?;
        rig.plug(&rig.dc, rig.macs[0], "eth0", &rig.vm)?;
        rig.vm
            .ip(["link", "set", "eth0", "address", &text(rig.macs[1])])?;
        rig.hosts_up()?;
        Ok(rig)
    }

    fn hosts(cpus: Cpus) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let [_, _, p, q] = std::process::id().to_be_bytes();
        let [.., n] = number.to_be_bytes();
        Ok(Self {
            gateways: Vec::new(),
            dc: Namespace::create(&format!("{number}-dc"))?,
            vm: Namespace::create(&format!("{number}-vm"))?,
            macs: [[2, 0xcf, p, q, n, 1], [2, 0xcf, p, q, n, 2]],
            cpus,
            scratch: Scratch::create()?,
        })
    }

    /// A veth from a host's eth0 to an interface of another namespace.
    fn plug(&self, host: &Namespace, mac: Mac, interface: &str, other: &Namespace) -> Result {
        let mac = text(mac);
        let link = [
            "link", "add", "eth0", "mtu", "1500", "address", &mac, "type", "veth",
        ];
        host.ip(link
            .into_iter()
            .chain(["peer", "name", interface, "netns", other.name()]))?;
        Ok(())
    }

    fn hosts_up(&self) -> Result {
        let mask = mask(self.cpus.hosts);
        for (host, address) in [(&self.dc, DC), (&self.vm, VM)] {
            host.ip(["addr", "add", &format!("{address}/24"), "dev", "eth0"])?;
            host.ip(["link", "set", "eth0", "up"])?;
            host.set_sys("eth0", "queues/rx-0/rps_cpus", &mask)?;
            let off = ["tx", "tso", "gso", "gro", "sg"].map(|feature| [feature, "off"]);
            host.tool("ethtool")
                .args(["-K", "eth0"])
                .args(off.concat())
                .run()?;
        }
        Ok(())
    }

    fn label(&self, name: &str) -> String {
        // The number is in the names of dc and vm; take it from there.
        let number = self.dc.name().rsplit('-').nth(1).unwrap_or("0");
        format!("{number}-{name}")
    }

    /// The host on the old LAN.
    pub(crate) fn dc(&self) -> &Namespace {
        &self.dc
    }

    /// The moved one.
    pub(crate) fn vm(&self) -> &Namespace {
        &self.vm
    }

    /// MAC addresses of dc and vm: of this rig alone.
    pub(crate) fn macs(&self) -> [Mac; 2] {
        self.macs
    }

    /// Which CPU does what.
    pub(crate) fn cpus(&self) -> Cpus {
        self.cpus
    }

    /// A gateway; a bare rig has none, and must not be asked.
    pub(crate) fn gateway(&self, side: Side) -> &Gateway {
        &self.gateways[side as usize]
    }

    /// The gateways: two, or none.
    pub(crate) fn gateways(&self) -> &[Gateway] {
        &self.gateways
    }

    /// Files of this rig.
    pub(crate) fn scratch(&self) -> &Scratch {
        &self.scratch
    }

    /// Has veths receive frames of the generator or not: those come without a socket buffer, which a veth takes only
    /// with NAPI, and `gro on` is what switches that on.
    ///
    /// # Errors
    ///
    /// `ethtool` fails.
    pub(crate) fn take_raw_frames(&self, on: bool) -> Result {
        let gro = if on { "on" } else { "off" };
        for gateway in &self.gateways {
            let tool = gateway.netns().tool("ethtool");
            tool.args(["-K", "lan", "gro", gro]).run()?;
        }
        Ok(())
    }
}

/// A CPU mask as RPS takes it: hexadecimal, a comma every 32 CPUs.
fn mask(cpu: usize) -> String {
    let groups = std::iter::repeat_n(",00000000", cpu / 32);
    format!("{:x}", 1_u32 << (cpu % 32)) + &groups.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(mask(0), "1");
        assert_eq!(mask(5), "20");
        assert_eq!(mask(33), "2,00000000");
    }
}
