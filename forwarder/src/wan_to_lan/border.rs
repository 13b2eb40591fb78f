//! A frame whose VLAN is another one here.

use causeway_ebpf::ethernet::TAG_LEN;
use causeway_tunnel::{DropReason, Frame, wire::MAX_FRAME};

use crate::vlans::PeerVlans;

/// Lends a frame of a peer to `take` as it is called here, if the peer has a border.
#[inline]
pub(super) fn over_border(
    frame: &Frame<'_>,
    vlans: Option<&PeerVlans>,
    take: &mut impl FnMut(&Frame<'_>) -> Result<(), DropReason>,
) -> Result<(), DropReason> {
    match vlans {
        None => take(frame),
        Some(vlans) => through_border(frame, vlans, take),
    }
}

/// Apart, for its large room on the stack: the way of a frame without a border would have to look through all of it
/// (a stack probe for each page).
#[inline(never)]
fn through_border(
    frame: &Frame<'_>,
    vlans: &PeerVlans,
    take: &mut impl FnMut(&Frame<'_>) -> Result<(), DropReason>,
) -> Result<(), DropReason> {
    let Some(new) = vlans.enter(frame.head)? else {
        return take(frame);
    };
    // What is looked at stands in one part; of the few frames that are cut, all of the first part.
    let (header, rest) = (new.header(), &frame.head[new.replaces..]);
    let (near, far) = match frame.tail {
        [] => rest.split_at(rest.len().min(Frame::MIN_HEAD)),
        tail => (rest, tail),
    };
    let far = (far, frame.alone);
    match header.len() + near.len() {
        0..=SHORT => take_joined(&mut [0; SHORT], header, near, far, take),
        _ => take_joined(&mut [0; MAX_FRAME + TAG_LEN], header, near, far, take),
    }
}

/// Bytes of a new header and of what is looked at behind it.
const SHORT: usize = 2 * Frame::MIN_HEAD + TAG_LEN;

/// Lends a frame with the first two of these parts in one.
#[inline]
fn take_joined(
    room: &mut [u8],
    header: &[u8],
    near: &[u8],
    (far, alone): (&[u8], bool),
    take: &mut impl FnMut(&Frame<'_>) -> Result<(), DropReason>,
) -> Result<(), DropReason> {
    let (head, rest) = room.split_at_mut(header.len());
    head.copy_from_slice(header);
    rest[..near.len()].copy_from_slice(near);
    let head = &room[..header.len() + near.len()];
    take(&Frame {
        alone,
        ..Frame::halves(head, far)
    })
}
