//! Where the kernel would send a packet, asked through rtnetlink(7): the route, the neighbour, the devices.
//!
//! What AF_XDP sends passes by all that the kernel does on the way out, so the headers have to say what the
//! kernel would say. The kernel is asked ([`lookup`], [`Snapshot::take`]); what its answers come to is
//! decided in [`Snapshot::next_hop`], which needs no kernel.

mod snapshot;

use std::{
    collections::HashSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use futures_util::TryStreamExt;
use rtnetlink::{
    Error, Handle,
    packet_route::{
        AddressFamily,
        neighbour::{NeighbourFlags, NeighbourState},
        route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia},
    },
};

pub use self::snapshot::{Link, Snapshot};
use crate::uplink::Target;

/// The main routing table (RT_TABLE_MAIN, include/uapi/linux/rtnetlink.h).
const MAIN_TABLE: u8 = 254;

/// A route that the kernel has chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Index of its device.
    pub device: u32,
    /// Its gateway; `None` if the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// Our address, as the kernel chooses it.
    pub source: Option<IpAddr>,
}

/// The route of a packet to `target`.
///
/// # Errors
///
/// Why there is none that AF_XDP could follow.
pub async fn lookup(handle: &Handle, target: &Target) -> Result<Route, String> {
    let answer = handle.route().get(question(target)).execute();
    match Box::pin(answer).try_next().await {
        Ok(Some(message)) => route_of(&message),
        Ok(None) => Err("the kernel names no route".into()),
        Err(Error::NetlinkError(refusal)) => Err(format!("no route: {}", refusal.to_io())),
        Err(e) => Err(format!("no route: {e}")),
    }
}

/// Has the kernel make sure of those of these neighbours, by device and address, that it has not heard of for a
/// while, as if it sent to them (NTF_USE, net/core/neighbour.c, `neigh_add`): it asks them again.
///
/// Of the others it needs none: one that an operator has made permanent would be no longer.
///
/// # Errors
///
/// What it answers.
pub async fn confirm_stale(
    handle: &Handle,
    neighbours: &HashSet<(u32, IpAddr)>,
) -> Result<(), Error> {
    let mut all = handle.neighbours().get().execute();
    let mut stale = Vec::new();
    while let Some(message) = all.try_next().await? {
        let of = snapshot::neighbour(&message).map(|(of, _)| of);
        let is_stale = message.header.state == NeighbourState::Stale;
        stale.extend(of.filter(|of| is_stale && neighbours.contains(of)));
    }
    for (device, address) in stale {
        let request = handle.neighbours().add(device, address).replace();
        let request = request.state(NeighbourState::None);
        request.flags(NeighbourFlags::Use).execute().await?;
    }
    Ok(())
}

fn question(target: &Target) -> RouteMessage {
    let mut message = RouteMessage::default();
    let (family, bits) = match target.remote {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    message.header.address_family = family;
    message.header.destination_prefix_length = bits;
    message.attributes = vec![RouteAttribute::Destination(target.remote.into())];
    if let Some(local) = target.local {
        message.header.source_prefix_length = bits;
        message
            .attributes
            .push(RouteAttribute::Source(local.into()));
    }
    message
}

fn route_of(message: &RouteMessage) -> Result<Route, String> {
    match message.header.kind {
        RouteType::Unicast => {}
        RouteType::Local => return Err("the address is this host's own".into()),
        other => return Err(format!("the route is of the kind {other:?}")),
    }
    let mut device = None;
    let (mut gateway, mut source) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::Gateway(address) => gateway = ip(address),
            RouteAttribute::Via(RouteVia::Inet6(address)) => gateway = Some((*address).into()),
            RouteAttribute::Via(RouteVia::Inet(address)) => gateway = Some((*address).into()),
            RouteAttribute::PrefSource(address) => source = ip(address),
            RouteAttribute::Encap(_) | RouteAttribute::EncapType(_) => {
                return Err("the route wraps packets in a tunnel".into());
            }
            _ => {}
        }
    }
    Ok(Route {
        device: device.ok_or("the route has no device")?,
        gateway,
        source,
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some((*v4).into()),
        RouteAddress::Inet6(v6) => Some((*v6).into()),
        _ => None,
    }
}

/// The device of the default route, of IPv4 rather than of IPv6; that with the lowest metric.
///
/// # Errors
///
/// What the kernel answers.
pub async fn default_device(handle: &Handle) -> Result<Option<u32>, Error> {
    for any in [
        IpAddr::from(Ipv4Addr::UNSPECIFIED),
        Ipv6Addr::UNSPECIFIED.into(),
    ] {
        let mut all = RouteMessage::default();
        all.header.address_family = match any {
            IpAddr::V4(_) => AddressFamily::Inet,
            IpAddr::V6(_) => AddressFamily::Inet6,
        };
        let routes: Vec<_> = handle.route().get(all).execute().try_collect().await?;
        let metric = |route: &RouteMessage| {
            let of = |a: &RouteAttribute| match a {
                RouteAttribute::Priority(metric) => Some(*metric),
                _ => None,
            };
            route.attributes.iter().find_map(of).unwrap_or(0)
        };
        let best = routes
            .iter()
            .filter(|r| r.header.destination_prefix_length == 0 && r.header.table == MAIN_TABLE)
            .filter_map(|r| Some((metric(r), route_of(r).ok()?.device)))
            .min();
        if let Some((_, device)) = best {
            return Ok(Some(device));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
