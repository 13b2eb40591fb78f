use causeway_ebpf::{
    cases::frames::{dot1ad, dot1q},
    ethernet::EthernetHeader,
};
use causeway_tunnel::DropReason;
use proptest::prelude::*;

use super::{
    spec::{VlanMapSpec, VlansSpec},
    *,
};
use crate::{spec::PeerSpec, stations::Role};

const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn peers(names: &[&str]) -> Vec<PeerSpec> {
    let peer = |name: &&str| format!("{name}={KEY}").parse().unwrap();
    names.iter().map(peer).collect()
}

fn planned(
    role: Role,
    names: &[&str],
    native: Option<u16>,
    allowed: &[&str],
    maps: &[&str],
) -> Result<Vlans, String> {
    let allowed: Vec<VlansSpec> = allowed.iter().map(|s| s.parse().unwrap()).collect();
    let maps: Vec<VlanMapSpec> = maps.iter().map(|s| s.parse().unwrap()).collect();
    let options = VlanOptions {
        native,
        allowed: &allowed,
        maps: &maps,
    };
    plan(role, &peers(names), options).map_err(|e| e.to_string())
}

/// The border of a site to its only peer, c.
fn border(native: Option<u16>, allowed: &[&str], maps: &[&str]) -> Arc<PeerVlans> {
    let vlans = planned(Role::Site, &["c"], native, allowed, maps).unwrap();
    Arc::clone(vlans.of(0).expect("a border"))
}

/// The VLANs that cross, each with its name on the way.
fn pairs(vlans: &PeerVlans) -> Vec<(u16, u16)> {
    let all = 0..=MAX_VLAN;
    all.filter_map(|ours| Some((ours, vlans.outward(ours)?)))
        .collect()
}

#[test]
fn without_rules_there_is_no_border() {
    let vlans = planned(Role::Site, &["c", "d"], None, &["d=0,7"], &[]).unwrap();
    assert!(vlans.of(0).is_none());
    assert_eq!(pairs(vlans.of(1).unwrap()), [(0, 0), (7, 7)]);
    let key = StationKey::new(9, MAC);
    assert_eq!(vlans.to_wire(0, key), Some(key));
    assert_eq!(
        (vlans.to_wire(1, key), vlans.from_wire(1, key)),
        (None, None)
    );
    let all = planned(Role::Site, &["c"], None, &["c=all"], &[]).unwrap();
    assert!(all.of(0).is_none(), "all is the default");
}

#[test]
fn a_map_takes_the_name_from_another() {
    let all = border(None, &[], &["c=10:100,0:20"]);
    for (ours, wire) in [
        (10, Some(100)),
        (100, None),
        (0, Some(20)),
        (20, None),
        (30, Some(30)),
    ] {
        assert_eq!(all.outward(ours), wire, "{ours}");
    }
    for (wire, ours) in [
        (100, Some(10)),
        (10, None),
        (20, Some(0)),
        (0, None),
        (30, Some(30)),
    ] {
        assert_eq!(all.inward(wire), ours, "{wire}");
    }
    assert_eq!((all.outward(4_095), all.inward(u16::MAX)), (None, None));
    let swapped = border(None, &["c=1,2"], &["c=1:2,2:1"]);
    assert_eq!(pairs(&swapped), [(1, 2), (2, 1)]);
}

#[test]
fn the_native_vlan_is_that_of_untagged_frames() {
    let all = border(Some(10), &[], &[]);
    assert_eq!((all.outward(0), all.inward(10)), (Some(10), Some(0)));
    // Tagged with it they are none that this port should see, and untagged is nothing on the way.
    assert_eq!((all.outward(10), all.inward(0)), (None, None));
    assert_eq!(
        pairs(&border(Some(10), &["c=10,20"], &[])),
        [(0, 10), (20, 20)]
    );
    assert_eq!(pairs(&border(Some(10), &["c=20"], &[])), [(20, 20)]);
    assert_eq!(
        pairs(&border(Some(10), &["c=0"], &["c=10:110"])),
        [(0, 110)]
    );
    let vlans = planned(Role::Site, &["c"], Some(10), &[], &[]).unwrap();
    let wire = StationKey::new(10, MAC);
    let ours = StationKey::new(vlans.ours(10), MAC);
    assert_eq!(ours.vlan, 0);
    assert_eq!(vlans.to_wire(0, ours), Some(wire));
    assert_eq!(vlans.from_wire(0, wire), Some(ours));
}

