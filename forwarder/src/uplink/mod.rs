//! The uplink: how datagrams leave and arrive.
//!
//! A kernel UDP socket ([`UdpUplink`]) is always there. Beside it there may be an AF_XDP port on the
//! uplink's device ([`XdpUplink`]): then the XDP program there steers ESP datagrams past the kernel into
//! it, and what is sent gets its headers here ([`headers`]). The socket reserves the port, gets what the
//! XDP program passes to the kernel, and sends where the AF_XDP port cannot: no route, a neighbour that is not
//! resolved, a datagram longer than the MTU. So nothing is lost that would not be lost without the port.

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
    gro::{Gro, GroState},
    next_hop::{NextHop, NextHops, Tag, Target},
    udp::{UdpUplink, bind, canonical, wildcard},
    xdp::XdpUplink,
};
use crate::lan_to_wan::RunSink;

/// Where a lane's datagrams go to, and which of our addresses they come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Path {
    /// The peer's address and port.
    pub remote: SocketAddr,
    /// Our own address, where it is known: a multi-homed listener answers from where it was asked.
    pub local: Option<IpAddr>,
}

/// Rounds in which the socket is left out, when it had nothing lately and datagrams come by AF_XDP.
const SOCKET_PAUSE: u32 = 16;

/// A worker's uplink.
pub struct Uplink {
    udp: UdpUplink,
    xdp: Option<XdpUplink>,
    /// Datagrams of the last run that were lost, if it failed.
    lost: u64,
    /// Rounds since the socket was looked into.
    socket_rested: u32,
    /// Whether it had something then.
    socket_had: bool,
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
            socket_rested: 0,
            socket_had: true,
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

    /// Lends up to `limit` datagrams of the AF_XDP port to `visit`, each `None` if its headers are
    /// damaged; returns their number.
    #[inline]
    pub fn receive_xdp(
        &mut self,
        limit: usize,
        visit: impl FnMut(Option<(&mut [u8], Path)>),
    ) -> usize {
        self.xdp.as_mut().map_or(0, |xdp| xdp.receive(limit, visit))
    }

    /// Lends every datagram of one receive call of the socket to `visit`; returns their number.
    pub fn receive_udp(&mut self, visit: impl FnMut(&mut [u8], Path)) -> usize {
        let datagrams = self.udp.receive(visit);
        (self.socket_rested, self.socket_had) = (0, datagrams > 0);
        datagrams
    }

    /// Whether to look into the socket in this round, in which AF_XDP brought `datagrams`. A system call
    /// a round that brings nothing is what AF_XDP is there to save.
    pub fn socket_is_due(&mut self, datagrams: usize) -> bool {
        self.socket_rested += 1;
        datagrams == 0 || self.socket_had || self.socket_rested >= SOCKET_PAUSE
    }

    /// Whether frames wait that the device has not taken yet.
    pub fn has_unsent(&mut self) -> bool {
        self.xdp.as_mut().is_some_and(XdpUplink::has_unsent)
    }

    /// Has the kernel go on with what the device has not taken yet.
    pub fn flush(&mut self) {
        if let Some(xdp) = &mut self.xdp {
            xdp.flush();
        }
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
        let sent = self.udp.send(run, path);
        self.lost = if sent.is_err() { u64::MAX } else { 0 };
        sent
    }

    fn lost(&self, datagrams: u64) -> u64 {
        self.lost.min(datagrams)
    }
}
