use super::*;
use crate::uplink::{NextHop, Tag};

const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn link(name: &str, vlan: Option<(u32, Tag)>) -> Link {
    Link {
        name: name.into(),
        mac: Some([2, 0, 0, 0, 0, name.len() as u8]),
        mtu: 1_500,
        runs: true,
        vlan,
    }
}

/// Devices 1 (lo), 2 (eth0), 3 (eth0.7) and 4 (eth1), and their gateways.
fn world() -> Snapshot {
    let tag = Tag {
        protocol: 0x8100,
        vlan: 7,
    };
    let lo = Link {
        mac: None,
        ..link("lo", None)
    };
    Snapshot {
        links: [
            (1, lo),
            (2, link("eth0", None)),
            (3, link("eth0.7", Some((2, tag)))),
            (4, link("eth1", None)),
        ]
        .into(),
        neighbours: [
            ((2, ip("198.51.100.1")), GATEWAY_MAC),
            ((2, ip("fe80::1")), GATEWAY_MAC),
            ((3, ip("203.0.113.2")), GATEWAY_MAC),
        ]
        .into(),
        addresses: [(2, ip("198.51.100.2")), (3, ip("203.0.113.9"))].into(),
    }
}

fn target(remote: &str) -> Target {
    Target {
        remote: ip(remote),
        local: None,
    }
}

fn route(device: u32, gateway: Option<&str>) -> Route {
    Route {
        device,
        gateway: gateway.map(ip),
        source: Some(ip("198.51.100.2")),
    }
}

#[test]
fn a_gateway_and_the_destination_itself_are_next_hops() {
    let hop = world().next_hop(2, &target("203.0.113.2"), &route(2, Some("198.51.100.1")));
    let expected = NextHop {
        interface: "eth0".into(),
        gateway: Some(ip("198.51.100.1")),
        source: ip("198.51.100.2"),
        mac: GATEWAY_MAC,
        source_mac: [2, 0, 0, 0, 0, 4],
        tag: None,
        mtu: 1_500,
    };
    assert_eq!(hop, Ok(expected.clone()));
    let text = "198.51.100.1 (02:00:00:00:00:01), dev eth0, src 198.51.100.2, MTU 1500";
    assert_eq!(expected.to_string(), text);

    // On the link of a VLAN of the uplink, and from an address that is given.
    let from = Target {
        local: Some(ip("203.0.113.9")),
        ..target("203.0.113.2")
    };
    let hop = world().next_hop(2, &from, &route(3, None)).unwrap();
    assert_eq!(
        hop.tag,
        Some(Tag {
            protocol: 0x8100,
            vlan: 7
        })
    );
    assert_eq!((hop.source, hop.mac), (ip("203.0.113.9"), GATEWAY_MAC));
    assert!(hop.to_string().starts_with("on the link (02:"), "{hop}");

    // The kernel does not mind an IPv6 source that is not ours.
    let stranger = Target {
        local: Some(ip("203.0.113.10")),
        ..from
    };
    let refused = world().next_hop(2, &stranger, &route(3, None)).unwrap_err();
    assert_eq!(refused, "203.0.113.10 is no address of ours");

    // IPv4 by an IPv6 gateway (RFC 8950).
    let hop = world().next_hop(2, &target("203.0.113.2"), &route(2, Some("fe80::1")));
    assert_eq!(hop.unwrap().mac, GATEWAY_MAC);
}

#[test]
fn what_is_in_the_way_is_named() {
    let refused = |world: &Snapshot, route: Route| {
        world
            .next_hop(2, &target("203.0.113.2"), &route)
            .unwrap_err()
    };
    let gateway = || route(2, Some("198.51.100.1"));
    let says = |error: String, words: &str| assert!(error.contains(words), "{error}");
    says(
        refused(&world(), route(4, None)),
        "leaves by eth1, not by eth0",
    );
    says(refused(&world(), route(9, None)), "gone");
    says(
        refused(&world(), route(2, None)),
        "203.0.113.2 is not resolved on eth0",
    );
    let mut down = world();
    down.links.get_mut(&2).unwrap().runs = false;
    says(refused(&down, gateway()), "eth0 is down");
    // Its VLANs with it.
    says(refused(&down, route(3, None)), "eth0.7 is down");
    let mut odd = world();
    odd.links.get_mut(&2).unwrap().mac = None;
    says(refused(&odd, gateway()), "no MAC address");
    let nowhere = Route {
        source: None,
        ..gateway()
    };
    says(refused(&world(), nowhere), "no address of ours");
}

#[test]
fn answers_of_the_kernel_are_understood() {
    let mut message = RouteMessage::default();
    message.header.kind = RouteType::Unicast;
    message.attributes = vec![
        RouteAttribute::Oif(2),
        RouteAttribute::Gateway(ip("198.51.100.1").into()),
        RouteAttribute::PrefSource(ip("198.51.100.2").into()),
        RouteAttribute::Priority(100),
    ];
    assert_eq!(route_of(&message), Ok(route(2, Some("198.51.100.1"))));
    message.header.kind = RouteType::Local;
    assert!(route_of(&message).unwrap_err().contains("own"));
    message.header.kind = RouteType::BlackHole;
    assert!(route_of(&message).unwrap_err().contains("BlackHole"));
    message.header.kind = RouteType::Unicast;
    message.attributes.clear();
    assert!(route_of(&message).unwrap_err().contains("no device"));
}

#[test]
fn vlans_are_on_their_device() {
    assert_eq!(world().on(2), [2, 3].into());
    assert_eq!(world().on(4), [4].into());
}

/// The kernel of this machine, in whatever namespace the test runs.
#[tokio::test]
async fn loopback_is_our_own() {
    let (connection, handle, _) = rtnetlink::new_connection().unwrap();
    tokio::spawn(connection);
    let refusal = lookup(&handle, &target("127.0.0.1")).await.unwrap_err();
    assert!(
        refusal.contains("own") || refusal.contains("no route"),
        "{refusal}"
    );
    let snapshot = Snapshot::take(&handle).await.unwrap();
    assert!(snapshot.links.values().any(|link| link.name == "lo"));
    default_device(&handle).await.unwrap();
}
