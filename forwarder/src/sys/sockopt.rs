//! Socket options that have no safe wrapper: promiscuity bound to a descriptor's life,
//! the reuseport selector, AF_XDP's transmit budget and forced buffer sizes.

use std::{
    io,
    mem::size_of,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use libc::{c_int, c_void, socklen_t};

/// `XDP_MAX_TX_SKB_BUDGET` (include/uapi/linux/if_xdp.h, Linux 6.18).
const XDP_MAX_TX_SKB_BUDGET: c_int = 9;

/// Sets an option to a number. One that is something else has another size, which the kernel refuses.
pub(super) fn set(fd: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: all bytes of a number are initialised, and none of them is a pointer.
    unsafe { set_raw(fd, level, name, &value) }
}

/// Sets an option.
///
/// # Safety
///
/// The kernel may read all bytes of the value, so they are initialised; and where the option has a pointer in it, it is to as
/// much as the option says.
pub(super) unsafe fn set_raw<T>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> io::Result<()> {
    let value: *const T = value;
    // SAFETY: the pointer and the length describe `value`, which the kernel only reads; what is in it is the caller's
    // promise.
    let rc = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            name,
            value.cast::<c_void>(),
            size_of::<T>() as socklen_t,
        )
    };
    if rc == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Reads an option that is numbers, as many as there are.
fn get<const N: usize>(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<[u32; N]> {
    let mut numbers = [0_u32; N];
    let mut length = size_of_val(&numbers) as socklen_t;
    let value: *mut u32 = numbers.as_mut_ptr();
    // SAFETY: the pointer and the length describe the numbers, which the kernel writes; any bytes are valid for them.
    let rc = unsafe {
        libc::getsockopt(
            fd.as_raw_fd(),
            level,
            name,
            value.cast::<c_void>(),
            &mut length,
        )
    };
    if rc == 0 {
        Ok(numbers)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Attaches a program of classic BPF: `SO_ATTACH_FILTER` or its like.
pub(super) fn attach_program(
    fd: BorrowedFd<'_>,
    name: c_int,
    program: &mut [libc::sock_filter],
) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: all zero is a valid `sock_fprog`, of no instruction; so its padding is initialised too.
    let mut whole: libc::sock_fprog = unsafe { std::mem::zeroed() };
    (whole.len, whole.filter) = (len, program.as_mut_ptr());
    // SAFETY: the pointer is to `program`, the length is its number of instructions. Options of
    // SOL_SOCKET that are something else follow no pointer.
    unsafe { set_raw(fd, libc::SOL_SOCKET, name, &whole) }
}

/// Raises the number of frames that one `sendto` transmits in copy mode from 32 to `frames`.
///
/// # Errors
///
/// ENOPROTOOPT before Linux 6.18, EACCES when `frames` is below 32 or above the TX ring's size.
pub fn set_xdp_max_tx_budget(fd: BorrowedFd<'_>, frames: u32) -> io::Result<()> {
    let frames = c_int::try_from(frames).unwrap_or(c_int::MAX);
    set(fd, libc::SOL_XDP, XDP_MAX_TX_SKB_BUDGET, frames)
}

/// Sets the send buffer in bytes, beyond `net.core.wmem_max` if we may (CAP_NET_ADMIN).
///
/// # Errors
///
/// What `setsockopt` answers.
pub fn force_send_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX / 2);
    set(fd, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, bytes)
        .or_else(|_| set(fd, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes))
}

/// Bytes of the send buffer as the kernel counts them: twice what was asked for.
///
/// # Errors
///
/// What `getsockopt` answers.
pub fn send_buffer(fd: BorrowedFd<'_>) -> io::Result<usize> {
    let [bytes] = get(fd, libc::SOL_SOCKET, libc::SO_SNDBUF)?;
    Ok(bytes as usize)
}

/// Has system calls on the socket poll the device, instead of interrupts: for `time` microseconds and
/// `budget` frames at once (Documentation/networking/napi.rst, busy polling).
///
/// # Errors
///
/// EPERM without CAP_NET_ADMIN if `budget` is above 64; ENOPROTOOPT before Linux 5.11.
pub fn prefer_busy_poll(fd: BorrowedFd<'_>, time: u32, budget: u16) -> io::Result<()> {
    let (time, budget) = (
        c_int::try_from(time).unwrap_or(c_int::MAX),
        c_int::from(budget),
    );
    set(fd, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL, 1)?;
    set(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL, time)?;
    set(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL_BUDGET, budget)
}

/// Whether the socket prefers busy polling, and for how many microseconds: what [`prefer_busy_poll`] has
/// set. The budget the kernel does not tell.
///
/// # Errors
///
/// What `getsockopt` answers.
pub fn busy_poll(fd: BorrowedFd<'_>) -> io::Result<(bool, u32)> {
    let [preferred] = get(fd, libc::SOL_SOCKET, libc::SO_PREFER_BUSY_POLL)?;
    let [time] = get(fd, libc::SOL_SOCKET, libc::SO_BUSY_POLL)?;
    Ok((preferred != 0, time))
}

