//! The control plane's end of a worker: what it is made of, what it is told, and its thread.

use std::{io, os::fd::OwnedFd, sync::Arc, thread::JoinHandle, time::Duration};

use causeway_tunnel::{
    sa::{Limits, SaKeys},
    spi::Spi,
};
use crossbeam::channel::Sender;
use tokio::sync::{mpsc, oneshot};

use super::{Mailbox, Worker};
use crate::{
    counters::WorkerCounters,
    stations::{PeerIndex, StationTable},
    sys::xsk::XskPort,
    uplink::{NextHops, Path, Uplink},
    wan_to_lan::LearntPath,
};

/// What a worker is made of.
pub struct WorkerConfig {
    /// Number of the worker, lane and queue.
    pub index: u8,
    /// The LAN port on that queue.
    pub port: XskPort,
    /// Its way to the peers.
    pub uplink: Uplink,
    /// Those of all workers, by index: what comes in at one for another goes there.
    pub mailboxes: Arc<[Mailbox]>,
    /// Core to run on, if pinned.
    pub cpu: Option<usize>,
    /// Frames taken from the LAN port at once.
    pub batch: usize,
    /// Broadcast and multicast frames per second to let through.
    pub flood_limit: u32,
    /// Whether to complete partial checksums of LAN frames.
    pub finish_checksums: bool,
    /// A lane idle for this long sends a keepalive.
    pub lane_keepalive: Duration,
    /// Number of peers.
    pub peers: usize,
    /// The first snapshot.
    pub stations: Arc<StationTable>,
    /// Where paths learnt from datagrams are told.
    pub learnt: mpsc::UnboundedSender<LearntPath>,
}

/// What the control plane tells a worker.
pub enum Command {
    /// Receive on a new security association.
    InstallRx {
        /// The sender.
        peer: PeerIndex,
        /// The number of its sending lane.
        remote_lane: u8,
        /// What its datagrams carry.
        spi: Spi,
        /// Key and salt.
        keys: SaKeys,
        /// Hard limits of the key.
        limits: Limits,
        /// Whether the peer's address is learnt from its datagrams.
        learns_path: bool,
        /// Told when the worker is ready to receive.
        done: oneshot::Sender<()>,
    },
    /// Send on a new security association from the next batch on.
    InstallTx {
        /// The receiver.
        peer: PeerIndex,
        /// What the datagrams carry.
        spi: Spi,
        /// Key and salt.
        keys: SaKeys,
        /// Hard limits of the key.
        limits: Limits,
        /// UDP payload bytes.
        datagram_size: usize,
        /// Where to; `None` keeps the path that is known or waits to learn one.
        path: Option<Path>,
    },
    /// Forget a receiving security association.
    RemoveRx(u32),
    /// Send nothing more to the peer.
    ClearTx(PeerIndex),
    /// A path learnt by another worker whose lane ends at the same place.
    SetPath(PeerIndex, Path),
    /// The path MTU changed: UDP payload bytes.
    SetDatagramSize(PeerIndex, usize),
    /// A new snapshot of the stations.
    Stations(Arc<StationTable>),
    /// Where frames by AF_XDP leave; what is not in it goes through the socket.
    NextHops(Arc<NextHops>),
    /// Finish.
    Stop,
    /// The uplink's device is gone: close the AF_XDP port on it.
    CloseUplinkXdp,
}

/// The control plane's end of a worker.
pub struct WorkerHandle {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    /// What the worker counts.
    pub counters: Arc<WorkerCounters>,
}

/// A cloneable way to tell a worker something.
#[derive(Clone)]
pub struct WorkerSender {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
}

impl WorkerSender {
    /// Queues a command and wakes the worker. A worker that is gone takes none.
    pub fn tell(&self, command: Command) {
        // In this order: the worker looks into the queue after it has taken note of a wake-up.
        if self.commands.send(command).is_ok() {
            self.wake();
        }
    }

    /// Has the worker look into its queue if it sleeps. It may have carried out a command before
    /// its wake-up comes, so one for nothing is nothing unusual.
    pub fn wake(&self) {
        // EAGAIN means that the counter is full of wake-ups already.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

impl WorkerHandle {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// What the kernel answers to `clone`.
    ///
    /// # Panics
    ///
    /// If there is no mailbox for the worker.
    pub fn spawn(config: WorkerConfig) -> io::Result<Self> {
        let (commands, inbox) = crossbeam::channel::unbounded();
        let wake = Arc::clone(&config.mailboxes[usize::from(config.index)].wake);
        let counters = Arc::new(WorkerCounters::new(config.peers));
        let name = format!("worker-{}", config.index);
        let mut worker = Worker::new(config, inbox, Arc::clone(&wake), Arc::clone(&counters));
        let thread = std::thread::Builder::new()
            .name(name)
            .spawn(move || worker.run())?;
        Ok(Self {
            commands,
            wake,
            thread: Some(thread),
            counters,
        })
    }

    /// A way to tell this worker something.
    pub fn sender(&self) -> WorkerSender {
        WorkerSender {
            commands: self.commands.clone(),
            wake: Arc::clone(&self.wake),
        }
    }

    /// Whether the thread has ended (it must not, before it is told to).
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Has the worker finish its batch and waits for it. Dropping the handle does the same.
    pub fn stop(&mut self) {
        self.sender().tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for WorkerHandle {
    fn drop(&mut self) {
        self.stop();
    }
}
