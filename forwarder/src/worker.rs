//! A worker: one pinned thread that runs both directions to completion, batch by batch.
//!
//! The thread owns its LAN port, its UDP socket and its lanes; nothing on the way of a frame is
//! shared with another thread. The control plane talks to it through a channel that is read
//! between batches; the worker never waits for the control plane.

mod handle;

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_tunnel::{
    DropReason,
    lane::{RxLane, TxLane},
};
use core_affinity::CoreId;
use crossbeam::channel::{Receiver, TryRecvError};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};
use tokio::sync::mpsc;

pub use self::handle::{Command, WorkerConfig, WorkerHandle, WorkerSender};
use crate::{
    counters::WorkerCounters,
    flood::TokenBucket,
    lan_to_wan::{self, LanToWan, PeerTx},
    uplink::Path,
    wan_to_lan::{InboundLane, InboundLanes, LearntPath, WanToLan},
};

/// Housekeeping interval: seams are aged, keepalives considered, kernel counters read.
const TICK: Duration = Duration::from_millis(250);

/// Pause before frames that the LAN port would not take are offered again: from the first, twice as
/// long each time, to the second. A full ring on the other side drains within the first; a device
/// that is down takes nothing for long, and says nothing when it is up again.
const RETRY: (Duration, Duration) = (Duration::from_micros(100), Duration::from_millis(10));

/// Keepalives sent on consecutive ticks when a lane begins, so that the listening end learns
/// its path even if the first is lost.
const OPENING_KEEPALIVES: u32 = 3;

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
    retry: Duration,
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
            retry: RETRY.0,
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
        // No more than a batch and what one call brings: the other direction has its turn then.
        while total < self.config.batch {
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
        let pause = self.pause(now);
        let timeout = Timespec {
            tv_sec: pause.as_secs() as i64,
            tv_nsec: i64::from(pause.subsec_nanos()),
        };
        let mut fds = [
            PollFd::from_borrowed_fd(self.config.port.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.config.uplink.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(self.wake.as_fd(), PollFlags::IN),
        ];
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
        let broken = PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL;
        if fds[..2].iter().any(|fd| fd.revents().intersects(broken)) {
            // Then poll() may return at once from now on.
            std::thread::sleep(Duration::from_millis(1));
        }
        if !fds[2].revents().is_empty() {
            // Before the queue is looked into: a command that comes in between wakes us again.
            let _ = rustix::io::read(&*self.wake, &mut [0_u8; 8]);
        }
    }

    /// How long to sleep at most.
    ///
    /// While the LAN port has frames that it would not take, not for long. To poll for POLLOUT is no way
    /// to wait for it: the socket is writable as soon as half of its TX ring is free
    /// (`xsk_tx_writeable`, net/xdp/xsk.c), however full the device is.
    fn pause(&mut self, now: Instant) -> Duration {
        let until_tick = self.next_tick.saturating_duration_since(now);
        if !self.config.port.has_unsent() {
            self.retry = RETRY.0;
            return until_tick;
        }
        let pause = self.retry;
        self.retry = (pause * 2).min(RETRY.1);
        until_tick.min(pause)
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
        if let Ok(dropped) = self.config.uplink.receive_overflow() {
            counters.wan_rx_overflow.set(u64::from(dropped));
        }
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
        loop {
            let command = match self.inbox.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Empty) => return true,
                // Nobody is left who could tell us anything.
                Err(TryRecvError::Disconnected) => return false,
            };
            if !self.obey_one(command, now) {
                return false;
            }
        }
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
                if let Some(mut inbound) = self.lanes.remove(&spi) {
                    // Parts of frames that still wait will do so in vain.
                    let incomplete = inbound.lane.tick(now + Duration::from_secs(3_600));
                    self.counters.drops[DropReason::Incomplete.index()].add(incomplete);
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
