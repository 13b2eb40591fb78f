//! A kernel UDP socket that moves runs of datagrams with GSO and GRO.
//!
//! A run is a contiguous buffer of equally long datagrams (the last may be shorter), handed
//! to the kernel in one call (UDP_SEGMENT); what comes back may be merged likewise (UDP_GRO).

use std::{
    io::{self, IoSliceMut},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
};

use causeway_tunnel::lane::{Run, RunLimits};
use quinn_udp::{RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};

use super::{Arrival, Path};
use crate::sys::{marked, sockopt};

/// Receive calls handle this many (merged) datagrams at once. With GRO a few are many; more would only
/// drive what was received out of the cache before it is opened.
const RECEIVE_BATCH: usize = 8;

/// Bytes of one receive buffer: the largest UDP payload, merged or not.
const RECEIVE_BYTES: usize = 65_535;

/// Bytes of kernel buffer asked for in each direction.
const SOCKET_BUFFER: usize = 8 << 20;

/// Largest UDP payload of one GSO call over IPv4 (65,535 less IP and UDP header); IPv6 has more.
const MAX_RUN_BYTES: usize = 65_507;

/// Binds a UDP socket; a wildcard IPv6 address takes IPv4 as well.
///
/// # Errors
///
/// What the kernel answers: EADDRINUSE, EADDRNOTAVAIL, EACCES.
pub fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<UdpSocket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::DGRAM,
        Some(Protocol::UDP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.set_reuse_port(reuse_port)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// A wildcard address with the port: IPv6 taking IPv4 along, or IPv4 where the kernel has no IPv6.
pub fn wildcard(port: u16) -> SocketAddr {
    match Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP)) {
        Ok(_) => SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port),
        Err(_) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
    }
}

/// An open socket.
pub struct UdpUplink {
    socket: UdpSocket,
    state: UdpSocketState,
    ipv6: bool,
    /// The address that the socket is bound to, unless to all: then datagrams have come to it, and the kernel
    /// need not tell for each.
    bound: Option<IpAddr>,
    buffers: Vec<Box<[u8]>>,
    metas: [RecvMeta; RECEIVE_BATCH],
    may_have_more: bool,
}

impl UdpUplink {
    /// Takes over a bound socket and makes it ready: non-blocking, large buffers, GRO, DF set.
    ///
    /// # Errors
    ///
    /// What the kernel answers to the socket options.
    pub fn new(socket: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        sockopt::force_send_buffer(socket.as_fd(), SOCKET_BUFFER)?;
        sockopt::force_receive_buffer(socket.as_fd(), SOCKET_BUFFER)?;
        let address = socket.local_addr()?.ip();
        let bound = (!address.is_unspecified()).then(|| address.to_canonical());
        if bound.is_some() {
            // What quinn-udp asks the kernel to tell of every datagram, and is known.
            sockopt::stop_telling_address(socket.as_fd(), address.is_ipv6())?;
        }
        Ok(Self {
            socket,
            state,
            ipv6: address.is_ipv6(),
            bound,
            buffers: vec![vec![0; RECEIVE_BYTES].into_boxed_slice(); RECEIVE_BATCH],
            metas: [RecvMeta::default(); RECEIVE_BATCH],
            may_have_more: true,
        })
    }

    /// How long a run may be for one call.
    pub fn run_limits(&self) -> RunLimits {
        RunLimits {
            max_segments: self.state.max_gso_segments(),
            max_bytes: MAX_RUN_BYTES,
        }
    }

