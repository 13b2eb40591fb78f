//! The uplink: how datagrams leave and arrive.
//!
//! A kernel UDP socket ([`UdpUplink`]) is always there. Beside it there may be an AF_XDP port on the
//! uplink's device ([`XdpUplink`]): then the XDP program there steers ESP datagrams past the kernel into
//! it, and what is sent is sealed in the port's frames and gets its headers here ([`headers`]). The socket reserves the port, gets what the
//! XDP program passes to the kernel, and sends where the AF_XDP port cannot: no route, a neighbour that is not
//! resolved, a datagram longer than the MTU. So nothing is lost that would not be lost without the port.

mod flow_rules;
mod gro;
pub mod headers;
mod next_hop;
mod udp;
mod xdp;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd as _, BorrowedFd},
    sync::Arc,
};

use causeway_tunnel::lane::{Run, RunLimits};

pub use self::{
    flow_rules::{FlowRules, Placement},
    gro::{Gro, GroState},
    next_hop::{NextHop, NextHops, Tag, Target},
    udp::{UdpUplink, bind, canonical, wildcard},
    xdp::{ReceivedDatagrams, XdpUplink},
};
use crate::{lan_to_wan::RunSink, stations::PeerIndex};

/// Where a lane's datagrams go to, and which of our addresses they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// Our own address, where it is known: a multi-homed listener answers from where it was asked.
    pub local: Option<IpAddr>,
}

/// How a datagram arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Where it came from, and to.
    pub path: Path,
    /// The ECN field of its IP header.
    pub ecn: u8,
}

impl From<Path> for Arrival {
    fn from(path: Path) -> Self {
        Self { path, ecn: 0 }
    }
}

/// What a worker that never waits handles between two looks into the socket: frames and datagrams. A system
/// call that brings nothing costs as much as one or two of them.
const BETWEEN_LOOKS: usize = 32;

/// The same where AF_XDP brings the datagrams, and the socket had nothing lately.
const BETWEEN_LOOKS_WITH_XDP: usize = 4_096;

/// A worker's uplink.
pub struct Uplink {
    udp: UdpUplink,
    xdp: Option<XdpUplink>,
    /// Datagrams of the last run that were lost, if it failed.
    lost: u64,
    /// Of the sockets that were replaced.
    overflow_before: u64,
    /// Whether the socket has something, as far as we know without asking it.
    socket_waits: bool,
    /// Whether it had something when it was last looked into.
    socket_had: bool,
    /// Handled since then.
    handled: usize,
    /// Traffic class of what is sent.
    class: u8,
}

impl From<UdpUplink> for Uplink {
    fn from(udp: UdpUplink) -> Self {
        Self::new(udp, None)
    }
}

impl Uplink {
    /// A socket, and perhaps an AF_XDP port beside it.
    pub fn new(udp: UdpUplink, xdp: Option<XdpUplink>) -> Self {
        Self {
            udp,
            xdp,
            lost: 0,
            overflow_before: 0,
            socket_waits: true,
            socket_had: true,
            handled: 0,
            class: 0,
        }
    }

    /// The socket.
    pub fn udp(&self) -> &UdpUplink {
        &self.udp
    }

    /// The AF_XDP port.
    pub fn xdp(&self) -> Option<&XdpUplink> {
        self.xdp.as_ref()
    }

    /// Sends from this socket's port from now on, by AF_XDP as well, and receives at it.
    pub fn replace_socket(&mut self, udp: UdpUplink) {
        if let (Some(xdp), Ok(address)) = (&mut self.xdp, udp.local_address()) {
            xdp.set_source_port(address.port());
        }
        self.overflow_before += self.udp.receive_overflow().map_or(0, u64::from);
        self.udp = udp;
    }

    /// Datagrams that found the receive buffers of earlier sockets full.
    pub fn overflow_before(&self) -> u64 {
        self.overflow_before
    }

    /// Wakes a driver that waits for chunks to receive into.
    pub fn wake_receiver(&self) {
        if let Some(xdp) = &self.xdp {
            xdp.wake_receiver();
        }
    }

    /// The AF_XDP port's device is gone for good: the socket goes on alone.
    pub fn close_xdp(&mut self) {
        self.xdp = None;
    }

    /// How long a run may be for one call.
    pub fn run_limits(&self) -> RunLimits {
        self.udp.run_limits()
    }

