//! From the uplink to the LAN port: open, check replay, unbundle, check the sender's right, inject.
//!
//! Datagrams come from the uplink ([`crate::uplink`]), those of a socket in runs; [`WanToLan::run`] finds
//! their security association by SPI, whose lane opens and unbundles them; [`admit`] asks of every
//! frame whether this peer may say this; then it goes to the TX ring of the LAN port
//! ([`crate::sys::xsk`]), with the foreign source address it came with.

use std::{collections::HashMap, hash::BuildHasherDefault, sync::Arc, time::Instant};

use causeway_ebpf::ethernet::{EthernetHeader, TAG_LEN, is_group, is_link_local};
use causeway_tunnel::{
    DropReason, Frame,
    lane::{Received, RxLane},
    wire::MAX_FRAME,
};

use crate::{
    clamp_mss::Clamp,
    counters::{SharedCounter, WorkerCounters},
    flood::FloodGate,
    snoop::{self, Snoop, TELLING},
    stations::{KeyHasher, PeerIndex, Place, Role, StationTable},
    sys::xsk::{TransmitError, XskPort},
    traffic_class,
    uplink::{Arrival, Path},
    vlans::PeerVlans,
};

/// Decides whether a frame of an authenticated peer may enter the LAN, by its Ethernet header.
///
/// # Errors
///
/// The reason to drop it.
// Out of line, the header would go through memory, written in parts and read as a whole: a stalled load for each frame.
#[inline(always)]
pub fn admit(
    header: &EthernetHeader,
    peer: PeerIndex,
    stations: &StationTable,
) -> Result<(), DropReason> {
    if is_group(&header.source) {
        return Err(DropReason::SpoofedSource);
    }
    if is_link_local(&header.destination) {
        return Err(DropReason::LinkLocal);
    }
    let (source, destination) = (header.source_station(), header.destination_station());
    let group = is_group(&header.destination);
    match stations.role {
        Role::Site => {
            let granted = stations
                .get(source)
                .is_some_and(|s| s.place == Place::Away && s.peer == peer);
            if !granted {
                return Err(DropReason::SpoofedSource);
            }
            // Away, behind this peer or another: it must not go back out.
            match stations.get(destination) {
                Some(s) if !group && s.place == Place::Away => Err(DropReason::SplitHorizon),
                _ => Ok(()),
            }
        }
        Role::Cloud => {
            // The site speaks for everybody but the stations it moved to us.
            if stations.get(source).is_some_and(|s| s.place == Place::Home) {
                return Err(DropReason::SpoofedSource);
            }
            match stations.get(destination) {
                Some(s) if s.place == Place::Home && s.peer == peer => Ok(()),
                _ if group => Ok(()),
                _ => Err(DropReason::SplitHorizon),
            }
        }
    }
}

/// Takes frames to where they go: the LAN port.
pub trait FrameSink {
    /// Takes a copy of a frame for transmission.
    ///
    /// # Errors
    ///
    /// [`TransmitError`]; the frame is not taken then.
    fn transmit(&mut self, frame: Frame<'_>) -> Result<(), TransmitError>;
}

impl FrameSink for XskPort {
    #[inline]
    fn transmit(&mut self, frame: Frame<'_>) -> Result<(), TransmitError> {
        self.transmit_parts(frame.head, frame.tail)
    }
}

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
    /// What becomes of the peer's VLANs here, if they do not come in as they are.
    pub vlans: Option<Arc<PeerVlans>>,
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

/// One batch on its way from the uplink to the LAN.
pub struct WanToLan<'a, P = XskPort> {
    /// Who lives where.
    pub stations: &'a StationTable,
    /// Who may send to us.
    pub lanes: &'a mut InboundLanes,
    /// The way out.
    pub port: &'a mut P,
    /// What is let through of each peer's broadcast and multicast, by peer index.
    pub floods: &'a mut [FloodGate],
    /// What the control plane sees of it.
    pub snoop: &'a mut Snoop,
    /// What lowers the MSS of TCP, if anything does.
    pub clamp: Option<&'a mut Clamp>,
    /// This worker's counters.
    pub counters: &'a WorkerCounters,
    /// When the batch began.
    pub now: Instant,
}

