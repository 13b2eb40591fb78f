//! A trunk at both ends: allow lists, translation, and tags that the LAN port would have taken out.

use crate::{
    lab::{DC, Lab, PATIENCE, VM1, within},
    tagged::{self, Frames, Way},
};

const BROADCAST: &str = "ff:ff:ff:ff:ff:ff";

/// Has 200 frames of all sizes cross in a VLAN and wants them to arrive in another; 0 for untagged.
#[track_caller]
fn cross(lab: &Lab, way: Way<'_>, vlan: &str, arrives: &str) {
    let frames = Frames {
        count: "200",
        sizes: Some("64-1514"),
    };
    tagged::arrive(lab, way, [vlan, arrives], frames);
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
    let few = Frames {
        count: "20",
        sizes: None,
    };
    for vlan in ["30", "40"] {
        let report = tagged::send(&lab, ["dc", "vm1", DC, BROADCAST], [vlan, vlan], few);
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
