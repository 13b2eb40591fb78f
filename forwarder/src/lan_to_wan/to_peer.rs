//! Where the datagrams of one peer's lane go: the uplink.

use std::io;

use causeway_tunnel::{
    DropReason,
    lane::{DatagramSink, Run},
};

use crate::{
    counters::WorkerCounters,
    stations::PeerIndex,
    uplink::{Path, UdpUplink},
};

/// Takes datagrams to where they go, and may lend the memory they are made in: the uplink.
pub trait RunSink {
    /// Sends a run.
    ///
    /// # Errors
    ///
    /// The run, or the rest of it, is lost.
    fn send(&mut self, run: &Run<'_>, path: &Path) -> io::Result<()>;

    /// How many of the `datagrams` of the last run were lost, which failed.
    fn lost(&self, datagrams: u64) -> u64 {
        datagrams
    }

    /// Whether there is room for a datagram of up to `size` bytes to this peer, which the path leads to, in
    /// memory that it leaves from: [`Self::lent`] is that until [`Self::send_lent`].
    #[inline]
    fn lend(&mut self, peer: PeerIndex, size: usize, path: &Path) -> bool {
        let _ = (peer, size, path);
        false
    }

    /// The room lent for this peer's datagram.
    #[inline]
    fn lent(&mut self, peer: PeerIndex) -> &mut [u8] {
        let _ = peer;
        &mut []
    }

    /// Sends the first `length` bytes of that room; false: the datagram is lost.
    #[inline]
    fn send_lent(&mut self, peer: PeerIndex, length: usize, path: &Path) -> bool {
        let _ = (peer, length, path);
        false
    }

    /// From now on datagrams have this traffic class, 0 until it is set and for who does not care.
    #[inline]
    fn mark(&mut self, class: u8) {
        let _ = class;
    }

    /// Has what was sent leave: the end of a batch.
    #[inline]
    fn flush(&mut self) {}
}

impl RunSink for UdpUplink {
    #[inline]
    fn send(&mut self, run: &Run<'_>, path: &Path) -> io::Result<()> {
        Self::send(self, run, path)
    }
}

/// The uplink, as the lane to one peer sees it. What is refused is counted, in datagrams.
pub struct ToPeer<'a, U> {
    /// The way out.
    pub uplink: &'a mut U,
    /// Whose lane it is.
    pub peer: PeerIndex,
    /// Where that is.
    pub path: &'a Path,
    /// The traffic class of a datagram of one frame, if it has one of its own.
    pub lone_frame: Option<u8>,
    /// This worker's counters.
    pub counters: &'a WorkerCounters,
}

impl<U: RunSink> DatagramSink for ToPeer<'_, U> {
    #[inline]
    fn lend(&mut self, size: usize) -> bool {
        self.uplink.lend(self.peer, size, self.path)
    }

    #[inline]
    fn lent(&mut self) -> &mut [u8] {
        self.uplink.lent(self.peer)
    }

    #[inline]
    fn send_lent(&mut self, length: usize) {
        match self.uplink.send_lent(self.peer, length, self.path) {
            true => self.counters.wan_tx_datagrams.add(1),
            false => self.counters.drop_one(DropReason::UplinkFull),
        }
    }

    #[inline]
    fn lone_frame(&mut self) {
        if let Some(class) = self.lone_frame {
            self.uplink.mark(class);
        }
    }

    fn send_run(&mut self, run: Run<'_>) {
        let datagrams = run.bytes.len().div_ceil(run.segment_size.max(1)) as u64;
        self.counters.wan_tx_runs.add(1);
        match self.uplink.send(&run, self.path) {
            Ok(()) => self.counters.wan_tx_datagrams.add(datagrams),
            Err(_) => {
                let lost = self.uplink.lost(datagrams);
                self.counters.wan_tx_datagrams.add(datagrams - lost);
                self.counters.drops[DropReason::UplinkFull.index()].add(lost);
            }
        }
    }
}
