//! From the LAN port to the uplink: classify, bundle, seal, send.
//!
//! A frame comes out of the RX ring of the LAN port ([`crate::sys::xsk`]), where the XDP
//! program (`causeway_ebpf::verdict`) let it through; [`classify`] says which peer it is for,
//! [`LanToWan::frame`] appends it to the open bundle of this worker's lane to that peer, and
//! [`LanToWan::flush`] seals and sends what is open at the end of the batch.

mod to_peer;

use std::{sync::Arc, time::Instant};

use causeway_tunnel::{DropReason, lane::TxLane};

use crate::{
    checksum,
    clamp_mss::Clamp,
    counters::WorkerCounters,
    flood::FloodGate,
    multicast::Audience,
    snoop::{Kind, Snoop},
    stations::{Ends, PeerIndex, Place, Role, StationTable},
    traffic_class::{self, Marking},
    uplink::{Path, Uplink},
    vlans::{Border, PeerVlans},
};
pub use to_peer::{RunSink, ToPeer};

/// Where a frame from the LAN goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To one peer.
    Peer(PeerIndex),
    /// Broadcast or multicast, to every peer (head-end replication).
    FloodAll,
    /// Broadcast or multicast of a station at the cloud, to the site it belongs to.
    FloodTo(PeerIndex),
}

/// Decides where a frame from the LAN goes, by whom it is from and for.
///
/// The XDP program has asked the same questions. What it decides by the stations we ask again,
/// because its table may be a moment older or newer than ours; what it decides by the frame alone
/// (link-local protocols, the LAN port's own address) is decided.
///
/// # Errors
///
/// The reason to drop the frame.
// Out of line, its callers would put away and fetch again what they have in registers, for each frame.
#[inline(always)]
pub fn classify(ends: impl Into<Ends>, stations: &StationTable) -> Result<Destination, DropReason> {
    let ends = ends.into();
    let group = ends.to_group();
    match stations.role {
        // A reflection: to send it back where it came from would be a loop.
        Role::Site if is_away(stations, ends.source) => Err(DropReason::SourceNotOurs),
        Role::Site if group => Ok(Destination::FloodAll),
        Role::Site => match stations.get(ends.destination) {
            Some(station) if station.place == Place::Away => Ok(Destination::Peer(station.peer)),
            _ => Err(DropReason::NoStation),
        },
        Role::Cloud => {
            let source = stations.get(ends.source).filter(|s| s.place == Place::Home);
            let site = source.ok_or(DropReason::SourceNotOurs)?.peer;
            if group {
                return Ok(Destination::FloodTo(site));
            }
            match stations.get(ends.destination) {
                Some(s) if s.place == Place::Home => Err(DropReason::NoStation),
                _ => Ok(Destination::Peer(site)),
            }
        }
    }
}

#[inline]
fn is_away(stations: &StationTable, station: u64) -> bool {
    stations
        .get(station)
        .is_some_and(|s| s.place == Place::Away)
}

/// A worker's sending half towards one peer.
#[derive(Default)]
pub struct PeerTx {
    /// The lane of the current session.
    pub lane: Option<TxLane>,
    /// Where its datagrams go; a listening end learns it.
    pub path: Option<Path>,
    /// Traffic class of the last frame to it, if that matters.
    pub class: u8,
    /// What becomes of VLANs on the way to it, if they do not cross as they are.
    pub border: Option<Border>,
}

impl PeerTx {
    /// Nothing is known yet but the VLANs.
    pub fn new(vlans: Option<&Arc<PeerVlans>>) -> Self {
        Self {
            border: vlans.map(Border::new),
            ..Self::default()
        }
    }
}

/// One batch on its way from the LAN to the uplink.
pub struct LanToWan<'a, U = Uplink> {
    /// Who lives where.
    pub stations: &'a StationTable,
    /// By peer index.
    pub peers: &'a mut [PeerTx],
    /// The way out.
    pub uplink: &'a mut U,
    /// What is let through of broadcast and multicast.
    pub flood: &'a mut FloodGate,
    /// What the control plane sees of it.
    pub snoop: &'a mut Snoop,
    /// What lowers the MSS of TCP, if anything does.
    pub clamp: Option<&'a Clamp>,
    /// What of frames' traffic class the outer header gets.
    pub marking: Marking,
    /// This worker's counters.
    pub counters: &'a WorkerCounters,
    /// Whether to complete partial checksums.
    pub finish_checksums: bool,
    /// When the batch began.
    pub now: Instant,
}

