//! What a device receives beside its own address, asked for by memberships of a packet socket (packet(7),
//! PACKET_ADD_MEMBERSHIP): the kernel takes them back when the descriptor goes, also after `kill -9`.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
};

use libc::{c_int, c_ushort};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::sockopt::set_raw;

/// A socket for memberships at one device.
#[derive(Debug)]
pub struct Memberships {
    socket: OwnedFd,
    ifindex: c_int,
}

impl Memberships {
    /// No membership yet.
    ///
    /// # Errors
    ///
    /// EPERM without CAP_NET_RAW.
    pub fn new(ifindex: u32) -> io::Result<Self> {
        // Protocol 0: the socket receives nothing.
        let socket = socket_with(
            AddressFamily::PACKET,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None,
        )?;
        let ifindex = c_int::try_from(ifindex).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(Self { socket, ifindex })
    }

    /// Has the device receive every multicast.
    ///
    /// # Errors
    ///
    /// ENODEV if the device is gone.
    pub fn all_multicast(&self) -> io::Result<()> {
        self.change(libc::PACKET_ADD_MEMBERSHIP, libc::PACKET_MR_ALLMULTI, None)
    }

    /// Has the device receive what is for this unicast address. A device without filters for such, or with too few,
    /// is made promiscuous by the kernel or its driver (`__dev_set_rx_mode`, net/core/dev_addr_lists.c).
    ///
    /// # Errors
    ///
    /// ENODEV if the device is gone; what its driver says.
    pub fn add_unicast(&self, mac: [u8; 6]) -> io::Result<()> {
        self.change(
            libc::PACKET_ADD_MEMBERSHIP,
            libc::PACKET_MR_UNICAST,
            Some(mac),
        )
    }

    /// Ends that.
    ///
    /// # Errors
    ///
    /// EADDRNOTAVAIL if it was not asked for.
    pub fn remove_unicast(&self, mac: [u8; 6]) -> io::Result<()> {
        self.change(
            libc::PACKET_DROP_MEMBERSHIP,
            libc::PACKET_MR_UNICAST,
            Some(mac),
        )
    }

    fn change(&self, option: c_int, kind: c_int, mac: Option<[u8; 6]>) -> io::Result<()> {
        let mut mr_address = [0; 8];
        mr_address[..6].copy_from_slice(&mac.unwrap_or_default());
        let membership = libc::packet_mreq {
            mr_ifindex: self.ifindex,
            mr_type: kind as c_ushort,
            mr_alen: if mac.is_some() { 6 } else { 0 },
            mr_address,
        };
        // SAFETY: numbers without padding between them.
        unsafe { set_raw(self.socket.as_fd(), libc::SOL_PACKET, option, &membership) }
    }
}
