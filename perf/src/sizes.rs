//! Frame sizes, counted as RFC 2544 does: from the destination address to the FCS, the FCS included.
//!
//! The FCS is the network card's: no program sees it. A "64-byte frame" has 60 bytes in memory and takes
//! 84 byte times of a wire (RFC 2544, section 9; the rest is preamble and gap).

use std::{fmt, str::FromStr};

use causeway_tunnel::wire;

/// Bytes of the FCS.
pub(crate) const FCS: usize = 4;

/// Bytes of a wire that a frame takes beside its own: preamble, start delimiter, interframe gap (IEEE 802.3).
pub(crate) const WIRE_OVERHEAD: usize = 20;

/// The smallest Ethernet frame (IEEE 802.3), FCS included.
pub(crate) const MIN: usize = 64;

/// The largest that causeway carries, FCS included.
pub(crate) const MAX: usize = wire::MAX_FRAME + FCS;

/// The sizes of RFC 2544, section 9.1, for Ethernet.
pub(crate) const RFC2544: [FrameSizes; 7] = [
    FrameSizes::Fixed(64),
    FrameSizes::Fixed(128),
    FrameSizes::Fixed(256),
    FrameSizes::Fixed(512),
    FrameSizes::Fixed(1_024),
    FrameSizes::Fixed(1_280),
    FrameSizes::Fixed(1_518),
];

/// The simple Internet mix, 7:4:1, in an order that spreads the sizes.
const IMIX: [usize; 12] = [64, 594, 64, 64, 594, 64, 1_518, 64, 594, 64, 594, 64];

/// Which sizes the frames of a stream have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FrameSizes {
    /// All the same.
    Fixed(usize),
    /// Seven of 64, four of 594 and one of 1,518 bytes in turn.
    Imix,
}

impl FrameSizes {
    /// The sizes, which repeat.
    pub(crate) fn cycle(&self) -> &[usize] {
        match self {
            Self::Fixed(size) => std::slice::from_ref(size),
            Self::Imix => &IMIX,
        }
    }

    /// Mean size in bytes: `frame_bytes` of a result.
    pub(crate) fn mean(&self) -> f64 {
        let cycle = self.cycle();
        cycle.iter().sum::<usize>() as f64 / cycle.len() as f64
    }

    /// The largest of them.
    pub(crate) fn largest(&self) -> usize {
        self.cycle().iter().copied().max().unwrap_or(MIN)
    }

    /// Frames per second that fill a wire of `bits_per_s` (RFC 2544, appendix B).
    pub(crate) fn line_rate(&self, bits_per_s: f64) -> f64 {
        bits_per_s / ((self.mean() + WIRE_OVERHEAD as f64) * 8.0)
    }
}

impl fmt::Display for FrameSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => f.pad(&size.to_string()),
            Self::Imix => f.pad("imix"),
        }
    }
}

impl FromStr for FrameSizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("imix") {
            return Ok(Self::Imix);
        }
        match text.parse() {
            Ok(size) if (MIN..=MAX).contains(&size) => Ok(Self::Fixed(size)),
            _ => Err(format!(
                "a frame has {MIN} to {MAX} bytes with its FCS, or is \"imix\" (7 x 64, 4 x 594, 1 x 1518)"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_rates_of_rfc_2544() {
        let rate = |sizes: FrameSizes| sizes.line_rate(1e10).round();
        assert_eq!(rate(FrameSizes::Fixed(64)), 14_880_952.0);
        assert_eq!(rate(FrameSizes::Fixed(1_518)), 812_744.0);
    }

    #[test]
    fn the_mix_is_7_4_1() {
        let count = |size| IMIX.iter().filter(|s| **s == size).count();
        assert_eq!((count(64), count(594), count(1_518)), (7, 4, 1));
        assert_eq!(FrameSizes::Imix.mean().round(), 362.0);
    }

    #[test]
    fn texts() {
        for text in ["64", "9220", "imix"] {
            assert_eq!(
                text.parse::<FrameSizes>().map(|s| s.to_string()),
                Ok(text.into())
            );
        }
        for text in ["63", "9221", "", "-1", "mix"] {
            assert!(text.parse::<FrameSizes>().is_err(), "{text}");
        }
    }
}
