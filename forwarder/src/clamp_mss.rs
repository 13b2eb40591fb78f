//! Lowering the largest segment size that TCP connections agree on (`--clamp-mss`).
//!
//! Each side of a TCP connection says in its SYN how large segments it takes (option MSS, RFC 9293, section
//! 3.7.1). Lowered to what makes a frame that fits a datagram, no full segment of a moved VM is cut in two. Nothing
//! needs it: frames of any size cross. It saves the second datagram of each.
//!
//! The checksum is changed by the difference (RFC 1624), so a wrong one stays wrong. Left alone: a SYN without
//! the option (then it is 536 or 1,220, which is small enough), and all that contradicts itself.

use std::{fmt, str::FromStr};

use causeway_ebpf::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader};
use causeway_tunnel::{
    Frame, esp,
    wire::{BUNDLE_OFFSET, FRAME_LENGTH, MAX_FRAME},
};
use serde::Deserialize;

use crate::{checksum::fold, spec::SpecError, stations::PeerIndex};

const TCP: u8 = 6;
const TCP_LEN: usize = 20;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;
const SYN: u8 = 0x02;

/// Kinds of TCP options (RFC 9293, section 3.2).
const END: u8 = 0;
const NO_OPERATION: u8 = 1;
const MSS: u8 = 2;
const MSS_LEN: usize = 4;

/// IPv6 extension headers looked behind at most; more are no traffic that anybody sends.
const MAX_EXTENSIONS: usize = 8;

/// Bytes within which a TCP header begins and its flags are, but for odd extension headers.
const LONGEST_HEADERS: usize = 128;

/// `--clamp-mss`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum ClampMss {
    /// Segments are as large as the hosts like.
    #[default]
    Off,
    /// A full segment makes a frame that just fills a datagram to its peer.
    Auto,
    /// No larger than this, in bytes of payload.
    Size(u16),
}

/// Least and greatest of [`ClampMss::Size`]: what every IPv4 host takes (RFC 9293, section 3.7.1), and what makes the
/// largest frame.
const SIZES: std::ops::RangeInclusive<u16> = 536..=(MAX_FRAME - 14 - IPV4_LEN - TCP_LEN) as u16;

impl FromStr for ClampMss {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match (text, text.parse::<u16>()) {
            ("off", _) => Ok(Self::Off),
            ("auto", _) => Ok(Self::Auto),
            (_, Ok(size)) if SIZES.contains(&size) => Ok(Self::Size(size)),
            _ => Err(SpecError::new(format!(
                "'{text}' is not auto, off or a segment size from {} to {} bytes",
                SIZES.start(),
                SIZES.end()
            ))),
        }
    }
}

impl TryFrom<String> for ClampMss {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        text.parse()
    }
}

impl fmt::Display for ClampMss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Auto => f.write_str("auto"),
            Self::Size(size) => write!(f, "{size}"),
        }
    }
}

/// What a worker needs for it.
#[derive(Debug)]
pub struct Clamp {
    mss: Option<u16>,
    /// By peer: bytes of the largest frame that fits a datagram to it.
    frames: Box<[usize]>,
    /// Room for a frame that is to be changed.
    scratch: Box<[u8]>,
}

impl Clamp {
    /// `None` if it is off.
    pub fn new(setting: ClampMss, peers: usize) -> Option<Self> {
        let mss = match setting {
            ClampMss::Off => return None,
            ClampMss::Auto => None,
            ClampMss::Size(size) => Some(size),
        };
        Some(Self {
            mss,
            frames: vec![MAX_FRAME; peers].into(),
            scratch: vec![0; MAX_FRAME].into(),
        })
    }

    /// From now on datagrams to the peer have this size, in bytes of UDP payload.
    ///
    /// A frame fills it as the only one of a bundle: so it is not cut when others come with it.
    pub fn set_datagram_size(&mut self, peer: PeerIndex, size: usize) {
        if let Some(frame) = self.frames.get_mut(usize::from(peer)) {
            *frame = esp::payload_capacity(size) - BUNDLE_OFFSET - FRAME_LENGTH;
        }
    }

    /// Lowers the MSS of a frame to or from `peer`, if it is the SYN of a TCP connection. True: it was higher.
    #[inline]
    pub fn frame(&self, frame: &mut [u8], peer: PeerIndex) -> bool {
        match locate(frame) {
            Some(syn) => self.lower(frame, &syn, peer),
            None => false,
        }
    }

