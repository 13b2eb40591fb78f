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
/// Array of [`MAX_SHAPES`] [`Shape`]s.
pub const SHAPES: &str = "SHAPES";
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

/// What the generator is to do.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeneratorConfig {
    /// Frames to send; further runs do nothing.
    pub frames: u64,
    /// Nanoseconds after the first frame at which it ends, whatever is left.
    pub nanoseconds: u64,
    /// Time from one frame to the next in nanoseconds, times 2 to the [`PERIOD_SHIFT`]; 0 is as
    /// fast as can be.
    pub period: u64,
    /// Interface to send at.
    pub ifindex: u32,
    /// VLAN tags of the frames: 0 or 1.
    pub tags: u32,
    /// Flows, which take turns; at least 1.
    pub flows: u32,
    /// Shapes, which take turns; 1 to [`MAX_SHAPES`].
    pub shapes: u32,
}

impl GeneratorConfig {
    /// The configuration as the map holds it.
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let longs = [self.frames, self.nanoseconds, self.period];
        for (to, from) in bytes.chunks_exact_mut(8).zip(longs) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        let words = [self.ifindex, self.tags, self.flows, self.shapes];
        for (to, from) in bytes[24..].chunks_exact_mut(4).zip(words) {
            to.copy_from_slice(&from.to_ne_bytes());
        }
        bytes
    }
}

/// Fractional bits of [`GeneratorConfig::period`].
pub const PERIOD_SHIFT: u32 = 20;
/// Sizes that can take turns.
pub const MAX_SHAPES: u32 = 12;
/// How often a run looks at the clock for its turn before it gives up: some 50 microseconds.
pub const LOOKS: u32 = 2_048;

/// What of a frame's headers depends on its size; the 16-bit numbers as they are sent.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of the frame, without FCS.
    pub length: u32,
    /// Sum for [`Stamp::checksum`].
    pub sum: u32,
    /// Total length of IPv4.
    pub ip_length: [u8; 2],
    /// Header checksum of IPv4.
    pub ip_checksum: [u8; 2],
    /// Length of UDP.
    pub udp_length: [u8; 2],
    /// Zeros.
    pub padding: [u8; 2],
}

impl Shape {
    /// The shape as the map holds it.
    pub fn to_bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&self.length.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.sum.to_ne_bytes());
        let rest = [self.ip_length, self.ip_checksum, self.udp_length];
        for (to, from) in bytes[8..].chunks_exact_mut(2).zip(rest) {
            to.copy_from_slice(&from);
        }
        bytes
    }
}

/// What the generator has done.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeneratorState {
    /// When the first frame was sent, on CLOCK_MONOTONIC in nanoseconds; 0 is not yet.
    pub start: u64,
    /// When the last one was.
    pub last: u64,
    /// Frames sent.
    pub frames: u64,
    /// When the next is due, after the start, in units of the period.
    pub due: u64,
    /// Sequence number of the next.
    pub sequence: u64,
    /// Flow of the next.
    pub flow: u32,
    /// Shape of the next.
    pub shape: u32,
}

/// What a run is to do at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is nothing left to send.
    Over,
    /// It is too early.
    Wait,
    /// To send the frame that was due at `timestamp`.
    Send {
        /// On CLOCK_MONOTONIC in nanoseconds.
        timestamp: u64,
    },
}

impl GeneratorState {
    /// The state before the first frame, as the map holds it.
    pub const CLEAR: [u8; 48] = [0; 48];

    /// What the map holds.
    pub fn from_bytes(bytes: &[u8; 48]) -> Self {
        let long = |at: usize| u64::from_ne_bytes(*bytes[at..].first_chunk().expect("8 of 48"));
        let word = |at: usize| u32::from_ne_bytes(*bytes[at..].first_chunk().expect("4 of 48"));
        Self {
            start: long(0),
            last: long(8),
            frames: long(16),
            due: long(24),
            sequence: long(32),
            flow: word(40),
            shape: word(44),
        }
    }

    /// Whose turn it is at `now`. The first call starts the schedule.
    #[inline(always)]
    pub fn turn(&mut self, config: &GeneratorConfig, now: u64) -> Turn {
        if self.start == 0 {
            self.start = now;
        }
        let elapsed = now - self.start;
        let due = self.due >> PERIOD_SHIFT;
        if self.frames >= config.frames || elapsed >= config.nanoseconds {
            Turn::Over
        } else if elapsed < due {
            Turn::Wait
        } else if config.period == 0 {
            Turn::Send { timestamp: now }
        } else {
            let timestamp = self.start + due;
            Turn::Send { timestamp }
        }
    }

    /// The stamp of the frame that is sent at `now`; then the next one is the next.
    #[inline(always)]
    pub fn advance(&mut self, config: &GeneratorConfig, now: u64, timestamp: u64) -> Stamp {
        let stamp = Stamp {
            flow: self.flow as u16,
            sequence: self.sequence,
            timestamp,
        };
        self.last = now;
        self.frames += 1;
        self.due += config.period;
        self.flow += 1;
        if self.flow >= config.flows {
            self.flow = 0;
            self.sequence += 1;
        }
        self.shape += 1;
        if self.shape >= config.shapes {
            self.shape = 0;
        }
        stamp
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
}
