//! The sink with sockets: every test frame of every receive queue, looked at one by one.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use causeway::sys::{
    sockopt::Promiscuous,
    xsk::{XskConfig, XskError, XskPort, XskTuning},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use super::{Link, account::Account, clock::now_ns, counter::FrameCounter, frame::parse};
use crate::error::{Error, Result};

/// Frames between two looks at the clock, at most.
const BATCH: usize = 64;

/// Entries of each RX ring: what may wait while the sink's core does something else.
const RING: u32 = 8_192;

/// More receive queues than this would take more than a gigabyte of frame memory.
const MAX_QUEUES: u32 = 16;

/// Largest frame that fits an AF_XDP chunk.
const MAX_FRAME: usize = 4_096 - 256;

/// Ethernet header and two VLAN tags.
const HEADERS: usize = 14 + 2 * 4;

/// Longest time without a look at the flag that ends it.
const IDLE: Duration = Duration::from_millis(5);

/// Takes the test frames that come in at a link; all others go their ordinary way.
pub(crate) struct Sink {
    // First to go: no frame is sent to sockets that are gone.
    counter: FrameCounter,
    ports: Vec<XskPort>,
    /// Frames that were looked at.
    taken: u64,
    _promiscuous: Promiscuous,
}

impl Sink {
    /// Opens a socket on each receive queue of `link`, and has it see frames to all addresses.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] if there is no such link or it is down, [`Error::CannotRun`] if the kernel refuses.
    pub(crate) fn open(link: &Link) -> Result<Self> {
        let info = link.info()?;
        if !info.is_up {
            let interface = &link.interface;
            return Err(Error::Usage(format!(
                "{link} is down: `ip link set {interface} up`"
            )));
        }
        let promiscuous = link.inside(|| Promiscuous::enable(info.index))?;
        let promiscuous = promiscuous.map_err(|e| {
            Error::CannotRun(format!("cannot make {link} promiscuous ({e}): run as root"))
        })?;
        let mut counter = FrameCounter::attach(link)?;
        let ports = open_queues(link, (info.mtu + HEADERS).min(MAX_FRAME))?;
        for (queue, port) in (0..).zip(&ports) {
            counter.redirect_to(queue, port)?;
        }
        Ok(Self {
            counter,
            ports,
            taken: 0,
            _promiscuous: promiscuous,
        })
    }

    /// Takes frames into `account` until `stop` is raised.
    pub(crate) fn drain(&mut self, account: &Mutex<Account>, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            if self.receive(&mut account.lock().unwrap_or_else(PoisonError::into_inner)) == 0 {
                self.wait();
            }
        }
        // What waited when it was raised; more may come for ever.
        let mut left = self.ports.len() * RING as usize;
        while left > 0 {
            let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
            match self.receive(&mut account) {
                0 => return,
                n => left = left.saturating_sub(n),
            }
        }
    }

    /// Takes what waits into `account`, not much of it at once; returns how many frames that was.
    fn receive(&mut self, account: &mut Account) -> usize {
        let mut total = 0;
        for port in &mut self.ports {
            let mut now = None;
            total += port.receive(BATCH, |frame| {
                // Not before: all of the batch had come by now.
                let now = *now.get_or_insert_with(now_ns);
                account.frame(parse(frame), frame.len(), now);
            });
        }
        self.taken += total as u64;
        total
    }

    /// Test frames that reached the link's driver and were not looked at, up to now: the socket's ring was full. To be
    /// asked when all is quiet.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub(crate) fn dropped(&self) -> Result<u64> {
        Ok(self.counter.counts()?.frames.saturating_sub(self.taken))
    }

    /// Until a frame comes, but not for long.
    fn wait(&self) {
        let mut fds: Vec<_> = self
            .ports
            .iter()
            .map(|p| PollFd::new(p, PollFlags::IN))
            .collect();
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: IDLE.as_nanos() as _,
        };
        // A signal ends it early, and that is all that can happen.
        let _ = poll(&mut fds, Some(&timeout));
    }
}

/// A port for each queue that there is. (sysfs would tell their number of another namespace.)
fn open_queues(link: &Link, max_frame: usize) -> Result<Vec<XskPort>> {
    let mut ports = Vec::new();
    for queue in 0..=MAX_QUEUES {
        let config = XskConfig {
            interface: link.interface.clone(),
            queue,
            ring_size: RING,
            max_frame,
            tuning: XskTuning::default(),
        };
        match link.inside(|| XskPort::open(&config))? {
            Ok(port) => ports.push(port),
            Err(XskError::Socket { source, .. })
                if queue > 0 && Errno::from_io_error(&source) == Some(Errno::INVAL) =>
            {
                return Ok(ports);
            }
            Err(error) => return Err(Error::CannotRun(error.to_string())),
        }
    }
    Err(Error::CannotRun(format!(
        "{link} has more than {MAX_QUEUES} receive queues, too many for the sink: `ethtool -L {} combined 4`",
        link.interface
    )))
}
