//! Devices, neighbours and addresses of a moment.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
};

use futures_util::TryStreamExt;
use rtnetlink::{
    Error, Handle,
    packet_route::{
        address::{AddressAttribute, AddressMessage},
        link::{InfoData, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
        neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState},
    },
};

use super::Route;
use crate::uplink::{NextHop, Tag, Target};

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its name.
    pub name: String,
    /// Its MAC address, if it is of a kind that has one.
    pub mac: Option<[u8; 6]>,
    /// Its MTU.
    pub mtu: usize,
    /// Whether it is up and has a carrier.
    pub runs: bool,
    /// The device below it, and the tag of its frames there, if it is a VLAN.
    pub vlan: Option<(u32, Tag)>,
}

/// What the kernel has at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Devices by index.
    pub links: HashMap<u32, Link>,
    /// MAC addresses by device and address: of neighbours that are resolved, freshly or not.
    pub neighbours: HashMap<(u32, IpAddr), [u8; 6]>,
    /// The host's own addresses, and the devices that they are on.
    pub addresses: HashSet<(u32, IpAddr)>,
}

impl Snapshot {
    /// Asks the kernel.
    ///
    /// # Errors
    ///
    /// What it answers.
    pub async fn take(handle: &Handle) -> Result<Self, Error> {
        let links: Vec<_> = handle.link().get().execute().try_collect().await?;
        let neighbours: Vec<_> = handle.neighbours().get().execute().try_collect().await?;
        let addresses: Vec<_> = handle.address().get().execute().try_collect().await?;
        Ok(Self {
            links: links.iter().map(|l| (l.header.index, link(l))).collect(),
            neighbours: neighbours.iter().filter_map(neighbour).collect(),
            addresses: addresses.iter().filter_map(address).collect(),
        })
    }

    /// The way of `route` to `target`, if it leaves by the device `uplink` or by a VLAN on it.
    ///
    /// # Errors
    ///
    /// Why AF_XDP cannot go that way (now).
    pub fn next_hop(&self, uplink: u32, target: &Target, route: &Route) -> Result<NextHop, String> {
        let link = self
            .links
            .get(&route.device)
            .ok_or("the route's device is gone")?;
        let name = &link.name;
        let tag = match link.vlan {
            _ if route.device == uplink => None,
            Some((lower, tag)) if lower == uplink => Some(tag),
            _ => {
                let uplink = self.links.get(&uplink).map_or("gone", |l| l.name.as_str());
                return Err(format!("the route leaves by {name}, not by {uplink}"));
            }
        };
        let lower_runs = self.links.get(&uplink).is_some_and(|l| l.runs);
        if !link.runs || !lower_runs {
            return Err(format!("{name} is down or has no carrier"));
        }
        let neighbour = route.gateway.unwrap_or(target.remote);
        let source = target
            .local
            .or(route.source)
            .ok_or("the route names no address of ours")?;
        // The kernel answers a question about an IPv6 route from any address.
        if !self.addresses.iter().any(|(_, ours)| *ours == source) {
            return Err(format!("{source} is no address of ours"));
        }
        Ok(NextHop {
            interface: name.clone(),
            gateway: route.gateway,
            source,
            mac: *self
                .neighbours
                .get(&(route.device, neighbour))
                .ok_or_else(|| format!("{neighbour} is not resolved on {name}"))?,
            source_mac: link
                .mac
                .ok_or_else(|| format!("{name} has no MAC address"))?,
            tag,
            mtu: link.mtu,
        })
    }

    /// The device and the VLANs on it, as far as they are of one tag.
    pub fn on(&self, device: u32) -> HashSet<u32> {
        let on_it = |link: &Link| link.vlan.is_some_and(|(lower, _)| lower == device);
        let upper = self.links.iter().filter(|(_, link)| on_it(link));
        upper.map(|(index, _)| *index).chain([device]).collect()
    }
}

fn link(message: &LinkMessage) -> Link {
    let mut link = Link {
        name: String::new(),
        mac: None,
        mtu: 0,
        runs: message
            .header
            .flags
            .contains(LinkFlags::Up | LinkFlags::LowerUp),
        vlan: None,
    };
    let (mut lower, mut tag) = (None, None);
    let mut foreign = false;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(mac) => link.mac = mac[..].try_into().ok(),
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu as usize,
            LinkAttribute::Link(index) => lower = Some(*index),
            // The index below is one of another network namespace then.
            LinkAttribute::LinkNetNsId(_) => foreign = true,
            LinkAttribute::LinkInfo(infos) => tag = infos.iter().find_map(vlan_tag),
            _ => {}
        }
    }
    link.vlan = lower.zip(tag).filter(|_| !foreign);
    link
}

fn vlan_tag(info: &LinkInfo) -> Option<Tag> {
    let LinkInfo::Data(InfoData::Vlan(data)) = info else {
        return None;
    };
    let mut tag = Tag {
        protocol: 0x8100,
        vlan: 0,
    };
    for attribute in data {
        match attribute {
            InfoVlan::Id(vlan) => tag.vlan = *vlan,
            InfoVlan::Protocol(protocol) => tag.protocol = u16::from(*protocol),
            _ => {}
        }
    }
    Some(tag)
}

/// A neighbour that the kernel would send to. One that is stale is as good as another: the kernel goes on
/// sending to it while it asks whether it is still there, and the session's heartbeats, which go through
/// the kernel, make it ask.
pub(super) fn neighbour(message: &NeighbourMessage) -> Option<((u32, IpAddr), [u8; 6])> {
    use NeighbourState::{Delay, Noarp, Permanent, Probe, Reachable, Stale};
    let valid = [Reachable, Stale, Delay, Probe, Noarp, Permanent];
    if !valid.contains(&message.header.state) {
        return None;
    }
    let (mut address, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => {
                address = Some(IpAddr::from(*v4));
            }
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => {
                address = Some((*v6).into());
            }
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = bytes[..].try_into().ok(),
            _ => {}
        }
    }
    Some(((message.header.ifindex, address?), mac?))
}

fn address(message: &AddressMessage) -> Option<(u32, IpAddr)> {
    let ip = |attribute: &AddressAttribute| match attribute {
        // For IPv4, ADDRESS is the other end of a point-to-point link and LOCAL is ours; IPv6 has
        // ADDRESS alone.
        AddressAttribute::Local(ip) => Some(*ip),
        AddressAttribute::Address(ip) if ip.is_ipv6() => Some(*ip),
        _ => None,
    };
    let found = message.attributes.iter().find_map(ip)?;
    Some((message.header.index, found))
}
