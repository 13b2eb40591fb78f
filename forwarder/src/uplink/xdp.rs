//! An AF_XDP port on a queue of the uplink's device.

use std::{
    collections::HashMap,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use causeway_tunnel::lane::Run;

use super::{
    Arrival, NextHops, Path, Target,
    headers::{self, Template},
};
use crate::{
    stations::PeerIndex,
    sys::xsk::{CopyMode, ReceivedFrames, XskPort, XskStatistics},
};

/// Headers kept at most: for a lane to each of as many peers as there may be.
const MAX_TEMPLATES: usize = 256;

/// An open port, with the next hops it sends by.
pub struct XdpUplink {
    port: XskPort,
    /// Of the worker's UDP socket.
    source_port: u16,
    max_frame: usize,
    hops: Arc<NextHops>,
    /// Where the last run went, and the headers for it if there is a next hop.
    last: Option<(Path, Option<Template>)>,
    /// The same of runs before it, to other places.
    others: HashMap<Path, Option<Template>>,
    sent: u64,
    /// Traffic class of what is sent.
    class: u8,
}

/// Datagrams of one batch, each with how it arrived, or `None` if its headers are damaged. They stay where they are until
/// all of the batch was seen.
pub struct ReceivedDatagrams<'a>(ReceivedFrames<'a>);

impl<'a> Iterator for ReceivedDatagrams<'a> {
    type Item = Option<(&'a mut [u8], Arrival)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(headers::datagram_of)
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for ReceivedDatagrams<'_> {}

impl XdpUplink {
    /// Takes over a port for frames of up to `max_frame` bytes. Without next hops it sends nothing.
    pub fn new(port: XskPort, source_port: u16, max_frame: usize) -> Self {
        Self {
            port,
            source_port,
            max_frame,
            hops: Arc::default(),
            last: None,
            others: HashMap::new(),
            sent: 0,
            class: 0,
        }
    }

    /// How the kernel moves frames of this port.
    pub fn copy_mode(&self) -> CopyMode {
        self.port.copy_mode()
    }

    /// Datagrams given to the device.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How often the kernel put off sending.
    pub fn kicks_deferred(&self) -> u64 {
        self.port.kicks_deferred()
    }

    /// The kernel's counters of this socket.
    ///
    /// # Errors
    ///
    /// What `getsockopt` answers.
    pub fn statistics(&self) -> std::io::Result<XskStatistics> {
        self.port.statistics()
    }

    pub(super) fn mark(&mut self, class: u8) {
        self.class = class;
    }

    pub(super) fn set_source_port(&mut self, port: u16) {
        self.source_port = port;
        self.last = None;
        self.others.clear();
    }

    pub(super) fn set_next_hops(&mut self, hops: Arc<NextHops>) {
        self.hops = hops;
        self.last = None;
        self.others.clear();
    }

    /// Makes the headers for this path those of the next run.
    fn turn_to(&mut self, path: &Path) {
        if let Some((before, template)) = self.last.take() {
            // Ports of a peer behind NAT come and go.
            if self.others.len() >= MAX_TEMPLATES {
                self.others.clear();
            }
            self.others.insert(before, template);
        }
        let template = self.others.remove(path).unwrap_or_else(|| {
            let hop = self.hops.get(&Target::from(path))?.as_ref().ok()?;
            Template::new(hop, self.source_port, path.remote)
        });
        self.last = Some((*path, template));
    }

    /// The headers for this path, if there is a next hop whose frames take datagrams as long as this.
    #[inline]
    fn template(&mut self, path: &Path, longest: usize) -> Option<&mut Template> {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            self.turn_to(path);
        }
        let (_, template) = self.last.as_mut()?;
        let fits = |t: &&mut Template| {
            longest <= t.max_payload() && t.length() + longest <= self.max_frame
        };
        template.as_mut().filter(fits)
    }

    /// Whether there is a next hop for this path, and room for the run's datagrams in its frames.
    #[inline]
    pub(super) fn can_send(&mut self, run: &Run<'_>, path: &Path) -> bool {
        let longest = run.segment_size.min(run.bytes.len());
        self.template(path, longest).is_some()
    }

    /// Whether the peer's next datagram, of up to `size` bytes, can be made in a frame of the port.
    #[inline]
    pub(super) fn lend(&mut self, peer: PeerIndex, size: usize, path: &Path) -> bool {
        let Some(head) = self.template(path, size).map(|t| t.length()) else {
            return false;
        };
        self.port.draft(usize::from(peer), head, size)
    }

    /// Where that datagram is made.
    #[inline]
    pub(super) fn lent(&mut self, peer: PeerIndex) -> &mut [u8] {
        self.port.draft_body(usize::from(peer))
    }

    /// Puts the headers before the datagram and sends it; false: it is lost.
    #[inline]
    pub(super) fn send_lent(&mut self, peer: PeerIndex, length: usize, path: &Path) -> bool {
        if self.last.as_ref().is_none_or(|(last, _)| last != path) {
            self.turn_to(path);
        }
        let Some((_, Some(template))) = &mut self.last else {
            return false;
        };
        template.set_class(self.class);
        let slot = usize::from(peer);
        let headers = template.headers(&self.port.draft_body(slot)[..length]);
        let sent = self.port.send_draft(slot, headers, length);
        self.sent += u64::from(sent);
        sent
    }

    /// Sends a run to where [`Self::can_send`] was asked about last; returns how many datagrams are lost.
    #[inline]
    pub(super) fn send(&mut self, run: &Run<'_>) -> u64 {
        let Some((_, Some(template))) = &mut self.last else {
            return u64::MAX;
        };
        template.set_class(self.class);
        let mut lost = 0;
        let mut datagrams = run.bytes.chunks(run.segment_size.max(1));
        while let Some(datagram) = datagrams.next() {
            let headers = template.headers(datagram);
            if self.port.transmit_parts(headers, datagram).is_err() {
                // The ring is full, and so it will be for the rest of the run.
                lost = 1 + datagrams.len() as u64;
                break;
            }
            self.sent += 1;
        }
        self.port.flush();
        lost
    }

    #[inline]
    pub(super) fn receive(
        &mut self,
        limit: usize,
        mut visit: impl FnMut(ReceivedDatagrams<'_>),
    ) -> usize {
        let port = &mut self.port;
        port.receive_together(limit, |frames| visit(ReceivedDatagrams(frames)))
    }

    pub(super) fn wake_receiver(&self) {
        self.port.wake_receiver();
    }

    pub(super) fn has_unsent(&mut self) -> bool {
        self.port.has_unsent()
    }

    pub(super) fn flush(&mut self) {
        self.port.flush();
    }
}

impl AsFd for XdpUplink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.as_fd()
    }
}
