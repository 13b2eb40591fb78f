//! The small language of `--multicast`, and what it makes.

use std::{collections::HashMap, net::IpAddr, str::FromStr};

use serde::Deserialize;

use super::{ANY_VLAN, Groups, PeerSet, said};
use crate::{
    config::ConfigError,
    spec::{PeerSpec, SpecError},
    stations::{PeerIndex, StationKey},
    vlans::{MAX_VLAN, Vlans},
};

/// A group that goes to these peers only: `GROUP[@VLAN]=PEER[,PEER...]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct MulticastSpec {
    /// The group's address.
    pub group: IpAddr,
    /// Its VLAN, 0 for untagged; none: in all.
    pub vlan: Option<u16>,
    /// Names of the peers.
    pub peers: Vec<String>,
}

impl FromStr for MulticastSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let wrong = || {
            SpecError::new(format!(
                "--multicast '{text}' is not GROUP[@VLAN]=PEER[,PEER...], such as 239.1.2.3@10=cloud1 or ff05::1:3=cloud1"
            ))
        };
        let (group, peers) = text.split_once('=').ok_or_else(wrong)?;
        let (group, vlan) = match group.split_once('@') {
            Some((group, vlan)) => (group, Some(vlan.parse().map_err(|_| wrong())?)),
            None => (group, None),
        };
        let group: IpAddr = group.parse().map_err(|_| wrong())?;
        let peers: Vec<_> = peers.split(',').map(ToOwned::to_owned).collect();
        let sound = group.is_multicast()
            && vlan.is_none_or(|vlan| vlan <= MAX_VLAN)
            && peers.iter().all(|peer| !peer.is_empty());
        sound
            .then_some(Self { group, vlan, peers })
            .ok_or_else(wrong)
    }
}

impl TryFrom<String> for MulticastSpec {
    type Error = SpecError;

    fn try_from(text: String) -> Result<Self, SpecError> {
        text.parse()
    }
}

/// The groups that the options list.
///
/// # Errors
///
/// A text that names the option and the mend.
pub fn groups(
    peers: &[PeerSpec],
    specs: &[MulticastSpec],
    snooping: bool,
    vlans: &Vlans,
) -> Result<Groups, ConfigError> {
    let mut list: HashMap<StationKey, PeerSet> = HashMap::new();
    for spec in specs {
        let mac = match spec.group {
            IpAddr::V4(group) => said::mac_of(&group.octets()),
            IpAddr::V6(group) => said::mac_of(&group.octets()),
        };
        let vlan = spec.vlan.map_or(ANY_VLAN, |vlan| vlans.ours(vlan));
        let set = list.entry(StationKey::new(vlan, mac)).or_default();
        for name in &spec.peers {
            let Some(peer) = peers.iter().position(|p| p.name == *name) else {
                return Err(ConfigError(format!(
                    "--multicast {} is for peer {name}, which no --peer names",
                    spec.group
                )));
            };
            set.insert(peer as PeerIndex);
        }
    }
    Ok(Groups::new(list, snooping))
}
