//! `causeway doctor` at every switch that the lab has, alone and beside a running appliance.

mod machine;
mod made;
mod several;
mod vlan;

use std::process::{Command, Output};

use serde_json::Value;

use crate::{
    lab::{Lab, PATIENCE, shown, within},
    pings::Volley,
};

const CAUSEWAY: &str = env!("CARGO_BIN_EXE_causeway");
const GATEWAY: &str = "10.77.0.1";
const DC2: &str = "10.77.0.3";
const BOTH: &[&str] = &["--target", GATEWAY, "--target", DC2];
const ONE: &[&str] = &["--target", GATEWAY];

fn doctor(lab: &Lab, prefix: &[&str], arguments: &[&str]) -> Output {
    let program = [CAUSEWAY, "doctor", "--lan", "lan"];
    let all = [prefix, &program, arguments].concat();
    lab.command("site", &all).output().unwrap()
}

/// Has the old LAN's switch become another.
fn switch(lab: &Lab, kind: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/lab");
    let mut command = Command::new(script);
    let output = command
        .args(["switch", kind])
        .env("LAB", lab.name())
        .output()
        .unwrap();
    assert!(output.status.success(), "{kind}: {}", shown(&output));
}

/// The switch, the platform that is named, who is asked; the exit code, and of the first line that is not ok a part.
type Row<'a> = (&'a str, &'a str, &'a [&'a str], i32, &'a str);

#[rustfmt::skip]
const SWITCHES: &[Row<'_>] = &[
    ("hub", "vsphere", BOTH, 0, ""),
    ("learning", "unknown", ONE, 0, ""),
    ("esx", "vsphere", ONE, 0, ""),
    ("esx-promisc-off", "vsphere", ONE, 1, "Mend: Promiscuous Mode = Accept"),
    ("esx-promisc-off", "unknown", ONE, 1, "vSphere: Promiscuous Mode = Accept"),
    ("esx-forged-off", "vsphere", ONE, 1, "Mend: Forged Transmits = Accept"),
    ("esx-both-off", "vsphere", ONE, 1, "Mend: Promiscuous Mode = Accept"),
    ("esx-learning", "vsphere", ONE, 0, ""),
    ("esx-learning-no-flood", "vsphere", ONE, 1, "allowUnicastFlooding"),
    ("reflect", "vsphere", ONE, 1, "Net.ReversePathFwdCheckPromisc = 1"),
    ("libvirt", "libvirt", ONE, 1, "no-arp-spoofing"),
    ("hyperv", "hyperv", ONE, 1, "MacAddressSpoofing On"),
    ("sriov", "sriov", ONE, 1, "spoofchk off"),
    ("port-security", "physical", ONE, 1, "no switchport port-security"),
    ("port-shut", "physical", ONE, 1, "FAILING  the port stays open"),
    ("port-shut", "vsphere", BOTH, 1, "FAILING  the port stays open"),
    ("arp-inspection", "physical", ONE, 3, "a filter drops ARP whose sender is not the frame's source"),
    ("noisy", "vsphere", ONE, 0, ""),
    ("silent", "vsphere", ONE, 3, "10.77.0.1 did not answer"),
    ("hub,silent", "vsphere", BOTH, 0, ""),
    ("lossy", "vsphere", ONE, 0, ""),
    ("esx-forged-off,lossy", "vsphere", ONE, 1, "Mend: Forged Transmits = Accept"),
    ("esx-promisc-off,lossy,silent", "vsphere", BOTH, 1, "Mend: Promiscuous Mode = Accept"),
    ("esx-forged-off,reflect", "vsphere", ONE, 1, "Mend: Forged Transmits = Accept"),
];

/// One lab for all that needs no tunnel.
#[test]
fn every_switch_has_its_diagnosis_and_is_left_as_it_was() {
    let lab = Lab::up(&["--switch", "learning"]);
    probes_are_few_and_fresh_and_teach_no_switch_a_live_address(&lab);
    what_keeps_the_doctor_from_asking_is_one_line(&lab);
    every_switch_has_its_diagnosis(&lab);
}

/// And one for all beside a running appliance.
#[test]
fn beside_a_running_appliance_it_asks_and_the_appliance_watches() {
    // With answers of its own the appliance would need longer to notice.
    let lab = Lab::running(&[], &["--arp-suppress", "off"]);
    no_frame_is_disturbed(&lab);
    the_other_end_is_reached_without_a_key(&lab);
    an_unknown_program_at_the_port_is_told(&lab);
    a_deaf_port_is_noticed_while_running(&lab);
}

