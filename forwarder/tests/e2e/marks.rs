//! DSCP and ECN on a real path, by both uplinks: what routers and hosts see.

use crate::lab::{Lab, PATIENCE, VM1, within};

/// Expedited forwarding, ECN-capable.
const CLASS: &str = "0xba";

fn nft(lab: &Lab, rules: &[&str]) {
    for rule in rules {
        lab.exec("path", &["nft", rule]);
    }
}

/// More than are captured: a socket that is there may not have its filter yet.
fn ping(lab: &Lab, from: &str, to: &str, class: &str) -> bool {
    let ping = [
        "ping", "-q", "-n", "-c", "6", "-i", "0.2", "-W", "1", "-Q", class, to,
    ];
    lab.succeeds(from, &ping)
}

/// How many packets of a capture have this in their first line.
fn count(capture: &str, words: &[&str]) -> usize {
    capture
        .lines()
        .filter(|line| words.iter().all(|w| line.contains(w)))
        .count()
}

#[test]
fn classes_are_copied_out_and_marks_of_the_path_come_in() {
    let lab = Lab::up(&[]);
    let copy = ["--copy-dscp", "on", "--copy-ecn", "on"];
    lab.start("cloud", &copy);
    lab.start("site", &[&copy[..], &["--uplink", "xdp"]].concat());
    lab.wait_for_session();
    lab.dc_reaches("10.77.0.50");
    // The first packets may go through the socket; those captured go by AF_XDP.
    let by_xdp = || {
        lab.dc_reaches("10.77.0.50");
        lab.status("site").workers[0].counters["wan_xdp_tx"] > 5
    };
    assert!(within(PATIENCE, by_xdp));

    let dump = |host, interface, packets, filter| {
        let dump = [
            "timeout", "30", "tcpdump", "-n", "-v", "-i", interface, "-c", packets, filter,
        ];
        let capture = lab.spawn(host, &dump);
        assert!(within(PATIENCE, || lab
            .exec(host, &["ss", "-H0"])
            .contains(interface)));
        capture
    };
    let path = dump("path", "site", "8", "udp and ip[1] = 0xba");
    assert!(ping(&lab, "dc", "10.77.0.50", CLASS) && ping(&lab, "vm1", "10.77.0.1", CLASS));
    let path = path.output();
    // tcpdump verifies the header's checksum.
    assert_eq!(count(&path, &["bad cksum"]), 0, "{path}");
    for way in ["198.51.100.2", "203.0.113.2"] {
        let from = path
            .lines()
            .filter(|line| line.trim_start().starts_with(way))
            .count();
        assert!(from >= 2, "{way}: {path}");
    }

    if !lab.succeeds("path", &["nft", "list", "tables"]) {
        return eprintln!("no nftables here: the path marks nothing");
    }
    let mark = "add rule ip aqm f ip ecn ect0 ip ecn set ce";
    let chain = "add chain ip aqm f { type filter hook forward priority 0; }";
    nft(&lab, &["add table ip aqm", chain, mark]);
    let hosts = [("vm1", "dc", "10.77.0.50"), ("dc", "vm1", "10.77.0.1")];
    for (host, from, address) in hosts {
        let capture = dump(host, "eth0", "3", "icmp[icmptype] = icmp-echo");
        assert!(ping(&lab, from, address, CLASS));
        let capture = capture.output();
        assert!(count(&capture, &["tos 0xbb,CE"]) >= 3, "{host}: {capture}");
        assert_eq!(count(&capture, &["bad cksum"]), 0, "{host}: {capture}");
    }
    for end in ["site", "cloud"] {
        assert!(
            lab.status(end).workers[0].counters["ecn_marked"] >= 3,
            "{end}"
        );
    }
    // A router that marks what cannot be marked.
    nft(
        &lab,
        &[
            "flush chain ip aqm f",
            "add rule ip aqm f meta l4proto udp ip ecn set ce",
        ],
    );
    assert!(
        !ping(&lab, "dc", "10.77.0.50", "0"),
        "{VM1} is not ECN-capable"
    );
    assert!(lab.status("cloud").drops["congestion_marked"] >= 3);
}
