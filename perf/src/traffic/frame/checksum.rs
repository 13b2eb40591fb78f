//! The Internet checksum (RFC 1071).

/// Sum of 16-bit words, not folded to 16 bits but far from overflow.
pub(super) fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let words: u32 = words.iter().map(|w| u32::from(u16::from_be_bytes(*w))).sum();
    words + rest.first().map_or(0, |byte| u32::from(*byte) << 8)
}

/// Folds a sum, and inverts it.
pub(super) fn finish(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    !((once & 0xffff) + (once >> 16)) as u16
}
