//! The bytes on the wire, pinned. The same bytes are the worked example of PROTOCOL.md.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use causeway_tunnel::sa::Limits;
use common::*;
use std::time::Instant;

const PROTOCOL: &str = include_str!("../PROTOCOL.md");

/// Two frames of EtherType 0x88b5 (IEEE 802, for local experiments).
const FIRST: &[u8] = b"\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5causeway";
const SECOND: &[u8] = b"\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02\x88\xb5bundle";

/// Sequence 1: the first frame alone.
const LONE: &str = "000010010000000100000000000000019670c449a99e07da06cbbb5bd989163f2b0d32a4a50568d5ce3724e5\
    31eb2065aa234d5787d8813a";
/// Sequence 2: both frames.
const BUNDLE: &str = "000010010000000200000000000000023a6372554188d2295f86a84c61314ac11e216bfe4d8e91a874b5d5ec\
    1c4a9fb9d4d62bc6ef087e689b846c61424e8daafc797f1595680327c9f39743d551af8af437d36c";
/// Sequences 3 and 4: 240 bytes, the first frame and zeros, cut at 218.
const CUT: [&str; 2] = [
    "00001001000000030000000000000003a2365852bf118357bacf9855e0c05d5610c4fb65f679e5b0254b1603\
    7f87068a9f98544d2e38fcd4cbdca53650e9c19398d38c77d84837a85c036c8003c2227a242c317b675f24f8\
    77cca30b6f452a800e5f24fe7bb4d022c07cfb0f129b306da5b6c19d3751734cf2fa10cdb04746877cebc5f6\
    35b45807dd94bc0481702c28b83d43cbab813d220552050740df9a62394259b847f3a38612b466e65461614e\
    b70b40f8f224c9a1b6601ef67fd6102a1eff6843d1b2b5055db5ac0af6083ae5193d3fff2fb8844399d03b28\
    ca63f83e97c59193e9f64222efa538aea1cf09c9ec5c83c53ae9e4c33cd3162b5b5bc8b3",
    "00001001000000040000000000000004b74cc31d3d002d21389798c0da16a129b7f8bbdb579776df5aa061f5\
    a9544ad8b502be2bc2c3c0837dcd32f6",
];
/// Sequence 5.
const DUMMY: &str = "00001001000000050000000000000005a2ce8cb20d48dbc7a192558159b4eba77ec344df";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sent(now: Instant) -> Vec<Vec<u8>> {
    let mut lane = tx_lane(Limits::default(), now, 256, RUN);
    let mut out = Vec::new();
    let mut send = |run: causeway_tunnel::lane::Run<'_>| out.extend(datagrams_of(run, 256, RUN));
    let mut large = FIRST.to_vec();
    large.resize(240, 0);
    for batch in [&[FIRST][..], &[FIRST, SECOND], &[&large]] {
        for frame in batch {
            lane.push(frame, now, &mut send).unwrap();
        }
        lane.flush(&mut send);
    }
    lane.keepalive(now, &mut send).unwrap();
    out
}

#[test]
fn the_bytes_on_the_wire() {
    let sent: Vec<_> = sent(Instant::now())
        .iter()
        .map(|datagram| hex(datagram))
        .collect();
    assert_eq!(sent, [LONE, BUNDLE, CUT[0], CUT[1], DUMMY]);
}

#[test]
fn the_pinned_bytes_are_frames() {
    let now = Instant::now();
    let mut lane = rx_lane(Limits::default(), now);
    let mut frames = Vec::new();
    for text in [LONE, BUNDLE, CUT[1], CUT[0], DUMMY] {
        let byte = |i| u8::from_str_radix(&text[i..i + 2], 16).unwrap();
        let mut datagram: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
        lane.receive(&mut datagram, now, &mut |frame| frames.push(frame.to_vec()))
            .unwrap();
    }
    let mut large = FIRST.to_vec();
    large.resize(240, 0);
    assert_eq!(frames, [FIRST, FIRST, SECOND, &large]);
}

/// PROTOCOL.md shows the datagrams as hex in groups, at the start of indented lines.
#[test]
fn the_worked_example_of_the_documentation() {
    let is_hex = |word: &&str| {
        word.bytes()
            .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    };
    let example: String = PROTOCOL
        .lines()
        .skip_while(|line| *line != "## Worked example")
        .filter_map(|line| line.strip_prefix("    "))
        .flat_map(|line| line.split_whitespace().take_while(is_hex))
        .collect();
    for datagram in [LONE, BUNDLE, DUMMY] {
        assert!(example.contains(datagram), "PROTOCOL.md lacks {datagram}");
    }
}
