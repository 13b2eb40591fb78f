use std::{
    io::Write,
    process::{Command, Stdio},
};

use proptest::prelude::*;

use super::*;
use crate::{
    sizes::{self, FrameSizes},
    traffic::Stream,
};

fn stream(vlan: Option<u16>) -> Stream {
    Stream {
        source: [2, 0, 0, 0, 0, 1],
        destination: [2, 0, 0, 0, 0, 2],
        vlan,
        sizes: FrameSizes::Imix,
        flows: 1,
    }
}

fn frame(vlan: Option<u16>, size: usize, stamp: Stamp) -> Vec<u8> {
    let mut template = stream(vlan).template(size);
    template.stamp(stamp);
    template.frame
}

fn stamps() -> impl Strategy<Value = Stamp> {
    (any::<u16>(), 0..1_u64 << 48, any::<u64>()).prop_map(|(flow, sequence, timestamp)| Stamp {
        flow,
        sequence,
        timestamp,
    })
}

fn shapes() -> impl Strategy<Value = (Option<u16>, usize)> {
    prop::option::of(1_u16..4_095)
        .prop_flat_map(|vlan| (Just(vlan), stream(vlan).smallest()..=sizes::MAX))
}

#[test]
fn the_shortest_frames_are_64_and_68_bytes() {
    assert_eq!(
        [None, Some(1)].map(|vlan| stream(vlan).smallest()),
        [64, 68]
    );
}

proptest! {
    #[test]
    fn what_was_built_is_parsed((vlan, size) in shapes(), stamp in stamps(), before in stamps()) {
        let mut template = stream(vlan).template(size);
        template.stamp(before);
        template.stamp(stamp);
        prop_assert_eq!(template.frame.len() + sizes::FCS, size);
        prop_assert_eq!(parse(&template.frame), Parsed::Test(stamp));
    }

    #[test]
    fn tags_and_padding_on_the_way_do_not_matter(stamp in stamps(), pad in 0_usize..64) {
        let mut frame = frame(None, 64, stamp);
        for ethertype in [[0x81, 0x00, 0x00, 0x05], [0x88, 0xa8, 0x00, 0x06]] {
            frame.splice(12..12, ethertype);
            let padded = [&frame[..], &vec![0; pad]].concat();
            prop_assert_eq!(parse(&padded), Parsed::Test(stamp));
        }
        frame.splice(12..12, [0x81, 0, 0, 7]);
        prop_assert_eq!(parse(&frame), Parsed::Foreign);
    }

    #[test]
    fn no_flipped_bit_of_the_packet_goes_unseen(
        (vlan, size) in shapes(), stamp in stamps(), at in any::<prop::sample::Index>(), bit in 0_u8..8
    ) {
        let mut frame = frame(vlan, size, stamp);
        let start = if vlan.is_some() { 18 } else { 14 };
        let at = start + at.index(frame.len() - start);
        frame[at] ^= 1 << bit;
        let parsed = parse(&frame);
        prop_assert!(!matches!(parsed, Parsed::Test(_)), "byte {at}: {parsed:?}");
        // Only with another header length, protocol or port it seems to be somebody else's.
        let hidden = [0, 9, 22, 23].contains(&(at - start));
        prop_assert_eq!(parsed, if hidden { Parsed::Foreign } else { Parsed::Corrupted });
    }

    #[test]
    fn a_frame_that_was_cut_is_no_test_frame(stamp in stamps(), size in 64_usize..200, cut in 1_usize..80) {
        let frame = frame(None, size, stamp);
        let kept = frame.len().saturating_sub(cut);
        prop_assert!(!matches!(parse(&frame[..kept]), Parsed::Test(_)));
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        let _ = parse(&bytes);
    }
}

/// scapy, which computes both checksums by itself, agrees.
#[test]
fn scapy_finds_the_same_checksums() {
    const SCRIPT: &str = "
import sys
from scapy.all import Ether, UDP, IP
for line in sys.stdin:
    frame = Ether(bytes.fromhex(line))
    ip, udp = frame[IP].chksum, frame[UDP].chksum
    del frame[IP].chksum, frame[UDP].chksum
    again = Ether(bytes(frame))
    assert (again[IP].chksum, again[UDP].chksum) == (ip, udp), line
    assert frame[UDP].dport == 9 and frame[IP].src == '198.18.0.1', line
print('agreed')";
    let mut lines = String::new();
    for (number, vlan) in [None, Some(7), Some(4_094)].into_iter().enumerate() {
        for size in [68, 69, 512, 1_518] {
            let stamp = Stamp {
                flow: 40_000 + number as u16,
                sequence: 0xfedc_ba98_7654 - size as u64,
                timestamp: 0x0123_4567_89ab_cdef,
            };
            let frame = frame(vlan, size, stamp);
            let hex: Vec<_> = frame.iter().map(|byte| format!("{byte:02x}")).collect();
            lines += &(hex.concat() + "\n");
        }
    }
    // Debian's scapy belongs to Debian's Python.
    let mut scapy = Command::new("/usr/bin/python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("install the package python3-scapy");
    let mut input = scapy.stdin.take().expect("piped");
    input.write_all(lines.as_bytes()).expect("it reads");
    drop(input);
    let output = scapy.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "agreed");
}
