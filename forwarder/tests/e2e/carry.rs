//! What has to pass: every frame size over every path, tags, checksums, several queues.

use causeway::status::Status;

use crate::lab::{DC, Lab, VM1};

/// All frames of a run of frames.py arrived, each once, whole and in order.
#[track_caller]
fn assert_all_arrived(report: &[String], tagged: bool) {
    let count = |name: &str| -> u64 {
        let line = report.iter().find_map(|l| l.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    assert_eq!(count("received"), count("sent"), "{report:?}");
    for bad in ["duplicated", "damaged", "reordered"] {
        assert_eq!(count(bad), 0, "{report:?}");
    }
    assert_eq!(
        count("tagged"),
        if tagged { count("sent") } else { 0 },
        "{report:?}"
    );
}

/// What the datagrams of a test leave by.
const UDP: [&str; 2] = ["--uplink", "udp"];
const XDP: [&str; 2] = ["--uplink", "xdp"];

fn every_size_passes(path_mtu: &str, family: &str, uplink: [&str; 2]) {
    let lab = Lab::running(&["--mtu", path_mtu, "--ip", family], &uplink);
    let dropped = |end| lab.status(end).drops;
    // The hosts' multicast reports before the session was up had nowhere to go.
    let before = ["site", "cloud"].map(dropped);
    let to_vm = ["dc", "vm1", "--src", DC, "--dst", VM1];
    let to_dc = ["vm1", "dc", "--src", VM1, "--dst", DC];
    for way in [to_vm, to_dc] {
        assert_all_arrived(&lab.frames(&way), false);
        // Without a pause they come in batches, so that frames are bundled and cut.
        let burst = [&way[..], &["--count", "3000", "--pause", "0"]].concat();
        assert_all_arrived(&lab.frames(&burst), false);
    }
    assert_eq!(["site", "cloud"].map(dropped), before);
    assert_eq!(lab.status("site").uplink.kind, uplink[1]);
    if uplink == XDP {
        for end in ["site", "cloud"] {
            assert_by_xdp(&lab.status(end));
        }
    }
    let session = lab.status("site").peers.remove(0).session.unwrap();
    let headers = if family == "6" { 48 } else { 28 };
    assert_eq!(session.path_mtu, path_mtu.parse::<u16>().unwrap() - headers);
}

/// Frames of a LAN with an MTU of 9,000, which take several chunks of frame memory and, over a
/// smaller path, several datagrams.
fn jumbo_frames_pass(path_mtu: &str, uplink: [&str; 2]) {
    let lab = Lab::running(&["--lan-mtu", "9000", "--mtu", path_mtu], &uplink);
    let dropped = |end| lab.status(end).drops;
    let before = ["site", "cloud"].map(dropped);
    for way in [
        ["dc", "vm1", "--src", DC, "--dst", VM1],
        ["vm1", "dc", "--src", VM1, "--dst", DC],
    ] {
        let every = [&way[..], &["--sizes", "8900-9014"]].concat();
        assert_all_arrived(&lab.frames(&every), false);
        let sizes = ["--sizes", "60-9014", "--count", "2000", "--pause", "0"];
        assert_all_arrived(&lab.frames(&[&way[..], &sizes].concat()), false);
    }
    let whole = ["-M", "do", "-s", "8972", "10.77.0.50"];
    lab.exec(
        "dc",
        &[
            &["ping", "-q", "-c", "3", "-i", "0.1", "-W", "2"],
            &whole[..],
        ]
        .concat(),
    );
    // Its host's veth would cut 64 kB only behind the wire, had the port not switched that off.
    let serve = lab.serve_iperf3("vm1");
    lab.exec("dc", &["iperf3", "--client", "10.77.0.50", "--time", "1"]);
    serve.output();
    assert_eq!(["site", "cloud"].map(dropped), before);
    for end in ["site", "cloud"] {
        let verdicts = lab.status(end).verdicts;
        assert_eq!(
            (verdicts["malformed"], verdicts["no_socket"]),
            (0, 0),
            "{end}"
        );
        if uplink == XDP {
            assert_by_xdp(&lab.status(end));
        }
    }
}

#[test]
fn jumbo_frames_pass_over_mtu_1500() {
    jumbo_frames_pass("1500", UDP);
}

#[test]
fn jumbo_frames_pass_over_mtu_9000() {
    jumbo_frames_pass("9000", UDP);
}

#[test]
fn jumbo_frames_pass_by_xdp_over_mtu_1500() {
    jumbo_frames_pass("1500", XDP);
}

#[test]
fn jumbo_frames_pass_by_xdp_over_mtu_9000() {
    jumbo_frames_pass("9000", XDP);
}

#[test]
fn every_frame_size_passes_over_mtu_1500_ipv4() {
    every_size_passes("1500", "4", UDP);
}

#[test]
fn every_frame_size_passes_over_mtu_1400_ipv4() {
    every_size_passes("1400", "4", UDP);
}

#[test]
fn every_frame_size_passes_over_mtu_9000_ipv4() {
    every_size_passes("9000", "4", UDP);
}

#[test]
fn every_frame_size_passes_over_mtu_1500_ipv6() {
    every_size_passes("1500", "6", UDP);
}

#[test]
fn every_frame_size_passes_over_mtu_1400_ipv6() {
    every_size_passes("1400", "6", UDP);
}

#[test]
fn every_frame_size_passes_over_mtu_9000_ipv6() {
    every_size_passes("9000", "6", UDP);
}

#[test]
fn every_frame_size_passes_by_xdp_over_mtu_1500_ipv4() {
    every_size_passes("1500", "4", XDP);
}

#[test]
fn every_frame_size_passes_by_xdp_over_mtu_1400_ipv4() {
    every_size_passes("1400", "4", XDP);
}

#[test]
fn every_frame_size_passes_by_xdp_over_mtu_9000_ipv4() {
    every_size_passes("9000", "4", XDP);
}

#[test]
fn every_frame_size_passes_by_xdp_over_mtu_1500_ipv6() {
    every_size_passes("1500", "6", XDP);
}

#[test]
fn every_frame_size_passes_by_xdp_over_mtu_1400_ipv6() {
    every_size_passes("1400", "6", XDP);
}

#[test]
fn every_frame_size_passes_by_xdp_over_mtu_9000_ipv6() {
    every_size_passes("9000", "6", XDP);
}

/// One end by AF_XDP, the other through its kernel, which checks the checksums.
#[test]
fn bursts_pass_between_different_uplinks() {
    let lab = Lab::up(&["--ip", "6"]);
    lab.start("cloud", &UDP);
    lab.start("site", &XDP);
    lab.wait_for_session();
    for way in [
        ["dc", "vm1", "--src", DC, "--dst", VM1],
        ["vm1", "dc", "--src", VM1, "--dst", DC],
    ] {
        let burst = [&way[..], &["--count", "2000", "--pause", "0"]].concat();
        assert_all_arrived(&lab.frames(&burst), false);
    }
    assert_by_xdp(&lab.status("site"));
    let counters = lab.status("cloud").workers.remove(0).counters;
    assert_eq!((counters["wan_xdp_tx"], counters["wan_xdp_rx"]), (0, 0));
}

/// All but the first datagrams of a session, before there is a next hop, took the way of AF_XDP.
#[track_caller]
fn assert_by_xdp(status: &Status) {
    let sum = |name: &str| -> u64 { status.workers.iter().map(|w| w.counters[name]).sum() };
    for (by_xdp, all) in [
        ("wan_xdp_tx", "wan_tx_datagrams"),
        ("wan_xdp_rx", "wan_rx_datagrams"),
    ] {
        let (by_xdp, all) = (sum(by_xdp), sum(all));
        assert!(
            by_xdp > 100 && by_xdp + 20 > all,
            "{by_xdp} of {all}: {status:?}"
        );
    }
}

#[test]
fn tags_are_carried_and_a_station_lives_in_its_vlan() {
    let lab = Lab::up(&[]);
    lab.start("cloud", &XDP);
    let station = ["--station", "7/00:50:56:00:00:50=cloud"];
    lab.start("site", &[&station[..], &XDP].concat());
    lab.wait_for_session();
    // The tag must be in the frame when it reaches the lan port, as it is on a wire.
    for (host, interface) in [("dc", "eth0"), ("vm1", "eth0")] {
        lab.exec(host, &["ethtool", "-K", interface, "txvlan", "off"]);
    }
    let sizes = ["--sizes", "64-1518"];
    for way in [
        ["dc", "vm1", "--src", DC, "--dst", VM1],
        ["vm1", "dc", "--src", VM1, "--dst", DC],
    ] {
        let tagged = [&way[..], &["--vlan", "7"], &sizes].concat();
        assert_all_arrived(&lab.frames(&tagged), true);
    }
    let foreign = lab.status("site").verdicts["foreign"];
    let other_vlan = [
        "dc", "vm1", "--src", DC, "--dst", VM1, "--vlan", "8", "--count", "50",
    ];
    let report = lab.frames(&other_vlan);
    assert!(report.contains(&"received 0".to_owned()), "{report:?}");
    assert_eq!(lab.status("site").verdicts["foreign"], foreign + 50);
}

/// The hosts' veths leave TCP checksums to hardware that is not there; nobody runs ethtool.
#[test]
fn partial_checksums_arrive_completed() {
    let lab = Lab::running(&[], &[]);
    for (server, client, address) in [
        ("vm1", "dc", "10.77.0.50"),
        ("dc", "vm1", "10.77.0.1"),
        ("vm1", "dc", "fd77::50"),
    ] {
        let features = lab.exec(client, &["ethtool", "-k", "eth0"]);
        assert!(
            features.contains("tx-checksumming: on"),
            "the test needs unfinished checksums"
        );
        let serve = lab.serve_iperf3(server);
        let report = lab.exec(
            client,
            &["iperf3", "--json", "--client", address, "--time", "1"],
        );
        serve.output();
        let report: serde_json::Value = serde_json::from_str(&report).unwrap();
        assert!(
            report["end"]["sum_received"]["bytes"].as_u64().unwrap() > 1 << 20,
            "{report}"
        );
    }
    for end in ["site", "cloud"] {
        let finished = lab.status(end).workers[0].counters["checksums_finished"];
        assert!(finished > 1_000, "{end}: {finished}");
    }
}

#[test]
fn four_queues_are_four_workers_and_order_is_kept() {
    four_queues(UDP);
}

/// Datagrams come in on whatever queue the device chooses, and get to the worker of their lane.
#[test]
fn four_queues_by_xdp_are_four_workers_and_order_is_kept() {
    let lab = four_queues(XDP);
    let mut handed_over = 0;
    for end in ["site", "cloud"] {
        let status = lab.status(end);
        let xdp = status.uplink.xdp.as_ref().unwrap();
        assert_eq!(xdp.queues, 4);
        // A veth has no flow rules.
        assert!(xdp.flow_rules.starts_with("0, and no more: "), "{xdp:?}");
        assert_by_xdp(&status);
        handed_over += status
            .workers
            .iter()
            .map(|w| w.counters["wan_handed_over"])
            .sum::<u64>();
        assert_eq!(status.drops["handover_full"], 0);
    }
    assert!(
        handed_over > 0,
        "none came in on another's queue: nothing was tried"
    );
}

fn four_queues(uplink: [&str; 2]) -> Lab {
    let lab = Lab::running(&["--queues", "4"], &uplink);
    for end in ["site", "cloud"] {
        assert_eq!(lab.status(end).workers.len(), 4);
    }
    for way in [
        ["dc", "vm1", "--src", DC, "--dst", VM1],
        ["vm1", "dc", "--src", VM1, "--dst", DC],
    ] {
        let burst = [&way[..], &["--count", "4000", "--pause", "0.0001"]].concat();
        assert_all_arrived(&lab.frames(&burst), false);
    }
    lab.exec(
        "dc",
        &[
            "ping",
            "-q",
            "-c",
            "20",
            "-i",
            "0.02",
            "-W",
            "2",
            "10.77.0.50",
        ],
    );
    lab
}