impl<U: RunSink> LanToWan<'_, U> {
    /// Takes one frame, on exactly one way: into a bundle, or to a drop counter.
    #[inline]
    pub fn frame(&mut self, frame: &mut [u8]) {
        self.counters.lan_rx_frames.add(1);
        if let Err(reason) = self.forward(frame) {
            self.counters.drop_one(reason);
        }
    }

    fn forward(&mut self, frame: &mut [u8]) -> Result<(), DropReason> {
        let (ends, header) = Ends::parse(frame).ok_or(DropReason::BadFrameLength)?;
        let destination = classify(ends, self.stations)?;
        let flooded = !matches!(destination, Destination::Peer(_));
        if let Some(kind) = Kind::of(frame, &header) {
            self.snoop
                .from_lan(kind, frame, flooded, self.stations, self.now, self.counters)?;
        }
        let audience = match flooded {
            true => self.flood.pass(frame, self.now)?,
            false => Audience::Policy,
        };
        if self.finish_checksums && checksum::finish_partial(frame) {
            self.counters.checksums_finished.add(1);
        }
        match destination {
            Destination::FloodTo(peer) if !audience.includes(peer) => Err(DropReason::NoListener),
            Destination::Peer(peer)
                if self.stations.role == Role::Cloud
                    && self.snoop.break_out(frame, peer, self.counters)? =>
            {
                Ok(())
            }
            Destination::Peer(peer) | Destination::FloodTo(peer) => {
                if let Some(clamp) = self.clamp
                    && clamp.frame(frame, peer)
                {
                    self.counters.mss_clamped.add(1);
                }
                self.push(peer, frame)
            }
            Destination::FloodAll => self.flood(frame, &audience),
        }
    }

    /// A copy to every peer that may have it; each copy that is dropped is counted.
    fn flood(&mut self, frame: &mut [u8], audience: &Audience) -> Result<(), DropReason> {
        // Another peer's VLAN, or another's group: that is no loss, unless nobody gets it.
        let mut nobody = Some(DropReason::NoListener);
        for peer in 0..self.peers.len() as PeerIndex {
            if !audience.includes(peer) {
                continue;
            }
            match (self.push(peer, frame), nobody) {
                (Err(DropReason::VlanNotAllowed), Some(_)) => {
                    nobody = Some(DropReason::VlanNotAllowed)
                }
                (Err(DropReason::VlanNotAllowed), None) => {}
                (Err(reason), _) => {
                    self.counters.drop_one(reason);
                    nobody = None;
                }
                (Ok(()), _) => nobody = None,
            }
        }
        nobody.map_or(Ok(()), Err)
    }

    /// As [`Self::append`], with the frame's traffic class. A datagram has one DSCP: what waits with another goes first.
    #[cold]
    fn append_marked(&mut self, peer: PeerIndex, frame: &mut [u8]) -> Result<(), DropReason> {
        let (marking, class) = (self.marking, traffic_class::of(frame));
        let at = usize::from(peer);
        let tx = self.peers.get(at).ok_or(DropReason::NoSession)?;
        if marking.bundle(tx.class) != marking.bundle(class) {
            self.flush_peer(at);
        }
        self.uplink.mark(marking.bundle(class));
        self.append(peer, frame)?;
        // Not before: one that is dropped says nothing of the one that waits.
        self.peers[at].class = class;
        Ok(())
    }

    fn push(&mut self, peer: PeerIndex, frame: &mut [u8]) -> Result<(), DropReason> {
        match self.marking.is_on() {
            true => self.append_marked(peer, frame),
            false => self.append(peer, frame),
        }
    }

    #[inline]
    fn append(&mut self, peer: PeerIndex, frame: &mut [u8]) -> Result<(), DropReason> {
        let tx = self
            .peers
            .get_mut(usize::from(peer))
            .ok_or(DropReason::NoSession)?;
        let PeerTx {
            lane, path, border, ..
        } = tx;
        let mut onto = OntoLane {
            lane,
            path,
            uplink: &mut *self.uplink,
            peer,
            counters: self.counters,
            now: self.now,
        };
        match border {
            None => onto.append(frame),
            Some(border) => onto.append_across(border, frame),
        }
    }

    /// Takes a frame that the control plane made.
    pub fn own_frame(&mut self, peer: PeerIndex, frame: &[u8]) {
        // A copy, as the border may write to it, and others may be to get it too.
        match self.push(peer, &mut frame.to_vec()) {
            Ok(()) => self.counters.wan_injected.add(1),
            Err(reason) => self.counters.drop_one(reason),
        }
    }

    /// Seals and sends every open bundle: the end of the batch.
    pub fn flush(&mut self) {
        for peer in 0..self.peers.len() {
            self.flush_peer(peer);
        }
        if self.marking.is_on() {
            self.uplink.mark(0);
        }
        self.uplink.flush();
    }

    #[inline]
    fn flush_peer(&mut self, peer: usize) {
        let tx = &mut self.peers[peer];
        let (Some(lane), Some(path)) = (&mut tx.lane, &tx.path) else {
            return;
        };
        let marking = self.marking;
        if marking.is_on() {
            self.uplink.mark(marking.bundle(tx.class));
        }
        lane.flush(&mut ToPeer {
            uplink: &mut *self.uplink,
            peer: peer as PeerIndex,
            path,
            lone_frame: marking.is_on().then(|| marking.lone_frame(tx.class)),
            counters: self.counters,
        });
        self.counters.peers[peer].tx_datagrams.set(lane.sequence());
    }
}

/// Where the frames to a peer go: its lane, and what that needs to send.
struct OntoLane<'a, U> {
    lane: &'a mut Option<TxLane>,
    path: &'a Option<Path>,
    uplink: &'a mut U,
    peer: PeerIndex,
    counters: &'a WorkerCounters,
    now: Instant,
}

impl<U: RunSink> OntoLane<'_, U> {
    /// Appends the frame to the lane, and counts it.
    #[inline(always)]
    fn append(&mut self, frame: &[u8]) -> Result<(), DropReason> {
        let lane = self.lane.as_mut().ok_or(DropReason::NoSession)?;
        let path = self.path.as_ref().ok_or(DropReason::NoPath)?;
        let mut out = ToPeer {
            uplink: &mut *self.uplink,
            peer: self.peer,
            path,
            // None is sent before the flush.
            lone_frame: None,
            counters: self.counters,
        };
        lane.push(frame, self.now, &mut out)?;
        let to = &self.counters.peers[usize::from(self.peer)];
        to.tx_frames.add(1);
        to.tx_bytes.add(frame.len() as u64);
        Ok(())
    }

    /// The same with its VLAN as the peer calls it. Apart, so that the way without a border is one piece.
    #[inline(never)]
    fn append_across(&mut self, border: &mut Border, frame: &mut [u8]) -> Result<(), DropReason> {
        border.cross(frame, |frame| self.append(frame))
    }
}
