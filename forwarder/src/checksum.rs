//! Finishing checksums that a local sender left to its (virtual) network card.
//!
//! A VM or container behind a veth or tap hands over TCP and UDP packets whose checksum
//! field holds only the sum of the pseudo header (CHECKSUM_PARTIAL, include/linux/skbuff.h):
//! hardware was to add the rest. AF_XDP does not tell us which frames these are, but the
//! field itself does: it equals the pseudo header's sum. A finished checksum has that value
//! by chance once in 65,536 packets, and finishing it again gives the same checksum.
//!
//! Not handled, because no sender leaves them partial: SCTP, fragments, IPv6 extension headers.

use causeway_ebpf::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Where a transport header lies in a frame, and what its checksum covers.
struct Transport {
    start: usize,
    length: usize,
    /// Offset of the checksum within the header.
    field: usize,
    /// Sum of the pseudo header, not folded.
    pseudo: u32,
    protocol: u8,
}

/// Completes a partial TCP or UDP checksum in place. True: the frame had one.
pub fn finish_partial(frame: &mut [u8]) -> bool {
    let Some(transport) = locate(frame) else {
        return false;
    };
    let field = transport.start + transport.field;
    let stored = u16::from_be_bytes([frame[field], frame[field + 1]]);
    if stored != fold(transport.pseudo) {
        return false;
    }
    frame[field..field + 2].fill(0);
    let covered = &frame[transport.start..transport.start + transport.length];
    let mut checksum = !fold(transport.pseudo + sum(covered));
    if checksum == 0 && transport.protocol == UDP {
        // RFC 768: zero means "no checksum"; all ones is sent instead.
        checksum = 0xFFFF;
    }
    frame[field..field + 2].copy_from_slice(&checksum.to_be_bytes());
    true
}

fn locate(frame: &[u8]) -> Option<Transport> {
    let header = EthernetHeader::parse(frame)?;
    match header.ethertype {
        ETHERTYPE_IPV4 => locate_ipv4(frame, header.len),
        ETHERTYPE_IPV6 => locate_ipv6(frame, header.len),
        _ => None,
    }
}

fn locate_ipv4(frame: &[u8], start: usize) -> Option<Transport> {
    let header: &[u8; 20] = frame.get(start..)?.first_chunk()?;
    let header_length = usize::from(header[0] & 0x0F) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3FFF;
    if header[0] >> 4 != 4 || header_length < 20 || fragment != 0 {
        return None;
    }
    let length = total.checked_sub(header_length)?;
    transport(
        frame,
        start + header_length,
        length,
        header[9],
        sum(&header[12..20]),
    )
}

fn locate_ipv6(frame: &[u8], start: usize) -> Option<Transport> {
    let header: &[u8; 40] = frame.get(start..)?.first_chunk()?;
    if header[0] >> 4 != 6 {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    transport(frame, start + 40, length, header[6], sum(&header[8..40]))
}

fn transport(
    frame: &[u8],
    start: usize,
    length: usize,
    protocol: u8,
    addresses: u32,
) -> Option<Transport> {
    let (field, header_length) = match protocol {
        TCP => (16, 20),
        UDP => (6, 8),
        _ => return None,
    };
    if length < header_length || frame.len() < start + length {
        return None;
    }
    Some(Transport {
        start,
        length,
        field,
        pseudo: addresses + u32::from(protocol) + length as u32,
        protocol,
    })
}

/// The sum of big-endian 16-bit words, an odd last byte padded with zero, folded to 16 bits.
///
/// It does not depend on the order of bytes that it is made in, but for the result's own, nor on the
/// width of the words (RFC 1071, section 2): so it is made of whole native words, which vectorises.
pub(crate) fn sum(bytes: &[u8]) -> u32 {
    let words = bytes.chunks_exact(4);
    let mut last = [0; 4];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    // Fewer than 2^32 words: 64 bits do not overflow.
    let total = words.fold(u64::from(u32::from_ne_bytes(last)), |total, word| {
        total + u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))
    });
    let total = (total & 0xFFFF_FFFF) + (total >> 32);
    let total = (total & 0xFFFF) + ((total >> 16) & 0xFFFF) + (total >> 32);
    u32::from(u16::from_be(fold(total as u32)))
}

