//! What a frame that came is.

use super::{
    DESTINATION_ADDRESS, DISCARD, ETHERNET, IPV4, MAGIC, PAYLOAD, SOURCE_ADDRESS, TAG, Tag, UDP,
    checksum::{finish, sum},
    port,
};

/// Ethertypes of VLAN tags: 802.1Q and 802.1ad.
const VLAN: [u16; 2] = [0x8100, 0x88a8];

/// A frame that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A test frame, whole.
    Test(Tag),
    /// A test frame by its addresses or its magic, but not as it was sent.
    Corrupted,
    /// Nothing of ours.
    Foreign,
}

/// Looks at a frame, with up to two VLAN tags.
pub(crate) fn parse(frame: &[u8]) -> Parsed {
    let Some(ip) = ip_packet(frame) else {
        return Parsed::Foreign;
    };
    if !is_ours(ip) {
        return Parsed::Foreign;
    }
    verify(ip).map_or(Parsed::Corrupted, Parsed::Test)
}

/// The IPv4 packet in a frame, if the frame is long enough for one of ours.
fn ip_packet(frame: &[u8]) -> Option<&[u8]> {
    let mut at = ETHERNET;
    for _ in 0..2 {
        if !VLAN.contains(&word(frame, at - 2)?) {
            break;
        }
        at += TAG;
    }
    let ip = frame.get(at..)?;
    (word(frame, at - 2)? == 0x0800 && ip.len() >= IPV4 + UDP + PAYLOAD).then_some(ip)
}

/// By magic, or by addresses and port: a bit that flipped in one of them does not hide the other.
fn is_ours(ip: &[u8]) -> bool {
    let addresses = ip[12..16] == SOURCE_ADDRESS && ip[16..20] == DESTINATION_ADDRESS;
    let to_discard = ip[9] == 17 && word(ip, IPV4 + 2) == Some(DISCARD);
    to_discard && (addresses || word(ip, IPV4 + UDP) == Some(MAGIC))
}

fn verify(ip: &[u8]) -> Option<Tag> {
    let total = usize::from(word(ip, 2)?);
    // What is behind the packet is padding.
    let udp = ip.get(IPV4..total)?;
    let udp_length = word(udp, 4)?;
    let whole = ip[0] == 0x45
        && finish(sum(&ip[..IPV4])) == 0
        && usize::from(udp_length) == udp.len()
        && udp.len() >= UDP + PAYLOAD
        && finish(pseudo_header(udp_length) + sum(udp)) == 0;
    // Without a checksum nothing says that the rest is right; ours always have one.
    if !whole || word(udp, 6) == Some(0) || word(udp, UDP) != Some(MAGIC) {
        return None;
    }
    let tag = Tag {
        flow: word(udp, 10)?,
        sequence: big_endian(&udp[12..18]),
        timestamp_ns: big_endian(&udp[18..26]),
    };
    (word(udp, 0) == Some(port(tag.flow))).then_some(tag)
}

/// Sum of the pseudo header (RFC 768).
pub(super) fn pseudo_header(udp_length: u16) -> u32 {
    sum(&SOURCE_ADDRESS) + sum(&DESTINATION_ADDRESS) + 17 + u32::from(udp_length)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let (word, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u16::from_be_bytes(*word))
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}
