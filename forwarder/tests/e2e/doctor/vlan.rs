//! A LAN that is a VLAN at the appliance's port: `causeway doctor --vlan`.

use super::{DC2, GATEWAY, doctor, switch};
use crate::{
    lab::{Lab, shown},
    pings::Volley,
    running::Running,
};

/// dc and dc2 in VLAN 20.
const HOST: &str = "10.78.0.1";
const NOBODY: &str = "10.78.0.99";

fn run(lab: &Lab, namespace: &str, command: &str) {
    let words: Vec<_> = command.split(' ').collect();
    lab.exec(namespace, &words);
}

/// Gives a host a device in VLAN 20, with an address; it is there for as long as the value lives.
fn join_vlan(lab: &Lab, host: &str, address: &str) -> Running {
    join(lab, host, "20", address)
}

/// The same in any VLAN N; the device is `vlanN`.
fn join(lab: &Lab, host: &str, vlan: &str, address: &str) -> Running {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/vlan_device.py");
    let name = format!("vlan{vlan}");
    let mut device = lab.spawn(host, &["python3", script, "eth0", vlan, &name]);
    assert_eq!(device.line(), "attached");
    let add = format!("ip address add {address}/24 dev {name}");
    run(lab, host, &add);
    // Else it would answer for that address at eth0 as well.
    let ignore = "echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore";
    lab.exec(host, &["sh", "-c", ignore]);
    device
}

/// Asks who is not there, by broadcasts in VLAN 20.
fn chatter(lab: &Lab) -> Running {
    chat(lab, "dc2", &["-I", "vlan20", NOBODY])
}

/// The same by other arguments.
fn chat(lab: &Lab, host: &str, arguments: &[&str]) -> Running {
    let arping = ["arping", "-q", "-w", "60"];
    lab.spawn(host, &[&arping, arguments].concat())
}

/// Examines the port with these arguments and wants this exit code and the words in the first line that is not ok.
fn ask(lab: &Lab, arguments: &[&str], code: i32, words: &[&str]) {
    let platform = ["--platform", "vsphere"];
    let output = doctor(lab, &[], &[arguments, &platform].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{}", shown(&output));
    let bad = text.lines().find(|line| !line.starts_with("ok "));
    let bad = bad.filter(|_| code != 0).unwrap_or_default();
    for word in words {
        assert!(bad.contains(word), "no {word}: {text}");
    }
}

#[test]
fn a_lan_in_a_vlan_is_examined_and_a_wrong_vlan_is_named() {
    let lab = Lab::up(&["--switch", "learning"]);
    let _devices = [("dc", HOST), ("dc2", "10.78.0.3")].map(|(host, ip)| join_vlan(&lab, host, ip));
    let in_20 = ["--vlan", "20", "--target", HOST];
    ask(&lab, &in_20, 0, &[]);
    every_switch_in_the_vlan(&lab, &in_20);
    a_wrong_vlan(&lab);
    // The host may have a device for that VLAN itself, which takes its frames, where the kernel has such devices.
    let add = "ip link add link lan name lan.20 up type vlan id 20";
    if lab.succeeds("site", &add.split(' ').collect::<Vec<_>>()) {
        ask(&lab, &in_20, 0, &[]);
    }
}

fn every_switch_in_the_vlan(lab: &Lab, in_20: &[&str]) {
    for (kind, code, words) in [
        ("esx-promisc-off", 1, "Mend: Promiscuous Mode = Accept"),
        ("esx-forged-off", 1, "Mend: Forged Transmits = Accept"),
        ("reflect", 1, "Net.ReversePathFwdCheckPromisc = 1"),
        ("learning", 0, ""),
    ] {
        switch(lab, kind);
        ask(lab, in_20, code, &[words]);
    }
}

fn a_wrong_vlan(lab: &Lab) {
    // Nobody talks: where the host is cannot be told, but untagged it is not.
    ask(
        lab,
        &["--vlan", "21", "--target", HOST],
        3,
        &["10.78.0.1 did not answer"],
    );
    let _chatter = chatter(lab);
    let mend = "Mend: `--vlan 20` here, and `station = \"20/MAC=PEER\"`";
    let in_21 = "does not answer in VLAN 21, but does in VLAN 20";
    ask(lab, &["--vlan", "21", "--target", HOST], 1, &[in_21, mend]);
    let untagged = "does not answer untagged, but does in VLAN 20";
    ask(lab, &["--target", HOST], 1, &[untagged, mend]);
    for targets in [
        &["--target", GATEWAY][..],
        &["--target", GATEWAY, "--target", DC2],
    ] {
        let tagged = [&["--vlan", "20"], targets].concat();
        ask(
            lab,
            &tagged,
            1,
            &["but does untagged. Mend: no `--vlan` here"],
        );
    }
    let nowhere = ["--vlan", "21", "--target", NOBODY];
    ask(
        lab,
        &nowhere,
        3,
        &["did not answer", "(frames of VLAN 20 come in)"],
    );
}

/// Nobody is named: those are asked who are heard in the VLAN, however many are heard in another.
#[test]
fn hosts_are_found_in_the_vlan_that_was_named() {
    let lab = Lab::up(&["--switch", "learning"]);
    let _in_20 = join_vlan(&lab, "dc2", "10.78.0.3");
    let _in_30 = join(&lab, "dc", "30", "10.79.0.1");
    let others = ["10.79.0.1", "10.79.0.2", "10.79.0.3", "10.79.0.4"];
    for more in &others[1..] {
        let add = format!("ip address add {more}/24 dev vlan30");
        run(&lab, "dc", &add);
    }
    let _others = others.map(|from| chat(&lab, "dc", &["-I", "vlan30", "-s", from, "10.79.0.99"]));
    // They may be of another LAN.
    let only_in_30 = |arguments: &[&str], words| {
        let where_they_are = ["10.79.0.", "in VLAN 30", "--target", "`--vlan 30` here"];
        ask(
            &lab,
            arguments,
            3,
            &[&where_they_are[..], &[words]].concat(),
        );
    };
    only_in_30(&["--vlan", "20"], "nobody was heard in VLAN 20");
    only_in_30(&[], "nobody was heard untagged");
    let _own = chatter(&lab);
    let _untagged = chat(&lab, "dc", &["-I", "eth0", "10.77.0.99"]);
    ask(&lab, &["--vlan", "20"], 0, &[]);
    ask(&lab, &[], 0, &[]);
    let heard = doctor(&lab, &[], &["--vlan", "20"]);
    assert!(shown(&heard).contains("10.78.0.3 ("), "{}", shown(&heard));
}

/// Beside a running appliance, whose program keeps the frames of other VLANs from the doctor.
#[test]
fn a_vlan_is_examined_beside_a_running_appliance() {
    let lab = Lab::up(&["--switch", "learning"]);
    let _devices =
        [("dc", HOST), ("vm1", "10.78.0.50")].map(|(host, ip)| join_vlan(&lab, host, ip));
    lab.start_without_stations("cloud", &[]);
    lab.start_without_stations("site", &["--station", "20/00:50:56:00:00:50=cloud"]);
    lab.wait_for_session();
    lab.dc_reaches("10.78.0.50");
    let pings = Volley::start(&lab, 400, "10.78.0.50");
    ask(&lab, &["--vlan", "20", "--target", HOST], 0, &[]);
    let words = "does not answer in VLAN 21, but does in VLAN 20";
    ask(&lab, &["--vlan", "21", "--target", HOST], 1, &[words]);
    pings.assert_all_answered();
}
