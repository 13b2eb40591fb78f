//! What the configuration says of stations: which are away, and which may be learnt.

use std::{collections::HashMap, time::Duration};

use super::{ConfigError, period, within, wrong};
use crate::{
    options::RunOptions,
    spec::{PeerSpec, StationSpec},
    stations::{
        PeerIndex, Role, Station, StationKey, StationTable,
        range::{MAX_RANGES, MAX_WIRE_RANGES, StationRange},
    },
    vlans::Vlans,
};

/// Stations that one cloud may advertise at once, unless told otherwise.
const LEARN_LIMIT: usize = 4_096;

/// What may be learnt, and for how long.
#[derive(Clone, Debug, Default)]
pub struct Learning {
    /// By peer.
    pub ranges: Vec<Vec<StationRange>>,
    /// How many stations of each peer at once.
    pub limit: usize,
    /// How long a station may be silent.
    pub ageing: Duration,
}

/// The stations of the configuration.
pub(super) fn stations(
    role: Role,
    peers: &[PeerSpec],
    specs: &[StationSpec],
    vlans: &Vlans,
) -> Result<StationTable, ConfigError> {
    if role == Role::Cloud && !specs.is_empty() {
        return wrong(
            "--station belongs to the site's configuration: the site tells the cloud end which stations it has",
        );
    }
    let mut table = StationTable::new(role);
    let mut seen: HashMap<StationKey, &str> = HashMap::new();
    for spec in specs {
        let peer = peer_named(peers, &spec.peer, || format!("station {}", spec.station))?;
        let key = StationKey::new(vlans.ours(spec.station.0.vlan), spec.station.0.mac);
        if let Some(other) = seen.insert(key, &spec.peer) {
            return wrong(format!(
                "station {} is given twice (behind {other} and {}): it can live in one place",
                spec.station, spec.peer
            ));
        }
        if vlans.to_wire(peer, key).is_none() {
            return wrong(format!(
                "station {} is in a VLAN that does not cross to peer {}: add it to --vlans, or see --vlan-map",
                spec.station, spec.peer
            ));
        }
        table.insert(key, Station::away(peer));
    }
    let most = causeway_ebpf::maps::MAX_STATIONS as usize;
    if table.len() > most {
        return wrong(format!(
            "{} stations are more than the table's {most}",
            table.len()
        ));
    }
    Ok(table)
}

/// What may be learnt by the configuration.
pub(super) fn learning(
    role: Role,
    o: &RunOptions,
    native: Option<u16>,
) -> Result<Learning, ConfigError> {
    if role == Role::Cloud {
        for (flag, given) in [
            ("--allow", !o.allow.is_empty()),
            ("--learn-limit", o.learn_limit.is_some()),
            ("--state", o.state.is_some()),
        ] {
            if given {
                return wrong(format!(
                    "{flag} belongs to the site's configuration: the site decides which stations it takes from a cloud end"
                ));
            }
        }
    }
    let mut ranges: Vec<Vec<StationRange>> = vec![Vec::new(); o.peer.len()];
    for allow in &o.allow {
        let what = || format!("range {}", allow.range);
        let peer = peer_named(&o.peer, &allow.peer, what)?;
        let of_peer = &mut ranges[usize::from(peer)];
        if of_peer.len() >= MAX_RANGES {
            return wrong(format!(
                "peer {} has more than {MAX_RANGES} ranges in --allow: put some together",
                allow.peer
            ));
        }
        of_peer.push(allow.range);
        // What is in the native VLAN arrives without a tag, and that is its name here.
        let untagged = native.and_then(|vlan| allow.range.untagged(vlan));
        of_peer.extend(untagged);
    }
    let most = causeway_ebpf::maps::MAX_STATIONS as usize;
    let limit = o.learn_limit.unwrap_or(LEARN_LIMIT);
    Ok(Learning {
        ranges,
        limit: within("--learn-limit", limit, 1, most)?,
        ageing: period(
            "--station-ageing",
            o.station_ageing,
            300_000,
            2_000,
            86_400_000,
        )?,
    })
}

/// A cloud end is told of no more ranges than it takes; with other names of VLANs one is several.
pub(super) fn check_wire_ranges(
    peers: &[PeerSpec],
    learning: &Learning,
    vlans: &Vlans,
) -> Result<(), ConfigError> {
    for (index, (peer, ranges)) in peers.iter().zip(&learning.ranges).enumerate() {
        let Some(border) = vlans.of(index as PeerIndex) else {
            continue;
        };
        let pieces = ranges
            .iter()
            .map(|r| r.renamed(|v| border.outward(v)).len());
        let pieces: usize = pieces.sum();
        if pieces > MAX_WIRE_RANGES {
            return wrong(format!(
                "--allow for peer {}: by its VLANs that is {pieces} ranges on the way, and {MAX_WIRE_RANGES} are most: name fewer VLANs, or such as follow each other in --vlans",
                peer.name
            ));
        }
    }
    Ok(())
}

fn peer_named(
    peers: &[PeerSpec],
    name: &str,
    what: impl Fn() -> String,
) -> Result<PeerIndex, ConfigError> {
    match peers.iter().position(|p| p.name == name) {
        Some(peer) => Ok(peer as PeerIndex),
        None => wrong(format!(
            "{} is behind peer {name}, which no --peer names",
            what()
        )),
    }
}

#[cfg(test)]
mod tests {
    use causeway_tunnel::identity::PrivateKey;

    use super::*;
    use crate::vlans::{VlanOptions, plan};

    #[test]
    fn more_ranges_than_a_cloud_end_takes_are_refused() {
        let key = PrivateKey::generate().public();
        let peers = [format!("cloud={key}").parse().unwrap()];
        let odd: Vec<_> = (0..600).map(|n| (2 * n + 1).to_string()).collect();
        let allowed = [format!("cloud={}", odd.join(",")).parse().unwrap()];
        let options = VlanOptions {
            allowed: &allowed,
            ..VlanOptions::default()
        };
        let vlans = plan(Role::Site, &peers, options).unwrap();
        let range: StationRange = "*/00:50:56:00:00:00/24".parse().unwrap();
        let mut learning = Learning {
            ranges: vec![vec![range]],
            ..Learning::default()
        };
        assert!(check_wire_ranges(&peers, &learning, &vlans).is_ok());
        learning.ranges[0].push(range);
        let error = check_wire_ranges(&peers, &learning, &vlans).unwrap_err().0;
        assert!(
            error.contains("peer cloud") && error.contains("1200 ranges"),
            "{error}"
        );
    }
}