#[test]
fn contradictions_are_named() {
    let of = |native, allowed: &[&str], maps: &[&str]| {
        planned(Role::Site, &["c"], native, allowed, maps).unwrap_err()
    };
    for (error, part) in [
        (of(None, &["c=10,100"], &["c=10:100"]), "would both be 100"),
        (of(None, &[], &["c=10:100,11:100"]), "would both be 100"),
        (of(None, &[], &["c=10:100,10:101"]), "both 100 and 101"),
        (of(None, &["c=11"], &["c=10:100"]), "not in --vlans"),
        (of(Some(10), &[], &["c=5:10"]), "would both be 10"),
        (of(Some(10), &[], &["c=10:5,0:6"]), "both 5 and 6"),
        (of(None, &["d=1"], &[]), "no --peer names"),
        (of(None, &["c=1", "c=2"], &[]), "given twice"),
        (of(Some(4_095), &[], &[]), "--native-vlan 4095"),
        (of(Some(0), &[], &[]), "--native-vlan 0"),
    ] {
        assert!(error.contains(part), "{error}");
        assert_eq!(error.lines().count(), 1);
    }
}

#[test]
fn the_sites_of_a_cloud_end_have_vlans_of_their_own() {
    let of = |allowed: &[&str]| planned(Role::Cloud, &["a", "b"], None, allowed, &[]);
    for shared in [&[][..], &["a=10"], &["a=10-20", "b=20"], &["a=0", "b=0,5"]] {
        let error = of(shared).unwrap_err();
        assert!(error.contains("sites a and b share VLAN"), "{error}");
    }
    assert!(of(&["a=10", "b=20,0"]).is_ok());
    // Two clouds of a site are one segment with it.
    assert!(planned(Role::Site, &["a", "b"], None, &[], &[]).is_ok());
    // It is the VLANs here that must differ: on the way they may be called the same.
    let mapped = planned(
        Role::Cloud,
        &["a", "b"],
        None,
        &["a=10", "b=20"],
        &["a=10:5", "b=20:5"],
    );
    assert!(mapped.is_ok());
}

type Tags = [[u8; 4]];

fn frame(tags: &Tags) -> Vec<u8> {
    [&[2; 6], &MAC[..], &tags.concat(), &[8, 0], &[0x45; 46]].concat()
}

/// The frame as it crosses `border`.
fn crossed(border: &Arc<PeerVlans>, frame: &[u8]) -> Result<Vec<u8>, DropReason> {
    let (mut sent, mut lent) = (Vec::new(), frame.to_vec());
    Border::new(border).cross(&mut lent, |frame| {
        sent = frame.to_vec();
        Ok(())
    })?;
    assert_eq!(lent, frame, "others get it as it was");
    // Coming in the other way round is the same frame.
    let inward = PeerVlans {
        outward: border.inward.clone(),
        inward: border.outward.clone(),
    };
    let entered = match inward.enter(frame).unwrap() {
        Some(new) => [new.header(), &frame[new.replaces..]].concat(),
        None => frame.to_vec(),
    };
    assert_eq!(entered, sent);
    Ok(sent)
}

#[test]
fn tags_are_set_pushed_and_popped() {
    let vlans = border(None, &["c=0,10,30"], &["c=0:20,10:0,30:31"]);
    let pushed = [0x81, 0, 0, 20];
    let cases: &[(&Tags, &Tags)] = &[
        (&[], &[pushed]),
        (&[dot1q(0)], &[dot1q(20)]),
        (&[dot1q(0), dot1q(0)], &[dot1q(20), dot1q(0)]),
        (&[dot1q(10)], &[]),
        (&[dot1q(0), dot1q(10)], &[dot1q(0)]),
        (&[dot1q(30)], &[dot1q(31)]),
        (&[dot1ad(30), dot1q(10)], &[dot1ad(31), dot1q(10)]),
        (
            &[dot1q(0), dot1ad(30), dot1q(5)],
            &[dot1q(0), dot1ad(31), dot1q(5)],
        ),
    ];
    for (before, after) in cases {
        assert_eq!(
            crossed(&vlans, &frame(before)),
            Ok(frame(after)),
            "{before:?}"
        );
    }
}

