//! A port of our own in a Linux bridge: a veth pair, one end with us, the far end in the bridge.
//!
//! Of the port's flags the defaults are right, but for one. It learns: the bridge finds moved VMs behind us as it
//! finds all others. It is flooded to: whom the bridge does not know may be on the other side. It is not
//! isolated: ports that are (of VMs that must not see each other) reach us. And to a bridge that snoops multicast it is
//! a router's port, whatever reports come by: the other half of the LAN is behind it.

use std::path::Path;

use rtnetlink::{
    LinkBridgePort, LinkBridgeVlan, LinkMessageBuilder, LinkUnspec, LinkVeth,
    packet_route::link::{
        BridgeMulticastRouterType, BridgeVlanInfoFlags, InfoData, InfoKind, InfoVeth,
        LinkAttribute, LinkMessage,
    },
};
use tracing::info;

use super::{
    Mark,
    links::{self, Link, Links, blocking},
    spec::pair_names,
};
use crate::sys::ethtool;

/// Off at the far end, so that frames reach XDP as on a wire: with their checksums, one by one, and with the VLAN
/// tag inside. What is not there to be turned off is off.
const OFFLOADS: [&str; 18] = [
    "tx-checksum-ip-generic",
    "tx-checksum-ipv4",
    "tx-checksum-ipv6",
    "tx-checksum-sctp",
    "tx-tcp-segmentation",
    "tx-tcp-ecn-segmentation",
    "tx-tcp6-segmentation",
    "tx-udp-segmentation",
    "tx-sctp-segmentation",
    "tx-gre-segmentation",
    "tx-gre-csum-segmentation",
    "tx-ipxip4-segmentation",
    "tx-ipxip6-segmentation",
    "tx-udp_tnl-segmentation",
    "tx-udp_tnl-csum-segmentation",
    "tx-gso-list",
    "tx-vlan-hw-insert",
    "tx-vlan-stag-hw-insert",
];

/// The pair. Dropping it removes it.
#[derive(Debug)]
pub struct BridgePort {
    ours: String,
    far: String,
    bridge: String,
    mark: Mark,
    is_there: bool,
}

impl BridgePort {
    /// Makes a pair with so many queues each way and puts its far end into the bridge.
    pub(super) async fn make(
        links: &Links,
        bridge: &str,
        mark: &Mark,
        queues: u8,
    ) -> Result<Self, String> {
        let found = find_bridge(links, bridge).await?;
        let (ours, far) = pair_names(bridge);
        for name in [&ours, &far] {
            if let Some(taken) = links.find(name).await? {
                return Err(taken_by(&taken, bridge));
            }
        }
        let cannot = |e| format!("cannot make a port of bridge {bridge} ({ours} and {far}): {e}");
        let pair = pair(&ours, &far, &found, queues.into());
        links.add(pair).await.map_err(cannot)?;
        // From here on dropping it removes the pair.
        let port = Self {
            ours,
            far,
            bridge: bridge.into(),
            mark: mark.clone(),
            is_there: true,
        };
        port.connect(links, &found).await?;
        info!(
            "bridge {bridge} has a port for us: {} is our end of it, {} the bridge's",
            port.ours, port.far
        );
        Ok(port)
    }

    async fn connect(&self, links: &Links, bridge: &Link) -> Result<(), String> {
        let cannot = |what: &'static str| {
            move |e| format!("cannot {what} of the port of bridge {}: {e}", self.bridge)
        };
        let (ours, far) = (
            self.end(links, &self.ours).await?,
            self.end(links, &self.far).await?,
        );
        let alias = |what: &str| self.mark.alias(&format!("{what} bridge {}", self.bridge));
        for (end, alias) in [(ours, alias("LAN port at")), (far, alias("port of"))] {
            let quiet = links.set(links::quiet(end, alias.clone())).await;
            if quiet.is_err() {
                let named = links.set(links::named(end, alias)).await;
                named.map_err(cannot("set the alias"))?;
            }
        }
        ethtool::turn_off(&self.far, &OFFLOADS).map_err(cannot("set the offloads"))?;
        let join = links::of(far).controller(bridge.index).up().build();
        links
            .set(join)
            .await
            .map_err(cannot("put in the far end"))?;
        let flags = LinkBridgePort::new(far).mcast_router(BridgeMulticastRouterType::Permanent);
        // A kernel may have been built without snooping.
        if let Err(e) = links.set_port(flags.build()).await {
            info!("{} is no multicast router port: {e}", self.far);
        }
        if bridge.vlan_filtering {
            let all = all_vlans(far, bridge.untagged_vlan);
            links.set(all).await.map_err(cannot("set the VLANs"))?;
        }
        let up = links::of(ours).up().build();
        links.set(up).await.map_err(cannot("bring up our end"))
    }

    async fn end(&self, links: &Links, name: &str) -> Result<u32, String> {
        let found = links.find(name).await?;
        found
            .map(|link| link.index)
            .ok_or_else(|| format!("interface {name} was removed as soon as it was made"))
    }

    pub(super) fn interface(&self) -> &str {
        &self.ours
    }

    /// Whether the far end still is in the bridge: our end would not notice.
    pub(super) fn look(&self) -> Result<(), String> {
        let port = Path::new("/sys/class/net")
            .join(&self.far)
            .join("brport/bridge");
        let in_it = std::fs::read_link(port);
        let gone = || format!("{} is no port of bridge {} any more", self.far, self.bridge);
        match in_it {
            Ok(bridge) if bridge.ends_with(&self.bridge) => Ok(()),
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(gone()),
        }
    }

    /// Removes the pair, if it is there and ours.
    pub(super) fn remove(&mut self) -> Result<(), String> {
        if !std::mem::take(&mut self.is_there) {
            return Ok(());
        }
        let ours = self.ours.clone();
        let removed = blocking(async move |links| match links.find(&ours).await? {
            Some(link) if link.kind == Some(InfoKind::Veth) => {
                links.remove(link.index).await.map_err(|e| e.to_string())
            }
            _ => Ok(()),
        });
        removed.map_err(|e| {
            format!(
                "cannot remove {}: {e}; ip link del {}",
                self.ours, self.ours
            )
        })
    }
}

