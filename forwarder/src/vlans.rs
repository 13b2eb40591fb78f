//! Which VLANs cross to which peer, and what they are called on the way.
//!
//! Inside one end a frame is in the VLAN that the LAN port shows it in, 0 for untagged. At the border to
//! a peer it gets the name that the VLAN has between the two ends, or is dropped: [`PeerVlans`] is that
//! border, for frames and for the names of stations alike. A peer without any rule has no border at all,
//! and its frames pay for none.
//!
//! A frame is in the VLAN of its outermost tag that names one (`causeway_ebpf::ethernet`): a priority tag
//! names none, and of two tags (QinQ) the outer one counts and the inner one is payload.

mod plan;
mod rewrite;
pub mod spec;
mod stripping;

use std::sync::Arc;

use crate::stations::{PeerIndex, StationKey};
pub use plan::{VlanOptions, plan};
pub use rewrite::Border;
pub use stripping::Stripping;

/// VLANs by number, 0 for untagged; 4,095 is reserved and names none.
pub const VLANS: usize = 4_096;

/// Largest number of a VLAN.
pub const MAX_VLAN: u16 = 4_094;

/// In place of a VLAN: there is none that the frame may be in.
const NONE: u16 = u16::MAX;

/// One direction: for each VLAN the one that it becomes, or [`NONE`].
type Direction = [u16; VLANS];

/// The border to one peer.
#[derive(Debug, PartialEq, Eq)]
pub struct PeerVlans {
    /// From ours to the name on the way.
    outward: Box<Direction>,
    /// From the name on the way to ours.
    inward: Box<Direction>,
}

impl PeerVlans {
    /// The border that these pairs of ours and the name on the way make up; no number twice on a side.
    fn new(pairs: impl IntoIterator<Item = (u16, u16)>) -> Self {
        let mut vlans = Self {
            outward: Box::new([NONE; VLANS]),
            inward: Box::new([NONE; VLANS]),
        };
        for (ours, wire) in pairs {
            vlans.outward[usize::from(ours)] = wire;
            vlans.inward[usize::from(wire)] = ours;
        }
        vlans
    }

    /// What our VLAN is called on the way, if it may cross.
    pub fn outward(&self, vlan: u16) -> Option<u16> {
        look_up(&self.outward, vlan)
    }

    /// What is called `vlan` on the way, if that may cross.
    pub fn inward(&self, vlan: u16) -> Option<u16> {
        look_up(&self.inward, vlan)
    }
}

fn look_up(direction: &Direction, vlan: u16) -> Option<u16> {
    let found = direction.get(usize::from(vlan)).copied();
    found.filter(|vlan| *vlan != NONE)
}

/// The borders to all peers.
#[derive(Clone, Debug, Default)]
pub struct Vlans {
    /// What untagged frames at the LAN port belong to (`--native-vlan`).
    native: Option<u16>,
    /// By peer index; a peer without rules has none.
    peers: Vec<Option<Arc<PeerVlans>>>,
}

impl Vlans {
    /// The border to a peer, if there is one.
    pub fn of(&self, peer: PeerIndex) -> Option<&Arc<PeerVlans>> {
        self.peers.get(usize::from(peer))?.as_ref()
    }

    /// Our name of a VLAN: the native VLAN is that of untagged frames.
    pub fn ours(&self, vlan: u16) -> u16 {
        match self.native {
            Some(native) if native == vlan => 0,
            _ => vlan,
        }
    }

    /// A station of ours as a peer is told of it; `None` if its VLAN does not cross.
    pub fn to_wire(&self, peer: PeerIndex, key: StationKey) -> Option<StationKey> {
        let Some(vlans) = self.of(peer) else {
            return Some(key);
        };
        Some(StationKey::new(vlans.outward(key.vlan)?, key.mac))
    }

    /// A station that a peer told of, as it is called here; `None` if its VLAN does not cross.
    pub fn from_wire(&self, peer: PeerIndex, key: StationKey) -> Option<StationKey> {
        let Some(vlans) = self.of(peer) else {
            return Some(key);
        };
        Some(StationKey::new(vlans.inward(key.vlan)?, key.mac))
    }
}

#[cfg(test)]
mod tests;