    /// From now on the AF_XDP port sends by these.
    pub fn set_next_hops(&mut self, hops: Arc<NextHops>) {
        if let Some(xdp) = &mut self.xdp {
            xdp.set_next_hops(hops);
        }
    }

    /// Lends up to `limit` datagrams of the AF_XDP port to `visit`, a batch at a time; returns their number.
    #[inline]
    pub fn receive_xdp(&mut self, limit: usize, visit: impl FnMut(ReceivedDatagrams<'_>)) -> usize {
        self.xdp.as_mut().map_or(0, |xdp| xdp.receive(limit, visit))
    }

    /// Lends every datagram of one receive call of the socket to `visit`, in runs
    /// ([`UdpUplink::receive`]); returns their number.
    pub fn receive_udp(&mut self, visit: impl FnMut(&mut [u8], usize, Arrival)) -> usize {
        let datagrams = self.udp.receive(visit);
        self.socket_waits = self.udp.may_have_more();
        (self.socket_had, self.handled) = (datagrams > 0, 0);
        datagrams
    }

    /// Whether to look into the socket, which takes a system call: when it has something, or when so much
    /// was handled since the last look that one more call does not count.
    pub fn socket_is_due(&self) -> bool {
        self.socket_waits || self.handled >= self.between_looks()
    }

    /// So many frames and datagrams were handled, from wherever they came.
    pub fn has_handled(&mut self, frames: usize) {
        self.handled += frames;
    }

    /// `poll` has told whether the socket has something.
    pub fn socket_was_polled(&mut self, has_something: bool) {
        (self.socket_waits, self.handled) = (has_something, 0);
    }

    /// The worker had nothing to do, and did not wait: the socket is looked into now, or by and by where
    /// AF_XDP brings the datagrams.
    pub fn has_rested(&mut self) {
        self.handled += BETWEEN_LOOKS;
    }

    fn between_looks(&self) -> usize {
        match self.xdp.is_some() && !self.socket_had {
            true => BETWEEN_LOOKS_WITH_XDP,
            false => BETWEEN_LOOKS,
        }
    }

    /// Whether frames wait that the device has not taken yet.
    pub fn has_unsent(&mut self) -> bool {
        self.xdp.as_mut().is_some_and(XdpUplink::has_unsent)
    }

    /// What to wait for with `poll`: the socket, and the AF_XDP port.
    pub fn descriptors(&self) -> (BorrowedFd<'_>, Option<BorrowedFd<'_>>) {
        (self.udp.as_fd(), self.xdp.as_ref().map(|xdp| xdp.as_fd()))
    }
}

impl RunSink for Uplink {
    #[inline]
    fn send(&mut self, run: &Run<'_>, path: &Path) -> io::Result<()> {
        if let Some(xdp) = &mut self.xdp
            && xdp.can_send(run, path)
        {
            self.lost = xdp.send(run);
            return match self.lost {
                0 => Ok(()),
                _ => Err(io::ErrorKind::WouldBlock.into()),
            };
        }
        let sent = match self.class {
            0 => self.udp.send(run, path),
            class => self.udp.send_marked(run, path, class),
        };
        self.lost = if sent.is_err() { u64::MAX } else { 0 };
        sent
    }

    fn lost(&self, datagrams: u64) -> u64 {
        self.lost.min(datagrams)
    }

    fn mark(&mut self, class: u8) {
        self.class = class;
        if let Some(xdp) = &mut self.xdp {
            xdp.mark(class);
        }
    }

    #[inline]
    fn lend(&mut self, peer: PeerIndex, size: usize, path: &Path) -> bool {
        self.xdp
            .as_mut()
            .is_some_and(|xdp| xdp.lend(peer, size, path))
    }

    #[inline]
    fn lent(&mut self, peer: PeerIndex) -> &mut [u8] {
        self.xdp.as_mut().map_or(&mut [], |xdp| xdp.lent(peer))
    }

    #[inline]
    fn send_lent(&mut self, peer: PeerIndex, length: usize, path: &Path) -> bool {
        self.xdp
            .as_mut()
            .is_some_and(|xdp| xdp.send_lent(peer, length, path))
    }

    /// Also has the kernel go on with what the device has not taken yet.
    #[inline]
    fn flush(&mut self) {
        if let Some(xdp) = &mut self.xdp {
            xdp.flush();
        }
    }
}
