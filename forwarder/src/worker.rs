//! A worker: one pinned thread that runs both directions to completion, batch by batch.
//!
//! The thread owns its LAN port, its UDP socket and its lanes; nothing on the way of a frame is
//! shared with another thread. The control plane talks to it through a channel that is read
//! between batches; the worker never waits for the control plane.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use causeway_tunnel::{
    DropReason,
    lane::{RxLane, TxLane},
    sa::{Limits, SaKeys},
    spi::Spi,
};
use core_affinity::CoreId;
use crossbeam::channel::{Receiver, Sender};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::Errno,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    counters::WorkerCounters,
    flood::TokenBucket,
    lan_to_wan::{self, LanToWan, PeerTx},
    stations::{PeerIndex, StationTable},
    sys::xsk::XskPort,
    uplink::{Path, UdpUplink},
    wan_to_lan::{InboundLane, InboundLanes, LearntPath, WanToLan},
};

/// Housekeeping interval: seams are aged, keepalives considered, kernel counters read.
const TICK: Duration = Duration::from_millis(250);

/// How many receive calls on the uplink one batch makes at most.
const UPLINK_RECEIVES: usize = 4;

/// Keepalives sent on consecutive ticks when a lane begins, so that the listening end learns
/// its path even if the first is lost.
const OPENING_KEEPALIVES: u32 = 3;

/// What a worker is made of.
pub struct WorkerConfig {
    /// Number of the worker, lane and queue.
    pub index: u8,
    /// The LAN port on that queue.
    pub port: XskPort,
    /// The uplink socket.
    pub uplink: UdpUplink,
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
    /// Finish.
    Stop,
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
        if self.commands.send(command).is_ok() {
            // EAGAIN means that the counter is full of wake-ups already.
            let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        }
    }
}

