//! What `causeway run` notices by itself: that frames go one way only, and that it is no trouble if somebody only asks.

use std::{process::Command, thread, time::Duration};

use crate::lab::{Lab, PATIENCE, shown, within};

const DC: &str = "10.77.0.1";
const VM1_IP: &str = "10.77.0.50";

/// Whether the end has a warning with these words.
fn warns(lab: &Lab, end: &str, words: &str) -> bool {
    let warnings = lab.status(end).warnings;
    warnings.iter().any(|warning| warning.contains(words))
}

fn switch(lab: &Lab, kind: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/lab");
    let switch = Command::new(script)
        .args(["switch", kind])
        .env("LAB", lab.name())
        .output()
        .unwrap();
    assert!(switch.status.success(), "{}", shown(&switch));
}

/// Both ends know the other side's addresses, and answer for them.
fn acquainted(lab: &Lab) {
    let ask = |from, whom| {
        // Only some questions for who is not known yet cross: this one or the next.
        let arping = ["arping", "-q", "-f", "-w", "3", "-I", "eth0", whom];
        lab.succeeds(from, &arping)
    };
    let answers = |end| lab.status(end).drops["answered_nearby"] > 0;
    assert!(within(PATIENCE, || ask("dc", VM1_IP) && answers("site")));
    assert!(within(PATIENCE, || ask("vm1", DC) && answers("cloud")));
}

/// Each takes minutes, in which it waits.
#[test]
fn one_way_only_is_noticed_and_nothing_else() {
    thread::scope(|scope| {
        scope.spawn(who_only_asks_is_no_trouble_and_a_deaf_port_is);
        scope.spawn(what_crosses_and_never_comes_back_is_noticed);
    });
}

/// Nothing but questions to all, and never another frame: nobody is deaf. A port that is deaf is found all the same.
fn who_only_asks_is_no_trouble_and_a_deaf_port_is() {
    let lab = Lab::running_beside_all(&[], &[]);
    acquainted(&lab);
    let asked = ["arping", "-q", "-b", "-w", "40", "-I", "eth0"];
    let monitors = [("dc", VM1_IP), ("vm1", DC)]
        .map(|(from, whom)| lab.spawn(from, &[&asked[..], &[whom]].concat()));
    for monitor in monitors {
        monitor.output();
    }
    for end in ["site", "cloud"] {
        let status = lab.status(end);
        let answered = status.drops["answered_nearby"];
        assert!(answered > 30, "{end}: {answered} were answered");
        assert!(
            !warns(&lab, end, "causeway doctor"),
            "{:?}",
            status.warnings
        );
        let log = lab.log(end);
        assert!(!log.contains("causeway doctor"), "{log}");
        // We have asked, for want of other frames, and were answered.
        assert!(status.verdicts["tunnel"] > 0, "{:?}", status.verdicts);
    }

    switch(&lab, "esx-promisc-off");
    let asking = lab.spawn(
        "dc",
        &["arping", "-q", "-b", "-w", "200", "-I", "eth0", VM1_IP],
    );
    // Whoever has just answered is left alone for a minute.
    let noticed = within(Duration::from_secs(120), || {
        std::thread::sleep(Duration::from_millis(500));
        warns(&lab, "site", "`causeway doctor --lan lan`")
    });
    assert!(noticed, "{}", lab.log("site"));
    switch(&lab, "hub");
    let over = || !warns(&lab, "site", "causeway doctor");
    assert!(within(Duration::from_secs(60), over), "{}", lab.log("site"));
    drop(asking);
    assert_eq!(
        lab.log("site").matches("go out at lan, and none").count(),
        1
    );
}

/// Frames cross for two minutes and none comes back, while questions of the LAN are answered nearby.
fn what_crosses_and_never_comes_back_is_noticed() {
    let lab = Lab::running_beside_all(&[], &[]);
    acquainted(&lab);
    // So that dc asks anew every few seconds.
    for setting in ["base_reachable_time_ms=2000", "delay_first_probe_time=1"] {
        let (name, value) = setting.split_once('=').unwrap();
        let file = format!("/proc/sys/net/ipv4/neigh/eth0/{name}");
        lab.exec("dc", &["sh", "-c", &format!("echo {value} >{file}")]);
    }
    for vm in ["vm1", "vm2"] {
        lab.exec(vm, &["ip", "link", "set", "eth0", "down"]);
    }
    let before = lab.status("site").drops["answered_nearby"];
    let pings = lab.spawn("dc", &["ping", "-q", "-i", "0.5", VM1_IP]);
    let words = "for minutes none has come back";
    std::thread::sleep(Duration::from_secs(100));
    assert!(!warns(&lab, "site", words), "that soon it may be anything");
    let noticed = within(Duration::from_secs(80), || {
        std::thread::sleep(Duration::from_millis(500));
        warns(&lab, "site", words)
    });
    assert!(noticed, "{}", lab.log("site"));
    let answered = lab.status("site").drops["answered_nearby"] - before;
    assert!(answered > 3, "{answered} questions were answered nearby");
    lab.exec("vm1", &["ip", "link", "set", "eth0", "up"]);
    assert!(within(PATIENCE, || !warns(&lab, "site", words)));
    drop(pings);
    let log = lab.log("site");
    assert_eq!(log.matches(words).count(), 1, "{log}");
    assert!(log.contains("frames at lan go both ways again"), "{log}");
}
