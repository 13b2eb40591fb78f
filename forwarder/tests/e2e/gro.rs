//! GRO where datagrams arrive: on while causeway runs, and then as it was.

use crate::lab::{Lab, PATIENCE, within};

fn gro(lab: &Lab, end: &str, device: &str) -> bool {
    let text = lab.exec(end, &["ethtool", "-k", device]);
    let line = text
        .lines()
        .find(|l| l.starts_with("generic-receive-offload:"));
    line.expect("ethtool tells").contains(": on")
}

fn set_gro(lab: &Lab, end: &str, device: &str, gro: &str) {
    lab.exec(end, &["ethtool", "-K", device, "gro", gro]);
}

#[track_caller]
fn wait_for(lab: &Lab, end: &str, device: &str, words: &str) {
    let found = || {
        let uplink = lab.status(end).uplink;
        uplink.gro.get(device).is_some_and(|gro| gro == words)
    };
    assert!(
        within(PATIENCE, found),
        "no {words} in {:?}",
        lab.status(end).uplink.gro
    );
}

#[test]
fn it_is_turned_on_and_off_again() {
    let lab = Lab::up(&[]);
    for end in ["site", "cloud"] {
        set_gro(&lab, end, "wan", "off");
    }
    lab.start("both", &[]);
    lab.wait_for_session();
    for end in ["site", "cloud"] {
        wait_for(&lab, end, "wan", "on, by causeway until it stops");
        assert!(gro(&lab, end, "wan"));
        assert!(lab.log(end).contains("uplink wan: GRO turned on"));
    }
    lab.dc_reaches("10.77.0.50");
    lab.stop("site", "TERM");
    assert!(!gro(&lab, "site", "wan"));
    // What was on stays on, and what somebody has turned off meanwhile stays off.
    set_gro(&lab, "site", "wan", "on");
    set_gro(&lab, "cloud", "wan", "off");
    lab.start("site", &[]);
    lab.wait_for_session();
    wait_for(&lab, "site", "wan", "on");
    lab.stop("both", "INT");
    assert!(gro(&lab, "site", "wan") && !gro(&lab, "cloud", "wan"));
}

#[test]
fn it_is_kept_where_that_is_asked_for() {
    let lab = Lab::up(&[]);
    set_gro(&lab, "site", "wan", "off");
    lab.start("both", &["--uplink-gro", "keep"]);
    lab.wait_for_session();
    wait_for(&lab, "site", "wan", "off (--uplink-gro keep)");
    assert!(!gro(&lab, "site", "wan"));
    lab.stop("both", "TERM");
}

/// The route leaves by another interface, that has one below it (a macvlan; VLANs and bonds not every kernel has).
#[test]
fn a_route_change_is_followed_to_the_device_below() {
    let lab = Lab::up(&[]);
    set_gro(&lab, "site", "wan", "off");
    lab.start("both", &[]);
    lab.wait_for_session();
    wait_for(&lab, "site", "wan", "on, by causeway until it stops");
    let [site, path] = ["site", "path"].map(|end| format!("{}-{end}", lab.name()));
    let ip = |namespace: &str, line: &str| {
        let mut all = vec!["ip"];
        all.extend(line.split(' '));
        lab.exec(namespace, &all);
    };
    let peer = ["type", "veth", "peer", "name", "site2", "netns", &path];
    lab.exec(
        "site",
        &[&["ip", "-n", &site, "link", "add", "wan2"][..], &peer].concat(),
    );
    for (namespace, device, address) in [
        ("path", "site2", "198.18.0.1/24"),
        ("site", "wan2", "198.18.0.2/24"),
    ] {
        ip(namespace, &format!("link set {device} up"));
        ip(
            namespace,
            &format!("link add link {device} name {device}.7 type macvlan"),
        );
        ip(namespace, &format!("link set {device}.7 up"));
        ip(namespace, &format!("address add {address} dev {device}.7"));
    }
    set_gro(&lab, "site", "wan2", "off");
    ip(
        "site",
        "route replace default via 198.18.0.1 src 198.51.100.2",
    );
    wait_for(&lab, "site", "wan2", "on, by causeway until it stops");
    assert!(gro(&lab, "site", "wan2"));
    lab.stop("site", "TERM");
    assert!(!gro(&lab, "site", "wan2") && !gro(&lab, "site", "wan"));
}
