//! What the programs of the perf harness share with it: the test frame, and their maps.
//!
//! A test frame is one UDP packet in one Ethernet frame, as in RFC 2544, appendix C.2.6.4, with
//! these bytes behind the UDP header, all big-endian, and zeros up to the frame's size:
//!
//! ```text
//! 0        2       4                10                         18
//! | magic  | flow  |    sequence    |        timestamp         |
//! ```
//!
//! The sequence counts the frames of a flow from 0. The timestamp is the nanosecond of
//! CLOCK_MONOTONIC at which the frame was to be sent. The UDP checksum covers it all.

use crate::{
    Packet,
    ethernet::{EthernetHeader, HEADER_LEN, TAG_LEN},
};

/// Begins the payload of a test frame.
pub const MAGIC: u16 = 0xca5e;
/// Bytes of the payload that mean something.
pub const PAYLOAD_LEN: usize = 18;
/// Bytes of an IPv4 header without options.
pub const IPV4_LEN: usize = 20;
/// Bytes of a UDP header.
pub const UDP_LEN: usize = 8;
/// The destination port: discard (RFC 863).
pub const DESTINATION_PORT: u16 = 9;
/// Source ports start here, and are [`SOURCE_PORTS`]: one for each flow, then again.
pub const FIRST_SOURCE_PORT: u16 = 49_152;
/// Source ports that flows are spread over.
pub const SOURCE_PORTS: u16 = 16_384;

/// Ethertype of IPv4.
const ETHERTYPE_IPV4: u16 = 0x0800;
/// First byte of an IPv4 header without options.
const IPV4_WITHOUT_OPTIONS: u8 = 0x45;
/// IP protocol number of UDP.
const PROTOCOL_UDP: u8 = 17;

/// Name of the program that makes a frame of each run: for BPF test-run with live frames.
pub const GENERATE_PROGRAM: &str = "perf_generate";
/// Name of the program that counts test frames.
pub const SINK_PROGRAM: &str = "perf_sink";
/// Name of the program that sends every frame out at another interface.
pub const FORWARD_PROGRAM: &str = "perf_forward";

/// Array of one [`GeneratorConfig`].
pub const GENERATOR: &str = "GENERATOR";
/// Array of one [`GeneratorState`].
pub const STATE: &str = "STATE";
/// Per-CPU array of `u64`: test frames, and their bytes.
pub const COUNTS: &str = "COUNTS";
/// XSKMAP: receive queue to the socket that test frames go to. Where there is none they are dropped.
pub const SINK_SOCKETS: &str = "SINK_SOCKETS";
/// DEVMAP of one interface: where [`FORWARD_PROGRAM`] sends frames.
pub const FORWARD_TO: &str = "FORWARD_TO";

/// Where the UDP header of a test frame with `tags` VLAN tags starts.
#[inline(always)]
pub const fn udp_offset(tags: usize) -> usize {
    HEADER_LEN + tags * TAG_LEN + IPV4_LEN
}

/// The source port of a flow.
#[inline(always)]
pub const fn source_port(flow: u16) -> u16 {
    FIRST_SOURCE_PORT + flow % SOURCE_PORTS
}

/// What changes from one test frame to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The flow.
    pub flow: u16,
    /// Frames of the flow before this one; 48 bits of it.
    pub sequence: u64,
    /// Nanoseconds of CLOCK_MONOTONIC.
    pub timestamp: u64,
}

impl Stamp {
    /// The payload.
    #[inline(always)]
    pub const fn to_bytes(self) -> [u8; PAYLOAD_LEN] {
        let [m0, m1] = MAGIC.to_be_bytes();
        let [f0, f1] = self.flow.to_be_bytes();
        let [_, _, s0, s1, s2, s3, s4, s5] = self.sequence.to_be_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = self.timestamp.to_be_bytes();
        [
            m0, m1, f0, f1, s0, s1, s2, s3, s4, s5, t0, t1, t2, t3, t4, t5, t6, t7,
        ]
    }

