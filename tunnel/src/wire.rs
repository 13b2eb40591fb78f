//! The numbers of the wire format: what both ends must have in common.
//!
//! Sizes that only this implementation chose (how many seams are remembered,
//! how wide the replay window is) stand in the module that they belong to.

/// The smallest inner frame in bytes: an Ethernet header with nothing behind it.
pub const MIN_FRAME: usize = 14;
/// The largest inner frame in bytes, without its frame check sequence.
pub const MAX_FRAME: usize = 9_216;

/// The smallest datagram size in bytes of UDP payload.
pub const MIN_DATAGRAM_SIZE: usize = 256;
/// The largest datagram size in bytes of UDP payload.
pub const MAX_DATAGRAM_SIZE: usize = 9_000;
/// Every datagram is a multiple of this many bytes (RFC 4303 section 2.4).
pub const ALIGNMENT: usize = 4;

/// SPI, low half of the sequence number, and the 8-byte IV (RFC 4303 section 2, RFC 4106 section 3.1).
pub const ESP_HEADER: usize = 16;
/// Pad length and next header (RFC 4303 sections 2.5 and 2.6).
pub const ESP_TRAILER: usize = 2;
/// The integrity check value: the full 16 bytes of GCM (RFC 4106 section 6).
pub const ESP_ICV: usize = 16;
/// The smallest datagram: no payload, two bytes of padding, the trailer.
pub const MIN_ESP: usize = ESP_HEADER + ALIGNMENT + ESP_ICV;

/// A bundle's first field: how many bytes continue the previous datagram's frame.
pub const BUNDLE_OFFSET: usize = 2;
/// The length before each frame of a bundle.
pub const FRAME_LENGTH: usize = 2;

/// What a datagram carries: the next header of its ESP trailer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NextHeader {
    /// Nothing (IANA 59, "no next header"): the dummy of RFC 4303 section 2.6, our keepalive.
    Dummy = 59,
    /// Exactly one whole Ethernet frame (IANA 143, RFC 8986).
    Ethernet = 143,
    /// A bundle of frames (IANA 253, for experiments: RFC 3692).
    Bundle = 253,
}

impl NextHeader {
    /// The next header of this number, if it is one that we know.
    pub const fn from_u8(number: u8) -> Option<Self> {
        match number {
            59 => Some(Self::Dummy),
            143 => Some(Self::Ethernet),
            253 => Some(Self::Bundle),
            _ => None,
        }
    }
}

/// Whether a frame of `length` bytes may cross.
#[inline]
pub const fn is_frame_length(length: usize) -> bool {
    MIN_FRAME <= length && length <= MAX_FRAME
}

/// The datagram size nearest to `size` that the format allows: clamped to
/// [`MIN_DATAGRAM_SIZE`]`..=`[`MAX_DATAGRAM_SIZE`] and rounded down to [`ALIGNMENT`].
pub const fn datagram_size(size: usize) -> usize {
    let clamped = if size < MIN_DATAGRAM_SIZE {
        MIN_DATAGRAM_SIZE
    } else if size > MAX_DATAGRAM_SIZE {
        MAX_DATAGRAM_SIZE
    } else {
        size
    };
    clamped - clamped % ALIGNMENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagram_sizes_are_clamped_and_rounded_down() {
        let cases = [
            (0, 256),
            (256, 256),
            (1_451, 1_448),
            (1_452, 1_452),
            (9_003, 9_000),
            (65_535, 9_000),
        ];
        for (asked, given) in cases {
            assert_eq!(datagram_size(asked), given, "asked for {asked}");
        }
    }

    #[test]
    fn next_headers_survive_the_round_trip() {
        let known: Vec<u8> = (0..=255)
            .filter(|&n| NextHeader::from_u8(n).is_some())
            .collect();
        assert_eq!(known, [59, 143, 253]);
        assert!(
            known
                .iter()
                .all(|&n| NextHeader::from_u8(n).map(|h| h as u8) == Some(n))
        );
    }
}
