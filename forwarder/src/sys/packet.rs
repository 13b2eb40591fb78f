//! Packet sockets (packet(7)): whole frames to and from a device, past the host's stack.

use std::{
    io,
    mem::size_of_val,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// All protocols, and ARP: of frames of ARP alone a socket gets what arrives, not what this host sends.
pub const ETH_P_ALL: u16 = libc::ETH_P_ALL as u16;
/// See [`ETH_P_ALL`].
pub const ETH_P_ARP: u16 = libc::ETH_P_ARP as u16;

/// A non-blocking packet socket bound to one device, for all protocols.
///
/// # Errors
///
/// EPERM without CAP_NET_RAW; ENODEV if there is no device of that index.
pub fn open(ifindex: u32) -> io::Result<OwnedFd> {
    open_for(ifindex, ETH_P_ALL)
}

/// The same for one protocol: an ethertype.
///
/// # Errors
///
/// As [`open`].
pub fn open_for(ifindex: u32, protocol: u16) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // With protocol 0 it receives nothing before it is bound.
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: protocol.to_be(),
        sll_ifindex: i32::try_from(ifindex).map_err(|_| io::ErrorKind::InvalidInput)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let pointer: *const libc::sockaddr_ll = &address;
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: pointer and length describe `address`, which the kernel only reads.
    let rc = unsafe { libc::bind(socket.as_raw_fd(), pointer.cast(), length) };
    match rc {
        0 => Ok(socket),
        _ => Err(io::Error::last_os_error()),
    }
}
