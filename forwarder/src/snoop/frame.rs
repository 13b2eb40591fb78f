//! Small Ethernet frames of our own, made without allocation.

use std::ops::Deref;

use causeway_ebpf::ethernet::TPID_CUSTOMER;

pub(super) const BROADCAST: [u8; 6] = [0xff; 6];

/// Bytes of the shortest frame without its FCS (IEEE 802.3): what a switch may want to see.
const SHORTEST: usize = 60;

/// The longest of ours: a neighbour advertisement behind a tag.
const LONGEST: usize = 90;

/// A frame of ours.
#[derive(Clone, Copy, Debug)]
pub struct Small {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Small {
    /// Addresses, and tags as they are on the wire; the ethertype comes next.
    fn new(destination: [u8; 6], source: [u8; 6], tags: &[u8]) -> Self {
        let mut frame = Self {
            bytes: [0; LONGEST],
            length: 0,
        };
        frame.extend(&destination);
        frame.extend(&source);
        frame.extend(tags);
        frame
    }

    /// A frame in a VLAN; 0 is none.
    pub(super) fn in_vlan(destination: [u8; 6], source: [u8; 6], vlan: u16) -> Self {
        let ([t0, t1], [v0, v1]) = (TPID_CUSTOMER.to_be_bytes(), vlan.to_be_bytes());
        match vlan {
            0 => Self::new(destination, source, &[]),
            _ => Self::new(destination, source, &[t0, t1, v0, v1]),
        }
    }

    /// A frame to who sent `to`, with its tag.
    pub(super) fn answer(to: &[u8], to_mac: [u8; 6], source: [u8; 6], header: usize) -> Self {
        Self::new(to_mac, source, to.get(12..header - 2).unwrap_or_default())
    }

    /// Adds to it.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        debug_assert!(end <= LONGEST, "a frame of ours has a known length");
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(bytes);
            self.length = end;
        }
    }

    /// Fills it up if it is short.
    pub(super) fn padded(mut self) -> Self {
        self.length = self.length.max(SHORTEST);
        self
    }
}

impl Deref for Small {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}
