//! Who learns where a station lives now, and how: switches by announcements, the appliance by what stations say.

use std::time::{Duration, Instant};

use crate::{
    lab::{DC, Lab, PATIENCE, VM1, within},
    listening::Listening,
};

/// The most that a moved VM may be out of reach because switches still know it elsewhere.
const SECOND: Duration = Duration::from_secs(1);

/// Has the old LAN's switch learn the VM's address at dc2's port, as if it had lived there.
fn vm1_was_seen_at_dc2(lab: &Lab) {
    let frames = ["dc2", "dc", "--src", VM1, "--dst", DC, "--count", "3"];
    lab.frames(&frames);
    let learnt = lab.exec("old", &["bridge", "fdb", "show", "br", "br0"]);
    let at = learnt.lines().find(|line| line.starts_with(VM1)).unwrap();
    assert!(at.contains("dev dc2"), "{learnt}");
}

/// dc and vm1 know each other's MAC addresses: no ARP, which would teach the switch by itself.
fn know_each_other(lab: &Lab) {
    for (host, address, mac) in [("dc", "10.77.0.50", VM1), ("vm1", "10.77.0.1", DC)] {
        let known = [
            "ip",
            "neigh",
            "replace",
            address,
            "lladdr",
            mac,
            "dev",
            "eth0",
            "nud",
            "permanent",
        ];
        lab.exec(host, &known);
    }
}

/// How long it takes from now until dc gets an answer of vm1.
fn until_vm1_answers(lab: &Lab) -> Duration {
    let start = Instant::now();
    let ping = ["ping", "-n", "-q", "-c", "1", "-W", "0.2", "10.77.0.50"];
    assert!(within(PATIENCE, || lab.succeeds("dc", &ping)), "no answer");
    start.elapsed()
}

/// A switch that knew the VM at its old port is told, and before that its frames went there.
#[test]
fn a_learning_switch_turns_to_the_site_at_the_start() {
    let lab = Lab::up(&["--switch", "learning"]);
    know_each_other(&lab);
    lab.start("cloud", &[]);
    vm1_was_seen_at_dc2(&lab);
    let heard = Listening::start(&lab, "dc", "rarp or arp");
    lab.start("site", &[]);
    heard.expect(&[VM1, "Reverse ARP", "> ff:ff:ff:ff:ff:ff", "Request who-is"]);
    lab.wait_for_session();
    let took = until_vm1_answers(&lab);
    assert!(took < SECOND, "{took:?}");
    assert!(lab.status("site").announcing.frames >= 2);
}

/// Added, moved away from its old port and asked for once more while both ends run: each time within a second.
#[test]
fn a_switch_learns_of_a_move_and_on_request_within_a_second() {
    let lab = Lab::up(&["--switch", "learning"]);
    know_each_other(&lab);
    let causeway = env!("CARGO_BIN_EXE_causeway");
    lab.start("cloud", &[]);
    lab.start("site", &[]);
    lab.wait_for_session();
    lab.exec("site", &[causeway, "station", "remove", VM1]);
    vm1_was_seen_at_dc2(&lab);
    let ping = ["ping", "-n", "-q", "-c", "1", "-W", "1", "10.77.0.50"];
    assert!(!lab.succeeds("dc", &ping), "it lives nowhere");
    let start = Instant::now();
    lab.exec(
        "site",
        &[causeway, "station", "add", &format!("{VM1}=cloud")],
    );
    until_vm1_answers(&lab);
    let took = start.elapsed();
    assert!(took < SECOND, "{took:?} after station add");

    // The switch is led astray once more.
    std::thread::sleep(SECOND);
    vm1_was_seen_at_dc2(&lab);
    assert!(!lab.succeeds("dc", &ping), "its frames go to dc2");
    let start = Instant::now();
    let said = lab.exec("site", &[causeway, "station", "announce", VM1]);
    assert_eq!(said, "1 station(s) are being announced\n");
    until_vm1_answers(&lab);
    let took = start.elapsed();
    assert!(took < SECOND, "{took:?} after station announce");
    let nobody = ["station", "announce", "00:50:56:00:00:99"];
    let refused = lab
        .command("site", &[&[causeway], &nobody[..]].concat())
        .output()
        .unwrap();
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(
        !refused.status.success() && words.contains("station list"),
        "{words}"
    );
}

/// What a site has heard its stations say is told with them: to switches and to neighbours.
#[test]
fn addresses_are_learnt_where_stations_live_and_announced_with_them() {
    let lab = Lab::running(&[], &[]);
    lab.exec("vm1", &["arping", "-c", "1", "-I", "eth0", "10.77.0.1"]);
    // What it answers tells that it is no router, which what it asks does not.
    lab.exec("dc", &["ndisc6", "-1", "fd77::50", "eth0"]);
    let of_vm1 = |end: &str| {
        let stations = lab.status(end).stations;
        stations[VM1].addresses.clone()
    };
    for end in ["site", "cloud"] {
        let known = || {
            ["10.77.0.50", "fd77::50"]
                .iter()
                .all(|a| of_vm1(end).contains(&(*a).to_owned()))
        };
        assert!(within(PATIENCE, known), "{end}: {:?}", of_vm1(end));
    }
    let text = lab.exec("site", &[env!("CARGO_BIN_EXE_causeway"), "status"]);
    assert!(
        text.contains("00:50:56:00:00:50 away (cloud) 10.77.0.50, fd77::50"),
        "{text}"
    );

    // Failover: the other end is another process.
    let heard = Listening::start(&lab, "dc", "rarp or arp or icmp6");
    lab.stop("cloud", "KILL");
    lab.start("cloud", &[]);
    lab.wait_for_session();
    heard.expect(&[VM1, "Reverse ARP"]);
    heard.expect(&[VM1, "Request who-has 10.77.0.50", "tell 10.77.0.50"]);
    heard.expect(&[
        VM1,
        "ff02::1: ICMP6, neighbor advertisement, tgt is fd77::50",
    ]);
}

/// When a station goes home, it is the cloud's switches that have to learn.
#[test]
fn the_cloud_announces_who_has_gone_home_and_asks_who_has_come() {
    let lab = Lab::up(&[]);
    lab.start("cloud", &[]);
    lab.start("site", &["--station", "00:50:56:00:00:77=cloud"]);
    lab.wait_for_session();
    lab.stop("site", "TERM");
    let heard = Listening::start(&lab, "vm2", "rarp");
    lab.start("site", &[]);
    lab.wait_for_session();
    heard.expect(&["00:50:56:00:00:77", "Reverse ARP", "> ff:ff:ff:ff:ff:ff"]);
    assert!(!heard.heard().contains(VM1), "{}", heard.heard());
}

/// An address that nobody but a DHCP server has named yet: given to who asked for it.
#[test]
fn an_address_that_dhcp_gives_is_known_at_both_ends() {
    let lab = Lab::running(&[], &[]);
    let _server = lab.vm2_gets_a_lease_of_dc();
    for end in ["site", "cloud"] {
        let known = || {
            let status = lab.status(end);
            let addresses = &status.stations["00:50:56:00:00:51"].addresses;
            addresses.iter().any(|a| a.starts_with("10.77.0.1"))
        };
        assert!(within(PATIENCE, known), "{end}");
    }
}
