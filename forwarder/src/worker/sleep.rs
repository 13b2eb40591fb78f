//! How a worker waits when there is nothing to do.

use std::{
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::Worker;

/// Pause before frames that a port would not take are offered again: from the first, twice as
/// long each time, to the second. A full ring on the other side drains within the first; a device
/// that is down takes nothing for long, and says nothing when it is up again.
pub(super) const RETRY: (Duration, Duration) =
    (Duration::from_micros(100), Duration::from_millis(10));

impl Worker {
    /// Sleeps until a frame, a datagram, a command or the next tick.
    pub(super) fn sleep(&mut self, now: Instant) {
        self.counters.sleeps.add(1);
        let pause = self.pause(now);
        let timeout = Timespec {
            tv_sec: pause.as_secs() as i64,
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let (socket, xdp) = self.config.uplink.descriptors();
        let lan = self.config.port.as_fd();
        let fds = [self.wake.as_fd(), lan, socket, xdp.unwrap_or(lan)];
        let mut fds = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
        // Each descriptor costs: to poll an AF_XDP socket is to have the kernel look after its rings.
        let fds = &mut fds[..3 + usize::from(xdp.is_some())];
        let polled = poll(fds, Some(&timeout));
        if polled.is_err_and(|e| e != Errno::INTR) {
            std::thread::sleep(Duration::from_millis(1));
        }
        let broken = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if fds[1..].iter().any(|fd| fd.revents().intersects(broken)) {
            // Then poll() may return at once from now on.
            std::thread::sleep(Duration::from_millis(1));
        }
        let [woken, _, socket] = [0, 1, 2].map(|n: usize| !fds[n].revents().is_empty());
        self.config
            .uplink
            .socket_was_polled(socket || polled.is_err());
        if woken {
            // Before the queues are looked into: what comes in between wakes us again.
            let _ = rustix::io::read(&*self.wake, &mut [0_u8; 8]);
        }
    }

    /// How long to sleep at most.
    ///
    /// While a port has frames that it would not take, not for long. To poll for POLLOUT is no way
    /// to wait for it: the socket is writable as soon as half of its TX ring is free
    /// (`xsk_tx_writeable`, net/xdp/xsk.c), however full the device is.
    fn pause(&mut self, now: Instant) -> Duration {
        let until_tick = self.next_tick.saturating_duration_since(now);
        if !self.config.port.has_unsent() && !self.config.uplink.has_unsent() {
            self.retry = RETRY.0;
            return until_tick;
        }
        let pause = self.retry;
        self.retry = (pause * 2).min(RETRY.1);
        until_tick.min(pause)
    }
}
