//! A frame whose VLAN is another one here.

use causeway_tunnel::{DropReason, Frame};

use crate::vlans::PeerVlans;

/// The parts of a frame of a peer with a border as it is called here, the first of which may be in `room`. Apart, as most
/// peers have none.
#[inline(never)]
pub(super) fn over_border<'a>(
    head: &'a [u8],
    tail: &'a [u8],
    vlans: &PeerVlans,
    room: &'a mut Vec<u8>,
) -> Result<(&'a [u8], &'a [u8]), DropReason> {
    let Some(new) = vlans.enter(head)? else {
        return Ok((head, tail));
    };
    // What is looked at stands in one part; of the few frames that are cut, all of the first part.
    let rest = &head[new.replaces..];
    let (near, far) = match tail {
        [] => rest.split_at(rest.len().min(Frame::MIN_HEAD)),
        tail => (rest, tail),
    };
    room.clear();
    room.reserve(new.header().len() + near.len());
    room.extend_from_slice(new.header());
    room.extend_from_slice(near);
    Ok((room, far))
}
