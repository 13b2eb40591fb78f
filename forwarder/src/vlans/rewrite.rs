//! The header of a frame that changes its VLAN at the border to a peer.

use std::sync::Arc;

use causeway_ebpf::ethernet::{
    EthernetHeader, HEADER_LEN, MAX_TAGS, TAG_LEN, TPID_CUSTOMER, TPID_SERVICE,
};
use causeway_tunnel::{DropReason, Frame, wire::MAX_FRAME};

use super::{Direction, PeerVlans, VLANS};

/// Bytes of the longest header.
const MOST: usize = HEADER_LEN + MAX_TAGS * TAG_LEN;

/// Where the first tag, or the ethertype, stands.
const TAGS: usize = 12;

/// The Ethernet header that a frame gets at the border, in place of the one it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rewrite {
    bytes: [u8; MOST],
    length: usize,
    /// Bytes of the frame that it stands for.
    pub(crate) replaces: usize,
}

impl Rewrite {
    /// The new header.
    #[inline]
    pub(crate) fn header(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn begin(frame: &[u8], length: usize) -> Self {
        let mut bytes = [0; MOST];
        bytes[..length].copy_from_slice(&frame[..length]);
        Self {
            bytes,
            length,
            replaces: length,
        }
    }

    /// Another VLAN in the tag at `at`; its priority stays.
    fn set_vid(mut self, at: usize, vlan: u16) -> Self {
        let [high, low] = vlan.to_be_bytes();
        self.bytes[at + 2] = self.bytes[at + 2] & 0xf0 | high;
        self.bytes[at + 3] = low;
        self
    }

    /// A customer tag in front of the ethertype of an untagged frame.
    fn push(mut self, vlan: u16) -> Self {
        self.bytes.copy_within(TAGS..HEADER_LEN, TAGS + TAG_LEN);
        self.bytes[TAGS..][..2].copy_from_slice(&TPID_CUSTOMER.to_be_bytes());
        self.bytes[TAGS + 2..][..2].copy_from_slice(&vlan.to_be_bytes());
        self.length += TAG_LEN;
        self
    }

    /// Without the tag at `at`.
    fn pop(mut self, at: usize) -> Self {
        self.bytes.copy_within(at + TAG_LEN..self.length, at);
        self.length -= TAG_LEN;
        self
    }
}

impl PeerVlans {
    /// The header of a frame of ours on the way to the peer; `None`: as it is.
    ///
    /// # Errors
    ///
    /// [`DropReason::VlanNotAllowed`]; [`DropReason::BadFrameLength`] if the frame ends in its header.
    #[inline]
    pub(crate) fn out(&self, frame: &[u8]) -> Result<Option<Rewrite>, DropReason> {
        cross(&self.outward, frame)
    }

    /// The header of a frame of the peer in our LAN; `None`: as it is.
    ///
    /// # Errors
    ///
    /// As [`Self::out`].
    #[inline]
    pub(crate) fn enter(&self, frame: &[u8]) -> Result<Option<Rewrite>, DropReason> {
        cross(&self.inward, frame)
    }
}

#[inline]
fn cross(direction: &Direction, frame: &[u8]) -> Result<Option<Rewrite>, DropReason> {
    let header = EthernetHeader::parse(frame).ok_or(DropReason::BadFrameLength)?;
    // A third tag could name the VLAN that the first two do not: some switch would look for it.
    let hides_one = header.vlan == 0 && is_tag(header.ethertype);
    let target = super::look_up(direction, header.vlan).filter(|_| !hides_one);
    match target.ok_or(DropReason::VlanNotAllowed)? {
        same if same == header.vlan => Ok(None),
        other => rewrite(frame, &header, other).map(Some),
    }
}

fn rewrite(frame: &[u8], header: &EthernetHeader, vlan: u16) -> Result<Rewrite, DropReason> {
    let new = Rewrite::begin(frame, header.len);
    if header.len == HEADER_LEN {
        return Ok(new.push(vlan));
    }
    let at = naming_tag(frame, header);
    match vlan {
        1.. => Ok(new.set_vid(at, vlan)),
        // The tag behind it would name the VLAN then, one that nobody allowed.
        0 if is_tag(type_behind(frame, at)) => Err(DropReason::VlanNotAllowed),
        0 => Ok(new.pop(at)),
    }
}

/// Where the tag stands that names the frame's VLAN: the first, or the one behind a priority tag.
fn naming_tag(frame: &[u8], header: &EthernetHeader) -> usize {
    let first = u16::from_be_bytes([frame[TAGS + 2], frame[TAGS + 3]]);
    match usize::from(first) % VLANS {
        0 if header.vlan != 0 => TAGS + TAG_LEN,
        _ => TAGS,
    }
}

fn type_behind(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at + TAG_LEN], frame[at + TAG_LEN + 1]])
}

