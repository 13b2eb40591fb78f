//! What the doctor says of the machine: settings that can be wrong in a lab.

use super::{CAUSEWAY, ONE, doctor};
use crate::lab::{Lab, PATIENCE, shown, within};

/// The exit code, and the line of one check.
fn line(lab: &Lab, prefix: &[&str], arguments: &[&str], check: &str) -> (i32, String) {
    let output = doctor(lab, prefix, &[ONE, arguments].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let named = |line: &&str| {
        let of = line.split_once(' ').map(|(_, rest)| rest.trim_start());
        of.is_some_and(|rest| rest.starts_with(&format!("{check}  ")))
    };
    let line = text.lines().find(named);
    let line = line.unwrap_or_else(|| panic!("no line on {check}: {}", shown(&output)));
    (output.status.code().unwrap(), line.to_owned())
}

fn link(lab: &Lab, command: &str) {
    let words: Vec<_> = command.split(' ').collect();
    lab.exec("site", &words);
}

#[test]
fn each_setting_of_the_machine_has_its_line() {
    let lab = Lab::up(&["--queues", "2"]);
    everything_is_looked_at(&lab);
    // Below an MTU of 1,280 there is no IPv6 any more.
    ways_to_the_peers(&lab);
    sizes(&lab);
    no_link(&lab);
    cores_that_may_not_be_used(&lab);
    merging_below_the_port(&lab);
}

fn everything_is_looked_at(lab: &Lab) {
    for (check, words) in [
        ("queues", "2, each a worker's"),
        ("RSS", "chooses among its 2 queues"),
        ("interrupts", "lan has none"),
        ("offloads", "no LRO; no merging"),
        ("uplink MTU", "1500 at wan"),
        ("uplink offloads", "wan: GRO on"),
        ("uplink RSS", "wan has no table"),
        ("uplink interrupts", "wan has none"),
        ("cores", "workers are not pinned"),
        ("core frequency", ""),
        ("idle states", ""),
        ("clock source", ""),
    ] {
        let (code, line) = line(lab, &[], &[], check);
        assert_eq!(code, 0, "{line}");
        assert!(line.starts_with("ok ") && line.contains(words), "{line}");
    }
    lab.exec("site", &["ethtool", "-K", "wan", "gro", "off"]);
    let (code, line) = line(lab, &[], &[], "uplink offloads");
    assert!(
        code == 0 && line.contains("`causeway run` turns it on"),
        "{line}"
    );
}

fn sizes(lab: &Lab) {
    for (port, mtu, check, code, words) in [
        ("lan", "1400", "MTU", 3, "`ip link set lan mtu 1500`"),
        ("lan", "9300", "MTU", 1, "Mend: `ip link set lan mtu 9194`"),
        (
            "wan",
            "1247",
            "uplink MTU",
            1,
            "Mend: `ip link set wan mtu 1500`",
        ),
    ] {
        link(lab, &format!("ip link set {port} mtu {mtu}"));
        let (is, line) = line(lab, &[], &[], check);
        assert!(is == code && line.contains(words), "{is}: {line}");
        link(lab, &format!("ip link set {port} mtu 1500"));
    }
}

/// By IPv6 alone, by no route, by a peer that is named.
fn ways_to_the_peers(lab: &Lab) {
    link(lab, "ip -4 route del default");
    let (code, ipv6) = line(lab, &[], &[], "uplink MTU");
    assert!(code == 0 && ipv6.contains("1500 at wan"), "{ipv6}");
    link(lab, "ip -6 route del default");
    let (code, nothing) = line(lab, &[], &[], "uplink");
    assert!(code == 3 && nothing.contains("give --peer"), "{nothing}");
    let peer = format!("cloud={}@198.51.100.1:24500", lab.keygen("cloud").1);
    let (_, named) = line(lab, &[], &["--peer", &peer], "uplink MTU");
    assert!(named.contains("1500 at wan"), "{named}");
    link(lab, "ip -4 route add default via 198.51.100.1");
    link(lab, "ip -6 route add default via 2001:db8:51::1");
}

fn no_link(lab: &Lab) {
    let port = |state| {
        let set = ["ip", "link", "set", "site", state];
        lab.exec("old", &set);
    };
    port("down");
    let (code, line) = line(lab, &[], &[], "link");
    assert!(
        code == 1 && line.contains("no carrier. Mend: connect the network adapter"),
        "{line}"
    );
    port("up");
    let up = || doctor(lab, &[], ONE).status.success();
    assert!(within(PATIENCE, up));
}

/// As a container's cpuset or the systemd unit would leave it.
fn cores_that_may_not_be_used(lab: &Lab) {
    let taskset = ["taskset", "-c", "0"];
    let (code, good) = line(lab, &taskset, &["--cpus", "0"], "cores");
    assert!(
        code == 0 && good.contains("1 may be used; workers on 0"),
        "{good}"
    );
    let (code, bad) = line(lab, &taskset, &["--cpus", "0-1"], "cores");
    assert!(
        code == 1 && bad.contains("names core 1, and we may use [0]"),
        "{bad}"
    );
    assert!(bad.contains("Mend: `--cpus` with some of 0; "), "{bad}");
    assert_eq!(doctor(lab, &[], &["--cpus", "x"]).status.code(), Some(2));
}

/// XDP at a macvlan is generic, and comes after the GRO of the device below.
fn merging_below_the_port(lab: &Lab) {
    link(lab, "ip link add mv0 link lan type macvlan mode passthru");
    link(lab, "ip link set mv0 up");
    let ask = || {
        let ask = [&[CAUSEWAY, "doctor", "--lan", "mv0"], ONE].concat();
        let output = lab.command("site", &ask).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mend = "Mend: `ethtool -K lan gro off lro off`";
    let before = ask();
    assert!(!before.contains(mend), "{before}");
    lab.exec("site", &["ethtool", "-K", "lan", "gro", "on"]);
    let merging = ask();
    assert!(merging.contains(mend), "{merging}");
    // Who starts without asking is told as well.
    let (key, _) = lab.keygen("below");
    let (_, cloud) = lab.keygen("other");
    let peer = format!("cloud={cloud}@203.0.113.2:24500");
    let site = [
        "--role", "site", "--lan", "mv0", "--key", &key, "--peer", &peer,
    ];
    let _site = lab.run("site", "site", &[], &site);
    let told = || lab.log("site").contains("lan, below mv0, merges frames");
    assert!(within(PATIENCE, told), "{}", lab.log("site"));
}
