//! The borders to peers: VLANs that cross under another number, untagged, or not at all.

use causeway::vlans::{Border, VlanOptions, Vlans, plan, spec::VlansSpec};
use causeway_ebpf::cases::frames::{arp_request, frame, tcp};
use causeway_tunnel::DropReason;

use crate::{
    pair::{OneWay, dropped, long},
    *,
};

/// A VLAN tag without priority.
fn tag(vlan: u16) -> [u8; 4] {
    let [high, low] = vlan.to_be_bytes();
    [0x81, 0, high, low]
}

/// The borders of an end to two peers, by `--vlans` and `--vlan-map`.
fn borders(role: Role, vlans: &[&str], maps: &[&str]) -> Vlans {
    let key = |n: u8| causeway_tunnel::identity::PrivateKey::from_bytes([n; 32]).public();
    let peers: Vec<_> = [("a", key(1)), ("b", key(2))]
        .iter()
        .map(|(name, key)| format!("{name}={key}").parse().unwrap())
        .collect();
    let allowed: Vec<VlansSpec> = vlans.iter().map(|s| s.parse().unwrap()).collect();
    let maps: Vec<_> = maps.iter().map(|s| s.parse().unwrap()).collect();
    let options = VlanOptions {
        native: None,
        allowed: &allowed,
        maps: &maps,
    };
    plan(role, &peers, options).unwrap()
}

/// One way with a border to peer 0 at either end.
pub(crate) fn way(from: Role, to: Role, out: &[&str], inward: &[&str]) -> OneWay {
    let mut way = OneWay::new(from, to);
    let at = |role, maps: &[&str]| match role {
        Role::Site => borders(role, &["a=all"], maps),
        Role::Cloud => borders(role, &["a=10", "b=20"], maps),
    };
    way.peers[0].border = at(from, out).of(0).map(Border::new);
    let lane = way.lanes.values_mut().next().unwrap();
    lane.border = at(to, inward).of(0).map(Border::new);
    way
}

#[test]
fn tags_change_and_come_and_go_whatever_the_length() {
    // Untagged at the site is VLAN 10 at the cloud, by the map of either end.
    for (out, inward) in [(&["a=0:10"][..], &[][..]), (&[], &["a=10:0"])] {
        let mut way = way(Role::Site, Role::Cloud, out, inward);
        let lengths = (60..=1_514).step_by(7).chain([9_000]);
        let pair = |length| {
            let frame = long(MOVED_TAGGED, STRANGER, &[], length);
            let tagged = [&frame[..12], &tag(10), &frame[12..]].concat();
            (frame, tagged)
        };
        let (untagged, tagged): (Vec<_>, Vec<_>) = lengths.map(pair).unzip();
        // At the site the station is an untagged one.
        let station = way.from.get(StationKey::new(0, MOVED)).unwrap();
        way.from.insert(StationKey::new(0, MOVED_TAGGED), station);
        let crossed: Vec<_> = untagged.chunks(50).flat_map(|b| way.cross(b)).collect();
        assert_eq!(crossed, tagged);
        assert!(way.receiver.drops.iter().all(|n| n.get() == 0));
    }
    // And back.
    let mut way = way(Role::Cloud, Role::Site, &[], &["a=0:10"]);
    let station = way.to.get(StationKey::new(0, MOVED)).unwrap();
    way.to.insert(StationKey::new(0, MOVED_TAGGED), station);
    let frame = long(STRANGER, MOVED_TAGGED, &[], 1_500);
    let tagged = [&frame[..12], &tag(10), &frame[12..]].concat();
    assert_eq!(way.cross(&[tagged]), [frame]);
}

