//! What crosses and what does not.

use crate::lab::{DC, Lab, VM1};

const DC2: &str = "02:77:00:00:00:03";

/// Promiscuous mode brings traffic that is none of our business: it ends in the driver.
#[test]
fn traffic_of_other_hosts_never_leaves_the_driver() {
    let lab = Lab::running(&[], &[]);
    let before = lab.status("site");
    let report = lab.frames(&["dc2", "dc", "--src", DC2, "--dst", DC, "--count", "2000"]);
    assert!(report.contains(&"received 2000".to_owned()), "{report:?}");
    let after = lab.status("site");
    assert!(after.verdicts["foreign"] >= before.verdicts["foreign"] + 2_000);
    let taken = |s: &causeway::status::Status| s.workers[0].counters["lan_rx_frames"];
    // The hosts' multicast reports (MLD) are flooded at any time.
    assert!(taken(&after) < taken(&before) + 20, "{after:?}");
}

/// With the site's own broadcasts coming back to it, nothing goes round and nothing comes twice.
#[test]
fn reflected_frames_are_dropped_at_the_driver() {
    let lab = Lab::running(&["--reflect"], &[]);
    let report = lab.frames(&[
        "vm1",
        "dc",
        "--src",
        VM1,
        "--dst",
        "ff:ff:ff:ff:ff:ff",
        "--count",
        "200",
    ]);
    for line in ["received 200", "duplicated 0"] {
        assert!(report.contains(&line.to_owned()), "{report:?}");
    }
    assert!(lab.status("site").verdicts["reflection"] >= 200);
    assert_eq!(lab.status("cloud").drops["spoofed_source"], 0);
}

#[test]
fn broadcasts_cross_both_ways_and_link_local_protocols_do_not() {
    let lab = Lab::running(&[], &[]);
    let broadcast = "ff:ff:ff:ff:ff:ff";
    for (from, to, src) in [("dc", "vm1", DC), ("vm1", "dc", VM1)] {
        let report = lab.frames(&[from, to, "--src", src, "--dst", broadcast, "--count", "100"]);
        assert!(report.contains(&"received 100".to_owned()), "{report:?}");
        for link_local in ["01:80:c2:00:00:00", "01:80:c2:00:00:0e"] {
            let report =
                lab.frames(&[from, to, "--src", src, "--dst", link_local, "--count", "20"]);
            assert!(report.contains(&"received 0".to_owned()), "{report:?}");
        }
    }
}

#[test]
fn floods_are_limited() {
    let lab = Lab::running(&[], &["--flood-limit", "100"]);
    let report = lab.frames(&[
        "dc",
        "vm1",
        "--src",
        DC,
        "--dst",
        "ff:ff:ff:ff:ff:ff",
        "--count",
        "2000",
        "--pause",
        "0",
    ]);
    let received: u32 = report
        .iter()
        .find_map(|l| l.strip_prefix("received "))
        .unwrap()
        .parse()
        .unwrap();
    assert!(received < 1_000, "{report:?}");
    assert!(lab.status("site").drops["flood_limit"] > 1_000);
    // The limit is on floods alone.
    lab.exec(
        "dc",
        &[
            "ping",
            "-q",
            "-c",
            "5",
            "-i",
            "0.05",
            "-W",
            "2",
            "10.77.0.50",
        ],
    );
}

/// DHCP from the old LAN reaches a moved VM (dnsmasq on one side, udhcpc on the other).
#[test]
fn dhcp_crosses() {
    let lab = Lab::running(&[], &[]);
    let _server = lab.vm2_gets_a_lease_of_dc();
}
