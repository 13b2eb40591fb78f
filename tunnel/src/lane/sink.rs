//! Where the datagrams of a sending lane lie and go, and the frames of a receiving one.

use super::Run;
use crate::Frame;

/// Takes a lane's datagrams, and may lend the memory that they are written and sealed in.
///
/// A sink with memory of its own, like the frames of an AF_XDP ring, [lends](Self::lend) room for each datagram,
/// so that it leaves from where it was sealed. One without gets runs, out of the lane's memory: a closure that
/// takes a [`Run`] is such a sink.
pub trait DatagramSink {
    /// Whether there is room now for one datagram of up to `size` bytes in the sink's own memory. The lane
    /// that was told so has it, at [`lent`](Self::lent), until it [sends](Self::send_lent) the datagram.
    #[inline]
    fn lend(&mut self, size: usize) -> bool {
        let _ = size;
        false
    }

    /// The room that was lent last: at least as many bytes as were asked for.
    #[inline]
    fn lent(&mut self) -> &mut [u8] {
        &mut []
    }

    /// Sends the datagram that stands in the first `length` bytes of the room lent.
    #[inline]
    fn send_lent(&mut self, length: usize) {
        let _ = length;
    }

    /// What is sent next is a datagram of one frame, the last that was pushed, and no bundle.
    #[inline]
    fn lone_frame(&mut self) {}

    /// Sends a run that lies in the lane's memory.
    fn send_run(&mut self, run: Run<'_>);
}

impl<F: FnMut(Run<'_>)> DatagramSink for F {
    #[inline]
    fn send_run(&mut self, run: Run<'_>) {
        self(run);
    }
}

/// Takes the frames of a lane: a closure that takes a [`Frame`], or what would like to know before what comes.
pub trait Deliver {
    /// Whether to [show](Self::foresee) it frames before they are delivered: a second walk through each datagram.
    #[inline]
    fn looks_ahead(&self) -> bool {
        false
    }

    /// A frame that begins with these bytes may be delivered soon. All that begin in a bundle are shown before the first
    /// of them is delivered, one that ends in a later datagram by what there is of it; a frame without a bundle is not.
    #[inline]
    fn foresee(&self, beginning: &[u8]) {
        let _ = beginning;
    }

    /// Takes a frame.
    fn deliver(&mut self, frame: Frame<'_>);
}

impl<F: FnMut(Frame<'_>)> Deliver for F {
    #[inline]
    fn deliver(&mut self, frame: Frame<'_>) {
        self(frame);
    }
}
