//! The LAN port of a worker that notes what it injects, while the control plane wants that.

use causeway_tunnel::Frame;

use crate::{
    sys::xsk::{TransmitError, XskPort},
    wan_to_lan::FrameSink,
    xdp::Recorder,
};

/// The LAN port; with a recorder, each frame is noted before it is sent.
pub(super) struct NotingPort<'a> {
    pub(super) port: &'a mut XskPort,
    /// `None` nearly always: one branch that is foreseen.
    pub(super) recorder: Option<&'a Recorder>,
}

impl FrameSink for NotingPort<'_> {
    #[inline]
    fn transmit(&mut self, frame: Frame<'_>) -> Result<(), TransmitError> {
        if let Some(recorder) = self.recorder {
            recorder.note(frame.head, frame.tail);
        }
        self.port.transmit_parts(frame.head, frame.tail)
    }
}
