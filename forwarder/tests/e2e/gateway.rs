//! `--local-gateway`: what moved machines send to the site's gateway leaves by a router in the cloud.
//!
//! dc2 is the site's gateway, and vm2, with an interface of its own, a router on the cloud LAN; the router between the two
//! uplinks, `path`, plays the Internet: each of the two has a cable to it.

use crate::{
    lab::{Lab, PATIENCE, within},
    listening::Listening,
};

const GATEWAY: &str = "02:77:00:00:00:03";
const ROUTER: &str = "02:77:00:00:00:aa";
/// Hosts in the Internet, the second one in a network that is the site's.
const SERVER: &str = "192.0.2.1";
const SITES_SERVER: &str = "198.18.0.1";

fn run(lab: &Lab, host: &str, command: &str) {
    let words: Vec<_> = command.split(' ').collect();
    lab.exec(host, &words);
}

fn lay_cables(lab: &Lab) {
    let ns = |host: &str| format!("{}-{host}", lab.name());
    let [path, new] = ["path", "new"].map(ns);
    // dc2 and vm2 to the Internet, which has two servers.
    for (host, cable, network) in [
        ("dc2", "by-site", "10.78.1"),
        ("vm2", "by-cloud", "10.78.2"),
    ] {
        run(
            lab,
            host,
            &format!("ip link add inet type veth peer name {cable} netns {path}"),
        );
        run(
            lab,
            host,
            &format!("ip address add {network}.2/30 dev inet"),
        );
        run(lab, host, "ip link set inet up");
        run(
            lab,
            "path",
            &format!("ip address add {network}.1/30 dev {cable}"),
        );
        run(lab, "path", &format!("ip link set {cable} up"));
        for server in [SERVER, SITES_SERVER] {
            run(
                lab,
                host,
                &format!("ip route add {server}/32 via {network}.1"),
            );
        }
        run(lab, host, "sysctl -qw net.ipv4.ip_forward=1");
    }
    for server in [SERVER, SITES_SERVER] {
        run(lab, "path", &format!("ip address add {server}/32 dev lo"));
    }
    // The router's own place on the cloud LAN.
    run(lab, "vm2", "ip address flush dev eth0");
    run(
        lab,
        "vm2",
        &format!("ip link add lan address {ROUTER} type veth peer name router netns {new}"),
    );
    run(lab, "new", "ip link set router master br0 up");
    run(lab, "vm2", "ip address add 10.77.0.253/24 dev lan");
    run(lab, "vm2", "ip link set lan up");
    run(lab, "vm1", "ip route add default via 10.77.0.3");
}

/// What goes out by a way comes back by it, as it does behind address translation there.
fn comes_back_by(lab: &Lab, gateway: &str) {
    run(
        lab,
        "path",
        &format!("ip route replace 10.77.0.50/32 via {gateway}"),
    );
}

#[track_caller]
fn vm1_reaches(lab: &Lab, address: &str) {
    let ping = ["ping", "-q", "-n", "-c", "1", "-W", "1", address];
    assert!(
        within(PATIENCE, || lab.succeeds("vm1", &ping)),
        "no answer of {address}"
    );
}

#[test]
fn a_moved_machine_leaves_by_the_clouds_router_and_keeps_its_gateway() {
    let lab = Lab::up(&[]);
    lay_cables(&lab);
    let marked = ["--gateway-mac", GATEWAY];
    lab.start("cloud", &marked);
    lab.start("site", &marked);
    lab.wait_for_session();
    let by_site = Listening::at(&lab, "path", "by-site", "icmp");
    let by_cloud = Listening::at(&lab, "path", "by-cloud", "icmp");
    comes_back_by(&lab, "10.78.1.2");
    vm1_reaches(&lab, SERVER);
    by_site.expect(&["10.77.0.50 > 192.0.2.1"]);
    assert!(
        !by_cloud.heard().contains("192.0.2.1"),
        "{}",
        by_cloud.heard()
    );

    // The machine notices nothing: its gateway and what it knows of it are the same.
    lab.stop("cloud", "TERM");
    let known = lab.exec("vm1", &["ip", "neigh", "show", "10.77.0.3"]);
    assert!(known.contains(GATEWAY), "{known}");
    let local = ["--local-gateway", ROUTER, "--site-routes", "198.18.0.0/15"];
    lab.start("cloud", &[&marked[..], &local].concat());
    lab.wait_for_session();
    comes_back_by(&lab, "10.78.2.2");
    let so_far = by_site.heard().len();
    vm1_reaches(&lab, SERVER);
    by_cloud.expect(&["10.77.0.50 > 192.0.2.1"]);
    assert!(
        !by_site.heard()[so_far..].contains("192.0.2.1"),
        "{}",
        by_site.heard()
    );
    let frames = |name: &str| lab.status("cloud").workers[0].counters[name];
    assert!(frames("local_gateway") >= 1);

    // What is handed to the router comes from the port's address, also when that is another.
    let new = "02:77:00:00:00:bb";
    run(&lab, "cloud", &format!("ip link set dev lan address {new}"));
    assert!(within(PATIENCE, || lab.status("cloud").lan.mac == new));
    let at_router = Listening::at(&lab, "vm2", "lan", &format!("icmp and ether src {new}"));
    vm1_reaches(&lab, SERVER);
    at_router.expect(&["10.77.0.50 > 192.0.2.1"]);

    // Its neighbours, the gateway itself and what is the site's are where they were.
    vm1_reaches(&lab, "10.77.0.1");
    lab.exec(
        "vm1",
        &["arping", "-c", "1", "-w", "5", "-I", "eth0", "10.77.0.3"],
    );
    vm1_reaches(&lab, "10.77.0.3");
    comes_back_by(&lab, "10.78.1.2");
    vm1_reaches(&lab, SITES_SERVER);
    by_site.expect(&["10.77.0.50 > 198.18.0.1"]);

    // Without the site the machine still has its gateway, and leaves by the cloud's router.
    lab.stop("site", "KILL");
    run(&lab, "vm1", "ip neigh flush dev eth0");
    comes_back_by(&lab, "10.78.2.2");
    vm1_reaches(&lab, SERVER);
}