impl<P: FrameSink> WanToLan<'_, P> {
    /// Takes one datagram. Returns the path of its sender if that is new: only the newest
    /// authenticated datagram of a lane moves it, a replayed or delayed one does not.
    #[inline]
    pub fn datagram(
        &mut self,
        datagram: &mut [u8],
        from: impl Into<Arrival>,
    ) -> Option<LearntPath> {
        let (mut learnt, size) = (None, datagram.len());
        self.run(datagram, size, from, &mut |news| learnt = Some(news));
        learnt
    }

    /// As [`Self::datagram`] of each datagram of a run of one sender, all but the last of
    /// `segment_size` bytes; new paths go to `learn`.
    #[inline]
    pub fn run(
        &mut self,
        run: &mut [u8],
        segment_size: usize,
        from: impl Into<Arrival>,
        learn: &mut impl FnMut(LearntPath),
    ) {
        let from = from.into();
        each_lane(run, segment_size, |of_lane| {
            // An empty datagram is one too.
            let datagrams = of_lane.len().div_ceil(segment_size.max(1)).max(1) as u64;
            self.counters.wan_rx_datagrams.add(datagrams);
            match self.open(of_lane, segment_size.max(1), from) {
                Ok(learnt) => learnt.into_iter().for_each(&mut *learn),
                Err(reason) => self.counters.drops[reason.index()].add(datagrams),
            }
        });
    }

    /// Opens datagrams of one lane.
    ///
    /// # Errors
    ///
    /// Why all of them are dropped. What is wrong with one of them is counted here.
    fn open(
        &mut self,
        run: &mut [u8],
        segment_size: usize,
        from: Arrival,
    ) -> Result<Option<LearntPath>, DropReason> {
        let spi = claimed_spi(run, segment_size).ok_or(DropReason::MalformedDatagram)?;
        let inbound = self
            .lanes
            .get_mut(&u32::from_be_bytes(spi))
            .ok_or(DropReason::UnknownSpi)?;
        let (peer, stations, counters) = (inbound.peer, self.stations, self.counters);
        let begins = inbound.lane.highest() == 0;
        let (vlans, now) = (inbound.vlans.as_deref(), self.now);
        let (port, snoop) = (&mut *self.port, &mut *self.snoop);
        let flood = &mut self.floods[usize::from(peer)];
        let (mut frames, mut bytes) = (0, 0);
        let mut clamp = self.clamp.as_deref_mut();
        let injected = stations.injected.as_deref();
        let injected = injected.map(|sources| (sources, sources.step(now)));
        let mut take = |frame: Frame<'_>| {
            let header = EthernetHeader::parse(frame.head).ok_or(DropReason::BadFrameLength)?;
            admit(&header, peer, stations)?;
            if let Some((sources, step)) = injected {
                sources.note(header.source_station(), step);
            }
            if is_group(&header.destination) {
                flood.pass(snoop::beginning(&frame, &mut [0; TELLING]), now)?;
            }
            // Of what is in several parts the outer header says nothing (traffic_class).
            let outer = if frame.alone { from.ecn } else { 0 };
            transmit(frame, (peer, outer), port, clamp.as_deref_mut(), counters)?;
            snoop.from_peer(frame, &header, peer, now, counters);
            Ok(())
        };
        let mut deliver = |frame: Frame<'_>| match over_border(frame, vlans, &mut take) {
            Ok(()) => {
                frames += 1;
                bytes += frame.len() as u64;
            }
            Err(reason) => counters.drop_one(reason),
        };
        let (mut opened, mut newest) = (0, false);
        let mut verdict = |verdict: Result<Received, DropReason>| match verdict {
            Ok(received) => {
                opened += 1;
                newest |= received.newest;
            }
            Err(reason) => counters.drop_one(reason),
        };
        let lane = &mut inbound.lane;
        lane.receive_run(run, segment_size, self.now, &mut deliver, &mut verdict);
        counters.lan_tx_frames.add(frames);
        let of_peer = &counters.peers[usize::from(peer)];
        of_peer.rx_frames.add(frames);
        of_peer.rx_bytes.add(bytes);
        of_peer.rx_datagrams.add(opened);
        inbound.received.add(opened);
        if !newest {
            return Ok(None);
        }
        inbound.highest.set(inbound.lane.highest());
        if !inbound.learns_path || inbound.path == Some(from.path) {
            return Ok(None);
        }
        inbound.path = Some(from.path);
        let (remote_lane, generation) = (inbound.remote_lane, inbound.generation);
        if begins {
            self.outdate(peer, remote_lane, generation);
        }
        Ok(Some(LearntPath {
            peer,
            remote_lane,
            path: from.path,
        }))
    }

    /// From here on the sender uses a later security association: a datagram of an earlier one that
    /// somebody held back says nothing of where the sender is.
    fn outdate(&mut self, peer: PeerIndex, remote_lane: u8, generation: u64) {
        for earlier in self.lanes.values_mut() {
            let same = earlier.peer == peer && earlier.remote_lane == remote_lane;
            earlier.learns_path &= !(same && earlier.generation < generation);
        }
    }
}

