//! Two clouds of one site, and two sites of one cloud end: what goes where, once, and what goes nowhere.

use crate::{
    lab::{DC, Lab, PATIENCE, VM1, within},
    tagged::{self, Frames, Way},
};

const VM3: &str = "00:50:56:00:00:52";
const DC3: &str = "02:77:00:00:01:01";
const BROADCAST: &str = "ff:ff:ff:ff:ff:ff";
const FRAMES: Frames<'_> = Frames {
    count: "40",
    sizes: None,
};

/// A lab of three ends with this uplink whose sessions stand; the first has more arguments.
fn lab(option: &str, ends: [&str; 3], uplink: &str, arguments: &[&str]) -> Lab {
    let (lab, uplink) = (Lab::up(&[option, "2"]), ["--uplink", uplink]);
    lab.start(ends[0], &[&uplink, arguments].concat());
    ends[1..].iter().for_each(|end| lab.start(end, &uplink));
    let ready = |end: &&str| {
        let peers = lab.status(end).peers;
        peers.iter().all(|peer| {
            let lanes = peer.session.iter().flat_map(|s| &s.tx_lanes);
            peer.state == "up"
                && lanes.clone().count() > 0
                && lanes.clone().all(|l| l.path.is_some())
        })
    };
    assert!(within(PATIENCE, || ends.iter().all(ready)), "no sessions");
    lab
}

#[track_caller]
fn arrive(lab: &Lab, way: Way<'_>, vlans: [&str; 2]) {
    tagged::arrive(lab, way, vlans, FRAMES);
}

fn do_not_arrive(lab: &Lab, way: Way<'_>, vlan: &str) {
    let report = tagged::send(lab, way, [vlan, vlan], FRAMES);
    assert!(
        report.contains(&"received 0".to_owned()),
        "{way:?} {vlan}: {report:?}"
    );
}

#[test]
fn two_clouds_of_a_site_are_one_segment_but_not_with_each_other() {
    two_clouds("udp");
}

#[test]
fn two_clouds_of_a_site_are_one_segment_but_not_with_each_other_by_xdp() {
    two_clouds("xdp");
}

fn two_clouds(uplink: &str) {
    let list = [
        "--multicast",
        "239.9.9.9=cloud2",
        "--multicast-snooping",
        "on",
    ];
    let lab = lab("--clouds", ["site", "cloud", "cloud2"], uplink, &list);
    for address in ["10.77.0.50", "10.77.0.52"] {
        lab.dc_reaches(address);
    }
    let untagged = ["0", "0"];
    arrive(&lab, ["dc", "vm1", DC, BROADCAST], untagged);
    arrive(&lab, ["dc", "vm3", DC, BROADCAST], untagged);
    arrive(&lab, ["vm1", "dc", VM1, BROADCAST], untagged);
    arrive(&lab, ["dc", "vm3", DC, VM3], untagged);
    // Not through the site to the other cloud, by broadcast or by name.
    do_not_arrive(&lab, ["vm1", "vm3", VM1, BROADCAST], "0");
    let before = lab.status("site").drops["split_horizon"];
    do_not_arrive(&lab, ["vm1", "vm3", VM1, VM3], "0");
    assert_eq!(lab.status("site").drops["split_horizon"], before + 40);
    groups_go_where_they_are_wanted(&lab);
}

/// What dc asks as an IGMP querier, with an answer within 0.1 s (RFC 2236).
const QUERY: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 2)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton('10.77.0.1'))
s.sendto(bytes([0x11, 1, 0xee, 0xfe, 0, 0, 0, 0]), ('224.0.0.1', 0))";

/// Has vm1 listen to a group until it is killed.
const LISTEN: &str = "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
group = socket.inet_aton('239.1.2.3') + socket.inet_aton('10.77.0.50')
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
time.sleep(600)";

/// Multicast to the clouds of [`two_clouds_of_a_site_are_one_segment_but_not_with_each_other`].
fn groups_go_where_they_are_wanted(lab: &Lab) {
    let (listed, snooped, untagged) = ("01:00:5e:09:09:09", "01:00:5e:01:02:03", ["0", "0"]);
    arrive(lab, ["dc", "vm3", DC, listed], untagged);
    do_not_arrive(lab, ["dc", "vm1", DC, listed], "0");
    // Nobody has been asked: it is flooded.
    arrive(lab, ["dc", "vm3", DC, snooped], untagged);
    let python = |code| ["/usr/bin/env", "python3", "-c", code];
    let _listener = lab.spawn("vm1", &python(LISTEN));
    lab.exec("dc", &python(QUERY));
    let heard = || {
        lab.status("site")
            .groups
            .get(snooped)
            .is_some_and(|p| p == &["cloud"])
    };
    assert!(within(PATIENCE, heard), "{:?}", lab.status("site").groups);
    arrive(lab, ["dc", "vm1", DC, snooped], untagged);
    do_not_arrive(lab, ["dc", "vm3", DC, snooped], "0");
}

#[test]
fn two_sites_of_a_cloud_end_are_strictly_apart() {
    two_sites("udp");
}

#[test]
fn two_sites_of_a_cloud_end_are_strictly_apart_by_xdp() {
    two_sites("xdp");
}

/// They have the same MAC and IP addresses, and at the cloud the same stations in different VLANs.
fn two_sites(uplink: &str) {
    let lab = lab("--sites", ["cloud", "site", "site2"], uplink, &[]);
    lab.dc_reaches("10.77.0.50");
    let (untagged, tagged) = (["0", "0"], ["0", "20"]);
    arrive(&lab, ["dc", "vm1", DC, BROADCAST], untagged);
    arrive(&lab, ["dc3", "vm1", DC3, BROADCAST], tagged);
    arrive(&lab, ["dc3", "vm1", DC3, VM1], tagged);
    arrive(&lab, ["vm1", "dc3", VM1, BROADCAST], ["20", "0"]);
    arrive(&lab, ["vm1", "dc3", VM1, DC], ["20", "0"]);
    // From site to site, and from a station of one to the other.
    do_not_arrive(&lab, ["dc", "dc3", DC, BROADCAST], "0");
    do_not_arrive(&lab, ["vm1", "dc3", VM1, BROADCAST], "0");
    do_not_arrive(&lab, ["vm1", "dc", VM1, BROADCAST], "20");
    let drops = lab.status("cloud").drops;
    assert_eq!(drops["spoofed_source"], 0, "{drops:?}");
}
