//! One gateway: its namespace, its interfaces, and the processes of the tunnel in it.

use std::{
    cell::RefCell,
    ffi::OsStr,
    fs::{self, File},
    path::PathBuf,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use super::{Cpus, KernelWork, Side, Uplink, mask, netns::Namespace, tool::last_line};
use crate::{
    error::{Error, Result},
    interrupt,
};

/// How long an interface of a tunnel may take to appear.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time between the death of a side's processes and what follows, for the kernel to clear their sockets away.
const AFTER_DEATH: Duration = Duration::from_millis(100);

/// A gateway.
pub(crate) struct Gateway {
    side: Side,
    children: RefCell<Vec<Child>>,
    netns: Namespace,
    cpus: Cpus,
    log: PathBuf,
}

impl Gateway {
    pub(super) fn new(side: Side, netns: Namespace, cpus: Cpus, log: PathBuf) -> Self {
        Self {
            side,
            children: RefCell::default(),
            netns,
            cpus,
            log,
        }
    }

    /// Addresses, bridge and offloads of a gateway whose links are there.
    pub(super) fn set_up(&self, kernel_work: KernelWork, uplink: Uplink) -> Result {
        let address = format!("{}/24", self.side.wan());
        self.ip(["addr", "add", &address, "dev", "wan"])?;
        self.ip(["link", "set", "wan", "up"])?;
        self.ip(
            "link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0".split(' '),
        )?;
        self.ip("link set lan master br0".split(' '))?;
        self.ip("link set br0 mtu 1500 up".split(' '))?;
        self.ip("link set lan up promisc on".split(' '))?;
        for interface in ["lan", "wan"] {
            self.set_offloads(
                interface,
                if interface == "lan" {
                    Uplink::None
                } else {
                    uplink
                },
            )?;
            if kernel_work == KernelWork::OnGateways {
                let mask = mask(self.cpus.gateways);
                self.netns
                    .set_sys(interface, "queues/rx-0/rps_cpus", &mask)?;
            }
        }
        Ok(())
    }

    fn set_offloads(&self, interface: &str, offloads: Uplink) -> Result {
        let gro = if offloads == Uplink::None {
            "off"
        } else {
            "on"
        };
        let ethtool = self.netns.tool("ethtool");
        let mut ethtool = ethtool.args(["-K", interface, "gro", gro]);
        if offloads != Uplink::All {
            // Off with gso alone, a veth still takes 64 kB of UDP datagrams at once.
            let off = ["tso", "gso", "tx-udp-segmentation"].map(|what| [what, "off"]);
            ethtool = ethtool.args(off.concat());
        }
        ethtool.run().map(drop)
    }

    /// Its namespace.
    pub(crate) fn netns(&self) -> &Namespace {
        &self.netns
    }

    /// `ip` with these arguments, inside.
    ///
    /// # Errors
    ///
    /// What `ip` says.
    pub(crate) fn ip<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Result {
        self.netns.ip(arguments).map(drop)
    }

    /// Starts a process of the tunnel, on the gateways' CPU. It lives until [`Gateway::kill`], and may read its
    /// standard input, where nothing comes.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub(crate) fn spawn<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result {
        self.spawn_on(&[self.cpus.gateways], program, arguments)
    }

    /// As [`Gateway::spawn`], on other CPUs.
    ///
    /// # Errors
    ///
    /// It cannot be started.
    pub(crate) fn spawn_on<A: AsRef<OsStr>>(
        &self,
        cpus: &[usize],
        program: impl AsRef<OsStr>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result {
        let log = || File::options().create(true).append(true).open(&self.log);
        let (out, err) = log()
            .and_then(|out| Ok((out, log()?)))
            .map_err(Error::failed("cannot open a log"))?;
        let cpus: Vec<_> = cpus.iter().map(ToString::to_string).collect();
        let tool = self.netns.tool("taskset").args(["-c", &cpus.join(",")]);
        let tool = tool.arg(program).args(arguments);
        self.children
            .borrow_mut()
            .push(tool.spawn(Stdio::piped(), out, err)?);
        Ok(())
    }

    /// Puts an interface of the tunnel into the bridge, as soon as it is there.
    ///
    /// # Errors
    ///
    /// It does not appear.
    pub(crate) fn bridge(&self, interface: &str) -> Result {
        self.await_link(interface)?;
        self.ip([
            "link",
            "set",
            interface,
            "mtu",
            "1500",
            "txqueuelen",
            "1000",
        ])?;
        self.ip(["link", "set", interface, "master", "br0", "up"])
    }

    /// Waits for an interface to appear.
    ///
    /// # Errors
    ///
    /// It does not: with the last words of the tunnel.
    pub(crate) fn await_link(&self, interface: &str) -> Result {
        let end = Instant::now() + PATIENCE;
        while self.netns.ip(["link", "show", interface]).is_err() {
            if Instant::now() > end {
                return Err(Error::Failed(format!(
                    "no interface {interface} appeared in gateway {}{}",
                    self.side.letter(),
                    self.last_words()
                )));
            }
            interrupt::sleep(Duration::from_millis(10))?;
        }
        Ok(())
    }

    /// `; it said: …`, if the tunnel said anything.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        last_line(&log).map_or_else(String::new, |line| {
            format!("; gateway {} said: {line}", self.side.letter())
        })
    }

    /// Kills all of the tunnel's processes at once, as a crash would.
    ///
    /// # Errors
    ///
    /// One survives.
    pub(crate) fn kill(&self) -> Result {
        self.netns.kill_all()?;
        for mut child in self.children.borrow_mut().drain(..) {
            let _ = child.wait();
        }
        interrupt::sleep(AFTER_DEATH)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The namespace would do so too, but only we can take the dead processes away.
        let _ = self.netns.kill_all();
        for child in self.children.get_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
