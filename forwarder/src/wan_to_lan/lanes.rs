//! Peers' lanes: by SPI, and where a run goes from one to another.

use std::{collections::HashMap, hash::BuildHasherDefault};

use causeway_tunnel::lane::RxLane;

use crate::{
    counters::SharedCounter,
    stations::{KeyHasher, PeerIndex},
    uplink::Path,
    vlans::Border,
};

/// A receiving security association and whose it is.
pub struct InboundLane {
    /// Opens, checks and unbundles.
    pub lane: RxLane,
    /// Who sends on it.
    pub peer: PeerIndex,
    /// The number of the peer's sending lane.
    pub remote_lane: u8,
    /// The highest sequence number received, for the control plane.
    pub highest: SharedCounter,
    /// The authentic datagrams received, for the control plane.
    pub received: SharedCounter,
    /// The later of two was installed later.
    pub generation: u64,
    /// Whether we are to learn the peer's address from it: we are the listening end, and nothing
    /// has come on a later security association of the same sending lane.
    pub learns_path: bool,
    /// Where the newest authenticated datagram came from, if that is learnt.
    pub path: Option<Path>,
    /// The border to the peer, if its VLANs do not come in as they are.
    pub border: Option<Border>,
}

/// The worker's security associations by SPI.
pub type InboundLanes = HashMap<u32, InboundLane, BuildHasherDefault<KeyHasher>>;

/// A path learnt from an authenticated datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearntPath {
    /// Whose.
    pub peer: PeerIndex,
    /// Which of its sending lanes.
    pub remote_lane: u8,
    /// Where it is now.
    pub path: Path,
}

/// The first four bytes of the first datagram: its SPI, if it is any.
#[inline]
pub(super) fn claimed_spi(run: &[u8], segment_size: usize) -> Option<[u8; 4]> {
    let first = &run[..segment_size.min(run.len())];
    first.first_chunk().copied()
}

/// Lends a run to `take`, which takes the datagrams of one lane off its start and returns how many bytes they have, until
/// nothing is left. An empty datagram is one too.
#[inline]
pub(crate) fn by_lane(run: &mut [u8], mut take: impl FnMut(&mut [u8]) -> usize) {
    let mut rest = run;
    loop {
        let taken = take(rest);
        rest = &mut rest[taken..];
        if rest.is_empty() {
            return;
        }
    }
}

/// Bytes of the datagrams at the start of a run that claim the SPI of the first of them.
#[inline]
pub(crate) fn same_lane(run: &[u8], segment_size: usize) -> usize {
    let spi = claimed_spi(run, segment_size);
    let mut datagrams = run.chunks(segment_size);
    let of_lane = datagrams.position(|d| spi.is_none_or(|spi| !d.starts_with(&spi)));
    let first = segment_size.min(run.len());
    of_lane.map_or(run.len(), |n| n * segment_size).max(first)
}