/// Folds carries back in (RFC 1071).
pub(crate) fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xFFFF) + (sum >> 16);
    ((sum & 0xFFFF) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(protocol: u8, transport: &[u8], tag: bool) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        if tag {
            frame.extend([0x81, 0x00, 0x00, 0x2A]);
        }
        frame.extend([0x08, 0x00]);
        let total = (20 + transport.len()) as u16;
        let mut header = vec![0x45, 0];
        header.extend(total.to_be_bytes());
        header.extend([
            0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 77, 0, 1, 10, 77, 0, 50,
        ]);
        frame.extend(header);
        frame.extend(transport);
        frame
    }

    fn ipv6(protocol: u8, transport: &[u8]) -> Vec<u8> {
        let mut frame = vec![
            2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xDD, 0x60, 0, 0, 0,
        ];
        frame.extend((transport.len() as u16).to_be_bytes());
        frame.extend([protocol, 64]);
        frame.extend([0xfd; 16]);
        frame.extend([0x0a; 16]);
        frame.extend(transport);
        frame
    }

    /// The receiver's check: pseudo header and segment sum to all ones.
    fn verifies(frame: &[u8]) -> bool {
        let t = locate(frame).expect("a TCP or UDP packet");
        fold(t.pseudo + sum(&frame[t.start..t.start + t.length])) == 0xFFFF
    }

    fn store(frame: &mut [u8], value: u16) {
        let t = locate(frame).unwrap();
        frame[t.start + t.field..][..2].copy_from_slice(&value.to_be_bytes());
    }

    fn frames() -> Vec<Vec<u8>> {
        let tcp: Vec<u8> = (0..20).map(|i| if i == 12 { 0x50 } else { i }).collect();
        let udp_odd = [1, 2, 3, 4, 0, 13, 0, 0, b'h', b'e', b'l', b'l', b'o'];
        vec![
            ipv4(TCP, &tcp, false),
            ipv4(TCP, &[tcp.as_slice(), &[7; 1_441]].concat(), true),
            ipv4(UDP, &udp_odd, false),
            ipv6(TCP, &tcp),
            ipv6(UDP, &udp_odd),
        ]
    }

    #[test]
    fn partial_checksums_are_finished_and_finished_ones_left_alone() {
        for mut frame in frames() {
            let pseudo = fold(locate(&frame).unwrap().pseudo);
            store(&mut frame, pseudo);
            // Ethernet padding behind the packet is no part of it.
            frame.extend([0xAA; 9]);
            assert!(!verifies(&frame));
            assert!(finish_partial(&mut frame));
            assert!(verifies(&frame));
            let finished = frame.clone();
            finish_partial(&mut frame);
            assert_eq!(frame, finished);
        }
    }

    #[test]
    fn the_sum_is_that_of_16_bit_words() {
        let by_word = |bytes: &[u8]| {
            let word = |w: &[u8]| u32::from(w[0]) << 8 | u32::from(*w.get(1).unwrap_or(&0));
            fold(bytes.chunks(2).map(word).sum())
        };
        let bytes: Vec<u8> = (0..9_001_u32).map(|i| ((i * i) >> 5) as u8).collect();
        let ones = [0xFF; 9_001];
        for length in (0..100).chain([1_471, 1_472, 9_000, 9_001]) {
            for bytes in [&bytes[..length], &ones[..length]] {
                assert_eq!(sum(bytes), u32::from(by_word(bytes)), "{length}");
            }
        }
        assert_eq!(sum(&[0; 64]), 0);
    }

    #[test]
    fn a_damaged_packet_is_not_repaired() {
        for mut frame in frames() {
            store(&mut frame, 0x1234);
            let before = frame.clone();
            assert!(!finish_partial(&mut frame));
            assert_eq!(frame, before);
        }
    }

    #[test]
    fn udp_checksum_zero_is_sent_as_all_ones() {
        // Payload chosen so that the sum of everything is all ones before the complement.
        let mut frame = ipv4(UDP, &[0, 1, 0, 2, 0, 10, 0, 0, 0, 0], false);
        let t = locate(&frame).unwrap();
        let total = fold(t.pseudo + sum(&frame[t.start..t.start + t.length]));
        let at = t.start + 8;
        frame[at..at + 2].copy_from_slice(&(0xFFFF - total).to_be_bytes());
        let pseudo = fold(t.pseudo);
        store(&mut frame, pseudo);
        assert!(finish_partial(&mut frame));
        let field = t.start + 6;
        assert_eq!(frame[field..field + 2], [0xFF, 0xFF]);
    }

    #[test]
    fn truncated_fragmented_and_foreign_packets_are_left_alone() {
        for frame in frames() {
            for length in 0..frame.len() {
                let mut cut = frame[..length].to_vec();
                finish_partial(&mut cut);
                assert_eq!(cut, frame[..length]);
            }
        }
        let mut fragment = ipv4(UDP, &[0; 8], false);
        fragment[20] = 0x20;
        let pseudo = fold(sum(&fragment[26..34]) + u32::from(UDP) + 8);
        fragment[40..42].copy_from_slice(&pseudo.to_be_bytes());
        assert!(!finish_partial(&mut fragment));
        assert!(!finish_partial(&mut ipv4(1, &[0; 8], false)));
    }
}
