//! Injecting: an admitted frame becomes one of the LAN.

use std::time::Instant;

use causeway_ebpf::ethernet::TAG_LEN;
use causeway_tunnel::{DropReason, Frame, wire::MAX_FRAME};

use crate::{
    clamp_mss::Clamp,
    counters::WorkerCounters,
    flood::FloodGate,
    snoop::{self, Kind, Snoop, TELLING},
    stations::PeerIndex,
    sys::xsk::{TransmitError, XskPort},
    traffic_class,
};

/// Takes frames to where they go: the LAN port.
pub trait FrameSink {
    /// Takes a copy of a frame in two parts, the second of which may be empty, for transmission.
    ///
    /// # Errors
    ///
    /// [`TransmitError`]; the frame is not taken then.
    fn transmit(&mut self, head: &[u8], tail: &[u8]) -> Result<(), TransmitError>;
}

impl FrameSink for XskPort {
    #[inline]
    fn transmit(&mut self, head: &[u8], tail: &[u8]) -> Result<(), TransmitError> {
        self.transmit_parts(head, tail)
    }
}

/// The last stations on the way of one peer's frames.
pub(super) struct Injection<'a, P> {
    pub(super) peer: PeerIndex,
    /// The way out.
    pub(super) port: &'a mut P,
    /// What is let through of its broadcast and multicast.
    pub(super) flood: &'a mut FloodGate,
    /// What the control plane sees of it.
    pub(super) snoop: &'a mut Snoop,
    /// What lowers the MSS of TCP, if anything does.
    pub(super) clamp: Option<&'a mut Clamp>,
    /// The ECN field of the datagrams that they come in.
    pub(super) ecn: u8,
    pub(super) counters: &'a WorkerCounters,
    pub(super) now: Instant,
}

impl<P: FrameSink> Injection<'_, P> {
    /// Whether every frame may be changed on its way out.
    #[inline]
    pub(super) fn changes(&self) -> bool {
        // CE and ECT(1): the others change no inner header.
        self.clamp.is_some() || self.ecn & traffic_class::ECT_1 != 0
    }

    /// Takes an admitted frame that is to one station, says nothing of addresses or groups, and stays as it is.
    #[inline]
    pub(super) fn plain(&mut self, head: &[u8], tail: &[u8]) -> Result<(), DropReason> {
        self.port.transmit(head, tail).map_err(reason)
    }

    /// Takes any other admitted frame: to a `group` or not, of this `kind` if it has one. Apart, as most have nothing to do with it.
    #[inline(never)]
    pub(super) fn any(
        &mut self,
        head: &[u8],
        tail: &[u8],
        alone: bool,
        group: bool,
        kind: Option<Kind>,
    ) -> Result<(), DropReason> {
        let frame = Frame { head, tail, alone };
        if group {
            let mut room = [0; TELLING];
            self.flood
                .pass(snoop::beginning(&frame, &mut room), self.now)?;
        }
        self.transmit(&frame)?;
        if let Some(kind) = kind {
            self.snoop
                .from_peer(kind, &frame, self.peer, self.now, self.counters);
        }
        Ok(())
    }

    /// Gives an admitted frame to the LAN port, with a lower MSS if that is wanted and there is one to lower, and with
    /// what the path has marked its datagram with.
    #[inline]
    fn transmit(&mut self, frame: &Frame<'_>) -> Result<(), DropReason> {
        // Of what is in several parts the outer header says nothing (traffic_class).
        if frame.alone && self.ecn & traffic_class::ECT_1 != 0 {
            return self.transmit_marked(frame);
        }
        if let Some(clamp) = self.clamp.as_deref_mut()
            && let Some(lowered) = clamp.copy(frame, self.peer)
        {
            self.counters.mss_clamped.add(1);
            let sent = self.port.transmit(lowered.head, lowered.tail);
            return sent.map_err(reason);
        }
        self.plain(frame.head, frame.tail)
    }

    #[cold]
    fn transmit_marked(&mut self, frame: &Frame<'_>) -> Result<(), DropReason> {
        let mut room = [0; MAX_FRAME + TAG_LEN];
        let copy = room.get_mut(..frame.len());
        let copy = copy.ok_or(DropReason::BadFrameLength)?;
        let (head, tail) = copy.split_at_mut(frame.head.len());
        head.copy_from_slice(frame.head);
        tail.copy_from_slice(frame.tail);
        if traffic_class::leave_tunnel(copy, self.ecn)? {
            self.counters.ecn_marked.add(1);
        }
        let clamp = self.clamp.as_deref_mut();
        if clamp.is_some_and(|clamp| clamp.frame(copy, self.peer)) {
            self.counters.mss_clamped.add(1);
        }
        self.port.transmit(copy, &[]).map_err(reason)
    }
}

/// Why a frame is dropped that the LAN port does not take.
#[cold]
pub(crate) const fn reason(error: TransmitError) -> DropReason {
    match error {
        TransmitError::TooLong => DropReason::LanMtu,
        TransmitError::TooShort => DropReason::BadFrameLength,
        TransmitError::Full => DropReason::LanFull,
    }
}
