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

mod generator;

pub use generator::{
    GeneratorConfig, GeneratorState, LOOKS, MAX_SHAPES, PERIOD_SHIFT, Shape, Turn,
};

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

#[cfg(test)]
mod tests;
