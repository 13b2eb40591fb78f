//! An interface where test traffic goes in or comes out, perhaps in another network namespace.

use std::{fmt, fs::File, os::fd::AsFd, str::FromStr, thread};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde::Deserialize;

use crate::{
    error::{Error, Result},
    rig::tool::Tool,
};

/// Where `ip netns` keeps the names of namespaces (ip-netns(8)).
const NAMESPACES: &str = "/run/netns";

/// Where traffic goes in or comes out: `[NAMESPACE:]INTERFACE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// A namespace of `ip netns`; else this process's own.
    pub(crate) netns: Option<String>,
    /// The interface there.
    pub(crate) interface: String,
}

/// What the kernel says of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkInfo {
    /// Its index in its namespace.
    pub(crate) index: u32,
    /// Its address.
    pub(crate) mac: [u8; 6],
    /// Bytes behind the Ethernet header.
    pub(crate) mtu: usize,
    /// Whether it is up, administratively.
    pub(crate) is_up: bool,
    /// Whether it is one end of a virtual cable.
    pub(crate) is_veth: bool,
    /// Frames sent since it exists.
    pub(crate) tx_frames: u64,
    /// Frames that it did not send. A veth counts those for which the other end had no room.
    pub(crate) tx_dropped: u64,
    /// Frames received.
    pub(crate) rx_frames: u64,
    /// Frames dropped on reception.
    pub(crate) rx_dropped: u64,
}

impl Link {
    /// In the namespace `netns`.
    pub(crate) fn new(netns: impl Into<String>, interface: impl Into<String>) -> Self {
        Self {
            netns: Some(netns.into()),
            interface: interface.into(),
        }
    }

    /// Runs `work` in the link's namespace, on a thread of its own that inherits this one's CPUs.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if there is no such namespace, [`Error::CannotRun`] without root.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        let Some(netns) = &self.netns else {
            return Ok(work());
        };
        let namespace = File::open(format!("{NAMESPACES}/{netns}")).map_err(|e| {
            Error::Usage(format!(
                "cannot enter the network namespace {netns} ({e}): `ip netns list` shows those there are"
            ))
        })?;
        let inside = || {
            let entered =
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network));
            entered.map_err(|e| {
                Error::CannotRun(format!(
                    "cannot enter the network namespace {netns} ({e}): run it as root"
                ))
            })?;
            Ok(work())
        };
        thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// What the kernel says of it.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if there is no such namespace or interface, or it is no Ethernet device.
    pub(crate) fn info(&self) -> Result<LinkInfo> {
        let mut ip = Tool::new("ip");
        if let Some(netns) = &self.netns {
            ip = ip.args(["-n", netns]);
        }
        let output = ip
            .args(["-j", "-d", "-s", "link", "show", "dev", &self.interface])
            .output()
            .map_err(|e| Error::CannotRun(format!("cannot run ip ({e}): install iproute2")))?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr);
            return Err(Error::Usage(format!(
                "no interface {self}: {}",
                reason.trim()
            )));
        }
        parse_info(&output.stdout)
            .ok_or_else(|| Error::Usage(format!("{self} is no Ethernet device: see `ip -d link`")))
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.netns {
            Some(netns) => write!(f, "{netns}:{}", self.interface),
            None => f.write_str(&self.interface),
        }
    }
}

impl FromStr for Link {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let is_name = |name: &str| {
            !name.is_empty() && !name.starts_with(['-', '.']) && !name.contains(['/', ' ', '\0'])
        };
        let (netns, interface) = match text.split_once(':') {
            Some((netns, interface)) => (Some(netns), interface),
            None => (None, text),
        };
        if !netns.is_none_or(is_name) || !is_name(interface) || interface.len() > 15 {
            return Err(
                "an interface is INTERFACE, or NAMESPACE:INTERFACE in a namespace of `ip netns`"
                    .into(),
            );
        }
        Ok(Self {
            netns: netns.map(Into::into),
            interface: interface.into(),
        })
    }
}

/// What `ip -j -d -s link` writes, as far as it matters.
#[derive(Deserialize)]
struct IpLink {
    ifindex: u32,
    flags: Vec<String>,
    mtu: usize,
    link_type: String,
    address: String,
    linkinfo: Option<IpLinkInfo>,
    stats64: IpStats,
}

#[derive(Deserialize)]
struct IpLinkInfo {
    info_kind: Option<String>,
}

#[derive(Deserialize)]
struct IpStats {
    rx: IpCounts,
    tx: IpCounts,
}

#[derive(Deserialize)]
struct IpCounts {
    packets: u64,
    dropped: u64,
}

fn parse_info(json: &[u8]) -> Option<LinkInfo> {
    let [link] = <[IpLink; 1]>::try_from(serde_json::from_slice::<Vec<IpLink>>(json).ok()?).ok()?;
    if link.link_type != "ether" {
        return None;
    }
    Some(LinkInfo {
        index: link.ifindex,
        mac: causeway::spec::parse_mac(&link.address).ok()?,
        mtu: link.mtu,
        is_up: link.flags.iter().any(|f| f == "UP"),
        is_veth: link.linkinfo.and_then(|i| i.info_kind).as_deref() == Some("veth"),
        tx_frames: link.stats64.tx.packets,
        tx_dropped: link.stats64.tx.dropped,
        rx_frames: link.stats64.rx.packets,
        rx_dropped: link.stats64.rx.dropped,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for text in ["eth0", "lab-dc:eth0"] {
            assert_eq!(text.parse::<Link>().map(|l| l.to_string()), Ok(text.into()));
        }
        for text in [
            "",
            ":eth0",
            "a:",
            "a:b:c/d",
            "-x",
            "sixteen-letters-",
            "../x:eth0",
        ] {
            assert!(text.parse::<Link>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let link: Link = "no-such-namespace:eth0".parse().expect("a name");
        let error = link.inside(|| ()).expect_err("nothing to enter");
        assert!(error.to_string().contains("no-such-namespace"), "{error}");
        let link: Link = "nonesuch0".parse().expect("a name");
        let error = link.info().expect_err("no interface");
        assert!(error.to_string().contains("nonesuch0"), "{error}");
        let link: Link = "lo".parse().expect("a name");
        assert!(link.info().is_err(), "lo is no Ethernet device");
    }
}
