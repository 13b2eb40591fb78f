//! The host's own addresses on the LAN port, followed live through rtnetlink(7).
//!
//! ARP and neighbour discovery for them must reach the host's stack, or nobody could manage
//! the appliance through its LAN port.

use std::{collections::HashSet, convert::Infallible, net::IpAddr, time::Duration};

use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::{
    Handle, MulticastGroup, new_multicast_connection,
    packet_route::{
        address::{AddressAttribute, AddressMessage},
        link::{LinkAttribute, LinkMessage},
    },
};
use tokio::{sync::mpsc, time::sleep};

use super::event::Event;

/// Pause after the kernel has given up on us, or we on it.
const RETRY: Duration = Duration::from_secs(1);

/// Changes come in bursts; the addresses are read again this long after the first.
const SETTLE: Duration = Duration::from_millis(50);

/// Tells of the addresses at once and whenever they change.
pub(super) async fn watch(interface: u32, events: mpsc::Sender<Event>) {
    loop {
        let Err(e) = try_watch(interface, &events).await;
        tracing::warn!(
            "cannot follow the addresses of the LAN port ({e}); trying again, the host may be unreachable there meanwhile"
        );
        sleep(RETRY).await;
    }
}

async fn try_watch(
    interface: u32,
    events: &mpsc::Sender<Event>,
) -> Result<Infallible, Box<dyn std::error::Error + Send + Sync>> {
    let groups = [
        MulticastGroup::Link,
        MulticastGroup::Ipv4Ifaddr,
        MulticastGroup::Ipv6Ifaddr,
    ];
    let (connection, handle, mut changes) = new_multicast_connection(&groups)?;
    tokio::spawn(connection);
    let mut known = None;
    loop {
        let current = dump(&handle, interface).await?;
        if known.as_ref() != Some(&current) {
            // The receiver is gone only while the program stops.
            let _ = events.send(Event::OwnAddresses(current.clone())).await;
            known = Some(current);
        }
        if changes.next().await.is_none() {
            return Err("the kernel closed the netlink socket".into());
        }
        sleep(SETTLE).await;
        while let Ok(_more) = changes.try_recv() {}
    }
}

async fn dump(handle: &Handle, interface: u32) -> Result<HashSet<IpAddr>, rtnetlink::Error> {
    let links: Vec<_> = handle.link().get().execute().try_collect().await?;
    let interfaces = stacked_on(interface, &links);
    let addresses: Vec<_> = handle.address().get().execute().try_collect().await?;
    Ok(addresses_of(&interfaces, &addresses))
}

/// The interface and those stacked on it: its VLANs, macvlans and what is on top of these.
fn stacked_on(interface: u32, links: &[LinkMessage]) -> HashSet<u32> {
    let mut found = HashSet::from([interface]);
    loop {
        let before = found.len();
        let upper = links
            .iter()
            .filter(|l| lower_link(l).is_some_and(|l| found.contains(&l)));
        let upper: Vec<_> = upper.map(|l| l.header.index).collect();
        found.extend(upper);
        if found.len() == before {
            return found;
        }
    }
}

/// The device that `link` is stacked on. One in another network namespace (the far end of a veth
/// pair, mostly) has an index that means nothing here.
fn lower_link(link: &LinkMessage) -> Option<u32> {
    let foreign = |a: &LinkAttribute| matches!(a, LinkAttribute::LinkNetNsId(_));
    if link.attributes.iter().any(foreign) {
        return None;
    }
    link.attributes.iter().find_map(|a| match a {
        LinkAttribute::Link(lower) => Some(*lower),
        _ => None,
    })
}

fn addresses_of(interfaces: &HashSet<u32>, addresses: &[AddressMessage]) -> HashSet<IpAddr> {
    addresses
        .iter()
        .filter(|message| interfaces.contains(&message.header.index))
        .flat_map(|message| &message.attributes)
        .filter_map(|attribute| match attribute {
            // For IPv4, ADDRESS is the other end of a point-to-point link and LOCAL is ours; IPv6
            // has ADDRESS alone.
            AddressAttribute::Local(ip) => Some(*ip),
            AddressAttribute::Address(ip) if ip.is_ipv6() => Some(*ip),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    fn link(index: u32, lower: Option<u32>) -> LinkMessage {
        let mut link = LinkMessage::default();
        link.header.index = index;
        link.attributes.extend(lower.map(LinkAttribute::Link));
        link
    }

    #[test]
    fn vlans_on_the_port_count_and_others_do_not() {
        let mut veth = link(13, Some(2));
        veth.attributes.push(LinkAttribute::LinkNetNsId(0));
        let links = [
            link(2, None),
            link(3, None),
            link(10, Some(2)),
            link(11, Some(10)),
            link(12, Some(3)),
            veth,
        ];
        assert_eq!(stacked_on(2, &links), HashSet::from([2, 10, 11]));
    }

    #[test]
    fn own_addresses_are_local_ones() {
        let mut v4 = AddressMessage::default();
        v4.header.index = 2;
        let (ours, theirs) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        v4.attributes.push(AddressAttribute::Address(theirs.into()));
        v4.attributes.push(AddressAttribute::Local(ours.into()));
        let mut v6 = AddressMessage::default();
        v6.header.index = 2;
        v6.attributes
            .push(AddressAttribute::Address(Ipv6Addr::LOCALHOST.into()));
        let mut other = v4.clone();
        other.header.index = 3;
        let found = addresses_of(&HashSet::from([2]), &[v4, v6, other]);
        assert_eq!(
            found,
            HashSet::from([ours.into(), Ipv6Addr::LOCALHOST.into()])
        );
    }
}
