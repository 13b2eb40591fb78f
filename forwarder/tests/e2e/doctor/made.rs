//! `causeway doctor` at ports that causeway makes itself: in a bridge, and for a VM.

use std::process::Output;

use super::{CAUSEWAY, GATEWAY, ONE, switch};
use crate::{
    cli::{FAILED, assert_refused},
    lab::{Lab, shown},
    pings::Volley,
    ports::{add_bridge, vm},
};

fn ask(lab: &Lab, end: &str, lan: &str, target: &str) -> Output {
    let platform = ["--platform", "vsphere"];
    let ask = ["doctor", "--lan", lan, "--target", target];
    let all = [&[CAUSEWAY], &ask[..], &platform].concat();
    lab.command(end, &all).output().unwrap()
}

/// Wants this exit code, and in the first line that is not ok the words; if all is, anywhere.
fn expect(lab: &Lab, (end, lan, target): (&str, &str, &str), code: i32, words: &[&str]) {
    let output = ask(lab, end, lan, target);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        output.status.code(),
        Some(code),
        "{lan}: {}",
        shown(&output)
    );
    let bad = text.lines().find(|line| !line.starts_with("ok "));
    let place = bad.filter(|_| code != 0).unwrap_or(&text);
    for word in words {
        assert!(place.contains(word), "{lan}: no {word}: {text}");
    }
}

/// Before causeway runs the bridge itself is asked from, and the switch outside is found out; beside it its own port.
#[test]
fn a_bridge_is_examined_before_and_beside_causeway() {
    let lab = Lab::up(&["--switch", "learning"]);
    add_bridge(&lab, "site");
    let at = |lan| ("site", lan, GATEWAY);
    let bridge = at("bridge:br0");
    expect(&lab, bridge, 0, &["causeway will make in br0"]);
    expect(&lab, at("br0"), 1, &["FAILING  XDP", "`--lan bridge:br0`"]);
    for (kind, mend) in [
        ("esx-promisc-off", "Mend: Promiscuous Mode = Accept"),
        ("esx-forged-off", "Mend: Forged Transmits = Accept"),
    ] {
        switch(&lab, kind);
        expect(&lab, bridge, 1, &[mend]);
    }
    what_is_no_bridge_is_one_line(&lab);
    workers_are_as_many_as_the_file_says(&lab);
    switch(&lab, "learning");
    lab.start("cloud", &[]);
    lab.start("site", &["--lan", "bridge:br0"]);
    lab.wait_for_session();
    lab.dc_reaches("10.77.0.50");
    let pings = Volley::start(&lab, 400, "10.77.0.50");
    expect(&lab, bridge, 0, &["checks of cw-br0", "in the driver"]);
    expect(&lab, at("br0"), 0, &["cw-br0, causeway's port in br0"]);
    pings.assert_all_answered();
    // To the switch outside, the address of causeway's port is as foreign as the VMs'.
    switch(&lab, "esx-forged-off");
    expect(&lab, bridge, 3, &["`causeway doctor --lan br0` asks it"]);
    expect(&lab, at("br0"), 1, &["Mend: Forged Transmits = Accept"]);
}

/// At the port in the bridge that causeway will make: one, on the first of two cores.
fn workers_are_as_many_as_the_file_says(lab: &Lab) {
    let (key, peer) = (lab.keygen("doctor").0, lab.keygen("peer").1);
    let file = lab.dir().join("doctor.toml");
    let text = format!(
        "role = 'site'\nlan = 'bridge:br0'\nkey = '{key}'\npeer = ['cloud={peer}@203.0.113.2:24500']\ncpus = '0-1'\nworkers = 1\n"
    );
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let ask = [&[CAUSEWAY, "doctor", "--config", file], ONE].concat();
    let text = shown(&lab.command("site", &ask).output().unwrap());
    assert!(text.contains("workers on 0;"), "{text}");
}

fn what_is_no_bridge_is_one_line(lab: &Lab) {
    for (lan, words) in [
        (
            "bridge:br7",
            "there is no interface br7 here; there are: br0, lan, lo, wan",
        ),
        ("bridge:lan", "lan is no Linux bridge: give --lan lan"),
        ("tap:tap0", "start both, then examine it with --target"),
    ] {
        assert_refused(&ask(lab, "site", lan, GATEWAY), FAILED, &[words]);
    }
    lab.exec("site", &["ip", "link", "set", "br0", "down"]);
    let down = ask(lab, "site", "bridge:br0", GATEWAY);
    assert_refused(
        &down,
        FAILED,
        &["interface br0 is down: ip link set br0 up"],
    );
    lab.exec("site", &["ip", "link", "set", "br0", "up"]);
}

/// Behind a tap is the VM: it answers, or there is no link.
#[test]
fn a_tap_is_examined_with_its_vm() {
    let lab = Lab::up(&[]);
    lab.exec("vm1", &["ip", "link", "del", "eth0"]);
    lab.start("cloud", &["--lan", "tap:tap0"]);
    lab.start("site", &[]);
    lab.wait_for_session();
    let tap = ("cloud", "tap:tap0", "10.77.0.50");
    expect(&lab, tap, 1, &["unknown  a host answers", "behind a tap"]);
    let text = shown(&ask(&lab, tap.0, tap.1, tap.2));
    assert!(
        text.contains("FAILING  link") && text.contains("a tap: start its VM"),
        "{text}"
    );
    let _vm = vm(&lab);
    lab.dc_reaches("10.77.0.50");
    let pings = Volley::start(&lab, 400, "10.77.0.50");
    expect(
        &lab,
        tap,
        0,
        &["10.77.0.50 (00:50:56:00:00:50)", "checks of tap0"],
    );
    pings.assert_all_answered();
    let gateway = [&[CAUSEWAY, "doctor", "--lan", "tap:tap0"], ONE].concat();
    let output = lab.command("cloud", &gateway).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", shown(&output));
}
