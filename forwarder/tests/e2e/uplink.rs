//! AF_XDP on the uplink: what is on the wire, and that the kernel's routes and neighbours are followed.

use std::{collections::BTreeSet, time::Duration};

use causeway::status::NextHopStatus;

use crate::{
    insider,
    lab::{Lab, PATIENCE, within},
    pings::Pings,
};

const XDP: [&str; 2] = ["--uplink", "xdp"];

fn sent_by_xdp(lab: &Lab, end: &str) -> u64 {
    lab.status(end).workers[0].counters["wan_xdp_tx"]
}

/// The way of the site to the cloud.
fn way(lab: &Lab) -> NextHopStatus {
    let xdp = lab.status("site").uplink.xdp.unwrap();
    let mut ways = xdp.next_hops.into_iter();
    ways.find(|w| w.remote == "203.0.113.2").unwrap_or_default()
}

#[track_caller]
fn wait_for_way(lab: &Lab, words: &str) {
    let found = || way(lab).next_hop.is_some_and(|hop| hop.contains(words));
    assert!(within(PATIENCE, found), "no {words} in {:?}", way(lab));
}

#[track_caller]
fn wait_for_no_way(lab: &Lab, words: &str) {
    let found = || way(lab).why_not.is_some_and(|why| why.contains(words));
    assert!(within(PATIENCE, found), "no {words} in {:?}", way(lab));
}

/// Pings get through, and the site sends its part of them by AF_XDP.
#[track_caller]
fn carries_by_xdp(lab: &Lab) {
    let before = sent_by_xdp(lab, "site");
    lab.dc_reaches("10.77.0.50");
    assert!(within(PATIENCE, || sent_by_xdp(lab, "site") >= before + 3));
}

#[test]
fn auto_is_udp_on_a_device_without_zero_copy_and_says_why() {
    let lab = Lab::running(&[], &["--uplink", "auto"]);
    let uplink = lab.status("site").uplink;
    assert_eq!(uplink.kind, "udp");
    assert_eq!(uplink.why, "auto: no AF_XDP zero-copy on wan");
    assert!(lab.log("cloud").contains("no AF_XDP zero-copy on wan"));
    let wan = lab.exec("site", &["ip", "link", "show", "wan"]);
    assert!(!wan.contains("xdp"), "{wan}");
}

/// There is none for frames of several chunks, whatever the driver has.
#[test]
fn auto_is_udp_for_jumbo_frames_and_says_why() {
    let lab = Lab::running(&["--mtu", "9000"], &["--uplink", "auto"]);
    let why = lab.status("site").uplink.why;
    let expected = "auto: no AF_XDP zero-copy on wan with its MTU of 9000: at most 3818";
    assert_eq!(why, expected);
    lab.dc_reaches("10.77.0.50");
}

/// What the kernel has for the maps of a process, in bytes.
fn maps_of(lab: &Lab) -> u64 {
    let of = format!("/proc/{}/fdinfo", lab.status("site").pid);
    let files = std::fs::read_dir(of).unwrap().flatten();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
    let maps = texts.filter(|text| text.contains("map_type:"));
    let bytes = |text: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix("memlock:"));
        line.unwrap().trim().parse::<u64>().unwrap()
    };
    maps.map(|text| bytes(&text)).sum()
}

/// The program of the uplink does not come with the tables of the LAN port.
#[test]
fn the_uplinks_program_has_no_tables_that_it_does_not_use() {
    let lab = Lab::up(&[]);
    let [udp, xdp] = ["udp", "xdp"].map(|uplink| {
        lab.start("site", &["--uplink", uplink]);
        let bytes = maps_of(&lab);
        lab.stop("site", "TERM");
        bytes
    });
    println!("{udp} bytes of maps, with a program on the uplink {xdp}");
    assert!(udp > 1_000_000 && (udp..udp + 500_000).contains(&xdp));
}

/// On the wire: every checksum is right or, over IPv4, UDP's is none; and nobody is told that a port
/// were unreachable, however full of ESP it is.
fn what_is_on_the_wire(family: &str) {
    let lab = Lab::running(&["--ip", family], &XDP);
    // Of the kernel's own datagrams (QUIC) the checksums are unfinished here.
    let esp = "(ip and udp[8] & 0x40 = 0) or (ip6 proto 17 and ip6[48] & 0x40 = 0)";
    let filter = &format!("{esp} or icmp or icmp6");
    let dump = [
        "timeout",
        "--preserve-status",
        "-s",
        "INT",
        "30",
        "tcpdump",
        "-ni",
        "site",
        "-vv",
        "-U",
        "-c",
        "150",
        filter,
    ];
    let capture = lab.spawn("path", &dump);
    let flood = [
        "ping",
        "-q",
        "-n",
        "-c",
        "100",
        "-i",
        "0.01",
        "-s",
        "1300",
        "10.77.0.50",
    ];
    std::thread::sleep(Duration::from_millis(300));
    lab.exec("dc", &flood);
    let text = capture.output();
    let count = |words: &str| text.lines().filter(|l| l.contains(words)).count();
    let (port, unreachable) = (count(".24500"), count("unreachable"));
    assert!(
        port > 100 && unreachable == 0,
        "{port}, {unreachable}:\n{text}"
    );
    for bad in ["bad udp cksum", "bad cksum", "truncated"] {
        assert_eq!(count(bad), 0, "{text}");
    }
    match family {
        "4" => assert!(count("[no cksum]") > 50, "{text}"),
        _ => assert!(count("[udp sum ok]") > 50, "{text}"),
    }
    let status = lab.status("cloud");
    assert!(status.uplink_verdicts["esp"] > 100 && status.uplink_verdicts["quic"] > 0);
}

