//! Several lanes: all are used, each keeps the order of its flows, and one that dies is moved.

use std::time::Duration;

use causeway::status::{LaneStatus, Status};

use crate::{
    flows::{Flow, Flows, TO_DC, TO_VM},
    insider::socket,
    lab::{Lab, PATIENCE, within},
};

const UDP: [&str; 2] = ["--uplink", "udp"];
const XDP: [&str; 2] = ["--uplink", "xdp"];

/// Datagrams of a lane that opens it, and some that find it idle.
const KEEPALIVES: u64 = 6;

/// Workers that stay on their core: the kernel may change the order of frames whose sender goes to another.
fn running(queues: &str, uplink: [&str; 2], more: &[&str]) -> Lab {
    let cores = std::thread::available_parallelism().unwrap().get();
    let cpus = if cores > 1 { "0,1" } else { "0" };
    let arguments = [&uplink[..], &["--cpus", cpus], more].concat();
    Lab::running(&["--queues", queues], &arguments)
}

fn sum(status: &Status, counter: &str) -> u64 {
    status.workers.iter().map(|w| w.counters[counter]).sum()
}

fn lanes(lab: &Lab, end: &str) -> (Vec<LaneStatus>, Vec<LaneStatus>) {
    let session = lab.status(end).peers.remove(0).session.unwrap();
    (session.tx_lanes, session.rx_lanes)
}

/// Flows both ways, one way after the other and so fast that there are batches; none is overtaken.
fn all_lanes_carry(queues: [usize; 2], uplink: [&str; 2]) -> Lab {
    let [site, cloud] = queues;
    let lab = running(&format!("{site},{cloud}"), uplink, &[]);
    for way in [TO_VM, TO_DC] {
        let flows = Flows::run(&lab, way, &["--flows", "64", "--rate", "40"]);
        flows.assert_all_arrived_in_order();
    }
    for (end, sends, receives) in [("site", site, cloud), ("cloud", cloud, site)] {
        let (tx, rx) = lanes(&lab, end);
        assert_eq!((tx.len(), rx.len()), (sends, receives));
        for (i, lane) in tx.iter().enumerate() {
            assert_eq!(lane.worker, i);
            assert!(lane.sequence > KEEPALIVES, "{end} lane {i}: {tx:?}");
            assert!(lane.dead_s.is_none() && lane.moves == 0, "{lane:?}");
        }
        for (i, lane) in rx.iter().enumerate() {
            let here = lab.status(end).workers.len();
            assert_eq!(lane.worker, i % here);
            assert!(lane.sequence > KEEPALIVES, "{end} lane {i}: {rx:?}");
        }
        let drops = lab.status(end).drops;
        assert_eq!((drops["handover_full"], drops["unknown_spi"]), (0, 0));
        // Each end has told the other what it has heard.
        let heard = || {
            let (tx, _) = lanes(&lab, end);
            tx.iter().all(|lane| lane.heard == Some(lane.sequence))
        };
        assert!(within(PATIENCE, heard), "{:?}", lanes(&lab, end));
    }
    lab
}

#[test]
fn four_lanes_to_four_workers() {
    let lab = all_lanes_carry([4, 4], UDP);
    // Each lane at a port of its own, and the selector takes it to its worker.
    for end in ["site", "cloud"] {
        assert_eq!(sum(&lab.status(end), "wan_handed_over"), 0, "{end}");
    }
}

#[test]
fn four_lanes_to_four_workers_by_xdp() {
    let lab = all_lanes_carry([4, 4], XDP);
    let handed_over = ["site", "cloud"].map(|end| sum(&lab.status(end), "wan_handed_over"));
    assert!(handed_over[0] + handed_over[1] > 100, "{handed_over:?}");
}

#[test]
fn one_lane_to_four_workers_and_four_back() {
    all_lanes_carry([1, 4], UDP);
}

#[test]
fn four_lanes_to_one_worker_and_one_back() {
    all_lanes_carry([4, 1], UDP);
}

#[test]
fn two_lanes_to_four_workers_and_four_back() {
    all_lanes_carry([2, 4], UDP);
}

#[test]
fn different_numbers_of_lanes_by_xdp() {
    all_lanes_carry([1, 4], XDP);
    all_lanes_carry([4, 1], XDP);
    all_lanes_carry([2, 4], XDP);
}

/// As fast as one core can send; what is lost then is lost, but nothing is overtaken.
#[test]
fn order_is_kept_under_load() {
    for uplink in [UDP, XDP] {
        let lab = running("4", uplink, &[]);
        for way in [TO_VM, TO_DC] {
            let load = [
                "--flows", "32", "--rate", "100000", "--time", "0.02", "--size", "1000",
            ];
            let flows = Flows::run(&lab, way, &load);
            flows.assert_in_order();
            let received: u64 = flows.flows.iter().map(|f| f.received).sum();
            assert!(received > 10_000, "{received}");
        }
        if uplink == XDP {
            let over = ["site", "cloud"].map(|end| sum(&lab.status(end), "wan_handed_over"));
            assert!(over.iter().sum::<u64>() > 100, "{over:?}");
        }
    }
}

/// What carries an SPI that nobody has is dropped where it came in, whichever worker it names.
#[test]
fn strangers_datagrams_are_not_handed_over() {
    let lab = running("4", XDP, &[]);
    let before = lab.status("cloud");
    for from in 0..8 {
        let stranger = socket(&lab, "path", "203.0.113.1:0");
        for number in 0..250_u16 {
            let mut datagram = [0x5a; 200];
            let [high, low] = (from * 250 + number).to_be_bytes();
            datagram[..4].copy_from_slice(&[0x81, high, low, (number % 4) as u8]);
            stranger.send_to(&datagram, "203.0.113.2:24500").unwrap();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let unknown = || lab.status("cloud").drops["unknown_spi"] - before.drops["unknown_spi"];
    // One in four million may be somebody's.
    assert!(within(PATIENCE, || unknown() >= 1_999), "{}", unknown());
    let after = lab.status("cloud");
    let handed_over = sum(&after, "wan_handed_over") - sum(&before, "wan_handed_over");
    assert!(handed_over < 100, "{handed_over}");
    assert_eq!(after.drops["handover_full"], 0);
}

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

/// Some flows stopped and came back within a few seconds, once; the others were not disturbed.
#[track_caller]
fn assert_one_lane_was_hit(flows: &Flows) {
    flows.assert_in_order();
    let (hit, whole): (Vec<&Flow>, Vec<&Flow>) = flows
        .flows
        .iter()
        .partition(|flow| flow.received < flow.sent);
    assert!(!hit.is_empty() && whole.len() > hit.len(), "{flows:?}");
    for flow in hit {
        // Three seconds until it is dead, a second between reports, and a busy machine.
        assert!(
            flow.gaps == 1 && flow.longest < 10.0 && flow.late < 1.0,
            "{flow:?}"
        );
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
