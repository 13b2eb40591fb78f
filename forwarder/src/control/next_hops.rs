//! The next hops to the peers, followed live through rtnetlink(7).
//!
//! The kernel tells of every change of a route, a neighbour, a device, an address; a moment after the first
//! of a burst it is asked again for all that the workers need. Nothing here has a neighbour resolved: what has
//! no next hop goes through the socket, and so the kernel does it; and the heartbeats of the sessions, which
//! always go through the kernel, have it confirm those that AF_XDP uses.

use std::{
    collections::{BTreeSet, HashSet},
    convert::Infallible,
    net::IpAddr,
    time::Duration,
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
    loop {
        let Err(e) = try_watch(device, &mut wanted, &events).await;
        tracing::warn!(
            "cannot follow routes and neighbours of the uplink ({e}); trying again, what was known is used meanwhile"
        );
        sleep(RETRY).await;
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn try_watch(
    device: u32,
    wanted: &mut watch::Receiver<BTreeSet<Target>>,
    events: &mpsc::Sender<Event>,
) -> Result<Infallible, Failure> {
    let (connection, handle, mut changes) = new_multicast_connection(&GROUPS)?;
    tokio::spawn(connection);
    let mut known = None;
    loop {
        let targets = wanted.borrow_and_update().clone();
        let snapshot = Snapshot::take(&handle).await?;
        let current = state(&handle, &snapshot, device, &targets).await;
        if known.as_ref() != Some(&current) {
            // The receiver is gone only while the program stops.
            let _ = events.send(Event::Uplink(current.clone())).await;
            known = Some(current);
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
