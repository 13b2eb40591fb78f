//! A trunk at both ends: allow lists, translation, and tags that the LAN port would have taken out.

use crate::lab::{DC, Lab, PATIENCE, VM1, within};

const BROADCAST: &str = "ff:ff:ff:ff:ff:ff";

/// Has 200 frames of all sizes cross in a VLAN and wants them to arrive in another; 0 for untagged.
fn cross(lab: &Lab, way: [&str; 4], vlan: &str, arrives: &str) {
    let [from, to, src, dst] = way;
    let what = [
        "--src",
        src,
        "--dst",
        dst,
        "--vlan",
        vlan,
        "--arrives",
        arrives,
    ];
    let how = ["--sizes", "64-1514", "--count", "200"];
    let report = lab.frames(&[&[from, to][..], &what, &how].concat());
    let tagged = if (vlan, arrives) == ("0", "0") {
        0
    } else {
        200
    };
    let tagged = format!("tagged {tagged}");
    for line in ["received 200", "duplicated 0", "damaged 0", &tagged] {
        assert!(
            report.contains(&line.to_owned()),
            "{way:?} {vlan} {arrives}: {report:?}"
        );
    }
}

fn rxvlan(lab: &Lab) -> String {
    let features = lab.exec("site", &["ethtool", "-k", "lan"]);
    let line = features.lines().find(|l| l.starts_with("rx-vlan-offload"));
    line.unwrap().to_owned()
}

#[test]
fn vlans_cross_under_the_names_that_the_lists_give_them() {
    let lab = Lab::up(&[]);
    assert!(rxvlan(&lab).contains(": on"), "{}", rxvlan(&lab));
    // VLAN 10 at the site is 110 at the cloud, and untagged at the site is 30 there.
    let map = ["--vlan-map", "site=110:10"];
    lab.start("cloud", &[&["--vlans", "site=30,110"][..], &map].concat());
    let tagged = format!("10/{VM1}=cloud");
    let more = [
        "--vlans",
        "cloud=0,10",
        "--native-vlan",
        "30",
        "--station",
        &tagged,
    ];
    lab.start("site", &more);
    lab.wait_for_session();

    for (site, cloud) in [("10", "110"), ("0", "30")] {
        for destination in [VM1, BROADCAST] {
            cross(&lab, ["dc", "vm1", DC, destination], site, cloud);
        }
        for destination in [DC, BROADCAST] {
            cross(&lab, ["vm1", "dc", VM1, destination], cloud, site);
        }
    }
    let before = lab.status("site").drops["vlan_not_allowed"];
    for vlan in ["30", "40"] {
        let broadcast = [
            "dc", "vm1", "--src", DC, "--dst", BROADCAST, "--count", "20",
        ];
        let report = lab.frames(&[&broadcast[..], &["--vlan", vlan]].concat());
        assert!(report.contains(&"received 0".to_owned()), "{report:?}");
    }
    let status = lab.status("site");
    assert!(
        status.drops["vlan_not_allowed"] >= before + 40,
        "{:?}",
        status.drops
    );
    assert!(status.stations.contains_key(&format!("10/{VM1}")));
    let cloud = lab.status("cloud").stations;
    for station in [format!("110/{VM1}"), format!("30/{VM1}")] {
        assert!(cloud.contains_key(&station), "{cloud:?}");
    }

    assert_eq!(status.lan.vlan_stripping, "off, by causeway until it stops");
    assert!(rxvlan(&lab).contains(": off"), "{}", rxvlan(&lab));
    lab.stop("site", "TERM");
    assert!(within(PATIENCE, || rxvlan(&lab).contains(": on")));
}
