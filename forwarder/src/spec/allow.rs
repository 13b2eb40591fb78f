//! What may be learnt from a peer: `[VLANS/]MAC[/BITS]=PEER`.

use std::str::FromStr;

use serde::Deserialize;

use super::{SpecError, wrong};
use crate::stations::range::StationRange;

/// Stations that may be learnt from a peer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct AllowSpec {
    /// Which stations.
    pub range: StationRange,
    /// Name of the peer.
    pub peer: String,
}

impl FromStr for AllowSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match text.split_once('=') {
            Some((range, peer)) if !peer.is_empty() => Ok(Self {
                range: range.parse()?,
                peer: peer.into(),
            }),
            _ => wrong(format!(
                "range '{text}' is not [VLANS/]MAC[/BITS]=PEER, such as 00:50:56:00:00:00/24=cloud1 or 100-199/00:50:56:00:00:00/24=cloud1"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_and_a_peer() {
        let allow: AllowSpec = "7/00:50:56:00:00:00/24=cloud1".parse().unwrap();
        assert_eq!(allow.peer, "cloud1");
        assert_eq!(allow.range.to_string(), "7/00:50:56:00:00:00/24");
        for bad in [
            "",
            "00:50:56:00:00:00/24",
            "00:50:56:00:00:00/24=",
            "x=cloud1",
        ] {
            assert!(bad.parse::<AllowSpec>().is_err(), "{bad}");
        }
    }
}
