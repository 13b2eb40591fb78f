//! What a worker does with frames that say or ask who has which address: ARP, neighbour discovery, DHCP, and what
//! multicast groups ask for.
//!
//! The control plane gets a copy of their beginnings ([`crate::worker::Punt`]): it alone learns from them. Questions may be
//! answered here, so that they need not cross (`suppress`). A frame that is none of them costs
//! the look that [`Kind::of`] takes at bytes that the worker has read anyway.

pub mod arp;
pub mod dhcp;
mod frame;
mod gateway;
mod limiter;
pub mod nd;
mod outbox;
mod said;
mod suppress;

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_ebpf::ethernet::EthernetHeader;
pub use causeway_ebpf::kind::Kind;
use causeway_tunnel::{DropReason, Frame};

pub use self::{
    arp::Arp,
    dhcp::Dhcp,
    frame::Small,
    nd::Nd,
    said::{Said, What},
};
use self::{
    gateway::{Breakout, Turn},
    limiter::Limiter,
    outbox::Outbox,
    suppress::{Fate, Suppress},
};
use crate::{
    bindings::{Neighbours, Segment},
    counters::WorkerCounters,
    gateways::Gateways,
    stations::{PeerIndex, StationTable},
    worker::{Origin, Punt},
};

/// Bytes of a frame that tell its kind, with two VLAN tags and all options of IPv4.
pub(crate) const TELLING: usize = 128;

/// Answers of a batch; a question more crosses.
const ANSWERS: usize = 256;

/// The same words of the same station are told the control plane again after this time: often enough for
/// what is known to be fresh ([`crate::bindings`]), and a LAN on which everybody asks all the time hides nobody.
const REPEAT: Duration = Duration::from_secs(10);

/// A worker's part in snooping.
#[derive(Default)]
pub struct Snoop(Option<Box<Parts>>);

struct Parts {
    punt: Punt,
    /// What was told of the LAN's, and of peers'.
    said: [Limiter; 2],
    keys: RandomState,
    neighbours: Arc<Neighbours>,
    suppress: Option<Suppress>,
    outbox: Outbox,
    breakout: Option<Breakout>,
}

impl Snoop {
    /// One that punts to the control plane and, if `suppress`, answers questions.
    pub fn new(punt: Punt, suppress: bool) -> Self {
        let now = Instant::now();
        Self(Some(Box::new(Parts {
            punt,
            said: [(); 2].map(|()| Limiter::new(REPEAT, REPEAT, now)),
            keys: RandomState::new(),
            neighbours: Arc::default(),
            suppress: suppress.then(|| Suppress::new(now)),
            outbox: Outbox::new(ANSWERS, size_of::<Small>()),
            breakout: None,
        })))
    }

    /// The same, that hands what is for these gateways to their local ones, out of the port with this MAC address; of a
    /// batch as many frames as there may be, each of so many bytes at most.
    pub fn with_gateways(
        mut self,
        gateways: &Gateways,
        port: [u8; 6],
        room: (usize, usize),
    ) -> Self {
        if let Some(parts) = &mut self.0 {
            parts.breakout = Breakout::new(gateways, port, room);
        }
        self
    }

    /// The port has this MAC address now.
    pub fn set_port(&mut self, mac: [u8; 6]) {
        let breakout = self.0.as_mut().and_then(|parts| parts.breakout.as_mut());
        if let Some(breakout) = breakout {
            breakout.set_port(mac);
        }
    }

    /// From now on these are who has which address.
    pub fn set_neighbours(&mut self, neighbours: Arc<Neighbours>) {
        if let Some(parts) = &mut self.0 {
            parts.neighbours = neighbours;
        }
    }

    /// A new session has come, perhaps after a time without one: what was asked then may be asked again at once.
    pub fn forget_questions(&mut self, now: Instant) {
        if let Some(Parts {
            suppress: Some(suppress),
            ..
        }) = self.0.as_deref_mut()
        {
            suppress.forget(now);
        }
    }

    /// Looks at a frame of this kind from the LAN that is about to cross, to a `group` or not.
    ///
    /// # Errors
    ///
    /// Why it does not cross.
    #[inline(never)]
    pub fn from_lan(
        &mut self,
        kind: Kind,
        frame: &[u8],
        group: bool,
        stations: &StationTable,
        now: Instant,
        counters: &WorkerCounters,
    ) -> Result<(), DropReason> {
        let Some(parts) = &mut self.0 else {
            return Ok(());
        };
        parts.tell(kind, Origin::Lan, Frame::whole(frame), frame, now, counters);
        match group || parts.stands_in(frame) {
            true => parts.question(kind, frame, stations, now),
            false => Ok(()),
        }
    }

    /// Looks at a frame of this kind of a peer that was admitted to the LAN.
    #[inline(never)]
    pub fn from_peer(
        &mut self,
        kind: Kind,
        frame: &Frame<'_>,
        peer: PeerIndex,
        now: Instant,
        counters: &WorkerCounters,
    ) {
        let mut room = [0; TELLING];
        let beginning = beginning(frame, &mut room);
        if let Some(parts) = &mut self.0 {
            parts.tell(kind, Origin::Peer(peer), *frame, beginning, now, counters);
        }
    }

