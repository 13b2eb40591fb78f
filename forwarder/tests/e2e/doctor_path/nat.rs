//! What the doctor says of a NAT.

use super::{CLOUD, configure, masquerades, says};
use crate::lab::Lab;

const CLOUD2: &str = "192.0.2.2:24500";

/// What a NAT does is told as far as its peers show it: with two, whether it maps a port alike for both.
#[test]
fn a_nat_is_told_as_far_as_its_peers_show() {
    let lab = Lab::up(&["--clouds", "2"]);
    for cloud in ["cloud", "cloud2"] {
        lab.start(cloud, &[]);
    }
    let clouds = [("cloud", CLOUD), ("cloud2", CLOUD2)];
    configure(&lab, &clouds, "lane-keepalive = \"3s\"");
    masquerades(&lab, "");
    says(
        &lab,
        0,
        "",
        &[
            "it changes the address to 203.0.113.1 and keeps the ports",
            "it changes the address to 192.0.2.1 and keeps the ports",
            "NAT lifetime",
            "more than 3.0 s",
            "NAT mapping",
        ],
    );
    // Each peer's port is another, and forgotten after a second.
    masquerades(&lab, "random");
    for timeout in ["udp_timeout", "udp_timeout_stream"] {
        let file = format!("/proc/sys/net/netfilter/nf_conntrack_{timeout}");
        lab.exec("path", &["sh", "-c", &format!("echo 1 >{file}")]);
    }
    let text = says(
        &lab,
        1,
        "FAILING  NAT lifetime",
        &[
            "it changes the address to 203.0.113.1 and the ports",
            "less than 3.0 s",
            "a shorter lane-keepalive",
            "NAT mapping           address-dependent",
        ],
    );
    assert!(!text.contains("FAILING  ESP"), "{text}");
    configure(&lab, &clouds[..1], "lane-keepalive = \"500ms\"");
    says(
        &lab,
        0,
        "",
        &["more than 0.5 s", "one peer (cloud) cannot show"],
    );
}
