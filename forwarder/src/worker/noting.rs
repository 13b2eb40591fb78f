//! The LAN port of a worker, with notes of what it injects, for as long as the control plane wants some.

use std::time::Instant;

use causeway_ebpf::ethernet::EthernetHeader;

use crate::{
    counters::WorkerCounters,
    stations::StationTable,
    sys::xsk::{TransmitError, XskPort},
    wan_to_lan::{self, FrameSink},
    xdp::Recorder,
};

/// The LAN port; with a recorder, each frame is noted before it is sent.
pub(super) struct NotingPort<'a> {
    pub(super) port: &'a mut XskPort,
    /// `None` nearly always: one branch that is foreseen.
    pub(super) recorder: Option<&'a Recorder>,
}

impl NotingPort<'_> {
    /// Sends a frame that was made here, and counts what became of it.
    ///
    /// It has the source of a station of the other side, as peers' frames have. So it is noted like those: should a switch
    /// bring it back, the station is not to be taken for one that has moved to this LAN.
    pub(super) fn send_own(
        &mut self,
        frame: &[u8],
        stations: &StationTable,
        now: Instant,
        counters: &WorkerCounters,
    ) {
        if let (Some(sources), Some(header)) = (&stations.injected, EthernetHeader::parse(frame)) {
            sources.note_own(header.source_station(), sources.step(now));
        }
        match self.transmit(frame, &[]) {
            Ok(()) => counters.lan_injected.add(1),
            Err(e) => counters.drop_one(wan_to_lan::reason(e)),
        }
    }
}

impl FrameSink for NotingPort<'_> {
    #[inline]
    fn transmit(&mut self, head: &[u8], tail: &[u8]) -> Result<(), TransmitError> {
        if let Some(recorder) = self.recorder {
            recorder.note(head, tail);
        }
        self.port.transmit_parts(head, tail)
    }
}
