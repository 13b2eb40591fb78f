//! From the uplink to the LAN port: open, check replay, unbundle, check the sender's right, inject.
//!
//! A datagram comes from the uplink ([`crate::uplink`]); [`WanToLan::datagram`] finds its
//! security association by SPI, whose lane opens and unbundles it; [`admit`] asks of every
//! frame whether this peer may say this; then it goes to the TX ring of the LAN port
//! ([`crate::sys::xsk`]), with the foreign source address it came with.

use std::{collections::HashMap, hash::BuildHasherDefault, time::Instant};

use causeway_ebpf::ethernet::{EthernetHeader, is_group, is_link_local};
use causeway_tunnel::{DropReason, lane::RxLane};

use crate::{
    counters::{SharedCounter, WorkerCounters},
    stations::{KeyHasher, PeerIndex, Place, Role, StationTable},
    sys::xsk::{TransmitError, XskPort},
    uplink::Path,
};

/// Decides whether a frame of an authenticated peer may enter the LAN.
///
/// # Errors
///
/// The reason to drop it.
pub fn admit(frame: &[u8], peer: PeerIndex, stations: &StationTable) -> Result<(), DropReason> {
    let header = EthernetHeader::parse(frame).ok_or(DropReason::BadFrameLength)?;
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
    fn transmit(&mut self, frame: &[u8]) -> Result<(), TransmitError>;
}

impl FrameSink for XskPort {
    #[inline]
    fn transmit(&mut self, frame: &[u8]) -> Result<(), TransmitError> {
        Self::transmit(self, frame)
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
    /// The later of two was installed later.
    pub generation: u64,
    /// Whether we are to learn the peer's address from it: we are the listening end, and nothing
    /// has come on a later security association of the same sending lane.
    pub learns_path: bool,
    /// Where the newest authenticated datagram came from, if that is learnt.
    pub path: Option<Path>,
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
    /// This worker's counters.
    pub counters: &'a WorkerCounters,
    /// When the batch began.
    pub now: Instant,
}

impl<P: FrameSink> WanToLan<'_, P> {
    /// Takes one datagram. Returns the path of its sender if that is new: only the newest
    /// authenticated datagram of a lane moves it, a replayed or delayed one does not.
    #[inline]
    pub fn datagram(&mut self, datagram: &mut [u8], from: Path) -> Option<LearntPath> {
        self.counters.wan_rx_datagrams.add(1);
        match self.open(datagram, from) {
            Ok(learnt) => learnt,
            Err(reason) => {
                self.counters.drop_one(reason);
                None
            }
        }
    }

    fn open(&mut self, datagram: &mut [u8], from: Path) -> Result<Option<LearntPath>, DropReason> {
        let spi = *datagram
            .first_chunk()
            .ok_or(DropReason::MalformedDatagram)?;
        let inbound = self
            .lanes
            .get_mut(&u32::from_be_bytes(spi))
            .ok_or(DropReason::UnknownSpi)?;
        let (peer, stations, counters) = (inbound.peer, self.stations, self.counters);
        let begins = inbound.lane.highest() == 0;
        let port = &mut *self.port;
        let received = inbound
            .lane
            .receive(datagram, self.now, &mut |frame: &mut [u8]| {
                if let Err(reason) = inject(frame, peer, stations, port, counters) {
                    counters.drop_one(reason);
                }
            })?;
        let of_peer = &counters.peers[usize::from(peer)];
        of_peer.rx_datagrams.add(1);
        if !received.newest {
            return Ok(None);
        }
        inbound.highest.set(inbound.lane.highest());
        if !inbound.learns_path || inbound.path == Some(from) {
            return Ok(None);
        }
        inbound.path = Some(from);
        let (remote_lane, generation) = (inbound.remote_lane, inbound.generation);
        if begins {
            self.outdate(peer, remote_lane, generation);
        }
        Ok(Some(LearntPath {
            peer,
            remote_lane,
            path: from,
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

fn inject(
    frame: &[u8],
    peer: PeerIndex,
    stations: &StationTable,
    port: &mut impl FrameSink,
    counters: &WorkerCounters,
) -> Result<(), DropReason> {
    admit(frame, peer, stations)?;
    port.transmit(frame).map_err(|e| match e {
        TransmitError::TooLong => DropReason::LanMtu,
        TransmitError::TooShort => DropReason::BadFrameLength,
        TransmitError::Full => DropReason::LanFull,
    })?;
    counters.lan_tx_frames.add(1);
    let of_peer = &counters.peers[usize::from(peer)];
    of_peer.rx_frames.add(1);
    of_peer.rx_bytes.add(frame.len() as u64);
    Ok(())
}