    /// The same of a frame that is lent for reading only: one with another MSS instead, if it was higher.
    #[inline]
    pub fn copy(&mut self, frame: &Frame<'_>, peer: PeerIndex) -> Option<Frame<'_>> {
        if frame.tail.is_empty() || frame.head.len() >= LONGEST_HEADERS {
            locate(frame.head)?;
        } else {
            // What is in two parts may have its headers in both.
            let mut start = [0; LONGEST_HEADERS];
            let (head, rest) = start.split_at_mut(frame.head.len());
            let behind = rest.len().min(frame.tail.len());
            head.copy_from_slice(frame.head);
            rest[..behind].copy_from_slice(&frame.tail[..behind]);
            let known = frame.head.len() + behind;
            locate(&start[..known])?;
        }
        self.lowered_copy(frame, peer)
    }

    #[cold]
    fn lowered_copy(&mut self, frame: &Frame<'_>, peer: PeerIndex) -> Option<Frame<'_>> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let length = frame.len();
        let lowered = scratch.get_mut(..length).is_some_and(|copy| {
            let (head, tail) = copy.split_at_mut(frame.head.len());
            head.copy_from_slice(frame.head);
            tail.copy_from_slice(frame.tail);
            self.frame(copy, peer)
        });
        self.scratch = scratch;
        lowered.then(|| Frame::whole(&self.scratch[..length]))
    }

    #[cold]
    fn lower(&self, frame: &mut [u8], syn: &Syn, peer: PeerIndex) -> bool {
        let fits = self
            .frames
            .get(usize::from(peer))
            .copied()
            .unwrap_or(MAX_FRAME);
        let fits = fits.saturating_sub(syn.headers);
        let most = self.mss.unwrap_or(u16::try_from(fits).unwrap_or(u16::MAX));
        lower_options(frame, syn.tcp, most)
    }
}

/// A SYN in a frame.
struct Syn {
    /// Where its TCP header begins.
    tcp: usize,
    /// Bytes of the frame that are no payload of a full segment: Ethernet, IP and TCP without options (RFC 6691).
    headers: usize,
}

/// Finds the TCP header of a SYN.
#[inline]
fn locate(frame: &[u8]) -> Option<Syn> {
    let header = EthernetHeader::parse(frame)?;
    let (tcp, fixed) = match header.ethertype {
        ETHERTYPE_IPV4 => (behind_ipv4(frame, header.len)?, IPV4_LEN),
        ETHERTYPE_IPV6 => (behind_ipv6(frame, header.len)?, IPV6_LEN),
        _ => return None,
    };
    let is_syn = frame.get(tcp + 13)? & SYN != 0;
    is_syn.then_some(Syn {
        tcp,
        headers: header.len + fixed + TCP_LEN,
    })
}

/// A later fragment has no TCP header; the first has.
#[inline]
fn behind_ipv4(frame: &[u8], at: usize) -> Option<usize> {
    let header: &[u8; IPV4_LEN] = frame.get(at..)?.first_chunk()?;
    let length = usize::from(header[0] & 0x0F) * 4;
    let offset = u16::from_be_bytes([header[6], header[7]]) & 0x1FFF;
    let is_tcp = header[0] >> 4 == 4 && length >= IPV4_LEN && header[9] == TCP && offset == 0;
    is_tcp.then_some(at + length)
}

#[inline]
fn behind_ipv6(frame: &[u8], at: usize) -> Option<usize> {
    let header: &[u8; IPV6_LEN] = frame.get(at..)?.first_chunk()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    match header[6] {
        TCP => Some(at + IPV6_LEN),
        next => behind_extensions(frame, at + IPV6_LEN, next),
    }
}

/// Hop-by-hop, routing and destination options (RFC 8200, section 4), and a first fragment.
fn behind_extensions(frame: &[u8], mut at: usize, mut next: u8) -> Option<usize> {
    for _ in 0..MAX_EXTENSIONS {
        let header: &[u8; 4] = frame.get(at..)?.first_chunk()?;
        at += match next {
            0 | 43 | 60 => 8 + usize::from(header[1]) * 8,
            44 if u16::from_be_bytes([header[2], header[3]]) & 0xFFF8 == 0 => 8,
            _ => return None,
        };
        next = header[0];
        if next == TCP {
            return Some(at);
        }
    }
    None
}

/// Lowers each MSS option of the TCP header at `tcp`: of several, hosts differ in which counts.
fn lower_options(frame: &mut [u8], tcp: usize, most: u16) -> bool {
    let Some(data_offset) = frame.get(tcp + 12) else {
        return false;
    };
    let end = tcp + usize::from(data_offset >> 4) * 4;
    if end < tcp + TCP_LEN || end > frame.len() {
        return false;
    }
    let (mut at, mut lowered) = (tcp + TCP_LEN, false);
    while at < end && frame[at] != END {
        if frame[at] == NO_OPERATION {
            at += 1;
            continue;
        }
        // Two bytes at least, and none behind the header: else nobody knows what follows.
        let length = match frame.get(at + 1) {
            Some(length @ 2..) if at + usize::from(*length) <= end => usize::from(*length),
            _ => break,
        };
        if frame[at] == MSS && length == MSS_LEN {
            lowered |= lower_value(frame, tcp, at + 2, most);
        }
        at += length;
    }
    lowered
}

fn lower_value(frame: &mut [u8], tcp: usize, at: usize, most: u16) -> bool {
    let before = u16::from_be_bytes([frame[at], frame[at + 1]]);
    if before <= most {
        return false;
    }
    frame[at..at + 2].copy_from_slice(&most.to_be_bytes());
    // Behind an odd number of NOPs its bytes are in two words, each in the other's place.
    let word = |value: u16| match (at - tcp) % 2 {
        0 => value,
        _ => value.swap_bytes(),
    };
    let field = tcp + 16;
    let checksum = u16::from_be_bytes([frame[field], frame[field + 1]]);
    // RFC 1624, equation 3: HC' = ~(~HC + ~m + m').
    let sum = u32::from(!checksum) + u32::from(!word(before)) + u32::from(word(most));
    frame[field..field + 2].copy_from_slice(&(!fold(sum)).to_be_bytes());
    true
}

#[cfg(test)]
mod tests;
