//! Starting, dying and stopping.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use crate::lab::{Lab, PATIENCE, within};

/// One that is lost, because nothing flows yet, must not be waited for as long as all may take.
const PING: [&str; 6] = ["ping", "-q", "-c", "1", "-W", "0.1"];

fn answers(lab: &Lab) -> bool {
    lab.succeeds("dc", &[&PING[..], &["10.77.0.50"]].concat())
}

/// `kill -9`, restart, and how long after the restarted end is up until traffic flows.
fn recovery(end: &str, uplink: &str) {
    let uplink = ["--uplink", uplink];
    let lab = Lab::running_alone(&[], &uplink);
    assert!(within(PATIENCE, || answers(&lab)));
    for pause in [Duration::ZERO, Duration::from_secs(3)] {
        lab.stop(end, "KILL");
        // Short against a long outage: the other end may or may not have given up by now.
        std::thread::sleep(pause);
        let mut pings = lab
            .command(
                "dc",
                &[
                    "ping",
                    "-D",
                    "-n",
                    "-O",
                    "-i",
                    "0.02",
                    "-w",
                    "15",
                    "10.77.0.50",
                ],
            )
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        lab.start(end, &uplink);
        let up = Instant::now();
        let flows = within(PATIENCE, || answers(&lab));
        let took = up.elapsed();
        let _ = pings.kill();
        let _ = pings.wait();
        assert!(
            flows && took < Duration::from_secs(1),
            "{end} after {pause:?}: {took:?}"
        );
    }
}

#[test]
fn the_site_killed_and_restarted_carries_on_within_a_second() {
    recovery("site", "udp");
}

#[test]
fn the_site_killed_and_restarted_carries_on_within_a_second_by_xdp() {
    recovery("site", "xdp");
}

#[test]
fn the_cloud_end_killed_and_restarted_carries_on_within_a_second() {
    recovery("cloud", "udp");
}

#[test]
fn the_cloud_end_killed_and_restarted_carries_on_within_a_second_by_xdp() {
    recovery("cloud", "xdp");
}

#[test]
fn nothing_is_left_behind_however_it_ends() {
    let lab = Lab::up(&[]);
    for signal in ["TERM", "INT", "KILL"] {
        lab.start("both", &["--uplink", "xdp"]);
        lab.wait_for_session();
        for end in ["site", "cloud"] {
            let link = lab.exec(end, &["ip", "-d", "link", "show", "lan"]);
            assert!(
                link.contains("xdp") && link.contains("promiscuity 1"),
                "{link}"
            );
            let link = lab.exec(end, &["ip", "-d", "link", "show", "wan"]);
            assert!(link.contains("causeway_uplink"), "{link}");
        }
        lab.stop("both", signal);
        for end in ["site", "cloud"] {
            let clean = || {
                let show = |device| lab.exec(end, &["ip", "-d", "link", "show", device]);
                let (lan, wan) = (show("lan"), show("wan"));
                !lan.contains("xdp") && lan.contains("promiscuity 0") && !wan.contains("xdp")
            };
            assert!(within(PATIENCE, clean), "{end} after {signal}");
            assert_eq!(
                lab.exec(end, &["ss", "-Hxl"]).matches("causeway").count(),
                0
            );
        }
    }
}

#[test]
fn a_clean_stop_tells_the_peer() {
    let lab = Lab::running(&[], &[]);
    lab.stop("cloud", "TERM");
    assert!(within(PATIENCE, || lab.status("site").peers[0].state == "dialling"));
    assert!(
        lab.log("site").contains("its program stops"),
        "{}",
        lab.log("site")
    );
    // From then on frames are counted as having no session, not sent into the void.
    assert!(within(PATIENCE, || {
        let _ = answers(&lab);
        lab.status("site").drops["no_session"] > 0
    }));
}

#[test]
fn the_appliance_stays_reachable_on_its_lan_port() {
    let lab = Lab::running(&[], &[]);
    lab.dc_reaches("10.77.0.2");
    lab.dc_reaches("fd77::2");
    // An address that it gets later is its own from then on.
    lab.exec(
        "site",
        &["ip", "address", "add", "10.77.0.99/24", "dev", "lan"],
    );
    let known = || {
        lab.status("site")
            .lan
            .own_addresses
            .contains(&"10.77.0.99".into())
    };
    assert!(within(PATIENCE, known));
    lab.dc_reaches("10.77.0.99");
}
