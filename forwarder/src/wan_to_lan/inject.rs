//! Injecting: an admitted frame becomes one of the LAN.

use causeway_ebpf::ethernet::TAG_LEN;
use causeway_tunnel::{DropReason, Frame, wire::MAX_FRAME};

use crate::{
    clamp_mss::Clamp,
    counters::WorkerCounters,
    stations::PeerIndex,
    sys::xsk::{TransmitError, XskPort},
    traffic_class,
};

/// Takes frames to where they go: the LAN port.
pub trait FrameSink {
    /// Takes a copy of a frame for transmission.
    ///
    /// # Errors
    ///
    /// [`TransmitError`]; the frame is not taken then.
    fn transmit(&mut self, frame: &Frame<'_>) -> Result<(), TransmitError>;
}

impl FrameSink for XskPort {
    #[inline]
    fn transmit(&mut self, frame: &Frame<'_>) -> Result<(), TransmitError> {
        self.transmit_parts(frame.head, frame.tail)
    }
}

/// Gives an admitted frame to the LAN port, with a lower MSS if that is wanted and there is one to lower, and with what
/// the path has marked its datagram with.
#[inline]
pub(super) fn transmit(
    frame: &Frame<'_>,
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
        && let Some(lowered) = clamp.copy(frame, peer)
    {
        counters.mss_clamped.add(1);
        return port.transmit(&lowered).map_err(reason);
    }
    port.transmit(frame).map_err(reason)
}

#[cold]
fn transmit_marked(
    frame: &Frame<'_>,
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
    port.transmit(&Frame::whole(copy)).map_err(reason)
}

/// Why a frame is dropped that the LAN port does not take.
pub(crate) const fn reason(error: TransmitError) -> DropReason {
    match error {
        TransmitError::TooLong => DropReason::LanMtu,
        TransmitError::TooShort => DropReason::BadFrameLength,
        TransmitError::Full => DropReason::LanFull,
    }
}
