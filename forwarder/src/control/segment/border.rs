//! The border to a peer: inside, stations have our own names of VLANs, on the way those that were agreed with the peer.

use causeway_tunnel::{
    message::{Allow, AllowedRange},
    stations::{Station as WireStation, Stations, StationsUpdate},
};

use crate::{
    stations::{
        PeerIndex, StationKey,
        inbox::from_wire,
        ledger::to_wire,
        range::{MAX_WIRE_RANGES, StationRange},
    },
    vlans::Vlans,
};

/// An update of ours as the peer is to read it. What does not cross to it is left out, always: so it stays
/// consistent.
pub(super) fn outward(vlans: &Vlans, peer: PeerIndex, update: StationsUpdate) -> StationsUpdate {
    if vlans.of(peer).is_none() {
        return update;
    }
    let name = |station: &WireStation| {
        let key = StationKey::new(station.vlan, station.mac);
        vlans.to_wire(peer, key).map(to_wire)
    };
    StationsUpdate {
        added: update.added.iter().filter_map(name).collect(),
        withdrawn: update.withdrawn.iter().filter_map(name).collect(),
        ..update
    }
}

/// A message of the peer in our names, and how many of its stations do not cross.
pub(super) fn inward(vlans: &Vlans, peer: PeerIndex, mut part: Stations) -> (Stations, usize) {
    let named = part.added.len();
    if vlans.of(peer).is_some() {
        part.added = of_ours(vlans, peer, &part.added);
        part.withdrawn = of_ours(vlans, peer, &part.withdrawn);
    }
    let foreign = named - part.added.len();
    (part, foreign)
}

/// What is no station stays as it is, for whoever looks next.
fn of_ours(vlans: &Vlans, peer: PeerIndex, stations: &[WireStation]) -> Vec<WireStation> {
    let ours = |station: &WireStation| match from_wire(station) {
        Some(key) => vlans.from_wire(peer, key).map(to_wire),
        None => Some(*station),
    };
    stations.iter().filter_map(ours).collect()
}

/// Our ranges as the peer is to read them.
pub(super) fn allow_outward(vlans: &Vlans, peer: PeerIndex, allow: Allow) -> Allow {
    match vlans.of(peer) {
        Some(border) => renamed(allow, |vlan| border.outward(vlan)),
        None => allow,
    }
}

/// The peer's ranges in our names.
pub(super) fn allow_inward(vlans: &Vlans, peer: PeerIndex, allow: Allow) -> Allow {
    match vlans.of(peer) {
        Some(border) => renamed(allow, |vlan| border.inward(vlan)),
        None => allow,
    }
}

fn renamed(allow: Allow, name: impl Fn(u16) -> Option<u16>) -> Allow {
    // Before and after: a range becomes up to 2,048 pieces, and the peer says how many ranges there are.
    let ranges = allow.ranges.into_iter().take(MAX_WIRE_RANGES);
    let ranges = ranges.filter_map(|range| StationRange::try_from(range).ok());
    let ranges = ranges.flat_map(|range| range.renamed(&name));
    let ranges = ranges.take(MAX_WIRE_RANGES);
    Allow {
        ranges: ranges.map(AllowedRange::from).collect(),
        ..allow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_cannot_make_more_ranges_than_are_kept() {
        let range = AllowedRange {
            first_vlan: 0,
            last_vlan: 4_094,
            mac: [0; 6],
            bits: 0,
        };
        let allow = Allow {
            ranges: vec![range; 65_536],
            limit: 1,
        };
        let named = std::cell::Cell::new(0_u64);
        let pieces = renamed(allow, |vlan| {
            named.set(named.get() + 1);
            vlan.is_multiple_of(2).then_some(vlan)
        });
        assert_eq!(pieces.ranges.len(), MAX_WIRE_RANGES);
        assert!(named.get() <= 4_095 * MAX_WIRE_RANGES as u64);
    }
}
