//! The interfaces that the other ends are reached by: their MTU, offloads, queues and interrupts.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};

use super::{
    check::{Check, failing, ok, unknown},
    interrupts,
    route_table::{self, Route},
    rss::{self, Spread},
    tree::Tree,
};
use crate::{
    device::{self, Device},
    routes,
    spec::PeerSpec,
    status::Status,
    sys::ethtool,
    uplink::Target,
};

/// The smallest MTU that the control plane's datagrams pass: 1,200 bytes (RFC 9000, section 14.1) behind 28 or 48.
const SMALLEST_MTU: u32 = 1_248;

/// An interface that datagrams leave and arrive by.
#[derive(Clone, Debug)]
pub struct Uplink {
    /// That of the route.
    pub device: Device,
    /// The devices below it that have queues of their own: of a VLAN or a bond its members, else itself.
    pub below: Vec<Device>,
}

/// The uplinks: by the peers of a running appliance, by those that are named, or by the default route.
pub async fn find(status: Option<&Status>, peers: &[PeerSpec]) -> Vec<Uplink> {
    let mut remotes: Vec<IpAddr> = { status.iter() }
        .flat_map(|status| &status.peers)
        .filter_map(|peer| {
            let session = peer.session.as_ref().map(|session| session.remote.as_str());
            address(session.or(peer.address.as_deref())?)
        })
        .collect();
    remotes.extend(
        peers
            .iter()
            .filter_map(|peer| address(peer.address.as_deref()?)),
    );
    let names = match remotes.is_empty() {
        true => by_default_route(&Tree::of_this_machine()),
        false => by_routes(&remotes).await,
    };
    let mut uplinks: Vec<Uplink> = Vec::new();
    for name in names {
        let known = uplinks.iter().any(|uplink| uplink.device.name == name);
        if !known && let Ok(device) = Device::find(&name) {
            let below = below(&device);
            uplinks.push(Uplink { device, below });
        }
    }
    uplinks
}

fn address(of: &str) -> Option<IpAddr> {
    let address: Option<SocketAddr> = of.to_socket_addrs().ok()?.next();
    address.map(|address| address.ip())
}

async fn by_routes(remotes: &[IpAddr]) -> Vec<String> {
    let Ok((connection, handle, _)) = rtnetlink::new_connection() else {
        return Vec::new();
    };
    tokio::spawn(connection);
    let mut names = Vec::new();
    for &remote in remotes {
        let target = Target {
            remote,
            local: None,
        };
        if let Ok(route) = routes::lookup(&handle, &target).await {
            names.extend(device::name_of(route.device));
        }
    }
    names
}

/// The interface of the default route, over IPv4 or else IPv6: of several the one with the least metric.
fn by_default_route(tree: &Tree) -> Vec<String> {
    fn best<'a>(routes: impl Iterator<Item = Route<'a>>) -> Option<String> {
        let best = routes.filter(|r| r.is_default).min_by_key(|r| r.metric);
        best.map(|route| route.interface.to_owned())
    }
    let over_ipv4 = best(route_table::ipv4(&tree.text("proc/net/route")));
    let best = over_ipv4.or_else(|| best(route_table::ipv6(&tree.text("proc/net/ipv6_route"))));
    best.into_iter().collect()
}

fn below(device: &Device) -> Vec<Device> {
    let indexes = device::with_lower(device.index);
    let mut names: Vec<_> = indexes.into_iter().filter_map(device::name_of).collect();
    names.sort();
    let lowest = |name: &String| {
        let folder = format!("sys/class/net/{name}");
        let entries = Tree::of_this_machine().names(folder);
        !entries.iter().any(|entry| entry.starts_with("lower_"))
    };
    let lowest = names.iter().filter(|name| lowest(name));
    lowest.filter_map(|name| Device::find(name).ok()).collect()
}

/// The checks of every uplink. `lanes`: how many each peer has; one for each worker.
pub fn checks(
    tree: &Tree,
    uplinks: &[Uplink],
    status: Option<&Status>,
    lanes: usize,
) -> Vec<Check> {
    if uplinks.is_empty() {
        return vec![unknown(
            "uplink",
            "neither a peer nor a default route tells which interface it is: give --peer NAME=PUBKEY@HOST:PORT",
        )];
    }
    let mut checks = Vec::new();
    let steered = status.and_then(|status| status.uplink.xdp.as_ref());
    for uplink in uplinks {
        checks.push(mtu(&uplink.device));
        for device in &uplink.below {
            let gro = status.and_then(|status| status.uplink.gro.get(&device.name));
            checks.push(offloads(device, gro, ethtool::gro(&device.name).ok()));
            checks.push(match steered {
                Some(xdp) => ok(
                    "uplink RSS",
                    format!(
                        "{}: AF_XDP; rules that bring lanes to queues: {}",
                        device.name, xdp.flow_rules
                    ),
                ),
                None => rss::of_uplink(device, &Spread::of(&device.name), lanes),
            });
            checks.push(interrupts::of_uplink(tree, &device.name));
        }
    }
    checks
}

