//! What the control plane reacts to.

use std::{collections::HashSet, net::IpAddr};

use causeway_ebpf::Sighting;
use causeway_tunnel::{
    message::Message,
    session::{Session, SessionError},
};
use tokio::sync::oneshot;

use super::{
    establish::{Established, Failed},
    next_hops::UplinkState,
    segment::{Reply, StationRequest},
};
use crate::{stations::PeerIndex, status::Status};

/// Number of a session, counted up for the life of the process.
pub(super) type SessionId = u64;

/// Something happened.
pub(super) enum Event {
    /// A peer answered our call.
    Dialled { peer: PeerIndex, session: Session },
    /// An attempt to dial failed; others go on.
    DialFailed { peer: PeerIndex, error: String },
    /// A handshake with a peer of ours that called us.
    Accepted(Session),
    /// A handshake with somebody failed.
    AcceptFailed(SessionError),
    /// Both ends are ready to receive: the session can take over.
    Established(Box<Established>),
    /// The session ended before that.
    EstablishFailed(Box<Failed>),
    /// The pause after a failed session is over.
    CallAgain(PeerIndex),
    /// A control message.
    Message {
        peer: PeerIndex,
        id: SessionId,
        message: Message,
    },
    /// The session ended.
    Closed {
        peer: PeerIndex,
        id: SessionId,
        error: SessionError,
    },
    /// The host's own addresses on the LAN port changed.
    OwnAddresses(HashSet<IpAddr>),
    /// The uplink or the ways to the peers changed.
    Uplink(UplinkState),
    /// The routes to the peers leave by other devices.
    UplinkDevices(HashSet<u32>),
    /// The doctor wants frames to and from these addresses, or no more.
    Probes {
        macs: Vec<[u8; 6]>,
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// The XDP program saw frames of stations that are not where they should be, in this order.
    Sighted(Vec<Sighting>),
    /// The workers are to know the stations.
    Publish,
    /// What was under way to the peer of its stations has left.
    Told { peer: PeerIndex, id: SessionId },
    /// The operator wants something with the stations.
    Stations(StationRequest, Reply),
    /// Somebody asks how things are.
    Status(oneshot::Sender<Status>),
}
