//! What a worker does with frames that say who has which address: ARP, neighbour discovery, DHCP, and what
//! multicast groups ask for.
//!
//! They are few, go their way like all others, and the control plane gets a copy of their beginnings
//! ([`crate::worker::Punt`]): it alone learns from them. A frame that is none of them costs the look that
//! [`Kind::of`] takes at bytes that the worker has read anyway.

pub mod arp;
pub mod dhcp;
mod frame;
pub mod nd;
mod said;

use std::time::Instant;

pub use causeway_ebpf::kind::Kind;
use causeway_tunnel::Frame;

pub use self::{
    arp::Arp,
    dhcp::Dhcp,
    nd::Nd,
    said::{Said, What},
};
use crate::{
    counters::WorkerCounters,
    stations::PeerIndex,
    worker::{Origin, Punt},
};

/// Bytes of a frame that tell its kind, with two VLAN tags and all options of IPv4.
pub(crate) const TELLING: usize = 128;

/// A worker's part in snooping.
#[derive(Default)]
pub struct Snoop {
    punt: Punt,
}

impl Snoop {
    /// One that punts to the control plane.
    pub const fn new(punt: Punt) -> Self {
        Self { punt }
    }

    /// Looks at a frame from the LAN that is about to cross.
    #[inline]
    pub fn from_lan(&mut self, frame: &[u8], now: Instant, counters: &WorkerCounters) {
        if let Some(kind) = Kind::of(frame) {
            self.punt
                .leave(kind, Origin::Lan, Frame::whole(frame), now, counters);
        }
    }

    /// Looks at a frame of a peer that was admitted to the LAN.
    #[inline]
    pub fn from_peer(
        &mut self,
        frame: Frame<'_>,
        peer: PeerIndex,
        now: Instant,
        counters: &WorkerCounters,
    ) {
        if let Some(kind) = Kind::of(beginning(&frame, &mut [0; TELLING])) {
            self.punt
                .leave(kind, Origin::Peer(peer), frame, now, counters);
        }
    }

    /// Tells the control plane that there is something for it: at the end of a batch.
    #[inline]
    pub fn ring(&mut self) {
        self.punt.ring();
    }
}

/// The beginning of a frame, or all of it; of one in two parts in `room`.
#[inline]
pub(crate) fn beginning<'a>(frame: &Frame<'a>, room: &'a mut [u8; TELLING]) -> &'a [u8] {
    if frame.tail.is_empty() {
        return frame.head;
    }
    let of_head = frame.head.len().min(TELLING);
    let of_tail = frame.tail.len().min(TELLING - of_head);
    room[..of_head].copy_from_slice(&frame.head[..of_head]);
    room[of_head..of_head + of_tail].copy_from_slice(&frame.tail[..of_tail]);
    &room[..of_head + of_tail]
}