fn mtu(device: &Device) -> Check {
    const NAME: &str = "uplink MTU";
    let (name, mtu) = (&device.name, device.mtu);
    match mtu < SMALLEST_MTU {
        true => failing(
            NAME,
            format!("{mtu} at {name}: no session comes up below {SMALLEST_MTU}"),
            format!(
                "`ip link set {name} mtu 1500`, or what the network behind it carries, from {SMALLEST_MTU} up"
            ),
        ),
        false => ok(
            NAME,
            format!("{mtu} at {name}: frames of the LAN that are longer than a datagram are cut"),
        ),
    }
}

/// Generic receive offload joins datagrams of a lane for the kernel's sockets; large receive offload joins TCP alone,
/// and so none of ours. `running`: how the appliance that runs found it.
fn offloads(device: &Device, running: Option<&String>, gro: Option<bool>) -> Check {
    const NAME: &str = "uplink offloads";
    let name = &device.name;
    match (running, gro) {
        (Some(state), _) if state.starts_with("not on") => failing(
            NAME,
            format!("{name}: GRO is {state}: datagrams come in one at a time, which is slow"),
            format!("`ethtool -K {name} gro on`, or `--uplink xdp`"),
        ),
        (Some(state), _) => ok(NAME, format!("{name}: GRO {state}")),
        (None, Some(true)) => ok(NAME, format!("{name}: GRO on")),
        (None, Some(false)) => ok(
            NAME,
            format!(
                "{name}: GRO off; `causeway run` turns it on for as long as it runs, but with --uplink-gro keep"
            ),
        ),
        (None, None) => unknown(
            NAME,
            format!("{name}: the driver does not tell: `ethtool -k {name}`"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{check::Verdict, tree::TestTree},
        *,
    };

    #[test]
    fn the_default_route_with_the_least_metric_is_taken() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            lan\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            wifi\t00000000\t016433C6\t0003\t0\t0\t600\t00000000\t0\t0\t0\n\
            wan\t00000000\t016433C6\t0003\t0\t0\t100\t00000000\t0\t0\t0\ncut\n";
        let (any, gateway) = ("0".repeat(32), "20010db8000000510000000000000001");
        let route6 = |length, metric, flags, name| {
            format!("{any} {length} {any} 00 {gateway} {metric} 00000001 00000000 {flags} {name}\n")
        };
        let text6 = [
            route6("00", "00000400", "00000003", "wan6"),
            route6("40", "00000100", "00000001", "lan"),
            route6("00", "ffffffff", "00200200", "lo"),
        ]
        .concat();
        let test = TestTree::new(&[("proc/net/route", text), ("proc/net/ipv6_route", &text6)]);
        assert_eq!(by_default_route(&test.tree()), ["wan"]);
        test.add(&[("proc/net/route", "")]);
        assert_eq!(by_default_route(&test.tree()), ["wan6"]);
        test.add(&[("proc/net/ipv6_route", "")]);
        assert!(by_default_route(&test.tree()).is_empty());
    }

    #[test]
    fn what_keeps_datagrams_back_or_single_is_named() {
        let device = |mtu| Device {
            mtu,
            ..super::super::nic::tests::device()
        };
        let is_ok = |check: Check| matches!(check.verdict, Verdict::Ok { .. });
        assert!(is_ok(mtu(&device(1_500))) && is_ok(mtu(&device(SMALLEST_MTU))));
        assert!(!is_ok(mtu(&device(SMALLEST_MTU - 1))));
        let state = |text: &str| Some(text.to_owned());
        let check = |running: Option<String>, gro| offloads(&device(1_500), running.as_ref(), gro);
        assert!(is_ok(check(None, Some(false))) && is_ok(check(state("on"), Some(true))));
        assert!(is_ok(check(state("off (--uplink-gro keep)"), Some(false))));
        assert!(!is_ok(check(
            state("not on: Operation not supported"),
            None
        )));
        assert!(matches!(check(None, None).verdict, Verdict::Unknown { .. }));
        let none = checks(&Tree::of_this_machine(), &[], None, 1);
        assert!(
            matches!(&none[..], [Check { verdict: Verdict::Unknown { why }, .. }] if why.contains("--peer"))
        );
    }
}