    /// Our address, for `status`.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Sends a run.
    ///
    /// Where the device cannot segment (the kernel answers EIO once) the datagrams go one by one
    /// from then on.
    ///
    /// # Errors
    ///
    /// What the kernel answers; the rest of the run is not sent then.
    pub fn send(&mut self, run: &Run<'_>, path: &Path) -> io::Result<()> {
        let had_gso = self.state.max_gso_segments() > 1;
        if run.bytes.len() <= run.segment_size || had_gso {
            match self.send_segmented(run.bytes, run.segment_size, path) {
                Err(e) if is_gso_refusal(&e) => {}
                answer => return answer,
            }
        }
        // The refusal may also have been about the source address, if it is no longer ours.
        let path = Path {
            local: None,
            ..*path
        };
        let result = run
            .bytes
            .chunks(run.segment_size)
            .try_for_each(|datagram| self.send_segmented(datagram, datagram.len(), &path));
        if result.is_err() && had_gso {
            // Single datagrams fail as well: it was not GSO, which quinn-udp has given up by now.
            self.state = UdpSocketState::new(UdpSockRef::from(&self.socket))?;
        }
        result
    }

    /// Sends a run with a traffic class, as [`Self::send`] does without.
    ///
    /// # Errors
    ///
    /// What the kernel answers; the rest of the run is not sent then.
    pub fn send_marked(&self, run: &Run<'_>, path: &Path, class: u8) -> io::Result<()> {
        let (fd, to) = (self.socket.as_fd(), for_family(path.remote, self.ipv6));
        let several = run.bytes.len() > run.segment_size;
        let segment = several.then_some(run.segment_size);
        match marked::send(fd, run.bytes, segment, (path.local, to), class) {
            Err(e) if is_gso_refusal(&e) => run
                .datagrams()
                .try_for_each(|datagram| marked::send(fd, datagram, None, (None, to), class)),
            answer => answer,
        }
    }

    /// Datagrams that the kernel has dropped because the receive buffer was full.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn receive_overflow(&self) -> io::Result<u32> {
        sockopt::receive_drops(self.socket.as_fd())
    }

    fn send_segmented(&self, bytes: &[u8], segment: usize, path: &Path) -> io::Result<()> {
        let transmit = Transmit {
            destination: for_family(path.remote, self.ipv6),
            ecn: None,
            contents: bytes,
            segment_size: (bytes.len() > segment).then_some(segment),
            src_ip: path.local,
        };
        self.state
            .try_send(UdpSockRef::from(&self.socket), &transmit)
    }

    /// Lends every datagram of one receive call to `visit`, in runs: datagrams of one sender that lie one
    /// behind the other, the size of each but the last, how they arrived: the kernel merges none that are marked otherwise (`inet_gro_receive`). Returns the
    /// number of datagrams. 0: nothing was waiting.
    pub fn receive(&mut self, mut visit: impl FnMut(&mut [u8], usize, Arrival)) -> usize {
        let mut slots = self.buffers.iter_mut();
        let mut slices: [IoSliceMut<'_>; RECEIVE_BATCH] = std::array::from_fn(|_| {
            IoSliceMut::new(slots.next().map_or(&mut [][..], |b| &mut b[..]))
        });
        // Errors here are ICMP answers and the like: there is nothing to do about them now, and
        // poll() reports a socket that is gone for good.
        let socket = UdpSockRef::from(&self.socket);
        self.may_have_more = false;
        let Ok(received) = self.state.recv(socket, &mut slices, &mut self.metas) else {
            return 0;
        };
        self.may_have_more = received == RECEIVE_BATCH;
        let mut datagrams = 0;
        for (buffer, meta) in self.buffers.iter_mut().zip(&self.metas[..received]) {
            let path = Path {
                remote: canonical(meta.addr),
                local: self.bound.or(meta.dst_ip.map(|ip| ip.to_canonical())),
            };
            let size = meta.stride.max(1);
            let ecn = meta.ecn.map_or(0, |ecn| ecn as u8);
            visit(&mut buffer[..meta.len], size, Arrival { path, ecn });
            datagrams += meta.len.div_ceil(size).max(1);
        }
        datagrams
    }

    /// Whether the last [`Self::receive`] may have left something: it brought all that one call can.
    pub fn may_have_more(&self) -> bool {
        self.may_have_more
    }
}

impl AsFd for UdpUplink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// An IPv4-mapped IPv6 address as the IPv4 address it stands for.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The address in the family of our socket.
fn for_family(address: SocketAddr, ipv6: bool) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        _ => address,
    }
}

fn is_gso_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL))
}

#[cfg(test)]
mod tests;
