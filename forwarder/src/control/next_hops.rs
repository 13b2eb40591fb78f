//! The next hops to the peers, followed live through rtnetlink(7).
//!
//! The kernel tells of every change of a route, a neighbour, a device, an address; a moment after the first
//! of a burst it is asked again for all that the workers need. Nothing here has a neighbour resolved: what has
//! no next hop goes through the socket, and so the kernel does it. That it asks again for those that only AF_XDP
//! sends to is seen to here.

use std::{
    collections::{BTreeSet, HashSet},
    convert::Infallible,
    net::IpAddr,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use rtnetlink::{
    Handle, MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    packet_route::RouteNetlinkMessage as Rtnl,
};
use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};

use super::event::Event;
use crate::{
    routes::{self, Snapshot},
    uplink::{NextHops, Target},
};

/// Pause after the kernel has given up on us, or we on it.
const RETRY: Duration = Duration::from_secs(1);

/// Changes come in bursts; the kernel is asked this long after the first.
const SETTLE: Duration = Duration::from_millis(20);

/// The kernel is asked at least this often: a change that we were not told of is not missed for ever.
const AT_LEAST: Duration = Duration::from_secs(10);

const GROUPS: [MulticastGroup; 9] = [
    MulticastGroup::Link,
    MulticastGroup::Neigh,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Nexthop,
];

/// How the uplink stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UplinkState {
    /// MAC address of the device; `None`: it is gone.
    pub(super) mac: Option<[u8; 6]>,
    /// The host's addresses.
    pub(super) addresses: HashSet<IpAddr>,
    /// The ways to the peers.
    pub(super) hops: NextHops,
}

/// Tells how the uplink `device` stands, at once and whenever that changes or others are wanted.
pub(super) async fn watch(
    device: u32,
    mut wanted: watch::Receiver<BTreeSet<Target>>,
    events: mpsc::Sender<Event>,
) {
    let mut known = None;
    loop {
        let Err(e) = try_watch(device, &mut wanted, &events, &mut known).await;
        tracing::warn!(
            "cannot follow routes and neighbours of the uplink ({e}); trying again, the kernel's sockets are used meanwhile"
        );
        if let Some(state) = &mut known {
            // What was known may be wrong any moment, and frames by it lost; the kernel knows.
            forget(state, &e.to_string());
            let _ = events.send(Event::Uplink(state.clone())).await;
        }
        sleep(RETRY).await;
    }
}

/// There is no next hop any more, and this is why.
fn forget(state: &mut UplinkState, why: &str) {
    for hop in state.hops.values_mut() {
        *hop = Err(format!("routes and neighbours cannot be followed: {why}"));
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn try_watch(
    device: u32,
    wanted: &mut watch::Receiver<BTreeSet<Target>>,
    events: &mpsc::Sender<Event>,
    known: &mut Option<UplinkState>,
) -> Result<Infallible, Failure> {
    let (connection, handle, mut changes) = new_multicast_connection(&GROUPS)?;
    tokio::spawn(connection);
    let mut freshened = Instant::now();
    loop {
        let targets = wanted.borrow_and_update().clone();
        let snapshot = Snapshot::take(&handle).await?;
        let current = state(&handle, &snapshot, device, &targets).await;
        if known.as_ref() != Some(&current) {
            // The receiver is gone only while the program stops.
            let _ = events.send(Event::Uplink(current.clone())).await;
            *known = Some(current.clone());
        }
        if freshened.elapsed() >= AT_LEAST / 2 {
            freshened = Instant::now();
            freshen(&handle, &snapshot, &current.hops).await;
        }
        let devices = snapshot.on(device);
        let change = async {
            loop {
                match changes.next().await {
                    Some((message, _)) if matters(&message, &devices) => return Ok(()),
                    Some(_) => {}
                    None => return Err("the kernel closed the netlink socket"),
                }
            }
        };
        tokio::select! {
            change = timeout(AT_LEAST, change) => change.unwrap_or(Ok(()))?,
            gone = wanted.changed() => {
                gone?;
                // The workers wait for it.
                continue;
            }
        }
        sleep(SETTLE).await;
        while let Ok(_more) = changes.try_recv() {}
    }
}

/// Has the kernel look after the neighbours in use: what AF_XDP sends to them, it does not see.
async fn freshen(handle: &Handle, snapshot: &Snapshot, hops: &NextHops) {
    let used: HashSet<_> = hops
        .iter()
        .filter_map(|(target, hop)| {
            let hop = hop.as_ref().ok()?;
            let mut links = snapshot.links.iter();
            let (device, _) = links.find(|(_, link)| link.name == hop.interface)?;
            Some((*device, hop.gateway.unwrap_or(target.remote)))
        })
        .collect();
    if let Err(e) = routes::confirm_stale(handle, &used).await {
        tracing::debug!("neighbours of the uplink: {e}");
    }
}

async fn state(
    handle: &Handle,
    snapshot: &Snapshot,
    device: u32,
    targets: &BTreeSet<Target>,
) -> UplinkState {
    let mut hops = NextHops::default();
    for target in targets {
        let hop = match routes::lookup(handle, target).await {
            Ok(route) => snapshot.next_hop(device, target, &route),
            Err(why) => Err(why),
        };
        hops.insert(*target, hop);
    }
    UplinkState {
        mac: snapshot.links.get(&device).and_then(|link| link.mac),
        addresses: snapshot.addresses.iter().map(|(_, ip)| *ip).collect(),
        hops,
    }
}

/// Whether a change may concern us. Neighbours of other devices come and go all the time on a busy LAN.
fn matters(message: &NetlinkMessage<Rtnl>, devices: &HashSet<u32>) -> bool {
    match &message.payload {
        NetlinkPayload::InnerMessage(Rtnl::NewNeighbour(n) | Rtnl::DelNeighbour(n)) => {
            devices.contains(&n.header.ifindex)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uplink::NextHop;

    #[test]
    fn what_cannot_be_followed_is_no_way() {
        let target = Target {
            remote: [192, 0, 2, 1].into(),
            local: None,
        };
        let hop = NextHop {
            interface: "eth0".into(),
            gateway: None,
            source: [192, 0, 2, 2].into(),
            mac: [2; 6],
            source_mac: [3; 6],
            tag: None,
            mtu: 1_500,
        };
        let mut state = UplinkState {
            mac: Some([3; 6]),
            addresses: [hop.source].into(),
            hops: [(target, Ok(hop))].into(),
        };
        let before = state.clone();
        forget(&mut state, "out of memory");
        let why = state.hops[&target].as_ref().unwrap_err();
        assert!(why.contains("out of memory"), "{why}");
        // The program on the device goes on as it was.
        assert_eq!((state.mac, state.addresses), (before.mac, before.addresses));
    }
}
