//! `--arp-suppress`: what a LAN asks all day stays there, and who has moved is found all the same.

use std::process::Command;

use crate::{
    lab::{DC, Lab, PATIENCE, VM1, shown, within},
    listening::Listening,
};

const VM2: &str = "00:50:56:00:00:51";

/// Frames sent to peers, and datagrams, of an end so far.
fn sent(lab: &Lab, end: &str) -> (u64, u64) {
    let status = lab.status(end);
    let frames = status.peers.iter().map(|p| p.tx_frames).sum();
    let datagrams = status
        .workers
        .iter()
        .map(|w| w.counters["wan_tx_datagrams"]);
    (frames, datagrams.sum())
}

/// Has dc2's side of the LAN ask: 200 hosts for each other, this many times in a second, for so long.
fn storm(lab: &Lab, rate: &str, seconds: &str) -> Command {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/asking.py");
    lab.command("dc2", &["python3", script, "eth0", rate, seconds])
}

fn knows(lab: &Lab, end: &str, station: &str, address: &str) -> bool {
    let stations = lab.status(end).stations;
    let of = stations.get(station).map(|s| s.addresses.clone());
    of.unwrap_or_default().contains(&address.to_owned())
}

#[test]
fn ten_thousand_questions_a_second_of_others_cost_the_wan_next_to_nothing() {
    let lab = Lab::running(&[], &[]);
    let changes = Listening::start(&lab, "vm1", "arp and arp[14:4] = 0x0a4d0001");
    let before = sent(&lab, "site");
    let asking = storm(&lab, "10000", "3").spawn().unwrap();
    // Meanwhile: a moved VM is found that nobody has heard of yet, and dc says that its address is its own.
    lab.exec(
        "dc",
        &["arping", "-c", "1", "-w", "5", "-I", "eth0", "10.77.0.51"],
    );
    lab.exec(
        "dc",
        &["arping", "-U", "-c", "1", "-I", "eth0", "10.77.0.1"],
    );
    let asked = asking.wait_with_output().unwrap();
    assert!(asked.status.success(), "{}", shown(&asked));
    let after = sent(&lab, "site");
    let (frames, datagrams) = (after.0 - before.0, after.1 - before.1);
    let drops = lab.status("site").drops;
    let kept = drops["neighbour_at_home"] + drops["asked_lately"];
    assert!(kept > 20_000, "{drops:?}");
    // Each of 200 unknown addresses may cross once or twice before its owner has asked for something itself.
    assert!(
        frames < 600 && datagrams < 400,
        "{frames} frames, {datagrams} datagrams"
    );
    assert_eq!(drops["flood_limit"], 0, "what does not cross takes no room");
    changes.expect(&[DC, "who-has 10.77.0.1"]);
}

/// With the tunnel watched: once the owner is known, nothing crosses, and the answer is the owner's own.
#[test]
fn known_stations_are_answered_for_at_both_ends() {
    let lab = Lab::running(&["--reflect"], &[]);
    lab.exec(
        "vm1",
        &["arping", "-c", "1", "-w", "5", "-I", "eth0", "10.77.0.1"],
    );
    lab.exec("dc", &["ndisc6", "-1", "fd77::50", "eth0"]);
    lab.exec("vm1", &["ndisc6", "-1", "fd77::1", "eth0"]);
    // dc has answered by unicast, which the site's worker lets the control plane see as well.
    let known = || knows(&lab, "site", VM1, "10.77.0.50") && knows(&lab, "site", VM1, "fd77::50");
    assert!(within(PATIENCE, known));
    std::thread::sleep(std::time::Duration::from_millis(500));
    let drops = |end: &str| lab.status(end).drops["answered_nearby"];
    let answered = ["site", "cloud"].map(drops);
    let at_vm1 = Listening::start(&lab, "vm1", "arp");
    let at_dc = Listening::start(&lab, "dc", "arp and src host 10.77.0.1");
    let ask = ["arping", "-b", "-c", "1", "-w", "5", "-I", "eth0"];
    let reply = lab.exec("dc", &[&ask[..], &["10.77.0.50"]].concat());
    assert_eq!(reply.matches("[00:50:56:00:00:50]").count(), 1, "{reply}");
    let reply = lab.exec("vm1", &[&ask[..], &["10.77.0.1"]].concat());
    assert_eq!(reply.matches("[02:77:00:00:00:01]").count(), 1, "{reply}");
    let reply = lab.exec("dc", &["ndisc6", "-m", "-r", "1", "fd77::50", "eth0"]);
    assert!(reply.to_lowercase().contains(VM1), "{reply}");
    let now = ["site", "cloud"].map(drops);
    assert!(
        now[0] >= answered[0] + 2 && now[1] > answered[1],
        "{answered:?} {now:?}"
    );
    for (listening, asker) in [(&at_vm1, "tell 10.77.0.1,"), (&at_dc, "tell 10.77.0.50,")] {
        assert!(!listening.heard().contains(asker), "{}", listening.heard());
    }
    // Who asks whether an address is free hears it of the owner.
    let probe = [
        "arping",
        "-D",
        "-c",
        "1",
        "-w",
        "5",
        "-I",
        "eth0",
        "10.77.0.50",
    ];
    assert!(!lab.succeeds("dc", &probe), "the address is in use");
    at_vm1.expect(&["who-has 10.77.0.50", "tell 0.0.0.0"]);
    lab.exec(
        "dc",
        &[
            "arping",
            "-D",
            "-c",
            "1",
            "-w",
            "5",
            "-I",
            "eth0",
            "10.77.0.99",
        ],
    );
}

/// Without it everything crosses, as on one LAN.
#[test]
fn switched_off_every_question_crosses() {
    let lab = Lab::running(&[], &["--arp-suppress", "off"]);
    lab.exec(
        "vm2",
        &["arping", "-c", "1", "-w", "5", "-I", "eth0", "10.77.0.1"],
    );
    let known = || knows(&lab, "site", VM2, "10.77.0.51");
    assert!(within(PATIENCE, known));
    let heard = Listening::start(&lab, "vm2", "arp");
    lab.exec(
        "dc",
        &[
            "arping",
            "-b",
            "-c",
            "1",
            "-w",
            "5",
            "-I",
            "eth0",
            "10.77.0.51",
        ],
    );
    heard.expect(&["who-has 10.77.0.51", "tell 10.77.0.1,"]);
    let drops = lab.status("site").drops;
    assert_eq!((drops["answered_nearby"], drops["asked_lately"]), (0, 0));
}
