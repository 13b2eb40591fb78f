//! The port: what the plan wants sent is sent, and what arrives is heard, by packet sockets (packet(7)).
//!
//! The port is promiscuous for as long as that takes, by a membership of a socket, which the kernel takes back
//! however the process ends.

use std::{
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{SendFlags, send},
};

use super::{
    foreign::Foreign,
    plan::{Plan, Step},
    probe::Arp,
    targets::Senders,
};
use crate::{
    device::Device,
    sys::{packet, sockopt::Promiscuous},
};

/// The longest frame that is looked at: its first bytes are enough.
const SNAP: usize = 128;
/// Frames that are read at once before the clock is looked at.
const BATCH: usize = 256;
/// For how long at least foreign frames are counted.
const SAMPLE: Duration = Duration::from_millis(400);

/// The sockets at the port.
pub struct Port {
    name: String,
    arp: OwnedFd,
    all: OwnedFd,
    _promiscuous: Promiscuous,
}

impl Port {
    /// Opens the port.
    ///
    /// # Errors
    ///
    /// A text that says what the kernel refuses.
    pub fn open(device: &Device) -> Result<Self, String> {
        let cannot = |e| {
            format!(
                "cannot open a packet socket at interface {}: {e}",
                device.name
            )
        };
        let all = packet::open(device.index).map_err(cannot)?;
        packet::tell_tags(&all).map_err(cannot)?;
        Ok(Self {
            name: device.name.clone(),
            arp: packet::open_for_arp(device.index).map_err(cannot)?,
            all,
            _promiscuous: Promiscuous::enable(device.index).map_err(cannot)?,
        })
    }

    /// Adds hosts that say something in ARP, until there are enough, for `patience` at most.
    ///
    /// # Errors
    ///
    /// A text that says what the kernel refuses.
    pub fn overhear(&self, mut senders: Senders, patience: Duration) -> Result<Senders, String> {
        let until = Instant::now() + patience;
        while !senders.suffice() && Instant::now() < until {
            self.wait(until)?;
            drain(&self.all, |_, _| {}).map_err(|e| self.explain(e))?;
            let note = |frame: &[u8], vlan| {
                let arp = Arp::parse(frame);
                arp.iter().for_each(|arp| senders.note(arp.sender.1, vlan));
            };
            drain(&self.arp, note).map_err(|e| self.explain(e))?;
        }
        Ok(senders)
    }

    /// Follows the plan to its end, and counts foreign frames meanwhile and for some time.
    ///
    /// # Errors
    ///
    /// A text that says what the kernel refuses.
    pub fn follow(&self, plan: &mut Plan, foreign: &mut Foreign) -> Result<(), String> {
        let start = Instant::now();
        loop {
            let until = match plan.step(Instant::now()) {
                Step::Send(frame) => {
                    match send(&self.arp, &frame, SendFlags::empty()) {
                        // Without a link the kernel drops it at once: a lost probe, as any.
                        Ok(_) | Err(Errno::NOBUFS) => continue,
                        Err(e) => return Err(self.explain(e)),
                    }
                }
                Step::Wait(until) => until,
                Step::Done if start.elapsed() < SAMPLE => start + SAMPLE,
                Step::Done => break,
            };
            self.wait(until)?;
            let now = Instant::now();
            let hear = |frame: &[u8], vlan| {
                let arp = Arp::parse(frame);
                arp.iter().for_each(|arp| plan.hear(arp, vlan, now));
            };
            drain(&self.arp, hear).map_err(|e| self.explain(e))?;
            let overhear = |frame: &[u8], vlan| {
                if foreign.take(frame) {
                    plan.overhear(vlan);
                }
            };
            drain(&self.all, overhear).map_err(|e| self.explain(e))?;
        }
        foreign.end(start.elapsed());
        Ok(())
    }

    fn wait(&self, until: Instant) -> Result<(), String> {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut fds =
            [&self.arp, &self.all].map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(e) => Err(self.explain(e)),
        }
    }

    fn explain(&self, error: Errno) -> String {
        let name = &self.name;
        match error {
            Errno::NETDOWN => format!("interface {name} went down: ip link set {name} up"),
            Errno::NODEV | Errno::NXIO => format!("interface {name} is gone"),
            _ => format!("cannot probe at interface {name}: {error}"),
        }
    }
}

/// Gives what has arrived to `take`, with its VLAN, up to a batch.
fn drain(socket: &OwnedFd, mut take: impl FnMut(&[u8], u16)) -> Result<(), Errno> {
    let mut buffer = [0; SNAP];
    for _ in 0..BATCH {
        match packet::receive(socket, &mut buffer) {
            Ok((length, vlan)) => take(&buffer[..length], vlan),
            Err(e) => match Errno::from_io_error(&e) {
                Some(Errno::AGAIN | Errno::INTR) => break,
                other => return Err(other.unwrap_or(Errno::IO)),
            },
        }
    }
    Ok(())
}
