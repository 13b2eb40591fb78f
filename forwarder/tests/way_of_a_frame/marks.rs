//! The traffic class from the inner header to the outer one, and the path's marks back.

use causeway::traffic_class::{self, Marking};
use causeway_ebpf::cases::frames::arp_request;
use causeway_tunnel::DropReason;

use crate::{
    pair::{OneWay, dropped},
    *,
};

const EF: u8 = 0xB8;
const AF: u8 = 0x28;
const ECT_0: u8 = 2;

/// An IPv6 packet of this traffic class for a moved station.
fn packet(class: u8) -> Vec<u8> {
    let mut frame = [&MOVED[..], &STRANGER, &[0x86, 0xDD]].concat();
    frame.extend([0x60 | class >> 4, class << 4, 0, 0, 0, 46, 59, 64]);
    frame.extend([0xFD; 32]);
    frame.extend([7; 46]);
    assert_eq!(traffic_class::of(&frame), class);
    frame
}

fn sender(dscp: bool, ecn: bool) -> OneWay {
    let mut way = OneWay::new(Role::Site, Role::Cloud);
    way.marking = Marking { dscp, ecn };
    way
}

#[test]
fn frames_of_one_dscp_share_a_datagram_and_others_do_not() {
    let frames = [EF, EF, AF, AF, AF, 0, EF].map(packet);
    let mut way = sender(true, true);
    assert_eq!(way.cross(&frames), frames);
    assert_eq!(way.classes, [EF, AF, 0, EF]);
    // Off, all of them do, and it is as if they had none.
    let mut way = sender(false, false);
    assert_eq!(way.cross(&frames), frames);
    assert_eq!(way.classes, [0]);
}

#[test]
fn ecn_is_copied_where_a_datagram_is_one_frame() {
    for (dscp, ecn, lone) in [
        (false, true, ECT_0),
        (true, true, EF | ECT_0),
        (true, false, EF),
    ] {
        let mut way = sender(dscp, ecn);
        way.send(&[packet(EF | ECT_0)]);
        assert_eq!(way.classes, [lone]);
        way.send(&[packet(EF | ECT_0), packet(EF | ECT_0)]);
        assert_eq!(way.classes, [lone & !3], "a bundle");
        // What is no IP has no class.
        way.send(&[arp_request(STRANGER, &[], [192, 0, 2, 9])]);
        assert_eq!(way.classes, [0]);
    }
}

#[test]
fn a_frame_that_is_dropped_marks_no_other() {
    let mut way = sender(false, true);
    let too_long = [packet(ECT_0), vec![0; 9_300]].concat();
    way.send(&[packet(EF), too_long]);
    assert_eq!(way.classes, [0]);
    way.send(&[packet(ECT_0), [packet(EF), vec![0; 9_300]].concat()]);
    assert_eq!(way.classes, [ECT_0]);
    assert_eq!(dropped(&way.sender, DropReason::BadFrameLength), 2);
}

#[test]
fn a_mark_of_the_path_reaches_the_frame_or_drops_it() {
    let mut way = sender(false, true);
    way.ecn = traffic_class::CE;
    let capable = packet(EF | ECT_0);
    let marked = packet(EF | traffic_class::CE);
    assert_eq!(way.cross(std::slice::from_ref(&capable)), [marked]);
    assert_eq!(way.receiver.ecn_marked.get(), 1);
    assert_eq!(way.cross(&[packet(EF)]), Vec::<Vec<u8>>::new());
    assert_eq!(dropped(&way.receiver, DropReason::CongestionMarked), 1);
    // Of a bundle the mark says nothing.
    let both = [capable.clone(), packet(EF)];
    assert_eq!(way.cross(&both), both);
    assert_eq!(dropped(&way.receiver, DropReason::CongestionMarked), 1);
    way.ecn = ECT_0;
    assert_eq!(way.cross(std::slice::from_ref(&capable)), [capable]);
    assert_eq!(way.receiver.ecn_marked.get(), 1);
}
