//! Frames that are written in the port's own chunks, a bit at a time and several at once.

use crate::{Lab, frame, netns::PATIENCE, netns::in_namespace, number_of};

const RING: usize = 64;
/// What stands for the headers.
const HEAD: usize = 14;

/// Writes frame `number` into the slot's draft, but for its head.
fn write(lab: &mut Lab, slot: usize, number: u32, length: usize, room: usize) {
    assert!(lab.port.draft(slot, HEAD, room));
    let body = lab.port.draft_body(slot);
    assert_eq!(body.len(), room);
    body[..length - HEAD].copy_from_slice(&frame(number, length)[HEAD..]);
}

fn send(lab: &mut Lab, slot: usize, number: u32, length: usize) {
    let headers = &frame(number, length)[..HEAD];
    assert!(lab.port.send_draft(slot, headers, length - HEAD));
}

#[test]
fn drafts_of_several_slots_leave_in_the_order_they_are_sent_in() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, RING as u32);
        for round in 0..10 * RING as u32 {
            let number = 3 * round;
            for slot in 0..3 {
                write(&mut lab, slot, number + slot as u32, 700, 1_400);
            }
            // What is received and sent meanwhile takes none of their chunks.
            lab.port.receive(RING, |_| {});
            lab.port.transmit(&frame(9_999, 300)).expect("room");
            for slot in [2, 0, 1] {
                send(&mut lab, slot, number + slot as u32, 700);
            }
            lab.port.flush();
            for expected in [9_999, number + 2, number, number + 1] {
                let bytes = lab.far.receive(PATIENCE).expect("a frame");
                assert_eq!(number_of(&bytes), expected);
            }
        }
        lab.settle();
    });
}

#[test]
fn drafts_that_come_to_nothing_cost_no_chunk() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, RING as u32);
        for number in 0..5 * RING as u32 {
            assert!(!lab.port.draft(0, HEAD, 1_522 - HEAD + 1), "too long");
            assert!(!lab.port.draft(0, 0, 13), "too short");
            assert!(lab.port.draft_body(0).is_empty(), "there is none");
            assert!(!lab.port.send_draft(0, &[0; HEAD], 46), "there is none");
            write(&mut lab, 0, number, 60, 60);
            assert!(!lab.port.send_draft(0, &[0; HEAD + 4], 46), "other headers");
            write(&mut lab, 0, number, 60, 60);
            assert!(!lab.port.send_draft(0, &[0; HEAD], 61), "grown");
            write(&mut lab, 0, number, 60, 60);
            // Begun anew.
            write(&mut lab, 0, number, 60, 1_400);
            assert_eq!(lab.port.chunks().transmit, 1);
            send(&mut lab, 0, number, 60);
            lab.port.flush();
            let bytes = lab.far.receive(PATIENCE).expect("a frame");
            assert_eq!(number_of(&bytes), number);
        }
        lab.settle();
        assert_eq!(lab.port.statistics().expect("getsockopt").tx_invalid, 0);
    });
}

#[test]
fn a_full_ring_takes_no_draft() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, RING as u32);
        namespace.ip(&["link", "set", crate::LAN, "down"]);
        for slot in 0..RING {
            write(&mut lab, slot, slot as u32, 300, 300);
        }
        assert!(!lab.port.draft(RING, HEAD, 300));
        assert!(lab.port.transmit(&frame(0, 300)).is_err());
        for slot in 0..RING {
            send(&mut lab, slot, slot as u32, 300);
            assert!(!lab.port.draft(0, HEAD, 300), "it is the kernel's now");
        }
        namespace.ip(&["link", "set", crate::LAN, "up"]);
        lab.settle();
        for number in 0..RING as u32 {
            let bytes = lab.far.receive(PATIENCE).expect("a frame");
            assert_eq!(number_of(&bytes), number);
        }
    });
}