/// Removes pairs that an earlier process with our mark has left behind.
pub(super) async fn remove_leftovers(links: &Links, mark: &Mark) -> Result<(), String> {
    let left = |link: &Link| {
        link.kind == Some(InfoKind::Veth)
            && link.name.starts_with("cw-")
            && mark.is_on(link.alias.as_deref())
    };
    for link in links.all().await?.into_iter().filter(left) {
        let name = &link.name;
        let removed = links.remove(link.index).await;
        removed.map_err(|e| {
            format!(
                "cannot remove {name}, which an earlier causeway has left: {e}; ip link del {name}"
            )
        })?;
        info!("{name}, which an earlier causeway has left, is removed");
    }
    Ok(())
}

async fn find_bridge(links: &Links, name: &str) -> Result<Link, String> {
    let all = links.all().await?;
    let is_bridge = |link: &&Link| link.kind == Some(InfoKind::Bridge);
    let Some(found) = all.iter().find(|link| link.name == name) else {
        let names: Vec<_> = all
            .iter()
            .filter(is_bridge)
            .map(|l| l.name.as_str())
            .collect();
        let there = match names.is_empty() {
            true => "none".into(),
            false => names.join(", "),
        };
        return Err(format!(
            "there is no bridge {name} here; there are: {there}"
        ));
    };
    if !is_bridge(&found) {
        return Err(format!(
            "{name} is no Linux bridge but {}: --lan {name} takes it as it is",
            found.word()
        ));
    }
    if !found.is_up {
        return Err(format!("bridge {name} is down: ip link set {name} up"));
    }
    Ok(found.clone())
}

fn taken_by(taken: &Link, bridge: &str) -> String {
    let name = &taken.name;
    match taken
        .alias
        .as_deref()
        .filter(|alias| alias.contains("(causeway,"))
    {
        Some(alias) => format!(
            "interface {name}, which the port of bridge {bridge} would be, belongs to another causeway: {alias}; stop that one, or, if it was killed: ip link del {name}"
        ),
        None => format!(
            "interface {name}, which the port of bridge {bridge} would be, is taken: ip link del {name}, or rename it"
        ),
    }
}

/// Queues are given to a veth when it is made, or never. The far end's address begins with FE: a bridge takes the
/// lowest of its ports for its own, which must not change because we come and go.
fn pair(ours: &str, far: &str, bridge: &Link, queues: u32) -> LinkMessage {
    let mut address = [0; 6];
    // Without randomness it is FE:00:00:00:00:00, which is as good where we are alone.
    let _ = rustix::rand::getrandom(&mut address[1..], rustix::rand::GetRandomFlags::empty());
    address[0] = 0xFE;
    let peer = LinkMessageBuilder::<LinkUnspec>::new()
        .name(far)
        .mtu(bridge.mtu)
        .address(address.to_vec())
        .append_extra_attribute(LinkAttribute::NumTxQueues(queues))
        .append_extra_attribute(LinkAttribute::NumRxQueues(queues))
        .build();
    LinkVeth::new(ours, far)
        .mtu(bridge.mtu)
        .append_extra_attribute(LinkAttribute::NumTxQueues(queues))
        .append_extra_attribute(LinkAttribute::NumRxQueues(queues))
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build()
}

/// A trunk: all VLANs tagged, but for the one of untagged frames, which stays as the bridge has given it to the port.
fn all_vlans(port: u32, untagged: u16) -> LinkMessage {
    let none = BridgeVlanInfoFlags::empty();
    let ranges = [(1, untagged.saturating_sub(1)), (untagged + 1, 4_094)];
    let message = LinkBridgeVlan::new(port);
    let ranges = ranges.into_iter().filter(|(first, last)| first <= last);
    let message = ranges.fold(message, |message, (first, last)| match first == last {
        true => message.vlan(first, none),
        false => message
            .vlan_range_start(first, none)
            .vlan_range_end(last, none),
    });
    message.build()
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::link::AfSpecBridge;

    use super::*;

    /// VLANs as `bridge vlan` would be told: the first and last of each range, or a single one.
    fn vlans(untagged: u16) -> Vec<(u16, BridgeVlanInfoFlags)> {
        let message = all_vlans(3, untagged);
        let specs = message.attributes.iter().find_map(|a| match a {
            LinkAttribute::AfSpecBridge(specs) => Some(specs),
            _ => None,
        });
        let vlan = |spec: &AfSpecBridge| match spec {
            AfSpecBridge::VlanInfo(info) => (info.vid, info.flags),
            other => panic!("{other:?}"),
        };
        specs.unwrap().iter().map(vlan).collect()
    }

    #[test]
    fn a_trunk_is_all_vlans_but_that_of_untagged_frames() {
        let (begin, end) = (
            BridgeVlanInfoFlags::RangeBegin,
            BridgeVlanInfoFlags::RangeEnd,
        );
        let none = BridgeVlanInfoFlags::empty();
        assert_eq!(vlans(1), [(2, begin), (4_094, end)]);
        assert_eq!(vlans(0), [(1, begin), (4_094, end)]);
        assert_eq!(vlans(10), [(1, begin), (9, end), (11, begin), (4_094, end)]);
        assert_eq!(vlans(2), [(1, none), (3, begin), (4_094, end)]);
        assert_eq!(vlans(4_094), [(1, begin), (4_093, end)]);
    }
}
