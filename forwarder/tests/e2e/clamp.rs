//! `--clamp-mss`: what the hosts of both sides see of each other's SYNs.

use crate::lab::{Lab, PATIENCE, within};

/// What is said of SYNs by tcpdump, which verifies their checksums.
fn syns(capture: &str) -> Vec<&str> {
    // Over IPv4 a packet takes two lines.
    capture
        .lines()
        .filter(|line| line.contains("Flags [S"))
        .collect()
}

/// One end lowers what crosses it either way, IPv4 and IPv6: 1,472 bytes of datagram less 34 of ESP, 4 of the bundle,
/// 14 of Ethernet, and the headers of IP and TCP.
#[test]
fn auto_is_set_at_one_end_and_holds_for_both_directions() {
    let lab = Lab::up(&[]);
    lab.start("cloud", &[]);
    lab.start("site", &["--clamp-mss", "auto"]);
    lab.wait_for_session();
    let full = || {
        let status = lab.status("site");
        status.peers[0]
            .session
            .as_ref()
            .is_some_and(|s| s.path_mtu == 1_472)
    };
    assert!(within(PATIENCE, full));
    let syns_only = "tcp[13] & 2 != 0 or (ip6 proto 6 and ip6[53] & 2 != 0)";
    let dump = [
        "timeout", "30", "tcpdump", "-n", "-vv", "-Q", "in", "-i", "eth0", "-c", "4", syns_only,
    ];
    let captures = ["dc", "vm1"].map(|host| lab.spawn(host, &dump));
    let opened = |host| lab.exec(host, &["ss", "-H0"]).contains("eth0");
    assert!(within(PATIENCE, || opened("dc") && opened("vm1")));
    for address in ["10.77.0.50", "fd77::50"] {
        let server = lab.serve_iperf3("vm1");
        lab.exec("dc", &["iperf3", "--client", address, "--bytes", "100K"]);
        server.output();
    }
    for capture in captures {
        let capture = capture.output();
        let syns = syns(&capture);
        let of = |mss| {
            syns.iter()
                .filter(|s| s.contains(mss) && s.contains("(correct)"))
                .count()
        };
        // A connection for control and one for data, each over both.
        assert_eq!(
            (syns.len(), of("mss 1380,"), of("mss 1360,")),
            (4, 2, 2),
            "{capture}"
        );
    }
    assert_eq!(lab.status("site").workers[0].counters["mss_clamped"], 8);
    assert_eq!(lab.status("cloud").workers[0].counters["mss_clamped"], 0);
}
