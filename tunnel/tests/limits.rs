//! What stops a lane, and what nonsense under a good key does to it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use causeway_tunnel::aead::Cipher;
use causeway_tunnel::join::MAX_AGE;
use causeway_tunnel::lane::{Run, RxLane};
use causeway_tunnel::sa::Limits;
use causeway_tunnel::wire::NextHeader;
use causeway_tunnel::{DropReason, OutboundSa, esp};
use common::*;
use proptest::prelude::*;
use std::time::{Duration, Instant};

/// Whatever the frames, the key seals no datagram more than its limit, each frame
/// that was taken comes out whole, and a smaller frame may still fit after a refusal.
#[test]
fn a_worn_key_takes_no_frame_that_it_cannot_finish() {
    let now = Instant::now();
    for length in [14, 60, 218, 219, 220, 221, 1_514, 9_216] {
        for datagrams in [0, 1, 2, 7, 42, 43, 100] {
            let limits = Limits {
                datagrams,
                ..Limits::default()
            };
            let (taken, out) = push_until_worn(length, limits, now);
            let mut lane = rx_lane(limits, now);
            let came: Vec<usize> = out
                .iter()
                .flat_map(|datagram| receive(&mut lane, datagram, now).1)
                .collect();
            assert_eq!(
                came,
                (0..taken).collect::<Vec<_>>(),
                "{length} bytes, {datagrams} datagrams"
            );
            assert!(out.len() as u64 <= datagrams);
            // 222 bytes of payload, 2 of them the offset: what is left does not hold another.
            let needed = ((taken + 1) * (length + 2)).div_ceil(220) as u64;
            assert!(
                needed + 1 >= datagrams,
                "stopped at {taken} frames of {length} bytes"
            );
        }
    }
}

fn push_until_worn(length: usize, limits: Limits, now: Instant) -> (usize, Vec<Vec<u8>>) {
    let mut lane = tx_lane(limits, now, 256, RUN);
    let mut out = Vec::new();
    let mut send = |run: Run<'_>| out.extend(datagrams_of(run, 256, RUN));
    let mut taken = 0;
    while lane.push(&frame(taken, length), now, &mut send) == Ok(()) {
        taken += 1;
    }
    assert_eq!(
        lane.push(&frame(taken, length), now, &mut send),
        Err(DropReason::KeyWorn)
    );
    lane.flush(&mut send);
    (taken, out)
}

/// A smaller size that is set in the middle of a run must not break the promise.
#[test]
fn a_size_set_within_a_run_keeps_the_limit() {
    let now = Instant::now();
    for datagrams in 1..60 {
        let limits = Limits {
            datagrams,
            ..Limits::default()
        };
        let mut lane = tx_lane(limits, now, 9_000, RUN);
        let mut count = 0;
        let mut send = |run: Run<'_>| count += run.datagrams().len();
        let _ = lane.push(&frame(0, 60), now, &mut send);
        lane.set_datagram_size(256);
        while lane.push(&frame(1, 9_216), now, &mut send) == Ok(()) {}
        lane.flush(&mut send);
        assert!(count as u64 <= datagrams);
    }
}

#[test]
fn a_key_too_old_takes_no_frame_and_no_keepalive() {
    let now = Instant::now();
    let limits = Limits::default();
    let mut lane = tx_lane(limits, now, 1_452, RUN);
    let mut out = Vec::new();
    let mut send = |run: Run<'_>| out.extend(datagrams_of(run, 1_452, RUN));
    let (last, over) = (
        now + limits.lifetime - Duration::from_nanos(1),
        now + limits.lifetime,
    );

    assert_eq!(lane.push(&frame(0, 60), last, &mut send), Ok(()));
    lane.flush(&mut send);
    assert_eq!(
        lane.push(&frame(1, 60), over, &mut send),
        Err(DropReason::KeyWorn)
    );
    assert_eq!(lane.keepalive(over, &mut send), Err(DropReason::KeyWorn));
    lane.flush(&mut send);
    assert_eq!(out.len(), 1);
    assert_eq!(
        receive(&mut rx_lane(limits, now), &out[0], over).0,
        Err(DropReason::KeyWorn)
    );
}

#[test]
fn a_keepalive_is_a_dummy_or_what_is_open() {
    let now = Instant::now();
    let (mut lane, mut rx) = (tx_lane(ENDLESS, now, 1_452, RUN), rx_lane(ENDLESS, now));
    let mut out = Vec::new();
    let mut send = |run: Run<'_>| out.extend(datagrams_of(run, 1_452, RUN));
    assert_eq!(lane.keepalive(now, &mut send), Ok(()));
    lane.push(&frame(0, 60), now, &mut send).unwrap();
    assert_eq!(lane.keepalive(now, &mut send), Ok(()));
    let verdicts: Vec<_> = out.iter().map(|d| receive(&mut rx, d, now).0).collect();
    assert_eq!(verdicts, [Ok(0), Ok(1)]);
}

