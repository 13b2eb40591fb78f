//! Frames both ways, byte by byte.

use std::{cell::RefCell, time::Instant};

use crate::{
    Lab, frame,
    netns::{Namespace, PATIENCE, in_namespace},
    number_of,
};

#[test]
fn every_length_is_received_and_transmitted_unchanged() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, 2_048);
        for length in 60..=1_514 {
            let sent = frame(length as u32, length);
            assert!(lab.far.send(&sent));
            let mut got = Vec::new();
            let deadline = Instant::now() + PATIENCE;
            while got.is_empty() && Instant::now() < deadline {
                lab.port.receive(64, |frame| got.push(frame.to_vec()));
            }
            assert!(got == [sent.clone()], "received at length {length}");

            lab.port.transmit(&sent).expect("room");
            lab.port.flush();
            let back = lab.far.receive(PATIENCE);
            assert!(
                back.as_ref() == Some(&sent),
                "transmitted at length {length}"
            );
        }
        lab.settle();
    });
}

/// A lab whose wire and port take frames of `max_frame` bytes.
fn lab_for(namespace: &Namespace, mtu: &str, max_frame: usize) -> Lab {
    let mut lab = Lab::new(namespace, 64);
    drop(lab.port);
    for end in [crate::LAN, crate::FAR] {
        namespace.ip(&["link", "set", end, "mtu", mtu]);
    }
    let mut config = crate::config(64);
    config.max_frame = max_frame;
    lab.port = causeway::sys::xsk::XskPort::open(&config).expect("free again");
    let socket = &std::os::fd::AsFd::as_fd(&lab.port);
    lab.program.set_socket(0, socket).expect("a socket");
    lab
}

/// A frame of each length crosses both ways.
#[track_caller]
fn assert_both_ways(lab: &mut Lab, lengths: &[usize]) {
    for &length in lengths {
        let sent = frame(7, length);
        assert!(lab.far.send(&sent));
        let mut got = Vec::new();
        crate::wait_until("a large frame", || {
            lab.port.receive(64, |frame| got.push(frame.to_vec()));
            !got.is_empty()
        });
        assert!(got == [sent.clone()], "received at length {length}");
        lab.port.transmit(&sent).expect("room");
        lab.port.flush();
        assert!(
            lab.far.receive(PATIENCE) == Some(sent),
            "transmitted at length {length}"
        );
    }
}

#[test]
fn the_longest_frames_of_large_chunks() {
    in_namespace(|namespace| {
        let mut lab = lab_for(namespace, "3000", 3_840);
        assert_both_ways(&mut lab, &[1_792, 1_793, 2_048, 3_014]);
        lab.settle();
    });
}

#[test]
fn jumbo_frames_in_several_chunks() {
    in_namespace(|namespace| {
        let mut lab = lab_for(namespace, "9194", 9_216);
        let around_chunks = [3_839, 3_840, 3_841, 7_679, 7_680, 7_681];
        assert_both_ways(
            &mut lab,
            &[&[60, 1_514], &around_chunks[..], &[9_208]].concat(),
        );
        lab.settle();
    });
}

/// More than both rings hold at once: they are received whole and in order however the limit cuts
/// the descriptors, and the port takes only what has room for all its chunks.
#[test]
fn jumbo_frames_fill_the_rings() {
    in_namespace(|namespace| {
        let mut lab = lab_for(namespace, "9194", 9_216);
        for round in 0..4 {
            for number in 0..21 {
                assert!(lab.far.send(&frame(number, 9_208 - 7 * number as usize)));
            }
            let mut numbers = Vec::new();
            crate::wait_until("21 frames of 3 chunks", || {
                let lent = lab
                    .port
                    .receive(1 + round, |frame| numbers.push(number_of(frame)));
                assert!(lent <= 1 + round, "{lent} lent");
                numbers.len() == 21
            });
            assert!(numbers.into_iter().eq(0..21));
            lab.settle();
        }
        // The device is down, so nothing drains: 64 entries of the TX ring are 21 frames and a rest.
        namespace.ip(&["link", "set", crate::LAN, "down"]);
        let taken = (0..64)
            .take_while(|&number| lab.port.transmit(&frame(number, 9_000)).is_ok())
            .count();
        assert_eq!(taken, 21);
        assert_eq!(
            lab.port.transmit(&frame(0, 60)),
            Ok(()),
            "there is room for one chunk"
        );
        namespace.ip(&["link", "set", crate::LAN, "up"]);
        crate::wait_until("the device to take them", || {
            lab.port.flush();
            lab.port.chunks().transmit == 0
        });
        for number in 0..21 {
            let got = lab.far.receive(PATIENCE).expect("a frame");
            assert_eq!((number_of(&got), got.len()), (number, 9_000));
        }
        lab.settle();
    });
}

