//! A lane that dies alone is moved, and the others are not disturbed.

use std::time::Duration;

use causeway::status::Status;

use crate::{
    flows::{Flow, Flows, TO_DC, TO_VM},
    lab::{Lab, PATIENCE, within},
    lanes::{UDP, XDP, lanes, running, sum},
};

/// Nothing that has this UDP source or destination port gets past the path's router.
fn block(lab: &Lab, which: &str, port: &str) {
    let rule = [
        "rule",
        "add",
        "pref",
        "10",
        "ipproto",
        "udp",
        which,
        port,
        "blackhole",
    ];
    lab.exec("path", &[&["ip"][..], &rule].concat());
}

/// The UDP port of a worker of the site.
fn port(lab: &Lab, worker: usize) -> String {
    let uplink = lab.status("site").workers[worker].uplink.clone();
    uplink.rsplit_once(':').unwrap().1.to_owned()
}

/// Some flows stopped and came back within a few seconds, once; the others went on all the time. A machine that is
/// busy may lose a few of those, too, but no second of them.
#[track_caller]
fn assert_one_lane_was_hit(flows: &Flows) {
    flows.assert_in_order();
    let (hit, whole): (Vec<&Flow>, Vec<&Flow>) = flows.flows.iter().partition(|flow| flow.gaps > 0);
    assert!(!hit.is_empty() && whole.len() > hit.len(), "{flows:?}");
    for flow in hit {
        // Three seconds until it is dead, a second between reports, and a busy machine.
        let back = flow.gaps == 1 && flow.longest < 10.0 && flow.late < 1.0;
        assert!(back, "{flow:?}");
    }
    for flow in whole {
        assert!(10 * flow.received >= 9 * flow.sent, "{flow:?}");
    }
}

/// A lane whose UDP source port is stopped on the way sends from another.
fn a_stopped_port_is_left(uplink: [&str; 2]) {
    const LANE: usize = 2;
    let lab = running("4", uplink, &[]);
    let before = port(&lab, LANE);
    let sending = Flows::start(
        &lab,
        TO_VM,
        &["--flows", "48", "--rate", "20", "--time", "14"],
    );
    std::thread::sleep(Duration::from_secs(2));
    block(&lab, "sport", &before);
    let died = || lanes(&lab, "site").0[LANE].dead_s.is_some();
    assert!(within(PATIENCE, died), "{:?}", lanes(&lab, "site"));
    let flows = Flows::parse(&sending.output());
    assert_one_lane_was_hit(&flows);
    let status = lab.status("site");
    let (tx, _) = lanes(&lab, "site");
    assert_ne!(port(&lab, LANE), before);
    let moves: Vec<u64> = tx.iter().map(|lane| lane.moves).collect();
    assert_eq!((moves, status.peers[0].lane_moves), (vec![0, 0, 1, 0], 1));
    assert!(tx.iter().all(|lane| lane.dead_s.is_none()), "{tx:?}");
    let log = lab.log("site");
    for words in [
        "lane 2 is dead",
        "it moves to UDP port",
        "lane 2 arrives again",
    ] {
        assert!(log.contains(words), "{words} lacks in {log}");
    }
    // The way back has followed.
    Flows::run(&lab, TO_DC, &["--time", "1"]).assert_all_arrived_in_order();
    if uplink == XDP {
        let sent = |s: &Status| s.workers[LANE].counters["wan_xdp_tx"];
        Flows::run(&lab, TO_VM, &["--time", "1"]).assert_all_arrived_in_order();
        assert!(
            sent(&lab.status("site")) > sent(&status),
            "it sends by AF_XDP still"
        );
    }
}

#[test]
fn a_lane_whose_port_is_stopped_sends_from_another() {
    a_stopped_port_is_left(UDP);
}

#[test]
fn a_lane_whose_port_is_stopped_sends_from_another_by_xdp() {
    a_stopped_port_is_left(XDP);
}

/// What a listening end sends to a port that is stopped goes to another, also after a rekey, and gets to its worker.
#[test]
fn a_listening_end_sends_to_another_port_if_one_is_stopped() {
    const LANE: usize = 1;
    let lab = running("4", UDP, &["--rekey-after", "9s"]);
    let options = ["--flows", "48", "--rate", "20", "--time", "16"];
    let sending = Flows::start(&lab, TO_DC, &options);
    std::thread::sleep(Duration::from_secs(2));
    block(&lab, "dport", &port(&lab, LANE));
    let detour = || lanes(&lab, "cloud").0[LANE].detour;
    assert!(
        within(PATIENCE, || detour().is_some()),
        "{}",
        lab.log("cloud")
    );
    let flows = Flows::parse(&sending.output());
    assert_one_lane_was_hit(&flows);
    assert!(
        lab.status("cloud").peers[0].sessions > 1,
        "a rekey was tried"
    );
    let (tx, _) = lanes(&lab, "cloud");
    let other = detour().unwrap();
    assert!(
        usize::from(other) != LANE && tx[LANE].path == tx[usize::from(other)].path,
        "{tx:?}"
    );
    assert!(sum(&lab.status("site"), "wan_handed_over") > 50);
    assert!(
        lab.log("cloud")
            .contains("it moves to the address of the peer's lane")
    );
}

/// Where there is nothing to move to, the log and the status say what is wrong, and trying goes on.
#[test]
fn a_lane_that_cannot_be_helped_is_shown() {
    let lab = Lab::running(&[], &UDP);
    // Whatever port the site's worker takes is stopped; QUIC's is not, nor the cloud's.
    let quic: u16 = {
        let remote = lab.status("cloud").peers.remove(0).session.unwrap().remote;
        remote.rsplit_once(':').unwrap().1.parse().unwrap()
    };
    for ports in [format!("24501-{}", quic - 1), format!("{}-65534", quic + 1)] {
        block(&lab, "sport", &ports);
    }
    let told = || {
        let status = lab.status("site");
        let peer = &status.peers[0];
        let warned = status
            .warnings
            .iter()
            .any(|w| w.contains("lane 0 to peer cloud: dead for"));
        warned && peer.state == "up" && peer.lanes_dead == 1 && peer.lane_moves >= 2
    };
    assert!(within(Duration::from_secs(40), told), "{}", lab.log("site"));
    let text = lab.exec("site", &[env!("CARGO_BIN_EXE_causeway"), "status"]);
    assert!(text.contains("DEAD for"), "{text}");
    assert!(lab.log("site").contains("although it has moved"));
    lab.exec("path", &["ip", "rule", "flush", "pref", "10"]);
    let well = || lab.status("site").peers[0].lanes_dead == 0;
    assert!(within(PATIENCE, well), "{:?}", lanes(&lab, "site"));
    lab.dc_reaches("10.77.0.50");
}
