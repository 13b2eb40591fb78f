//! Where the datagrams of a sending lane lie and go.

use super::Run;

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