/// What is received may be changed where it lies, and `limit` is kept to.
#[test]
fn received_frames_are_lent() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, 64);
        for number in 0..10 {
            assert!(lab.far.send(&frame(number, 100)));
        }
        let (mut numbers, port) = (Vec::new(), &mut lab.port);
        crate::wait_until("ten frames", || {
            let got = port.receive(3, |frame| {
                numbers.push(number_of(frame));
                frame.fill(0xff);
            });
            assert!(got <= 3);
            numbers.len() == 10
        });
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
        lab.settle();
    });
}

/// 100,000 frames each way at once, with no more under way than the kernel's queues hold: none is lost,
/// none comes twice or out of order, and the chunks at the end are those of the beginning.
#[test]
fn a_hundred_thousand_frames_each_way() {
    const FRAMES: u32 = 100_000;
    /// Below the 256 entries of veth's ring.
    const WINDOW: u32 = 128;
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, 512);
        let length = |number: u32| 60 + (number as usize * 37) % 1_455;
        let (mut sent_in, mut got_in) = (0, 0);
        let (mut sent_out, mut got_out) = (0, 0);
        let mut progress = Instant::now();
        while got_in < FRAMES || got_out < FRAMES {
            let before = (got_in, got_out);
            while sent_in < FRAMES && sent_in - got_in < WINDOW {
                assert!(lab.far.send(&frame(sent_in, length(sent_in))));
                sent_in += 1;
            }
            while sent_out < FRAMES && sent_out - got_out < WINDOW {
                lab.port
                    .transmit(&frame(sent_out, length(sent_out)))
                    .expect("the window is smaller than the ring");
                sent_out += 1;
            }
            lab.port.flush();
            lab.port.receive(usize::MAX, |bytes| {
                assert_eq!(number_of(bytes), got_in);
                got_in += 1;
            });
            while let Some(bytes) = lab.far.try_receive() {
                assert_eq!(number_of(bytes), got_out);
                got_out += 1;
            }
            if (got_in, got_out) != before {
                progress = Instant::now();
            }
            assert!(
                progress.elapsed() < PATIENCE,
                "stuck at {got_in} in, {got_out} out"
            );
        }
        lab.settle();
        let statistics = lab.port.statistics().expect("getsockopt");
        assert_eq!(statistics, Default::default());
    });
}

/// Each frame is shown before its turn, most of them some frames before, and none twice.
#[test]
fn frames_to_come_are_shown() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, 64);
        let (shown, mut numbers, mut most) = (RefCell::new(Vec::new()), Vec::new(), 0);
        for round in 0..4 {
            for number in 0..30 {
                assert!(lab.far.send(&frame(30 * round + number, 100)));
            }
            crate::wait_until("30 frames", || {
                let foresee = |bytes: &[u8]| shown.borrow_mut().push(number_of(bytes));
                lab.port.receive_foreseeing(64, Some(foresee), |bytes| {
                    numbers.push(number_of(bytes));
                    bytes.fill(0xff);
                    let shown = shown.borrow();
                    assert!(shown.starts_with(&numbers), "{shown:?}, {numbers:?}");
                    most = most.max(shown.len() - numbers.len());
                });
                assert_eq!(*shown.borrow(), numbers);
                numbers.len() == 30 * (round as usize + 1)
            });
        }
        assert!(numbers.into_iter().eq(0..120) && most >= 8, "{most}");
        lab.settle();
    });
}