/// Sets the receive buffer in bytes, beyond `net.core.rmem_max` if we may (CAP_NET_ADMIN).
///
/// # Errors
///
/// What `setsockopt` answers.
pub fn force_receive_buffer(fd: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = c_int::try_from(bytes).unwrap_or(c_int::MAX / 2);
    set(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, bytes)
        .or_else(|_| set(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, bytes))
}

/// Ends the message that the kernel adds to each datagram received: the address that it came to.
///
/// # Errors
///
/// What `setsockopt` answers.
pub fn stop_telling_address(fd: BorrowedFd<'_>, ipv6: bool) -> io::Result<()> {
    let off: c_int = 0;
    match ipv6 {
        false => set(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, off),
        true => set(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, off),
    }
}

/// The path MTU that the kernel knows for where the socket is connected to, in bytes of the IP packet: that of the
/// device or of the route, or less if a router has said so by ICMP (ip(7), `IP_MTU`).
///
/// # Errors
///
/// ENOTCONN if it is not connected.
pub fn path_mtu(fd: BorrowedFd<'_>, ipv6: bool) -> io::Result<u32> {
    let [mtu] = match ipv6 {
        false => get(fd, libc::IPPROTO_IP, libc::IP_MTU)?,
        true => get(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU)?,
    };
    Ok(mtu)
}

/// Attaches the program that chooses among the sockets of a reuseport group.
///
/// QUIC has the bit 0x40 set in its first byte (RFC 9000, section 17.2, the fixed bit) and goes
/// to socket 0. ESP never has it in the first byte of its SPI; the SPI's last byte is the
/// receiving worker, whose socket is number `worker + 1` of the group. A datagram shorter than
/// an SPI ends the program with 0 (a load beyond the end) and so goes to QUIC, which ignores it.
///
/// # Errors
///
/// What `setsockopt` answers; EINVAL when the socket has no SO_REUSEPORT.
pub fn attach_reuseport_selector(fd: BorrowedFd<'_>) -> io::Result<()> {
    const LOAD_BYTE: u16 = (libc::BPF_LD | libc::BPF_B | libc::BPF_ABS) as u16;
    const JUMP_IF_BITS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    const ADD: u16 = (libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const RETURN_A: u16 = (libc::BPF_RET | 0x10) as u16;
    let op = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    // The program sees the UDP payload (net/core/sock_reuseport.c, run_bpf_filter).
    let mut program = [
        op(LOAD_BYTE, 0, 0, 0),
        op(JUMP_IF_BITS, 3, 0, 0x40),
        op(LOAD_BYTE, 0, 0, 3),
        op(ADD, 0, 0, 1),
        op(RETURN_A, 0, 0, 0),
        op(RETURN, 0, 0, 0),
    ];
    attach_program(fd, libc::SO_ATTACH_REUSEPORT_CBPF, &mut program)
}

/// Promiscuous reception on a device for as long as this value lives.
///
/// It is a membership of a packet socket (packet(7), PACKET_ADD_MEMBERSHIP), not the interface
/// flag: the kernel takes it back when the descriptor goes, also after `kill -9`.
#[derive(Debug)]
pub struct Promiscuous {
    _socket: OwnedFd,
}

impl Promiscuous {
    /// Turns promiscuous reception on.
    ///
    /// # Errors
    ///
    /// EPERM without CAP_NET_RAW; ENODEV if the device is gone.
    pub fn enable(ifindex: u32) -> io::Result<Self> {
        // Protocol 0: the socket receives nothing.
        let socket = rustix::net::socket(
            rustix::net::AddressFamily::PACKET,
            rustix::net::SocketType::RAW,
            None,
        )?;
        let membership = libc::packet_mreq {
            mr_ifindex: c_int::try_from(ifindex).unwrap_or(0),
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        let (level, name) = (libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP);
        // SAFETY: numbers without padding between them.
        unsafe { set_raw(socket.as_fd(), level, name, &membership)? };
        Ok(Self { _socket: socket })
    }
}

/// Datagrams dropped at the socket since it was opened, mostly for want of buffer
/// (`SK_MEMINFO_DROPS`, include/uapi/linux/sock_diag.h).
///
/// # Errors
///
/// What `getsockopt` answers.
pub fn receive_drops(fd: BorrowedFd<'_>) -> io::Result<u32> {
    const SK_MEMINFO_DROPS: usize = 8;
    let values = get::<{ SK_MEMINFO_DROPS + 1 }>(fd, libc::SOL_SOCKET, libc::SO_MEMINFO)?;
    Ok(values[SK_MEMINFO_DROPS])
}
