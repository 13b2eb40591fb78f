//! Datagrams with a traffic class of their own (ip(7), IP_TOS; ipv6(7), IPV6_TCLASS, as control messages): quinn-udp
//! sets the ECN bits only.

use std::{
    io,
    mem::{size_of, zeroed},
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd, BorrowedFd},
};

use libc::{c_int, c_void};
use socket2::SockAddr;

/// Room for the control messages: traffic class, segment size, source address. Of `u64` for the alignment.
type Control = [u64; 16];

/// Sends `bytes` as datagrams of `segment` bytes each, or as one, with a traffic class, from an address if one is named.
///
/// # Errors
///
/// What `sendmsg` answers; EIO or EINVAL may mean that it does not segment.
pub fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    segment: Option<usize>,
    (from, to): (Option<IpAddr>, SocketAddr),
    class: u8,
) -> io::Result<()> {
    let address = SockAddr::from(to);
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut control: Control = [0; 16];
    // SAFETY: all zero is a valid `msghdr`: no name, no parts, no control messages.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_name = address.as_ptr().cast_mut().cast();
    message.msg_namelen = address.len();
    message.msg_iov = &mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    let mut used = 0;
    let is_ipv4 = to.ip().to_canonical().is_ipv4();
    let class = c_int::from(class);
    match is_ipv4 {
        true => push(
            &mut control,
            &mut used,
            (libc::IPPROTO_IP, libc::IP_TOS),
            &class,
        ),
        false => push(
            &mut control,
            &mut used,
            (libc::IPPROTO_IPV6, libc::IPV6_TCLASS),
            &class,
        ),
    }
    if let Some(segment) = segment.and_then(|size| u16::try_from(size).ok()) {
        push(
            &mut control,
            &mut used,
            (libc::SOL_UDP, libc::UDP_SEGMENT),
            &segment,
        );
    }
    match from {
        Some(IpAddr::V4(ip)) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from_ne_bytes(ip.octets()),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            push(
                &mut control,
                &mut used,
                (libc::IPPROTO_IP, libc::IP_PKTINFO),
                &info,
            );
        }
        Some(IpAddr::V6(ip)) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: ip.octets(),
                },
                ipi6_ifindex: 0,
            };
            push(
                &mut control,
                &mut used,
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO),
                &info,
            );
        }
        None => {}
    }
    message.msg_controllen = used;
    // SAFETY: name, part and control messages of the header point to `address`, `bytes` and `control`, which live
    // until the call returns and are only read; the lengths beside them are theirs.
    let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_DONTWAIT) };
    match sent {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Adds a control message behind the `used` bytes, laid out as cmsg(3) says: a header, and the value, each aligned.
fn push<T: Copy>(
    control: &mut Control,
    used: &mut usize,
    (level, kind): (c_int, c_int),
    value: &T,
) {
    let length = size_of::<T>() as u32;
    // SAFETY: arithmetic on a number.
    let space = unsafe { libc::CMSG_SPACE(length) };
    // SAFETY: arithmetic on a number.
    let whole = unsafe { libc::CMSG_LEN(length) };
    let header = libc::cmsghdr {
        cmsg_len: whole as _,
        cmsg_level: level,
        cmsg_type: kind,
    };
    assert!(
        *used + space as usize <= size_of::<Control>(),
        "there is room for all three"
    );
    let at: *mut c_void = control.as_mut_ptr().cast();
    // SAFETY: within `control`, by the assertion; `used` is a sum of CMSG_SPACEs and so a multiple of the alignment.
    let at = unsafe { at.byte_add(*used) }.cast::<libc::cmsghdr>();
    // SAFETY: as above: aligned for a header, and room for it and the value behind it.
    unsafe { at.write(header) };
    // SAFETY: arithmetic on the address of the header that was just written.
    let data = unsafe { libc::CMSG_DATA(at) };
    // SAFETY: the value's place is behind the header, in the same room.
    unsafe { data.cast::<T>().write_unaligned(*value) };
    *used += space as usize;
}