/// Takes a run apart where the datagrams claim another SPI than the one before.
#[inline]
pub(crate) fn each_lane(run: &mut [u8], segment_size: usize, mut visit: impl FnMut(&mut [u8])) {
    let mut rest = run;
    loop {
        let (of_lane, behind) = rest.split_at_mut(same_lane(rest, segment_size.max(1)));
        visit(of_lane);
        rest = behind;
        if rest.is_empty() {
            return;
        }
    }
}

/// The first four bytes of the first datagram: its SPI, if it is any.
#[inline]
fn claimed_spi(run: &[u8], segment_size: usize) -> Option<[u8; 4]> {
    let first = &run[..segment_size.min(run.len())];
    first.first_chunk().copied()
}

/// Bytes of the datagrams at the start of a run that claim the SPI of the first of them.
#[inline]
fn same_lane(run: &[u8], segment_size: usize) -> usize {
    let spi = claimed_spi(run, segment_size);
    let mut datagrams = run.chunks(segment_size);
    let of_lane = datagrams.position(|d| spi.is_none_or(|spi| !d.starts_with(&spi)));
    let first = segment_size.min(run.len());
    of_lane.map_or(run.len(), |n| n * segment_size).max(first)
}

/// Lends a frame of a peer to `take` as it is called here, if the peer has a border.
#[inline]
fn over_border(
    frame: Frame<'_>,
    vlans: Option<&PeerVlans>,
    take: &mut impl FnMut(Frame<'_>) -> Result<(), DropReason>,
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
    frame: Frame<'_>,
    vlans: &PeerVlans,
    take: &mut impl FnMut(Frame<'_>) -> Result<(), DropReason>,
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
const SHORT: usize = 2 * Frame::MIN_HEAD;

/// Lends a frame with the first two of these parts in one.
#[inline]
fn take_joined(
    room: &mut [u8],
    header: &[u8],
    near: &[u8],
    (far, alone): (&[u8], bool),
    take: &mut impl FnMut(Frame<'_>) -> Result<(), DropReason>,
) -> Result<(), DropReason> {
    let (head, rest) = room.split_at_mut(header.len());
    head.copy_from_slice(header);
    rest[..near.len()].copy_from_slice(near);
    let head = &room[..header.len() + near.len()];
    take(Frame {
        alone,
        ..Frame::halves(head, far)
    })
}

/// Gives an admitted frame to the LAN port, with a lower MSS if that is wanted and there is one to lower, and with what
/// the path has marked its datagram with.
#[inline]
fn transmit(
    frame: Frame<'_>,
    (peer, outer): (PeerIndex, u8),
    port: &mut impl FrameSink,
    clamp: Option<&mut Clamp>,
    counters: &WorkerCounters,
) -> Result<(), DropReason> {
    // CE and ECT(1): the others change no inner header.
    if outer & traffic_class::ECT_1 != 0 {
        return transmit_marked(frame, (peer, outer), port, clamp, counters);
    }
    if let Some(clamp) = clamp
        && let Some(lowered) = clamp.copy(&frame, peer)
    {
        counters.mss_clamped.add(1);
        return port.transmit(lowered).map_err(reason);
    }
    port.transmit(frame).map_err(reason)
}

#[cold]
fn transmit_marked(
    frame: Frame<'_>,
    (peer, outer): (PeerIndex, u8),
    port: &mut impl FrameSink,
    clamp: Option<&mut Clamp>,
    counters: &WorkerCounters,
) -> Result<(), DropReason> {
    let mut room = [0; MAX_FRAME + TAG_LEN];
    let copy = room.get_mut(..frame.len());
    let copy = copy.ok_or(DropReason::BadFrameLength)?;
    let (head, tail) = copy.split_at_mut(frame.head.len());
    head.copy_from_slice(frame.head);
    tail.copy_from_slice(frame.tail);
    if traffic_class::leave_tunnel(copy, outer)? {
        counters.ecn_marked.add(1);
    }
    if clamp.is_some_and(|clamp| clamp.frame(copy, peer)) {
        counters.mss_clamped.add(1);
    }
    port.transmit(Frame::whole(copy)).map_err(reason)
}

/// Why a frame is dropped that the LAN port does not take.
pub(crate) const fn reason(error: TransmitError) -> DropReason {
    match error {
        TransmitError::TooLong => DropReason::LanMtu,
        TransmitError::TooShort => DropReason::BadFrameLength,
        TransmitError::Full => DropReason::LanFull,
    }
}
