//! Several lanes: all are used, and each keeps the order of its flows.

use std::time::Duration;

use causeway::status::{LaneStatus, Status};

use crate::{
    flows::{Flows, TO_DC, TO_VM},
    insider::socket,
    lab::{Lab, PATIENCE, within},
};

pub(crate) const UDP: [&str; 2] = ["--uplink", "udp"];
pub(crate) const XDP: [&str; 2] = ["--uplink", "xdp"];

/// Datagrams of a lane that opens it, and some that find it idle.
const KEEPALIVES: u64 = 6;

/// Workers that stay on their core: the kernel may change the order of frames whose sender goes to another.
pub(crate) fn running(queues: &str, uplink: [&str; 2], more: &[&str]) -> Lab {
    Lab::running(&["--queues", queues], &pinned(uplink, more))
}

pub(crate) fn pinned<'a>(uplink: [&'a str; 2], more: &[&'a str]) -> Vec<&'a str> {
    let cores = std::thread::available_parallelism().unwrap().get();
    let cpus = if cores > 1 { "0,1" } else { "0" };
    [&uplink[..], &["--cpus", cpus], more].concat()
}

pub(crate) fn sum(status: &Status, counter: &str) -> u64 {
    status.workers.iter().map(|w| w.counters[counter]).sum()
}

pub(crate) fn lanes(lab: &Lab, end: &str) -> (Vec<LaneStatus>, Vec<LaneStatus>) {
    let session = lab.status(end).peers.remove(0).session.unwrap();
    (session.tx_lanes, session.rx_lanes)
}

/// Flows both ways, one way after the other and so fast that there are batches; none is overtaken.
fn all_lanes_carry(queues: [usize; 2], uplink: [&str; 2]) -> Lab {
    let [site, cloud] = queues;
    carry(running(&format!("{site},{cloud}"), uplink, &[]), queues)
}

fn carry(lab: Lab, [site, cloud]: [usize; 2]) -> Lab {
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

/// Workers beyond the uplink's queues have no AF_XDP socket there: they send by the kernel's, and what others receive for
/// them is handed over.
#[test]
fn more_workers_than_the_uplink_has_queues() {
    let options = ["--queues", "4", "--uplink-queues", "2"];
    let lab = carry(Lab::running(&options, &pinned(XDP, &[])), [4, 4]);
    for end in ["site", "cloud"] {
        let status = lab.status(end);
        let sent = status.workers.iter().map(|w| w.counters["wan_xdp_tx"] > 0);
        assert!(sent.eq([true, true, false, false]), "{status:?}");
        assert!(sum(&status, "wan_handed_over") > 100, "{status:?}");
    }
}

/// What comes to queues beyond the workers comes by the kernel's sockets.
#[test]
fn more_queues_of_the_uplink_than_workers() {
    let options = ["--queues", "4,2", "--uplink-queues", "4"];
    let lab = carry(Lab::running(&options, &pinned(XDP, &[])), [4, 2]);
    let counters = ["wan_xdp_tx", "wan_xdp_rx", "wan_rx_datagrams"];
    let [sent, by_xdp, received] = counters.map(|name| sum(&lab.status("cloud"), name));
    // The router forwards by queue N - 1 what came by queue N > 0 (see `cable` of the lab): what the site's fourth worker sends
    // comes to the cloud's third queue.
    let text = format!("sent {sent}, received {by_xdp} of {received}");
    assert!(
        sent > 100 && by_xdp > 100 && received > by_xdp + 100,
        "{text}"
    );
}

/// As fast as one core can send; what is lost then is lost, but nothing is overtaken.
#[test]
fn order_is_kept_under_load() {
    for uplink in [UDP, XDP] {
        let lab = Lab::running_alone(&["--queues", "4"], &pinned(uplink, &[]));
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
