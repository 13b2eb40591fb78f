//! The small languages of `--vlans` and `--vlan-map`.

use std::str::FromStr;

use serde::Deserialize;

use super::MAX_VLAN;
use crate::spec::{SpecError, try_from_string};

fn wrong<T>(text: impl Into<String>) -> Result<T, SpecError> {
    Err(SpecError::new(text))
}

/// The VLANs that may cross to a peer: `PEER=LIST`, where the list is `all`, or numbers and ranges.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct VlansSpec {
    /// Name of the peer.
    pub peer: String,
    /// Ranges of VLANs, 0 for untagged; `None`: all.
    pub list: Option<Vec<(u16, u16)>>,
}

impl FromStr for VlansSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (peer, list) = of_peer("--vlans", "PEER=LIST, such as cloud1=0,10,100-199", text)?;
        let list = match list {
            "all" => None,
            list => Some(list.split(',').map(range).collect::<Result<_, _>>()?),
        };
        Ok(Self { peer, list })
    }
}

/// VLANs that have another number on the way to a peer: `PEER=LOCAL:REMOTE[,LOCAL:REMOTE...]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct VlanMapSpec {
    /// Name of the peer.
    pub peer: String,
    /// The VLAN here and the one on the way; 0 for untagged.
    pub pairs: Vec<(u16, u16)>,
}

impl FromStr for VlanMapSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let form = "PEER=LOCAL:REMOTE, such as cloud1=10:110,0:20";
        let (peer, pairs) = of_peer("--vlan-map", form, text)?;
        let pair = |pair: &str| match pair.split_once(':') {
            Some((local, remote)) => Ok((vlan(local)?, vlan(remote)?)),
            None => wrong(format!("--vlan-map '{text}' is not {form}")),
        };
        let pairs = pairs.split(',').map(pair).collect::<Result<_, _>>()?;
        Ok(Self { peer, pairs })
    }
}

fn of_peer<'a>(flag: &str, form: &str, text: &'a str) -> Result<(String, &'a str), SpecError> {
    match text.split_once('=') {
        Some((peer, rest)) if !peer.is_empty() && !rest.is_empty() => Ok((peer.into(), rest)),
        _ => wrong(format!("{flag} '{text}' is not {form}")),
    }
}

fn range(text: &str) -> Result<(u16, u16), SpecError> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (vlan(first)?, vlan(last)?) {
        (first, last) if first <= last => Ok((first, last)),
        _ => wrong(format!(
            "'{text}' is no range of VLANs: it ends before it begins"
        )),
    }
}

fn vlan(text: &str) -> Result<u16, SpecError> {
    match text.trim().parse() {
        Ok(vlan) if vlan <= MAX_VLAN => Ok(vlan),
        _ => wrong(format!(
            "'{text}' is not a VLAN: a number from 1 to {MAX_VLAN}, or 0 for untagged"
        )),
    }
}

try_from_string!(VlansSpec, VlanMapSpec);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_vlans() {
        let of = |text: &str| text.parse::<VlansSpec>().map(|s| (s.peer, s.list));
        let list = vec![(0, 0), (10, 10), (100, 199)];
        assert_eq!(of("c=0,10,100-199"), Ok(("c".into(), Some(list))));
        assert_eq!(of("c=all"), Ok(("c".into(), None)));
        for bad in [
            "", "c", "=1", "c=", "c=4095", "c=1,", "c=9-8", "c=-1", "c=x", "c=1-2-3",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn pairs_of_vlans() {
        let of = |text: &str| text.parse::<VlanMapSpec>().map(|s| s.pairs);
        assert_eq!(of("c=10:110,0:20"), Ok(vec![(10, 110), (0, 20)]));
        for bad in [
            "", "c", "c=", "c=1", "c=1:4095", "c=1:2:3", "c=1:2,", "=1:2", "c=:1",
        ] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
