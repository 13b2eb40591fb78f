//! What a frame that came is: a test frame as it was sent, one that suffered, or nobody's.

use causeway_ebpf::perf::{self, Stamp};

use super::stream::{DESTINATION, PROTOCOL_UDP, SOURCE, fold, sum_of};

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
    let ip = &frame[udp - perf::IPV4_LEN..];
    // A bit that flipped in one of them does not hide the other.
    let addresses = ip[12..16] == SOURCE.octets() && ip[16..20] == DESTINATION.octets();
    if !addresses && !perf::is_test_frame(frame) {
        return Parsed::Foreign;
    }
    verify(ip).map_or(Parsed::Corrupted, Parsed::Test)
}

/// The stamp of an IPv4 packet, if everything that its checksums cover is right.
fn verify(ip: &[u8]) -> Option<Stamp> {
    let total = usize::from(word(ip, 2)?);
    // What is behind the packet is padding.
    let udp = ip.get(perf::IPV4_LEN..total)?;
    let udp_length = word(udp, 4)?;
    let pseudo_header = sum_of(&ip[12..20]) + u32::from(PROTOCOL_UDP) + u32::from(udp_length);
    let whole = fold(sum_of(&ip[..perf::IPV4_LEN])) == 0xffff
        && usize::from(udp_length) == udp.len()
        && fold(pseudo_header + sum_of_any(udp)) == 0xffff;
    // Without a checksum nothing says that the rest is right; ours always have one.
    if !whole || word(udp, 6)? == 0 {
        return None;
    }
    let (payload, _) = udp.get(perf::UDP_LEN..)?.split_first_chunk()?;
    let stamp = Stamp::from_bytes(payload)?;
    (word(udp, 0)? == perf::source_port(stamp.flow)).then_some(stamp)
}

/// The sum of the 16-bit words of any number of bytes (RFC 1071): as if a zero followed an odd one.
fn sum_of_any(bytes: &[u8]) -> u32 {
    let odd = bytes.chunks_exact(2).remainder().first();
    sum_of(bytes) + odd.map_or(0, |byte| u32::from(*byte) << 8)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let (word, _) = bytes.get(at..)?.split_first_chunk()?;
    Some(u16::from_be_bytes(*word))
}

#[cfg(test)]
mod tests;
