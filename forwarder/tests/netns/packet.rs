//! A packet socket (packet(7)): whole frames to and from a device.

use std::{
    os::fd::{AsFd as _, OwnedFd},
    time::{Duration, Instant},
};

use causeway::sys::sockopt;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, RecvFlags, SendFlags, SocketType, netdevice},
};

/// Kernel buffer for received frames, so large that no test fills it.
const RECEIVE_BUFFER: usize = 256 << 20;

/// A packet socket bound to one device, for all protocols.
pub(crate) struct PacketSocket {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl PacketSocket {
    /// Binds to `device` in the calling thread's namespace.
    pub(crate) fn bind(device: &str) -> Self {
        // Not by sysfs, which shows the namespace that it was mounted in.
        let any = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None);
        let index = netdevice::name_to_index(any.expect("a socket"), device).expect("the device");
        let socket = causeway::sys::packet::open(index).expect("CAP_NET_RAW");
        sockopt::force_receive_buffer(socket.as_fd(), RECEIVE_BUFFER).expect("CAP_NET_ADMIN");
        Self {
            socket,
            buffer: vec![0; 65_536],
        }
    }

    /// Sends a frame; false: the kernel dropped it, or has no room for it now.
    pub(crate) fn send(&self, frame: &[u8]) -> bool {
        match rustix::net::send(&self.socket, frame, SendFlags::empty()) {
            Ok(sent) => sent == frame.len(),
            Err(Errno::NOBUFS | Errno::AGAIN) => false,
            Err(error) => panic!("sending {} bytes: {error}", frame.len()),
        }
    }

    /// The next frame, if one is waiting.
    pub(crate) fn try_receive(&mut self) -> Option<&[u8]> {
        match rustix::net::recv(&self.socket, &mut self.buffer[..], RecvFlags::empty()) {
            Ok((length, _)) => Some(&self.buffer[..length]),
            Err(Errno::AGAIN) => None,
            Err(error) => panic!("receiving: {error}"),
        }
    }

    /// The next frame that comes within `patience`.
    pub(crate) fn receive(&mut self, patience: Duration) -> Option<Vec<u8>> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(frame) = self.try_receive() {
                return Some(frame.to_vec());
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let timeout = Timespec {
                tv_sec: left.as_secs() as i64,
                tv_nsec: i64::from(left.subsec_nanos()),
            };
            let mut fds = [PollFd::new(&self.socket, PollFlags::IN)];
            poll(&mut fds, Some(&timeout)).expect("poll");
        }
    }
}