const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, TPID_CUSTOMER | TPID_SERVICE)
}

/// The border to a peer as a worker has it: with room for a frame that grows by a tag.
#[derive(Debug)]
pub struct Border {
    vlans: Arc<PeerVlans>,
    room: Box<[u8]>,
}

impl Border {
    /// A border by these rules.
    pub fn new(vlans: &Arc<PeerVlans>) -> Self {
        Self {
            vlans: Arc::clone(vlans),
            room: vec![0; MAX_FRAME + TAG_LEN].into(),
        }
    }

    /// Lends `frame` to `visit` as it crosses. A header that is not longer than the old one is written
    /// over it for as long as that takes, so that nothing else is copied.
    ///
    /// # Errors
    ///
    /// [`DropReason::VlanNotAllowed`], [`DropReason::BadFrameLength`], and what `visit` answers.
    #[inline]
    pub fn cross(
        &mut self,
        frame: &mut [u8],
        visit: impl FnOnce(&[u8]) -> Result<(), DropReason>,
    ) -> Result<(), DropReason> {
        match self.vlans.out(frame)? {
            None => visit(frame),
            Some(new) if new.length > new.replaces => self.grow(frame, &new, visit),
            Some(new) => overwrite(frame, &new, visit),
        }
    }

    fn grow(
        &mut self,
        frame: &[u8],
        new: &Rewrite,
        visit: impl FnOnce(&[u8]) -> Result<(), DropReason>,
    ) -> Result<(), DropReason> {
        visit(self.join(new.header(), &frame[new.replaces..])?)
    }

    /// The parts of a frame of the peer as it is called here. Apart, as most peers have no border.
    ///
    /// # Errors
    ///
    /// [`DropReason::VlanNotAllowed`], [`DropReason::BadFrameLength`].
    #[inline(never)]
    pub(crate) fn enter<'a>(
        &'a mut self,
        head: &'a [u8],
        tail: &'a [u8],
    ) -> Result<(&'a [u8], &'a [u8]), DropReason> {
        let Some(new) = self.vlans.enter(head)? else {
            return Ok((head, tail));
        };
        // What is looked at stands in one part; of the few frames that are cut, all of the first part.
        let rest = &head[new.replaces..];
        let (near, far) = match tail {
            [] => rest.split_at(rest.len().min(Frame::MIN_HEAD)),
            tail => (rest, tail),
        };
        Ok((self.join(new.header(), near)?, far))
    }

    /// A new header and what stands behind it, in the room.
    fn join(&mut self, header: &[u8], rest: &[u8]) -> Result<&[u8], DropReason> {
        let joined = self.room.get_mut(..header.len() + rest.len());
        let joined = joined.ok_or(DropReason::BadFrameLength)?;
        joined[..header.len()].copy_from_slice(header);
        joined[header.len()..].copy_from_slice(rest);
        Ok(joined)
    }
}

fn overwrite(
    frame: &mut [u8],
    new: &Rewrite,
    visit: impl FnOnce(&[u8]) -> Result<(), DropReason>,
) -> Result<(), DropReason> {
    let old = new.replaces;
    let begin = old - new.length;
    let mut saved = [0; MOST];
    saved[..old].copy_from_slice(&frame[..old]);
    frame[begin..old].copy_from_slice(new.header());
    let outcome = visit(&frame[begin..]);
    // Another peer may be to have it too, in another VLAN.
    frame[..old].copy_from_slice(&saved[..old]);
    outcome
}
