//! Where frames to a peer leave, as the control plane finds out and the workers hold it.

use std::{collections::HashMap, fmt, net::IpAddr};

use super::Path;
use crate::spec::MacName;

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its TPID: 0x8100 or 0x88A8.
    pub protocol: u16,
    /// The VLAN.
    pub vlan: u16,
}

/// The way to a destination: what the headers of a frame are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The route's device: the uplink's, or a VLAN on it.
    pub interface: String,
    /// The route's gateway; `None` if the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// Our address.
    pub source: IpAddr,
    /// MAC address of the gateway, or of the destination.
    pub mac: [u8; 6],
    /// MAC address of the route's device.
    pub source_mac: [u8; 6],
    /// The tag of the VLAN that the device is.
    pub tag: Option<Tag>,
    /// Longest IP packet.
    pub mtu: usize,
}

impl fmt::Display for NextHop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (interface, source) = (&self.interface, self.source);
        match self.gateway {
            Some(gateway) => write!(f, "{gateway}")?,
            None => write!(f, "on the link")?,
        }
        write!(f, " ({}), dev {interface}", MacName(self.mac))?;
        if let Some(tag) = self.tag {
            write!(f, " (VLAN {})", tag.vlan)?;
        }
        write!(f, ", src {source}, MTU {}", self.mtu)
    }
}

/// What a route is looked up for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The peer's address.
    pub remote: IpAddr,
    /// Ours, where it is given.
    pub local: Option<IpAddr>,
}

impl From<&Path> for Target {
    fn from(path: &Path) -> Self {
        Self {
            remote: path.remote.ip().to_canonical(),
            local: path.local.map(|ip| ip.to_canonical()),
        }
    }
}

/// The next hop for each target, or why there is none: then the kernel's socket sends.
pub type NextHops = HashMap<Target, Result<NextHop, String>>;
