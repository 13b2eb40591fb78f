//! From the options to the borders, and what contradicts itself on the way.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    MAX_VLAN, PeerVlans, Vlans,
    spec::{VlanMapSpec, VlansSpec},
};
use crate::{config::ConfigError, spec::PeerSpec, stations::Role};

/// What is said of VLANs.
#[derive(Clone, Copy, Debug, Default)]
pub struct VlanOptions<'a> {
    /// `--native-vlan`.
    pub native: Option<u16>,
    /// `--vlans`.
    pub allowed: &'a [VlansSpec],
    /// `--vlan-map`.
    pub maps: &'a [VlanMapSpec],
}

/// VLANs here, each with its name on the way.
type Pairs = BTreeMap<u16, u16>;

/// The borders that the options describe.
///
/// # Errors
///
/// A text that names the option, what contradicts it, and the mend.
pub fn plan(
    role: Role,
    peers: &[PeerSpec],
    options: VlanOptions<'_>,
) -> Result<Vlans, ConfigError> {
    check_native(options.native)?;
    check_names(peers, options)?;
    let mut vlans = Vlans {
        native: options.native,
        peers: Vec::new(),
    };
    let mut all = Vec::new();
    for peer in peers {
        let pairs = pairs(&peer.name, &vlans, options)?;
        let border = pairs.as_ref().map(|pairs| {
            let pairs = pairs.iter().map(|(ours, wire)| (*ours, *wire));
            Arc::new(PeerVlans::new(pairs))
        });
        vlans.peers.push(border);
        all.push((peer.name.as_str(), pairs));
    }
    if role == Role::Cloud {
        check_disjoint(&all)?;
    }
    Ok(vlans)
}

fn wrong<T>(text: String) -> Result<T, ConfigError> {
    Err(ConfigError(text))
}

fn check_native(native: Option<u16>) -> Result<(), ConfigError> {
    match native {
        Some(vlan) if vlan == 0 || vlan > MAX_VLAN => wrong(format!(
            "--native-vlan {vlan} is not between 1 and {MAX_VLAN}"
        )),
        _ => Ok(()),
    }
}

fn check_names(peers: &[PeerSpec], options: VlanOptions<'_>) -> Result<(), ConfigError> {
    let allowed = options.allowed.iter().map(|s| ("--vlans", s.peer.as_str()));
    let maps = options.maps.iter().map(|s| ("--vlan-map", s.peer.as_str()));
    let mut seen = Vec::new();
    for (flag, name) in allowed.chain(maps) {
        if !peers.iter().any(|p| p.name == name) {
            return wrong(format!("{flag} is for peer {name}, which no --peer names"));
        }
        if seen.contains(&(flag, name)) {
            return wrong(format!(
                "{flag} is given twice for peer {name}: put it into one, with commas"
            ));
        }
        seen.push((flag, name));
    }
    Ok(())
}

/// What crosses to a peer; `None`: everything, as it is.
fn pairs(
    name: &str,
    vlans: &Vlans,
    options: VlanOptions<'_>,
) -> Result<Option<Pairs>, ConfigError> {
    let list = options.allowed.iter().find(|s| s.peer == name);
    let list = list.and_then(|s| s.list.as_deref());
    let map = options.maps.iter().find(|s| s.peer == name);
    if list.is_none() && map.is_none() && vlans.native.is_none() {
        return Ok(None);
    }
    let named = |vlan: u16| list.is_none_or(|l| l.iter().any(|(a, b)| (*a..=*b).contains(&vlan)));
    let in_list = |ours: u16| named(ours) || ours == 0 && vlans.native.is_some_and(named);
    let mut border = Border::new(name);
    for (local, wire) in map.into_iter().flat_map(|s| &s.pairs) {
        let ours = vlans.ours(*local);
        if !in_list(ours) {
            return wrong(format!(
                "--vlan-map {name}={local}:{wire}: VLAN {local} is not in --vlans {name}=...: add it there, or take it out of the map"
            ));
        }
        border.add(ours, *wire)?;
    }
    if let (Some(native), false, true) = (vlans.native, border.has(0), in_list(0)) {
        border.add(0, native)?;
    }
    for vlan in 0..=MAX_VLAN {
        let elsewhere = border.has(vlan) || vlans.native == Some(vlan) || !in_list(vlan);
        // Of all, what has lost its name to another stays here.
        if !elsewhere && (list.is_some() || !border.is_taken(vlan)) {
            border.add(vlan, vlan)?;
        }
    }
    Ok(Some(border.pairs))
}

/// A border in the making.
struct Border<'a> {
    peer: &'a str,
    pairs: Pairs,
    /// By the name on the way, what has it.
    taken: BTreeMap<u16, u16>,
}

impl<'a> Border<'a> {
    fn new(peer: &'a str) -> Self {
        Self {
            peer,
            pairs: Pairs::new(),
            taken: BTreeMap::new(),
        }
    }

    fn has(&self, ours: u16) -> bool {
        self.pairs.contains_key(&ours)
    }

    fn is_taken(&self, wire: u16) -> bool {
        self.taken.contains_key(&wire)
    }

    fn add(&mut self, ours: u16, wire: u16) -> Result<(), ConfigError> {
        let peer = self.peer;
        if let Some(before) = self.pairs.get(&ours) {
            return wrong(format!(
                "--vlan-map makes VLAN {ours} both {before} and {wire} on the way to peer {peer}: leave one out"
            ));
        }
        if let Some(other) = self.taken.get(&wire) {
            return wrong(format!(
                "VLANs {other} and {ours} would both be {wire} on the way to peer {peer}: change --vlan-map, or leave one out of --vlans (the native VLAN is 0 here)"
            ));
        }
        self.pairs.insert(ours, wire);
        self.taken.insert(wire, ours);
        Ok(())
    }
}

/// A cloud end with several sites: each has VLANs of its own, or one's broadcasts would be heard by
/// another's stations, which would answer.
fn check_disjoint(peers: &[(&str, Option<Pairs>)]) -> Result<(), ConfigError> {
    for (i, (name, pairs)) in peers.iter().enumerate() {
        for (other, others) in &peers[..i] {
            let shared = match (pairs, others) {
                (None, None) => Some(0),
                (None, Some(some)) | (Some(some), None) => some.keys().next().copied(),
                (Some(some), Some(more)) => some.keys().copied().find(|v| more.contains_key(v)),
            };
            if let Some(vlan) = shared {
                return wrong(format!(
                    "sites {other} and {name} share VLAN {vlan} at this LAN port: their segments would be one; give each VLANs of its own, --vlans {other}=10 and --vlans {name}=20, or run a causeway with a LAN port of its own for each"
                ));
            }
        }
    }
    Ok(())
}