/// Each switch is found out, with few frames, and nothing of the probes is left.
fn every_switch_has_its_diagnosis(lab: &Lab) {
    for (kind, platform, targets, code, words) in SWITCHES {
        switch(lab, kind);
        let output = doctor(lab, &[], &[targets, &["--platform", platform][..]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(
            output.status.code(),
            Some(*code),
            "{kind}: {}",
            shown(&output)
        );
        let bad = text.lines().find(|line| !line.starts_with("ok "));
        let bad = bad.filter(|_| *code != 0).unwrap_or_default();
        assert!(bad.contains(words), "{kind}: {text}");
        if *code == 1 {
            assert!(bad.starts_with("FAILING "), "{kind}: {text}");
        }
        if *kind == "noisy" {
            let noise = text
                .lines()
                .find(|line| line.contains("frames/s between other hosts"));
            assert!(
                noise.is_some_and(|l| l.contains("02:77:00:00:00:03")),
                "{text}"
            );
        }
    }
    let link = lab.exec("site", &["ip", "-d", "link", "show", "lan"]);
    assert!(link.contains("promiscuity 0"), "{link}");
}

/// What the JSON holds, and that nobody learns a live address at a wrong port.
fn probes_are_few_and_fresh_and_teach_no_switch_a_live_address(lab: &Lab) {
    lab.dc_reaches(DC2);
    let entries = || -> Vec<String> {
        let fdb = lab.exec("old", &["bridge", "fdb", "show", "br", "br0"]);
        let port = fdb.lines().filter(|l| l.contains("dev site "));
        port.map(|l| l[..17].to_owned()).collect()
    };
    let mut seen = Vec::new();
    for _ in 0..2 {
        let output = doctor(lab, &[], &[BOTH, &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(report["seconds"].as_f64().unwrap() < 5.0, "{report}");
        let probes = report["probes"].as_array().unwrap();
        assert!((4..=20).contains(&probes.len()), "{report}");
        let of = |probe: &Value, name: &str| probe[name].as_str().unwrap().to_owned();
        let foreign = probes.iter().filter(|p| p["kind"] != "P0");
        seen.extend(foreign.map(|p| of(p, "mac")));
    }
    let live = [
        "02:77:00:00:00:01",
        "02:77:00:00:00:03",
        "00:50:56:00:00:50",
        "00:50:56:00:00:51",
    ];
    for (number, mac) in seen.iter().enumerate() {
        assert!(!seen[..number].contains(mac), "{mac} was used twice");
        assert!(!live.contains(&mac.as_str()));
        let first = u8::from_str_radix(&mac[..2], 16).unwrap();
        assert_eq!(first & 0b11, 0b10, "{mac} is locally administered");
    }
    // The port's own, its multicast groups, and those made up: no host's.
    for mac in entries() {
        assert!(
            !live.contains(&mac.as_str()),
            "{mac} at the appliance's port"
        );
    }
    lab.dc_reaches(DC2);
}

/// Beside a running appliance: the same diagnosis, and not a frame of the tunnel's less.
fn no_frame_is_disturbed(lab: &Lab) {
    let vm = "10.77.0.50";
    lab.dc_reaches(vm);
    // Each end tells the other where it sees its lanes.
    let seen_at = || {
        let session = lab.status("site").peers.remove(0).session.unwrap();
        session.tx_lanes[0].seen_at.clone()
    };
    assert!(within(PATIENCE, || seen_at().is_some()));
    let at = seen_at().unwrap();
    assert!(at.starts_with("198.51.100.2:"), "{at}");
    let pings = Volley::start(lab, 600, vm);
    let ask = |code: i32, words: &[&str]| {
        let output = doctor(lab, &[], &[ONE, &["--platform", "vsphere"][..]].concat());
        let text = shown(&output);
        assert_eq!(output.status.code(), Some(code), "{text}");
        for word in words {
            assert!(text.contains(word), "no {word}: {text}");
        }
    };
    ask(
        0,
        &[
            "session",
            "path MTU",
            "ESP passes",
            "NAT",
            "none: the other end sees our own address and ports",
            "loss",
            "P2: 1 of 1 answered",
            "0 failing, 0 unknown",
        ],
    );
    ask(0, &[]);
    pings.assert_all_answered();
    let status = lab.status("site");
    assert!(status.verdicts["probe"] >= 4, "{:?}", status.verdicts);
    assert_eq!(lab.status("cloud").drops["spoofed_source"], 0);
    switch(lab, "esx-both-off");
    ask(
        1,
        &["Promiscuous Mode = Accept", "Forged Transmits = Accept"],
    );
}

/// What makes it impossible to ask: one line each that says what to do.
fn what_keeps_the_doctor_from_asking_is_one_line(lab: &Lab) {
    let refused = |output: &Output, words: &[&str]| {
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            (output.status.code(), text.lines().count()),
            (Some(1), 1),
            "{}",
            shown(output)
        );
        for word in words {
            assert!(text.contains(word), "no {word}: {text}");
        }
    };
    let without = ["setpriv", "--reuid", "65534", "--clear-groups"];
    refused(
        &doctor(lab, &without, ONE),
        &["missing CAP_NET_RAW", "as root"],
    );
    let missing = [CAUSEWAY, "doctor", "--lan", "lan7"];
    let output = lab.command("site", &missing).output().unwrap();
    refused(
        &output,
        &["there is no interface lan7 here; there are: lan, lo, wan"],
    );
    lab.exec(
        "site",
        &[
            "ip",
            "link",
            "add",
            "idle",
            "type",
            "veth",
            "peer",
            "name",
            "idle-peer",
        ],
    );
    let down = [CAUSEWAY, "doctor", "--lan", "idle"];
    let output = lab.command("site", &down).output().unwrap();
    refused(&output, &["interface idle is down: ip link set idle up"]);
    // Nobody answers.
    let output = doctor(lab, &[], &["--target", "10.77.0.99"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{text}");
    let unknown: Vec<_> = text.lines().filter(|l| l.starts_with("unknown ")).collect();
    assert!(
        matches!(unknown[..], [line] if line.contains("10.77.0.99 did not answer") && line.contains("--target IP")),
        "{text}"
    );
    for wrong in [
        ["--vlan", "4095"],
        ["--target", "dc"],
        ["--platform", "xen"],
    ] {
        assert_eq!(doctor(lab, &[], &wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// The other end is reached, and refuses a key that was made up; another's key or nobody is told.
fn the_other_end_is_reached_without_a_key(lab: &Lab) {
    let key = lab.status("cloud").public_key;
    let ask = |peer: &str| {
        let peer = format!("cloud={peer}");
        let output = doctor(lab, &[], &[ONE, &["--peer", &peer]].concat());
        String::from_utf8(output.stdout).unwrap()
    };
    let sessions = lab.status("cloud").peers[0].sessions;
    let good = ask(&format!("{key}@203.0.113.2:24500"));
    assert!(good.contains("which proved its key"), "{good}");
    let wrong = lab.status("site").public_key;
    let bad = ask(&format!("{wrong}@203.0.113.2:24500"));
    assert!(bad.contains("another end answers"), "{bad}");
    let nobody = ask(&format!("{key}@203.0.113.2:24501"));
    assert!(nobody.contains("no answer within 3 s"), "{nobody}");
    assert_eq!(lab.status("cloud").peers[0].sessions, sessions);
}

/// A program that nobody answers for is told.
fn an_unknown_program_at_the_port_is_told(lab: &Lab) {
    let output = doctor(lab, &[], &[ONE, &["--control", "other"]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("unknown  XDP program"), "{text}");
    assert!(first.contains("control socket other"), "{text}");
}

/// While it runs, the appliance notices by itself that its port is deaf, says so once, and that it is over.
fn a_deaf_port_is_noticed_while_running(lab: &Lab) {
    switch(lab, "esx-promisc-off");
    let arping = |host, count, address: &str| {
        let arping = [
            "arping", "-q", "-I", "eth0", "-w", "1", "-c", count, address,
        ];
        lab.succeeds(host, &arping)
    };
    let warning = || {
        let warnings = lab.status("site").warnings;
        warnings
            .into_iter()
            .find(|w| w.contains("`causeway doctor --lan lan`"))
    };
    let noticed = within(2 * PATIENCE, || {
        // A host that is heard again and again is expected to answer. Of each the workers show one question in ten
        // seconds.
        assert!(arping("dc", "1", "10.77.0.50"), "sending works");
        for vm in ["vm1", "vm2"] {
            assert!(!arping(vm, "1", GATEWAY), "nothing comes in");
        }
        warning().is_some()
    });
    assert!(noticed, "{}", lab.log("site"));
    let logged = || lab.log("site").matches("causeway doctor --lan lan").count();
    assert_eq!(logged(), 1, "{}", lab.log("site"));
    switch(lab, "hub");
    assert!(within(PATIENCE, || {
        arping("vm1", "1", GATEWAY);
        warning().is_none()
    }));
    assert!(lab.log("site").contains("both ways again"));
    assert_eq!(logged(), 1);
}
