//! The devices that the peers' datagrams arrive at: those that the routes to the peers leave by, and those
//! below them (of a VLAN, a bond), followed through rtnetlink(7).
//!
//! A peer that answers by another way than it is reached by is not noticed: that costs speed, no frame.

use std::{
    collections::{BTreeSet, HashSet},
    convert::Infallible,
    time::Duration,
};

use futures_util::StreamExt;
use rtnetlink::{Handle, MulticastGroup, new_multicast_connection};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::event::Event;
use crate::{device, routes, uplink::Target};

/// Pause after the kernel has given up on us.
const RETRY: Duration = Duration::from_secs(1);

/// A router's routes change all the time, and this may be late.
const SETTLE: Duration = Duration::from_secs(1);

const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
    MulticastGroup::Ipv4Rule,
    MulticastGroup::Ipv6Rule,
];

/// Tells the indexes of those devices, whenever they are others.
pub(super) async fn watch(
    mut wanted: watch::Receiver<BTreeSet<Target>>,
    events: mpsc::Sender<Event>,
) {
    loop {
        let Err(e) = try_watch(&mut wanted, &events).await;
        tracing::debug!("cannot follow the routes to the peers ({e}); trying again");
        sleep(RETRY).await;
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn try_watch(
    wanted: &mut watch::Receiver<BTreeSet<Target>>,
    events: &mpsc::Sender<Event>,
) -> Result<Infallible, Failure> {
    let (connection, handle, mut changes) = new_multicast_connection(&GROUPS)?;
    tokio::spawn(connection);
    let mut known = HashSet::new();
    loop {
        let targets = wanted.borrow_and_update().clone();
        let devices = devices_to(&handle, &targets).await;
        if devices != known {
            // The receiver is gone only while the program stops.
            let _ = events.send(Event::UplinkDevices(devices.clone())).await;
            known = devices;
        }
        tokio::select! {
            change = changes.next() => drop(change.ok_or("the kernel closed the netlink socket")?),
            gone = wanted.changed() => {
                gone?;
                continue;
            }
        }
        sleep(SETTLE).await;
        while let Ok(_more) = changes.try_recv() {}
    }
}

async fn devices_to(handle: &Handle, targets: &BTreeSet<Target>) -> HashSet<u32> {
    let mut devices = HashSet::new();
    for target in targets {
        if let Ok(route) = routes::lookup(handle, target).await {
            devices.extend(device::with_lower(route.device));
        }
    }
    devices
}
