//! Packet sockets (packet(7)): whole frames to and from a device, past the host's stack.

use std::{
    io,
    mem::{size_of_val, zeroed},
    os::fd::{AsFd as _, AsRawFd, OwnedFd},
};

use libc::c_int;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::sockopt;

/// A non-blocking packet socket bound to one device, for all protocols.
///
/// # Errors
///
/// EPERM without CAP_NET_RAW; ENODEV if there is no device of that index.
pub fn open(ifindex: u32) -> io::Result<OwnedFd> {
    let socket = unbound()?;
    bind(&socket, ifindex)?;
    Ok(socket)
}

/// The same for ARP alone, in whatever VLAN and with the [tag](receive), of which only what arrives is heard, not what
/// this host sends.
///
/// A socket for the protocol ARP would miss VLANs that the host has a device for.
///
/// # Errors
///
/// As [`open`].
pub fn open_for_arp(ifindex: u32) -> io::Result<OwnedFd> {
    const LOAD_HALF: u16 = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
    const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    let op = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // The kernel has taken the tag out of the frame before (net/core/dev.c, `__netif_receive_skb_core`).
    let mut program = [
        op(LOAD_HALF, 0, 0, 12),
        op(JUMP_IF_EQUAL, 0, 1, libc::ETH_P_ARP as u32),
        op(RETURN, 0, 0, u32::MAX),
        op(RETURN, 0, 0, 0),
    ];
    let socket = unbound()?;
    let fd = socket.as_fd();
    sockopt::attach_program(fd, libc::SO_ATTACH_FILTER, &mut program)?;
    sockopt::set(fd, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
    sockopt::set(fd, libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
    bind(&socket, ifindex)?;
    Ok(socket)
}

/// Has the socket tell the VLAN tags of frames, for [`receive`].
///
/// # Errors
///
/// What `setsockopt` answers.
pub fn tell_tags(socket: &OwnedFd) -> io::Result<()> {
    sockopt::set(socket.as_fd(), libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)
}

/// Takes a frame off a socket: how many of its bytes are in `buffer`, without the outermost VLAN tag, and that tag's VLAN;
/// 0: it had none.
///
/// # Errors
///
/// EAGAIN if there is none; ENETDOWN if the device went down.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<(usize, u16)> {
    /// Room for one control message, a header of 16 bytes and 20 of `struct tpacket_auxdata`. Of `u64` for the alignment.
    const CONTROL: usize = 8;
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let mut control = [0_u64; CONTROL];
    // SAFETY: all zero is a valid `msghdr`: no name, no parts, no control messages.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: part and control messages of the header point to `buffer` and `control`, which live until the call returns;
    // the lengths beside them are theirs, and any bytes are valid there.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, 0) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    let used = message.msg_controllen as usize;
    let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
    Ok((length, tag(bytes.get(..used).unwrap_or(&[])).unwrap_or(0)))
}

/// The VLAN in a control message PACKET_AUXDATA (cmsg(3)), if that is the first and there is a tag.
fn tag(control: &[u8]) -> Option<u16> {
    let word = |at: usize| {
        Some(u32::from_ne_bytes(
            control.get(at..at + 4)?.try_into().ok()?,
        ))
    };
    // Behind a length of 8 bytes.
    let (level, kind) = (word(8)? as c_int, word(12)? as c_int);
    let tagged = word(16)? & libc::TP_STATUS_VLAN_VALID != 0;
    let is = level == libc::SOL_PACKET && kind == libc::PACKET_AUXDATA && tagged;
    // Status, two lengths and two offsets are in front of the tag.
    let tag = u16::from_ne_bytes(control.get(32..34)?.try_into().ok()?);
    is.then_some(tag & 0xfff)
}

fn unbound() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    // With protocol 0 it receives nothing before it is bound.
    Ok(socket_with(
        AddressFamily::PACKET,
        SocketType::RAW,
        flags,
        None,
    )?)
}

fn bind(socket: &OwnedFd, ifindex: u32) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
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
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_told_and_anything_else_is_none() {
        let message = |level: c_int, status: u32, tag: u16| {
            let mut bytes = Vec::new();
            bytes.extend(36_u64.to_ne_bytes());
            bytes.extend(level.to_ne_bytes());
            bytes.extend(libc::PACKET_AUXDATA.to_ne_bytes());
            bytes.extend(status.to_ne_bytes());
            bytes.extend([0; 12]);
            bytes.extend(tag.to_ne_bytes());
            bytes.extend([0; 2]);
            bytes
        };
        let whole = message(libc::SOL_PACKET, libc::TP_STATUS_VLAN_VALID, 3 << 13 | 20);
        assert_eq!(tag(&whole), Some(20));
        for length in 0..34 {
            assert_eq!(tag(&whole[..length]), None, "{length}");
        }
        assert_eq!(tag(&message(libc::SOL_PACKET, 0, 20)), None);
        assert_eq!(
            tag(&message(libc::SOL_SOCKET, libc::TP_STATUS_VLAN_VALID, 20)),
            None
        );
    }
}