impl WorkerHandle {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// What the kernel answers to `eventfd` or `clone`.
    pub fn spawn(config: WorkerConfig) -> io::Result<Self> {
        let (commands, inbox) = crossbeam::channel::unbounded();
        let wake = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
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

    /// Has the worker finish its batch and waits for it.
    pub fn stop(&mut self) {
        self.sender().tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    config: WorkerConfig,
    inbox: Receiver<Command>,
    wake: Arc<OwnedFd>,
    counters: Arc<WorkerCounters>,
    peers: Vec<PeerTx>,
    lanes: InboundLanes,
    /// Security associations that this worker has ever received on.
    installed: u64,
    flood: TokenBucket,
    keepalives: Vec<Keepalive>,
    next_tick: Instant,
}

/// When a peer's lane last moved.
#[derive(Clone, Copy)]
struct Keepalive {
    datagrams: u64,
    since: Instant,
    opening: u32,
}

impl Worker {
    fn new(
        config: WorkerConfig,
        inbox: Receiver<Command>,
        wake: Arc<OwnedFd>,
        counters: Arc<WorkerCounters>,
    ) -> Self {
        let now = Instant::now();
        let idle = Keepalive {
            datagrams: 0,
            since: now,
            opening: 0,
        };
        Self {
            inbox,
            wake,
            counters,
            peers: (0..config.peers).map(|_| PeerTx::default()).collect(),
            lanes: InboundLanes::default(),
            installed: 0,
            flood: TokenBucket::new(config.flood_limit, now),
            keepalives: vec![idle; config.peers],
            next_tick: now + TICK,
            config,
        }
    }

    fn run(&mut self) {
        if let Some(id) = self.config.cpu {
            core_affinity::set_for_current(CoreId { id });
        }
        loop {
            let now = Instant::now();
            if !self.obey(now) {
                break;
            }
            let work = self.lan_to_wan(now) + self.wan_to_lan(now);
            if now >= self.next_tick {
                self.tick(now);
            }
            if work == 0 {
                self.sleep(now);
            }
        }
        self.config.port.flush();
    }

    fn lan_to_wan(&mut self, now: Instant) -> usize {
        let mut batch = LanToWan {
            stations: &self.config.stations,
            peers: &mut self.peers,
            uplink: &mut self.config.uplink,
            flood: &mut self.flood,
            counters: &self.counters,
            finish_checksums: self.config.finish_checksums,
            now,
        };
        let port = &mut self.config.port;
        let frames = port.receive(self.config.batch, |frame| batch.frame(frame));
        if frames > 0 {
            batch.flush();
        }
        frames
    }

    fn wan_to_lan(&mut self, now: Instant) -> usize {
        let mut batch = WanToLan {
            stations: &self.config.stations,
            lanes: &mut self.lanes,
            port: &mut self.config.port,
            counters: &self.counters,
            now,
        };
        let (peers, learnt) = (&mut self.peers, &self.config.learnt);
        let mut total = 0;
        for _ in 0..UPLINK_RECEIVES {
            let datagrams = self.config.uplink.receive(|datagram, from| {
                if let Some(news) = batch.datagram(datagram, from) {
                    follow(peers, news, learnt);
                }
            });
            total += datagrams;
            if datagrams == 0 {
                break;
            }
        }
        if total > 0 || self.config.port.has_unsent() {
            self.config.port.flush();
        }
        total
    }

    /// Sleeps until a frame, a datagram, a command or the next tick.
    fn sleep(&mut self, now: Instant) {
        self.counters.sleeps.add(1);
        let until = self.next_tick.saturating_duration_since(now);
        let timeout = Timespec {
            tv_sec: until.as_secs() as i64,
            tv_nsec: i64::from(until.subsec_nanos()),
        };
        // Polling the AF_XDP socket also has the kernel transmit what is left (xsk_poll).
        let port = if self.config.port.has_unsent() {
            PollFlags::IN | PollFlags::OUT
        } else {
            PollFlags::IN
        };
        let mut fds = [
            PollFd::from_borrowed_fd(self.config.port.as_fd(), port),
            PollFd::from_borrowed_fd(self.config.uplink.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
        let broken = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if fds[0].revents().intersects(broken) {
            // The device is down or gone: poll() returns at once from now on.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK;
        for inbound in self.lanes.values_mut() {
            let incomplete = inbound.lane.tick(now);
            self.counters.drops[DropReason::Incomplete.index()].add(incomplete);
        }
        for peer in 0..self.peers.len() {
            self.keep_alive(peer, now);
        }
        let counters = &self.counters;
        counters
            .kicks_deferred
            .set(self.config.port.kicks_deferred());
        if let Ok(s) = self.config.port.statistics() {
            let values = [
                s.rx_dropped,
                s.rx_ring_full,
                s.rx_fill_ring_empty,
                s.tx_invalid,
            ];
            for (counter, value) in counters.xsk.iter().zip(values) {
                counter.set(value);
            }
        }
    }

    /// Sends a dummy on a lane that has been idle, or that has just begun.
    fn keep_alive(&mut self, peer: usize, now: Instant) {
        let state = &mut self.keepalives[peer];
        let tx = &mut self.peers[peer];
        let (Some(lane), Some(path)) = (&mut tx.lane, &tx.path) else {
            return;
        };
        let moved = lane.sequence() != state.datagrams;
        if moved && state.opening == 0 {
            *state = Keepalive {
                datagrams: lane.sequence(),
                since: now,
                opening: 0,
            };
            return;
        }
        if state.opening == 0 && now.duration_since(state.since) < self.config.lane_keepalive {
            return;
        }
        let (uplink, counters) = (&mut self.config.uplink, &self.counters);
        let sent = lane.keepalive(now, &mut |run| {
            lan_to_wan::send(uplink, &run, path, counters)
        });
        if sent.is_ok() {
            counters.keepalives.add(1);
        }
        *state = Keepalive {
            datagrams: lane.sequence(),
            since: now,
            opening: state.opening.saturating_sub(1),
        };
    }

    /// Carries out what the control plane asks; false: stop.
    fn obey(&mut self, now: Instant) -> bool {
        let mut woken = false;
        while let Ok(command) = self.inbox.try_recv() {
            woken = true;
            if !self.obey_one(command, now) {
                return false;
            }
        }
        if woken {
            let _ = rustix::io::read(&*self.wake, &mut [0_u8; 8]);
        }
        true
    }

    fn obey_one(&mut self, command: Command, now: Instant) -> bool {
        match command {
            Command::InstallRx {
                peer,
                remote_lane,
                spi,
                keys,
                limits,
                learns_path,
                done,
            } => {
                let lane = RxLane::new(spi, &keys, limits, now);
                self.installed += 1;
                let inbound = InboundLane {
                    lane,
                    peer,
                    remote_lane,
                    generation: self.installed,
                    learns_path,
                    path: None,
                };
                self.lanes.insert(u32::from(spi), inbound);
                // The session may have ended meanwhile; then nobody waits.
                let _ = done.send(());
            }
            Command::InstallTx {
                peer,
                spi,
                keys,
                limits,
                datagram_size,
                path,
            } => {
                let run = self.config.uplink.run_limits();
                let lane = TxLane::new(spi, &keys, limits, now, datagram_size, run);
                self.install_tx(usize::from(peer), lane, path, now);
            }
            Command::RemoveRx(spi) => {
                if let Some(inbound) = self.lanes.remove(&spi) {
                    // The next datagram on a younger one sets it right.
                    self.counters.peers[usize::from(inbound.peer)]
                        .rx_highest
                        .set(0);
                }
            }
            Command::ClearTx(peer) => self.peers[usize::from(peer)].lane = None,
            Command::SetPath(peer, path) => self.peers[usize::from(peer)].path = Some(path),
            Command::SetDatagramSize(peer, bytes) => {
                if let Some(lane) = &mut self.peers[usize::from(peer)].lane {
                    lane.set_datagram_size(bytes);
                }
            }
            Command::Stations(table) => self.config.stations = table,
            Command::Stop => return false,
        }
        true
    }

    fn install_tx(&mut self, peer: usize, lane: TxLane, path: Option<Path>, now: Instant) {
        let tx = &mut self.peers[peer];
        tx.lane = Some(lane);
        if path.is_some() {
            tx.path = path;
        }
        self.counters.peers[peer].tx_datagrams.set(0);
        self.keepalives[peer] = Keepalive {
            datagrams: 0,
            since: now,
            opening: OPENING_KEEPALIVES,
        };
        self.keep_alive(peer, now);
    }
}

/// Turns this worker's lane to where its receiver is now, and tells the control plane, which
/// tells all workers whose lanes end at the same place.
fn follow(peers: &mut [PeerTx], news: LearntPath, learnt: &mpsc::UnboundedSender<LearntPath>) {
    let tx = &mut peers[usize::from(news.peer)];
    if tx
        .lane
        .as_ref()
        .is_some_and(|lane| lane.spi().worker() == news.remote_lane)
    {
        tx.path = Some(news.path);
    }
    // The receiver is gone only while the program stops.
    let _ = learnt.send(news);
}