    /// What a payload says, or `None` without the magic.
    #[inline(always)]
    pub const fn from_bytes(bytes: &[u8; PAYLOAD_LEN]) -> Option<Self> {
        let [
            m0,
            m1,
            f0,
            f1,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            t0,
            t1,
            t2,
            t3,
            t4,
            t5,
            t6,
            t7,
        ] = *bytes;
        if u16::from_be_bytes([m0, m1]) != MAGIC {
            return None;
        }
        Some(Self {
            flow: u16::from_be_bytes([f0, f1]),
            sequence: u64::from_be_bytes([0, 0, s0, s1, s2, s3, s4, s5]),
            timestamp: u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
        })
    }

    /// The sum of all that depends on the stamp: source port and payload, as 16-bit words.
    #[inline(always)]
    pub const fn sum(self) -> u64 {
        source_port(self.flow) as u64
            + MAGIC as u64
            + self.flow as u64
            + words(self.sequence & 0xffff_ffff_ffff)
            + words(self.timestamp)
    }

    /// The UDP checksum (RFC 768) of the frame, given the `sum` of all else that it covers.
    #[inline(always)]
    pub const fn checksum(self, sum: u32) -> u16 {
        let mut sum = sum as u64 + self.sum();
        // At most 21 bits, so that twice is enough.
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        match !(sum as u16) {
            0 => 0xffff,
            checksum => checksum,
        }
    }
}

/// The sum of a number's 16-bit words.
#[inline(always)]
const fn words(x: u64) -> u64 {
    (x & 0xffff) + (x >> 16 & 0xffff) + (x >> 32 & 0xffff) + (x >> 48)
}

/// Whether a frame is a test frame, by its headers and the magic. At most two VLAN tags.
#[inline(always)]
pub fn is_test_frame<P: Packet + ?Sized>(frame: &P) -> bool {
    udp_header(frame).is_some_and(|udp| frame.load_u16(udp + UDP_LEN) == Some(MAGIC))
}

/// Where the UDP header starts, if it is UDP over IPv4 without options to the test's port.
#[inline(always)]
pub fn udp_header<P: Packet + ?Sized>(frame: &P) -> Option<usize> {
    let header = EthernetHeader::parse(frame)?;
    let ip = header.len;
    let [first] = frame.load(ip)?;
    let [protocol] = frame.load(ip + 9)?;
    let is_ours = header.ethertype == ETHERTYPE_IPV4
        && first == IPV4_WITHOUT_OPTIONS
        && protocol == PROTOCOL_UDP
        && frame.load_u16(ip + IPV4_LEN + 2)? == DESTINATION_PORT;
    is_ours.then_some(ip + IPV4_LEN)
}

/// What the generator makes of its template.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneratorConfig {
    /// Interface to send at.
    pub ifindex: u32,
    /// VLAN tags of the template: 0 or 1.
    pub tags: u32,
    /// Flows, which take turns; at least 1.
    pub flows: u32,
    /// Sum for [`Stamp::checksum`].
    pub sum: u32,
}

impl GeneratorConfig {
    /// The configuration as the map holds it.
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        let fields = [self.ifindex, self.tags, self.flows, self.sum];
        for (to, field) in bytes.chunks_exact_mut(4).zip(fields) {
            to.copy_from_slice(&field.to_ne_bytes());
        }
        bytes
    }
}

/// Which frame is the next.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeneratorState {
    /// Its sequence number.
    pub sequence: u64,
    /// Its flow.
    pub flow: u64,
}

impl GeneratorState {
    /// The next frame; `flows` take turns.
    #[inline(always)]
    pub fn advance(&mut self, flows: u32) -> Self {
        let this = *self;
        self.flow += 1;
        if self.flow >= flows as u64 {
            self.flow = 0;
            self.sequence += 1;
        }
        this
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn flows_take_turns() {
        let mut state = GeneratorState::default();
        let turns: Vec<_> = (0..5)
            .map(|_| state.advance(2))
            .map(|s| (s.flow, s.sequence))
            .collect();
        assert_eq!(turns, [(0, 0), (1, 0), (0, 1), (1, 1), (0, 2)]);
    }
}