#[test]
fn checksums_are_right_and_nothing_is_unreachable_over_ipv4() {
    what_is_on_the_wire("4");
}

#[test]
fn checksums_are_right_and_nothing_is_unreachable_over_ipv6() {
    what_is_on_the_wire("6");
}

/// The UDP ports that causeway has open at an end.
fn ports(lab: &Lab, end: &str) -> BTreeSet<u16> {
    let sockets = lab.exec(end, &["ss", "-Hulnp"]);
    let ours = sockets.lines().filter(|line| line.contains("causeway"));
    let port = |line: &str| {
        let address = line.split_whitespace().nth(3)?;
        address.rsplit_once(':')?.1.parse().ok()
    };
    ours.filter_map(port).collect()
}

/// What the program passes to the kernel (fragments, what is too short for ESP, what is none) finds the ports taken.
#[test]
fn the_kernel_calls_no_port_of_ours_unreachable() {
    let lab = Lab::running(&[], &XDP);
    let told = || {
        let text = lab.exec("cloud", &["cat", "/proc/net/snmp"]);
        let rows: Vec<Vec<&str>> = { text.lines() }
            .filter(|line| line.starts_with("Icmp: "))
            .map(|line| line.split(' ').collect())
            .collect();
        let at = rows[0].iter().position(|name| *name == "OutDestUnreachs");
        rows[1][at.unwrap()].parse::<u64>().unwrap()
    };
    let (before, ours) = (told(), ports(&lab, "cloud"));
    assert!(ours.contains(&24_500), "{ours:?}");
    let stranger = insider::socket(&lab, "path", "203.0.113.1:0");
    let send = |port: u16, bytes: &[u8]| {
        let sent = stranger.send_to(bytes, ("203.0.113.2", port)).unwrap();
        assert_eq!(sent, bytes.len());
    };
    for &port in &ours {
        for length in [0, 1, 3, 4, 35, 36, 1_400, 3_000] {
            for first in [0x00, 0x2a, 0x40, 0xff] {
                send(port, &vec![first; length]);
            }
        }
    }
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(told(), before);
    // The same where nobody is: this is how it would look.
    let unused = (30_000..).find(|port| !ours.contains(port)).unwrap();
    send(unused, &[0x2a; 36]);
    assert!(within(PATIENCE, || told() > before));
    carries_by_xdp(&lab);
}

#[test]
fn a_route_change_costs_no_frame_and_the_way_follows() {
    let lab = Lab::running(&[], &XDP);
    wait_for_way(&lab, "198.51.100.1 ");
    carries_by_xdp(&lab);
    let pings = Pings::start(&lab);

    // Another gateway on the same link.
    lab.exec(
        "path",
        &["ip", "address", "add", "198.51.100.9/24", "dev", "site"],
    );
    let default = ["ip", "route", "replace", "default", "via"];
    lab.exec("site", &[&default[..], &["198.51.100.9"]].concat());
    wait_for_way(&lab, "198.51.100.9 ");
    carries_by_xdp(&lab);

    // Another interface: that is the kernel's to use.
    let [site, path] = ["site", "path"].map(|end| format!("{}-{end}", lab.name()));
    let peer = ["type", "veth", "peer", "name", "site2", "netns", &path];
    let add = ["ip", "-n", &site, "link", "add", "wan2"];
    lab.exec("site", &[&add[..], &peer].concat());
    lab.exec("path", &["ip", "link", "set", "site2", "up"]);
    lab.exec(
        "path",
        &["ip", "address", "add", "198.18.0.1/24", "dev", "site2"],
    );
    lab.exec("site", &["ip", "link", "set", "wan2", "up"]);
    lab.exec(
        "site",
        &["ip", "address", "add", "198.18.0.2/24", "dev", "wan2"],
    );
    lab.exec("site", &["ping", "-q", "-c", "1", "-W", "2", "198.18.0.1"]);
    let elsewhere = ["198.18.0.1", "src", "198.51.100.2"];
    lab.exec("site", &[&default[..], &elsewhere].concat());
    wait_for_no_way(&lab, "leaves by wan2, not by wan");
    // The workers hear of it a moment after `status` does.
    std::thread::sleep(Duration::from_millis(300));
    let by_xdp = sent_by_xdp(&lab, "site");
    lab.dc_reaches("10.77.0.50");
    assert_eq!(sent_by_xdp(&lab, "site"), by_xdp);

    // And back.
    lab.exec("site", &[&default[..], &["198.51.100.1"]].concat());
    wait_for_way(&lab, "198.51.100.1 ");
    carries_by_xdp(&lab);
    pings.assert_all_answered();
    let log = lab.log("site");
    assert!(log.contains("reached through the kernel, not by AF_XDP: the route leaves by wan2"));
}

