//! Options that the traffic tests share.

use causeway::spec::parse_mac;
use clap::{Args, ValueEnum};

use super::{Stream, link::LinkInfo};
use crate::sizes::FrameSizes;

/// What the frames look like, but for their sizes.
#[derive(Args, Clone, Debug)]
pub(crate) struct StreamOptions {
    /// Where frames go: the MAC address of a station behind what is tested
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    to: [u8; 6],
    /// Where they come from [default: the address of the interface that sends]
    #[arg(long, value_name = "MAC", value_parser = parse_mac)]
    from: Option<[u8; 6]>,
    /// VLAN tag of each frame; the smallest frame has 68 bytes then
    #[arg(long, value_name = "VLAN", value_parser = clap::value_parser!(u16).range(1..=4_094))]
    vlan: Option<u16>,
    /// UDP flows, which take turns
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=16_384))]
    flows: u16,
}

impl StreamOptions {
    /// The stream that leaves at the link with this `info`.
    pub(crate) fn stream(&self, info: &LinkInfo, sizes: FrameSizes) -> Stream {
        Stream {
            source: self.from.unwrap_or(info.mac),
            destination: self.to,
            vlan: self.vlan,
            sizes,
            flows: self.flows,
        }
    }
}

/// What makes the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GeneratorKind {
    /// A socket: every frame is accounted for, and timed
    AfXdp,
    /// XDP live frames in the kernel: several times faster, and only counted; what the port refused is exact on a veth only
    Live,
}

impl GeneratorKind {
    /// The word of the command line and of reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AfXdp => "af-xdp",
            Self::Live => "live",
        }
    }
}

/// Part of a whole, from 0 to less than 1; a percentage with `%`.
pub(crate) fn ratio(text: &str) -> Result<f64, String> {
    let (number, unit) = match text.strip_suffix('%') {
        Some(number) => (number.trim_end(), 100.0),
        None => (text, 1.0),
    };
    let value = number.parse::<f64>().map(|value| value / unit);
    value
        .ok()
        .filter(|value| (0.0..1.0).contains(value))
        .ok_or_else(|| format!("'{text}' is no part such as 0.001 or 0.1%, from 0 to less than 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(ratio("0"), Ok(0.0));
        assert_eq!(ratio("0.1%"), Ok(0.001));
        for text in ["1", "100%", "-0.1", "NaN", "%", ""] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }
}
