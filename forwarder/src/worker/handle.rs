//! The control plane's end of a worker: what it is made of, what it is told, and its thread.

use std::{io, os::fd::OwnedFd, sync::Arc, thread::JoinHandle, time::Duration};

use causeway_tunnel::{
    sa::{Limits, SaKeys},
    spi::Spi,
};
use crossbeam::channel::Sender;
use tokio::sync::{mpsc, oneshot};

use super::{LiveSpis, Mailbox, Worker};
use crate::{
    bindings::Neighbours,
    clamp_mss::ClampMss,
    counters::{SharedCounter, WorkerCounters},
    flood::FloodRule,
    multicast::Groups,
    options::IdleStrategy,
    snoop::Snoop,
    stations::{PeerIndex, StationTable},
    sys::xsk::XskPort,
    traffic_class::Marking,
    uplink::{NextHops, Path, UdpUplink, Uplink},
    vlans::Vlans,
    wan_to_lan::LearntPath,
    xdp::Recorder,
};

/// What a worker is made of.
pub struct WorkerConfig {
    /// Number of the worker, lane and queue.
    pub index: u8,
    /// The LAN port on that queue.
    pub port: XskPort,
    /// Its way to the peers.
    pub uplink: Uplink,
    /// Its ways to the other workers: what comes in at one for another goes there.
    pub mailbox: Mailbox,
    /// Cores to run on; none: any.
    pub cores: Vec<usize>,
    /// Priority under SCHED_FIFO, if that is wanted.
    pub fifo: Option<u8>,
    /// Frames taken from the LAN port at once.
    pub batch: usize,
    /// What to do when there is nothing to do.
    pub idle: IdleStrategy,
    /// What is let through of broadcast and multicast.
    pub flood: FloodRule,
    /// Who listens to which group.
    pub groups: Arc<Groups>,
    /// Whether to complete partial checksums of LAN frames.
    pub finish_checksums: bool,
    /// What the segment size of TCP connections is lowered to.
    pub clamp_mss: ClampMss,
    /// What of frames' traffic class the outer header gets.
    pub marking: Marking,
    /// A lane idle for this long sends a keepalive.
    pub lane_keepalive: Duration,
    /// Number of peers.
    pub peers: usize,
    /// What VLANs cross to them.
    pub vlans: Vlans,
    /// The first snapshot.
    pub stations: Arc<StationTable>,
    /// What the control plane gets to see of frames.
    pub snoop: Snoop,
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
        /// Where the worker writes the highest sequence number received.
        highest: SharedCounter,
        /// Where it counts authentic datagrams.
        received: SharedCounter,
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
    /// What the workers receive on, all together: what comes in at one for another and is none of these
    /// is dropped. Told when the worker knows it.
    LiveSpis(Arc<LiveSpis>, oneshot::Sender<()>),
    /// Forget a receiving security association.
    RemoveRx(u32),
    /// Send nothing more to the peer.
    ClearTx(PeerIndex),
    /// Send the peer a few keepalives, a tick apart.
    Probe(PeerIndex),
    /// Send the peer a dummy of each of these sizes, in bytes of UDP payload, at once.
    Train(PeerIndex, Arc<[u16]>),
    /// Send and receive at this socket instead of the one before.
    ReplaceSocket(Box<UdpUplink>),
    /// A path learnt by another worker whose lane ends at the same place.
    SetPath(PeerIndex, Path),
    /// The path MTU changed: UDP payload bytes.
    SetDatagramSize(PeerIndex, usize),
    /// A new snapshot of who listens to which group.
    Groups(Arc<Groups>),
    /// A new snapshot of the stations.
    Stations(Arc<StationTable>),
    /// Frames of our own to the LAN. They are counted, and never come back to us: the XDP program knows them by
    /// their source.
    Inject(Vec<Vec<u8>>),
    /// Frames of our own to a peer, on the lane that others take.
    SendTo(PeerIndex, Vec<Vec<u8>>),
    /// A new snapshot of who has which address.
    Neighbours(Arc<Neighbours>),
    /// The LAN port has this MAC address now.
    OwnMac([u8; 6]),
    /// Where frames by AF_XDP leave; what is not in it goes through the socket.
    NextHops(Arc<NextHops>),
    /// From now on note what is injected, or nothing more. Told when the worker does so.
    Note(Option<Recorder>, oneshot::Sender<()>),
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
    /// What the kernel answers to `clone`, or to the wish for SCHED_FIFO: EPERM without CAP_SYS_NICE.
    pub fn spawn(config: WorkerConfig) -> io::Result<Self> {
        let (commands, inbox) = crossbeam::channel::unbounded();
        let wake = Arc::clone(config.mailbox.wake());
        let counters = Arc::new(WorkerCounters::new(config.peers));
        let (told, is_prepared) = crossbeam::channel::bounded(1);
        let name = format!("worker-{}", config.index);
        let mut worker = Worker::new(config, inbox, Arc::clone(&wake), Arc::clone(&counters));
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let prepared = worker.prepare();
            let ready = prepared.is_ok();
            // Who starts us waits for it.
            let _ = told.send(prepared);
            if ready {
                worker.run();
            }
        })?;
        is_prepared.recv().map_err(io::Error::other)??;
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
