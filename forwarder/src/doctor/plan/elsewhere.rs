//! In which VLANs the LAN may be, if nobody answers in the one that was named.

use std::{cmp::Reverse, collections::BTreeMap};

use super::super::probe::Probe;

/// VLANs that are tried at most, untagged included.
const MOST: usize = 4;

/// VLANs by how many frames came in.
pub(super) fn busiest(heard: &BTreeMap<u16, u64>) -> Vec<u16> {
    let mut heard: Vec<_> = heard.iter().collect();
    heard.sort_by_key(|(vlan, frames)| (Reverse(**frames), **vlan));
    heard.into_iter().map(|(vlan, _)| *vlan).collect()
}

/// VLANs that were not asked in yet: where answers went astray to, untagged, and those heard.
pub(super) fn others(probes: &[Probe], heard: &BTreeMap<u16, u64>) -> Vec<u16> {
    let mut asked: Vec<u16> = probes.iter().map(|p| p.vlan).collect();
    asked.sort_unstable();
    asked.dedup();
    // The one that was named is among them.
    let left = (1 + MOST).saturating_sub(asked.len());
    let astray = probes.iter().flat_map(|p| p.strays.iter().copied());
    let mut others: Vec<u16> = Vec::new();
    for vlan in astray.chain([0]).chain(busiest(heard)) {
        if !asked.contains(&vlan) && !others.contains(&vlan) {
            others.push(vlan);
        }
    }
    others.truncate(left);
    others
}
