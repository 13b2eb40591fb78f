//! A VM that moves for real: its cable is pulled out of one LAN and put into another, behind learning switches.

use std::time::{Duration, Instant};

use crate::lab::{DC, Lab, PATIENCE, VM1, within};

const CAUSEWAY: &str = env!("CARGO_BIN_EXE_causeway");

/// The most that a moved VM may be out of reach.
const SECOND: Duration = Duration::from_secs(1);

/// Puts the cable of vm1 into another LAN's switch.
fn plug_vm1(lab: &Lab, from: &str, into: &str) {
    let there = format!("{}-{into}", lab.name());
    lab.exec(from, &["ip", "link", "set", "vm1", "netns", &there]);
    lab.exec(into, &["ip", "link", "set", "vm1", "master", "br0", "up"]);
}

fn station(lab: &Lab, arguments: &[&str]) {
    lab.exec("site", &[&[CAUSEWAY, "station"], arguments].concat());
}

/// How long it takes from `start` until dc gets an answer of vm1.
fn answered_after(lab: &Lab, start: Instant) -> Duration {
    let ping = ["ping", "-n", "-q", "-c", "1", "-W", "0.2", "10.77.0.50"];
    assert!(within(PATIENCE, || lab.succeeds("dc", &ping)), "no answer");
    start.elapsed()
}

/// Half a second each: what a TCP connection brought.
fn bytes_of_intervals(report: &str) -> Vec<f64> {
    let report: serde_json::Value = serde_json::from_str(report).unwrap();
    let intervals = report["intervals"].as_array().unwrap();
    let bytes = |interval: &serde_json::Value| interval["sum"]["bytes"].as_f64().unwrap();
    intervals.iter().map(bytes).collect()
}

/// From the old LAN to the cloud, with a connection that has begun at home.
#[test]
fn a_tcp_connection_survives_the_move() {
    let lab = Lab::up(&["--switch", "learning"]);
    lab.start("cloud", &[]);
    lab.start("site", &[]);
    lab.wait_for_session();
    station(&lab, &["remove", VM1]);
    plug_vm1(&lab, "new", "old");
    answered_after(&lab, Instant::now());
    let before = lab.status("site").verdicts["tunnel"];

    let _server = lab.serve_iperf3("vm1");
    let client = lab.spawn(
        "dc",
        &[
            "iperf3",
            "--client",
            "10.77.0.50",
            "--time",
            "7",
            "--interval",
            "0.5",
            "--bitrate",
            "20M",
            "--json",
        ],
    );
    std::thread::sleep(2 * SECOND);
    assert_eq!(
        lab.status("site").verdicts["tunnel"],
        before,
        "at home nothing crosses"
    );
    plug_vm1(&lab, "old", "new");
    let start = Instant::now();
    station(&lab, &["add", &format!("{VM1}=cloud")]);
    let took = answered_after(&lab, start);
    assert!(took < SECOND, "{took:?} after station add");

    // The same connection, from the first byte to the last: iperf3 fails if it is reset.
    let bytes = bytes_of_intervals(&client.output());
    assert!(bytes[..3].iter().all(|n| *n > 0.0), "{bytes:?}");
    let last = &bytes[bytes.len() - 3..];
    assert!(last.iter().all(|n| *n > 0.0), "{bytes:?}");
    assert!(lab.status("site").verdicts["tunnel"] > before + 100);
    assert_eq!(lab.status("site").drops["spoofed_source"], 0);
}

/// From one cloud to another.
#[test]
fn a_station_that_is_moved_answers_within_a_second() {
    let lab = Lab::up(&["--clouds", "2", "--switch", "learning"]);
    for end in ["cloud", "cloud2", "site"] {
        lab.start(end, &[]);
    }
    let sends = |end| {
        let session = lab.status(end).peers[0].session.clone();
        session.is_some_and(|s| s.tx_lanes.iter().all(|l| l.path.is_some()))
    };
    assert!(within(PATIENCE, || sends("cloud") && sends("cloud2")));
    answered_after(&lab, Instant::now());
    plug_vm1(&lab, "new", "new2");
    let start = Instant::now();
    station(&lab, &["move", VM1, "cloud2"]);
    let took = answered_after(&lab, start);
    assert!(took < SECOND, "{took:?} after station move");
    let count = ["--src", VM1, "--dst", DC, "--count", "200"];
    let report = lab.frames(&[&["vm1", "dc"][..], &count].concat());
    for line in ["received 200", "duplicated 0"] {
        assert!(report.contains(&line.to_owned()), "{report:?}");
    }
}