#[test]
fn no_tag_hides_another() {
    let vlans = border(None, &["c=0,10"], &["c=10:0,0:5"]);
    let refused: &[&Tags] = &[
        &[dot1q(11)],
        &[dot1q(4_095)],
        &[dot1ad(11), dot1q(10)],
        // Popped, the inner tag would name the VLAN.
        &[dot1q(10), dot1q(66)],
        &[dot1ad(10), dot1q(66)],
        &[dot1q(10), dot1q(0), dot1q(66)],
        &[dot1q(0), dot1q(10), dot1q(66)],
        // The tag that names it stands where we do not look.
        &[dot1q(0), dot1q(0), dot1q(66)],
    ];
    for tags in refused {
        let got = crossed(&vlans, &frame(tags));
        assert_eq!(got, Err(DropReason::VlanNotAllowed), "{tags:?}");
    }
    assert_eq!(
        crossed(&vlans, &frame(&[])[..13]),
        Err(DropReason::BadFrameLength)
    );
}

#[test]
fn a_frame_of_any_length_grows_by_a_tag() {
    let vlans = border(None, &[], &["c=0:20"]);
    for length in [14, 15, 60, 9_212, 9_216] {
        let mut long = frame(&[]);
        long.resize(length, 7);
        let sent = crossed(&vlans, &long).unwrap();
        assert_eq!((sent.len(), &sent[16..]), (length + 4, &long[12..]));
    }
}

proptest! {
    /// Whatever the rules and the frame: what crosses is in the VLAN that the rules name, nothing behind
    /// the tags is touched, and back it is in the VLAN that it came from.
    #[test]
    fn frames_cross_by_the_rules(
        allowed in prop::collection::btree_set(0u16..6, 0..6),
        turn in 0u16..6,
        tags in prop::collection::vec((any::<bool>(), 0u16..7, 0u16..16), 0..4),
    ) {
        let rules: Vec<_> = allowed.iter().map(|v| (*v, (*v + turn) % 6)).collect();
        let vlans = Arc::new(PeerVlans::new(rules.iter().copied()));
        let tags: Vec<_> = tags
            .iter()
            .map(|(service, vlan, pcp)| if *service { dot1ad(vlan | pcp << 12) } else { dot1q(vlan | pcp << 12) })
            .collect();
        let frame = frame(&tags);
        let before = EthernetHeader::parse(&frame[..]).unwrap();
        let target = rules.iter().find(|(ours, _)| *ours == before.vlan);
        match crossed(&vlans, &frame) {
            Ok(sent) => {
                let after = EthernetHeader::parse(&sent[..]).unwrap();
                prop_assert_eq!(Some(after.vlan), target.map(|(_, wire)| *wire));
                prop_assert_eq!(&sent[..12], &frame[..12]);
                prop_assert!(sent.ends_with(&frame[before.len..]));
                let back = Arc::new(PeerVlans { outward: vlans.inward.clone(), inward: vlans.outward.clone() });
                match crossed(&back, &sent) {
                    Ok(back) => {
                        let again = EthernetHeader::parse(&back[..]).unwrap();
                        prop_assert_eq!(again.vlan, before.vlan);
                        prop_assert!(back.ends_with(&frame[before.len..]));
                    }
                    // Nothing is popped in front of another tag.
                    Err(_) => prop_assert!(tags.len() >= 2 && before.vlan == 0),
                }
            }
            Err(reason) => {
                prop_assert_eq!(reason, DropReason::VlanNotAllowed);
                let tagged = tags.len() >= 2;
                prop_assert!(target.is_none() || tagged);
            }
        }
    }
}
