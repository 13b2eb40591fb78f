//! How fast: frames or bits a second, or as fast as possible.

use std::{fmt, str::FromStr};

use crate::sizes::FrameSizes;

/// An offered load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rate {
    /// Frames a second.
    Frames(f64),
    /// Bits of frames a second, FCS included, without preamble and gap.
    Bits(f64),
    /// As fast as possible.
    Max,
}

/// The fastest schedule: the shortest frames of a wire of 400 Gb/s.
pub(crate) const MOST_FRAMES: f64 = 6e8;

impl Rate {
    /// Frames a second of these sizes; none: as many as possible.
    pub(crate) fn frames_per_s(self, sizes: &FrameSizes) -> Option<f64> {
        match self {
            Self::Frames(frames) => Some(frames),
            Self::Bits(bits) => Some(bits / (sizes.mean() * 8.0)),
            Self::Max => None,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frames(frames) => write!(f, "{frames}fps"),
            Self::Bits(bits) => write!(f, "{bits}bps"),
            Self::Max => f.write_str("max"),
        }
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let wrong = || {
            format!("'{text}' is no rate such as 500fps, 10kfps, 1.5Mfps, 300Mbps, 2Gbps or max")
        };
        let (number, kind): (&str, fn(f64) -> Self) = match text.strip_suffix("fps") {
            Some(number) => (number, Self::Frames),
            None => (text.strip_suffix("bps").ok_or_else(wrong)?, Self::Bits),
        };
        let (number, factor) = match number.as_bytes().last() {
            Some(b'k') => (&number[..number.len() - 1], 1e3),
            Some(b'M') => (&number[..number.len() - 1], 1e6),
            Some(b'G') => (&number[..number.len() - 1], 1e9),
            _ => (number, 1.0),
        };
        let value = number.parse::<f64>().map_err(|_| wrong())? * factor;
        if !value.is_finite() || value <= 0.0 {
            return Err(format!("'{text}': a rate is more than 0"));
        }
        Ok(kind(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let good = [
            ("500fps", Rate::Frames(500.0)),
            ("10kfps", Rate::Frames(10_000.0)),
            ("1.5Mfps", Rate::Frames(1_500_000.0)),
            ("2Gbps", Rate::Bits(2e9)),
            ("300Mbps", Rate::Bits(3e8)),
            ("max", Rate::Max),
        ];
        for (text, rate) in good {
            assert_eq!(text.parse(), Ok(rate), "{text}");
            assert_eq!(rate.to_string().parse(), Ok(rate), "{text}");
        }
        for text in [
            "", "10", "fps", "0fps", "-1fps", "1e400fps", "NaNfps", "infbps", "1Kfps", "Gbps",
            "2gbps",
        ] {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
    }

    #[test]
    fn bits_are_those_of_the_frames() {
        let frames = Rate::Bits(512e6).frames_per_s(&FrameSizes::Fixed(64));
        assert_eq!(frames, Some(1e6));
        assert_eq!(Rate::Max.frames_per_s(&FrameSizes::Imix), None);
    }
}