    /// Hands a unicast frame of this segment, ready to be sent, to a local gateway, if it is for one; whether it was.
    ///
    /// # Errors
    ///
    /// Why it goes nowhere.
    #[inline]
    pub fn break_out(
        &mut self,
        frame: &[u8],
        segment: Segment,
        counters: &WorkerCounters,
    ) -> Result<bool, DropReason> {
        let Some(parts) = &mut self.0 else {
            return Ok(false);
        };
        let Some(breakout) = &mut parts.breakout else {
            return Ok(false);
        };
        match breakout.turn(frame, segment, &parts.neighbours) {
            Turn::Crosses => Ok(false),
            Turn::Here => Err(DropReason::NoStation),
            Turn::Local(router) if breakout.hand_over(frame, router) => {
                counters.local_gateway.add(1);
                Ok(true)
            }
            Turn::Local(_) => Err(DropReason::LanFull),
        }
    }

    /// The end of a batch: tells the control plane that there is something for it, and gives each frame for the LAN
    /// to `send`.
    #[inline]
    pub fn finish(&mut self, mut send: impl FnMut(&[u8])) {
        if let Some(parts) = &mut self.0 {
            parts.punt.ring();
            if !parts.outbox.is_empty() {
                parts.outbox.empty(&mut send);
            }
            if let Some(breakout) = &mut parts.breakout {
                breakout.outbox.empty(send);
            }
        }
    }
}

impl Parts {
    /// Leaves a copy for the control plane, unless it was told the same a moment ago.
    fn tell(
        &mut self,
        kind: Kind,
        origin: Origin,
        frame: Frame<'_>,
        beginning: &[u8],
        now: Instant,
        counters: &WorkerCounters,
    ) {
        let sender = self.keys.hash_one(beginning.get(6..12));
        let part = self.punt.part(origin, sender);
        if kind == Kind::Arp {
            let header = EthernetHeader::parse(beginning);
            let arp = header.and_then(|h| Some((h.vlan, Arp::parse(beginning, &h)?)));
            let Some((vlan, arp)) = arp else { return };
            // Of a probe the target counts; all others are about their sender.
            let target = arp.is_probe().then_some(arp.target);
            let hash = self.keys.hash_one((vlan, arp.sender, target));
            let said = &mut self.said[usize::from(origin != Origin::Lan)];
            if !arp.is_announcement() && !said.allows(hash, part, now) {
                return;
            }
        }
        self.punt.leave(kind, origin, part, frame, now, counters);
    }

    /// Whether a unicast frame is for a gateway that somebody here stands in for.
    fn stands_in(&self, frame: &[u8]) -> bool {
        let Some(breakout) = &self.breakout else {
            return false;
        };
        EthernetHeader::parse(frame)
            .is_some_and(|h| breakout.stands_in_for(h.destination_station()))
    }

    #[inline(never)]
    fn question(
        &mut self,
        kind: Kind,
        frame: &[u8],
        stations: &StationTable,
        now: Instant,
    ) -> Result<(), DropReason> {
        let Some(suppress) = &mut self.suppress else {
            return Ok(());
        };
        match suppress.question(kind, frame, stations, &self.neighbours, now) {
            Fate::Crosses => Ok(()),
            Fate::Dropped(reason) => Err(reason),
            Fate::Answered(answer) => match self.outbox.push(&answer) {
                Ok(_) => Err(DropReason::AnsweredNearby),
                // Then the owner answers.
                Err(_) => Ok(()),
            },
        }
    }
}

/// The kind of a frame with this header, in one part or two.
#[inline(always)]
pub(crate) fn kind(head: &[u8], tail: &[u8], header: &EthernetHeader) -> Option<Kind> {
    match tells_all(head, tail) {
        true => Kind::of(head, header),
        false => kind_of_cut(head, tail),
    }
}

/// Apart, so that others do not pay for its room.
#[cold]
fn kind_of_cut(head: &[u8], tail: &[u8]) -> Option<Kind> {
    let mut room = [0; TELLING];
    let beginning = beginning(&Frame::halves(head, tail), &mut room);
    Kind::of(beginning, &EthernetHeader::parse(beginning)?)
}

/// Whether the first part of a frame has all that tells its kind: of large frames, which are cut more often than not,
/// nearly always.
#[inline]
fn tells_all(head: &[u8], tail: &[u8]) -> bool {
    tail.is_empty() || head.len() >= TELLING
}

/// The beginning of a frame, or all of it; of one that was cut early in `room`.
#[inline]
pub(crate) fn beginning<'a>(frame: &Frame<'a>, room: &'a mut [u8; TELLING]) -> &'a [u8] {
    if tells_all(frame.head, frame.tail) {
        return frame.head;
    }
    let of_head = frame.head.len().min(TELLING);
    let of_tail = frame.tail.len().min(TELLING - of_head);
    room[..of_head].copy_from_slice(&frame.head[..of_head]);
    room[of_head..of_head + of_tail].copy_from_slice(&frame.tail[..of_tail]);
    &room[..of_head + of_tail]
}

#[cfg(test)]
mod tests;
