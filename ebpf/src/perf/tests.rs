use std::vec::Vec;

use super::*;

/// A test frame of 60 bytes, its checksum made by the book (RFC 768).
fn frame(tags: &[u8], stamp: Stamp) -> Vec<u8> {
    let mut udp = [
        &source_port(stamp.flow).to_be_bytes()[..],
        &[0, 9, 0, 26, 0, 0],
        &stamp.to_bytes(),
    ]
    .concat();
    let checksum = stamp.checksum(sum_of(&[&pseudo()[..], &udp[2..8]].concat()));
    udp[6..8].copy_from_slice(&checksum.to_be_bytes());
    let mut ip = [0; IPV4_LEN];
    ip[0] = IPV4_WITHOUT_OPTIONS;
    ip[9] = PROTOCOL_UDP;
    [&[2; 12][..], tags, &[8, 0], &ip, &udp].concat()
}

/// Addresses, protocol and length of all zeros but these.
fn pseudo() -> [u8; 12] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 17, 0, 26]
}

fn sum_of(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(2);
    words
        .map(|w| u32::from(u16::from_be_bytes([w[0], w[1]])))
        .sum()
}

const STAMP: Stamp = Stamp {
    flow: 0xfffe,
    sequence: 0xffff_fffe_fdfc,
    timestamp: u64::MAX - 1,
};

#[test]
fn stamps_parse_back() {
    for stamp in [Stamp::default(), STAMP] {
        assert_eq!(Stamp::from_bytes(&stamp.to_bytes()), Some(stamp));
    }
    assert_eq!(Stamp::from_bytes(&[0; PAYLOAD_LEN]), None);
}

#[test]
fn checksums_verify() {
    for stamp in [Stamp::default(), STAMP] {
        let frame = frame(&[], stamp);
        let udp = &frame[udp_offset(0)..];
        let mut sum = sum_of(&pseudo()) + sum_of(udp);
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        assert_eq!(sum, 0xffff, "{stamp:?}");
    }
}

#[test]
fn test_frames_are_known_behind_tags() {
    let tag = [0x81, 0, 0, 7];
    for tags in [&[][..], &tag, &[tag, tag].concat()] {
        let frame = frame(tags, STAMP);
        assert!(is_test_frame(&frame[..]), "{tags:?}");
        assert_eq!(udp_header(&frame[..]), Some(udp_offset(tags.len() / 4)));
        for length in 0..frame.len() - PAYLOAD_LEN + 2 {
            assert!(!is_test_frame(&frame[..length]), "{length}");
        }
    }
}

#[test]
fn other_frames_are_not() {
    for (offset, name) in [
        (12, "IPv4"),
        (14, "options"),
        (23, "UDP"),
        (37, "port"),
        (43, "magic"),
    ] {
        let mut frame = frame(&[], STAMP);
        frame[offset] ^= 1;
        assert!(!is_test_frame(&frame[..]), "{name}");
    }
}

const CONFIG: GeneratorConfig = GeneratorConfig {
    frames: 5,
    nanoseconds: 1_000_000,
    period: (2_500 << PERIOD_SHIFT) / 10,
    ifindex: 1,
    tags: 0,
    flows: 2,
    shapes: 3,
};

#[test]
fn flows_and_shapes_take_turns() {
    let mut state = GeneratorState::default();
    let turns: Vec<_> = (0..5)
        .map(|_| (state.shape, state.advance(&CONFIG, 1, 1)))
        .map(|(shape, stamp)| (shape, stamp.flow, stamp.sequence))
        .collect();
    assert_eq!(
        turns,
        [(0, 0, 0), (1, 1, 0), (2, 0, 1), (0, 1, 1), (1, 0, 2)]
    );
}

#[test]
fn frames_are_due_on_schedule_however_late() {
    let mut state = GeneratorState::default();
    let mut sent = Vec::new();
    // It looks at 0, 100, 200, ... and once is late.
    for now in (0..10).map(|i| 7_000 + i * 100).chain([9_000; 3]) {
        if let Turn::Send { timestamp } = state.turn(&CONFIG, now) {
            sent.push((now, state.advance(&CONFIG, now, timestamp).timestamp));
        }
    }
    assert_eq!(
        sent,
        [
            (7_000, 7_000),
            (7_300, 7_250),
            (7_500, 7_500),
            (7_800, 7_750),
            (9_000, 8_000)
        ]
    );
    assert_eq!(state.turn(&CONFIG, 9_000), Turn::Over);
    assert_eq!((state.frames, state.start, state.last), (5, 7_000, 9_000));
}

#[test]
fn time_ends_it_too() {
    let config = GeneratorConfig {
        period: 0,
        ..CONFIG
    };
    let mut state = GeneratorState::default();
    assert_eq!(state.turn(&config, 50), Turn::Send { timestamp: 50 });
    state.advance(&config, 50, 50);
    assert_eq!(state.turn(&config, 60), Turn::Send { timestamp: 60 });
    assert_eq!(state.turn(&config, 1_000_050), Turn::Over);
}
