//! What a frame that came is.

use causeway_ebpf::perf::{self, Stamp};

use super::{
    DESTINATION_ADDRESS, IPV4, SOURCE_ADDRESS,
    checksum::{finish, sum},
};

/// A frame that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    /// A test frame, whole.
    Test(Stamp),
    /// A test frame by its magic or its addresses, but not as it was sent.
    Corrupted,
    /// Nothing of ours.
    Foreign,
}

/// Looks at a frame, with up to two VLAN tags.
pub(crate) fn parse(frame: &[u8]) -> Parsed {
    let Some(udp) = perf::udp_header(frame) else {
        return Parsed::Foreign;
    };
    let ip = &frame[udp - IPV4..];
    // A bit that flipped in one of them does not hide the other.
    let addresses = ip[12..16] == SOURCE_ADDRESS && ip[16..20] == DESTINATION_ADDRESS;
    if !addresses && !perf::is_test_frame(frame) {
        return Parsed::Foreign;
    }
    verify(ip).map_or(Parsed::Corrupted, Parsed::Test)
}

/// The stamp of an IPv4 packet, if everything that its checksums cover is right.
fn verify(ip: &[u8]) -> Option<Stamp> {
    let total = usize::from(word(ip, 2)?);
    // What is behind the packet is padding.
    let udp = ip.get(IPV4..total)?;
    let udp_length = word(udp, 4)?;
    let whole = finish(sum(&ip[..IPV4])) == 0
        && usize::from(udp_length) == udp.len()
        && finish(pseudo_header(udp_length) + sum(udp)) == 0;
    // Without a checksum nothing says that the rest is right; ours always have one.
    if !whole || word(udp, 6)? == 0 {
        return None;
    }
    let (payload, _) = udp.get(perf::UDP_LEN..)?.split_first_chunk()?;
    let stamp = Stamp::from_bytes(payload)?;
    (word(udp, 0)? == perf::source_port(stamp.flow)).then_some(stamp)
}

/// Sum of the pseudo header (RFC 768).
pub(super) fn pseudo_header(udp_length: u16) -> u32 {
    sum(&SOURCE_ADDRESS) + sum(&DESTINATION_ADDRESS) + 17 + u32::from(udp_length)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let (word, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u16::from_be_bytes(*word))
}