#[test]
fn the_gateways_new_mac_address_and_the_link_are_followed() {
    let lab = Lab::running(&[], &XDP);
    carries_by_xdp(&lab);
    // A gateway that has failed over says so.
    lab.exec(
        "path",
        &[
            "sh",
            "-c",
            "echo 1 >/proc/sys/net/ipv4/conf/site/arp_notify",
        ],
    );
    std::thread::sleep(std::time::Duration::from_millis(1_100)); // it has to be older than that (locktime)
    let new = "02:99:00:00:00:01";
    lab.exec("path", &["ip", "link", "set", "site", "address", new]);
    wait_for_way(&lab, new);
    carries_by_xdp(&lab);

    lab.exec("site", &["ip", "link", "set", "wan", "down"]);
    wait_for_no_way(&lab, "");
    lab.exec("site", &["ip", "link", "set", "wan", "up"]);
    lab.exec(
        "site",
        &["ip", "route", "add", "default", "via", "198.51.100.1"],
    );
    wait_for_way(&lab, "198.51.100.1 ");
    carries_by_xdp(&lab);

    // The carrier goes and comes back: the routes stay.
    lab.exec("path", &["ip", "link", "set", "site", "down"]);
    wait_for_no_way(&lab, "no carrier");
    lab.exec("path", &["ip", "link", "set", "site", "up"]);
    lab.exec(
        "path",
        &["ip", "route", "replace", "198.51.100.0/24", "dev", "site"],
    );
    wait_for_way(&lab, new);
    carries_by_xdp(&lab);

    // Our own address is in every frame.
    let own = "02:99:00:00:00:02";
    lab.exec("site", &["ip", "link", "set", "wan", "address", own]);
    let mac = || lab.status("site").uplink.xdp.unwrap().mac;
    assert!(within(PATIENCE, || mac() == own), "{}", mac());
    lab.exec("path", &["ip", "neighbour", "flush", "dev", "site"]);
    let before = lab.status("site").uplink_verdicts["esp"];
    carries_by_xdp(&lab);
    assert!(lab.status("site").uplink_verdicts["esp"] > before);

    // Without the interface it goes on, over the kernel's routes, if there are any.
    lab.exec("site", &["ip", "link", "delete", "wan"]);
    let warned = || {
        let warnings = lab.status("site").warnings;
        warnings.iter().any(|w| w.contains("interface wan is gone"))
    };
    assert!(within(PATIENCE, warned));
    wait_for_no_way(&lab, "no route");
}

#[test]
fn the_lan_port_and_an_occupied_interface_are_refused() {
    let lab = Lab::running(&[], &XDP);
    let (key, public) = lab.keygen("third");
    let (_, other) = lab.keygen("fourth");
    assert_ne!(public, other);
    let peer = format!("x={other}@203.0.113.2:24500");
    let refused = |interface: &str, lan: &str, uplink: &str, words: &str| {
        let arguments = [
            "--role",
            "site",
            "--lan",
            lan,
            "--key",
            &key,
            "--peer",
            &peer,
            "--control",
            "third",
            "--uplink",
            uplink,
            "--uplink-interface",
            interface,
        ];
        let mut third = lab.run("site", "third", &[], &arguments);
        let code = third.exit_code(PATIENCE);
        let log = lab.log("third");
        assert!(
            code.is_some_and(|c| c > 0) && log.contains(words),
            "{code:?}: {log}"
        );
    };
    refused("lan", "lan", "xdp", "is the LAN port");
    // The queue is the first's, and so is the XDP program.
    lab.exec(
        "site",
        &[
            "ip", "link", "add", "lan9", "type", "veth", "peer", "name", "lan8",
        ],
    );
    lab.exec("site", &["ip", "link", "set", "lan9", "up"]);
    refused(
        "wan",
        "lan9",
        "xdp",
        "another program has an AF_XDP socket on this queue",
    );
    refused("nosuch", "lan9", "xdp", "there is no interface nosuch");
    carries_by_xdp(&lab);
}