#[test]
fn newest_is_what_moves_the_return_address() {
    let now = Instant::now();
    let (mut lane, mut rx) = (tx_lane(ENDLESS, now, 256, RUN), rx_lane(ENDLESS, now));
    let mut out = Vec::new();
    for number in 0..3 {
        lane.push(&frame(number, 60), now, &mut |_: Run<'_>| {})
            .unwrap();
        lane.flush(&mut |run: Run<'_>| out.extend(datagrams_of(run, 256, RUN)));
    }
    let mut newest = |i: usize| {
        rx.receive(&mut out[i].clone(), now, &mut |_| {})
            .map(|r| r.newest)
    };
    assert_eq!(
        [newest(1), newest(0), newest(2)],
        [Ok(true), Ok(false), Ok(true)]
    );
}

/// A datagram with any payload, sealed with the right key.
fn authentic(sa: &mut OutboundSa, payload: &[u8], next_header: NextHeader) -> Vec<u8> {
    let mut datagram = vec![0; esp::sealed_len(payload.len())];
    datagram[16..][..payload.len()].copy_from_slice(payload);
    esp::seal(sa, &mut datagram, payload.len(), next_header).unwrap();
    datagram
}

fn outbound(now: Instant) -> OutboundSa {
    OutboundSa::new(spi(), &keys(Cipher::Aes256Gcm), ENDLESS, now)
}

fn lengths(
    rx: &mut RxLane,
    datagram: &mut [u8],
    now: Instant,
) -> (Result<usize, DropReason>, Vec<usize>) {
    let mut lengths = Vec::new();
    let verdict = rx.receive(datagram, now, &mut |frame| lengths.push(frame.len()));
    (verdict.map(|r| r.frames), lengths)
}

#[test]
fn what_is_whole_before_a_contradiction_is_delivered() {
    let now = Instant::now();
    let (mut sa, mut rx) = (outbound(now), rx_lane(ENDLESS, now));
    let good = [&[0, 0, 0, 20][..], &[1; 20], &[0, 14], &[2; 14]].concat();
    let bad = [&good[..], &[0, 13], &[3; 13], &[0, 14], &[4; 14]].concat();
    let mut datagram = authentic(&mut sa, &bad, NextHeader::Bundle);
    let verdict = lengths(&mut rx, &mut datagram, now);
    assert_eq!(verdict, (Err(DropReason::MalformedBundle), vec![20, 14]));
}

#[test]
fn a_lone_frame_has_a_frames_length() {
    let now = Instant::now();
    let (mut sa, mut rx) = (outbound(now), rx_lane(ENDLESS, now));
    let cases = [
        (0, false),
        (13, false),
        (14, true),
        (9_216, true),
        (9_217, false),
    ];
    for (length, good) in cases {
        let mut datagram = authentic(&mut sa, &vec![0; length], NextHeader::Ethernet);
        let expected = if good {
            (Ok(1), vec![length])
        } else {
            (Err(DropReason::BadFrameLength), vec![])
        };
        assert_eq!(
            lengths(&mut rx, &mut datagram, now),
            expected,
            "{length} bytes"
        );
    }
}

proptest! {
    #[test]
    fn random_bytes_are_dropped(mut bytes in prop::collection::vec(any::<u8>(), 0..2_000), ours: bool) {
        let now = Instant::now();
        if ours && bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&spi().to_be_bytes());
        }
        let (verdict, delivered) = lengths(&mut rx_lane(ENDLESS, now), &mut bytes, now);
        prop_assert!(verdict.is_err() && delivered.is_empty());
    }

    /// A peer with the key but without sense, in any order: frames of lawful length
    /// or a reason, and nothing left after a while.
    #[test]
    fn random_authentic_payloads_do_no_harm(
        payloads in prop::collection::vec((nonsense(), 1u64..400), 1..60),
    ) {
        let now = Instant::now();
        let (mut sa, mut rx) = (outbound(now), rx_lane(ENDLESS, now));
        let mut datagrams: Vec<_> = payloads
            .iter()
            .map(|(payload, order)| (order, authentic(&mut sa, payload, NextHeader::Bundle)))
            .collect();
        datagrams.sort();
        for (_, datagram) in &mut datagrams {
            let (_, delivered) = lengths(&mut rx, datagram, now);
            prop_assert!(delivered.iter().all(|length| (14..=9_216).contains(length)));
        }
        rx.tick(now + 2 * MAX_AGE);
        prop_assert_eq!(rx.tick(now + 4 * MAX_AGE), 0);
    }
}

/// Random bytes, often with a plausible offset and plausible lengths.
fn nonsense() -> impl Strategy<Value = Vec<u8>> {
    let small = (0u16..60).prop_map(u16::to_be_bytes);
    let entry = (0u16..40, 0usize..40)
        .prop_map(|(length, bytes)| [&length.to_be_bytes()[..], &vec![0; bytes]].concat());
    let plausible = (small, prop::collection::vec(entry, 0..5))
        .prop_map(|(offset, entries)| [&offset[..], &entries.concat()].concat());
    prop_oneof![plausible, prop::collection::vec(any::<u8>(), 0..200)]
}