#[test]
fn each_peer_gets_the_copy_of_a_broadcast_that_it_may_have() {
    let mut way = OneWay::new(Role::Site, Role::Cloud);
    let vlans = borders(Role::Site, &["a=10", "b=20"], &["a=10:110"]);
    for peer in 0..2 {
        way.peers[peer].border = vlans.of(peer as u16).map(Border::new);
    }
    let broadcast = |vlan| arp_request(STRANGER, &[tag(vlan)], [192, 0, 2, 9]);
    assert_eq!(way.cross(&[broadcast(10)]), [broadcast(110)]);
    // Peer b has no session: it would have got one of these, and none of the others.
    assert_eq!(dropped(&way.sender, DropReason::NoSession), 0);
    assert_eq!(way.cross(&[broadcast(20)]), Vec::<Vec<u8>>::new());
    assert_eq!(dropped(&way.sender, DropReason::NoSession), 1);
    assert_eq!(dropped(&way.sender, DropReason::VlanNotAllowed), 0);
    assert_eq!(way.cross(&[broadcast(30)]), Vec::<Vec<u8>>::new());
    assert_eq!(dropped(&way.sender, DropReason::VlanNotAllowed), 1);
}

/// A peer that sends what its rules would not let it: those of this end hold too.
#[test]
fn a_peer_cannot_inject_outside_its_vlans() {
    let mut way = OneWay::new(Role::Site, Role::Cloud);
    let vlans = borders(Role::Cloud, &["a=10", "b=20"], &[]);
    let lane = way.lanes.values_mut().next().unwrap();
    lane.border = vlans.of(0).map(Border::new);
    let broadcast = |tags: &[[u8; 4]]| arp_request(STRANGER, tags, [192, 0, 2, 9]);
    let hostile = [
        broadcast(&[]),
        broadcast(&[tag(0)]),
        broadcast(&[tag(20)]),
        broadcast(&[tag(0), tag(20)]),
        broadcast(&[tag(0), tag(0), tag(10)]),
        broadcast(&[tag(4_095)]),
        tcp(MOVED, STRANGER, &[]),
    ];
    assert_eq!(way.cross(&hostile), Vec::<Vec<u8>>::new());
    assert_eq!(dropped(&way.receiver, DropReason::VlanNotAllowed), 7);
    let allowed = [broadcast(&[tag(10)]), broadcast(&[tag(0), tag(10)])];
    assert_eq!(way.cross(&allowed), allowed);
}

/// Spanning tree and its like, tagged or not, whatever the border makes of the tag.
#[test]
fn no_bpdu_is_injected_or_sent() {
    let stp = [0x01, 0x80, 0xc2, 0, 0, 0];
    let pvst = [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd];
    let elsewhere = [0x01, 0x00, 0x5e, 0x7f, 1, 2];
    let llc = |destination, tags: &[[u8; 4]], sap| {
        frame(destination, STRANGER, tags, 38, &[sap, sap, 3, 0, 0, 0, 0])
    };
    let border = borders(Role::Cloud, &["a=0,10", "b=20"], &["a=0:10,10:0"]);
    for tags in [&[][..], &[tag(10)], &[tag(0)], &[tag(0), tag(10)]] {
        // With whether it leaves a sender that has nothing of the XDP program's part, and whether it arrives.
        for (frame, leaves, arrives) in [
            (llc(stp, tags, 0x42), false, false),
            (llc(elsewhere, tags, 0x42), false, false),
            (llc(stp, tags, 0xaa), true, false),
            (llc(pvst, tags, 0xaa), true, false),
            (llc([0x01, 0x80, 0xc2, 0, 0, 0x0e], tags, 0xaa), true, false),
            (llc(elsewhere, tags, 0xaa), true, true),
        ] {
            let mut way = OneWay::new(Role::Site, Role::Cloud);
            let lane = way.lanes.values_mut().next().unwrap();
            lane.border = border.of(0).map(Border::new);
            let arrived = way.cross(std::slice::from_ref(&frame)).len();
            assert_eq!(arrived, usize::from(arrives), "{frame:02x?}");
            let kept = [
                dropped(&way.sender, DropReason::LinkLocal),
                dropped(&way.receiver, DropReason::LinkLocal),
            ];
            let expected = [u64::from(!leaves), u64::from(leaves && !arrives)];
            assert_eq!(kept, expected, "{frame:02x?}");
        }
    }
}
