//! A worker: one pinned thread that runs both directions to completion, batch by batch.
//!
//! The thread owns its LAN port, its uplink and its lanes; nothing on the way of a frame is
//! shared with another thread, but where the uplink brings a datagram to the wrong one
//! ([`Mailbox`]). The control plane talks to it through a channel that is read
//! between batches; the worker never waits for the control plane.

mod exchange;
mod handle;
mod idle;
mod noting;
mod obey;
mod punt;
mod sleep;
mod tick;

use std::{
    io,
    os::fd::OwnedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_tunnel::DropReason;
use crossbeam::channel::Receiver;
use tokio::sync::mpsc;
use tracing::warn;

pub use self::{
    exchange::{LiveSpis, Mailbox},
    handle::{Command, WorkerConfig, WorkerHandle, WorkerSender},
    punt::{Bell, Origin, Punt, Punted, Punts},
};
use self::{
    idle::{Idle, Wait},
    noting::NotingPort,
    sleep::RETRY,
};
use crate::{
    appliance::placement,
    clamp_mss::Clamp,
    counters::WorkerCounters,
    flood::FloodGate,
    lan_to_wan::{LanToWan, PeerTx, RunSink as _},
    stations::PeerIndex,
    sys::sched,
    uplink::Arrival,
    wan_to_lan::{InboundLanes, LearntPath, WanToLan, by_lane, same_lane},
    xdp::Recorder,
};

/// Housekeeping interval: seams are aged, keepalives considered, kernel counters read.
const TICK: Duration = Duration::from_millis(250);

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
    flood: FloodGate,
    clamp: Option<Clamp>,
    /// By peer index.
    peer_floods: Vec<FloodGate>,
    keepalives: Vec<Keepalive>,
    /// Notes what is injected, while the control plane wants that.
    recorder: Option<Recorder>,
    next_tick: Instant,
    retry: Duration,
    idle: Idle,
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
            peers: (0..config.peers as PeerIndex)
                .map(|peer| PeerTx::new(config.vlans.of(peer)))
                .collect(),
            lanes: InboundLanes::default(),
            installed: 0,
            flood: FloodGate::new(config.flood, now),
            clamp: Clamp::new(config.clamp_mss, config.peers),
            peer_floods: (0..config.peers)
                .map(|_| FloodGate::new(config.flood, now))
                .collect(),
            keepalives: vec![idle; config.peers],
            recorder: None,
            next_tick: now + TICK,
            retry: RETRY.0,
            idle: Idle::new(config.idle, now),
            config,
        }
    }

    /// What the thread needs of the kernel before it runs.
    fn prepare(&self) -> io::Result<()> {
        let cores = &self.config.cores;
        if let Err(e) = placement::keep_to(cores) {
            warn!(
                "worker {} cannot be kept to cores {cores:?}: {e}",
                self.config.index
            );
        }
        self.config.fifo.map_or(Ok(()), sched::set_fifo)
    }

    fn run(&mut self) {
        self.set_groups(&Arc::clone(&self.config.groups));
        loop {
            let now = Instant::now();
            if !self.obey(now) {
                break;
            }
            let work = self.lan_to_wan(now) + self.wan_to_lan(now);
            if now >= self.next_tick {
                self.tick(now);
            }
            if work > 0 {
                // Once more: what came meanwhile lies in rings, where a look costs no system call.
                self.config.uplink.has_handled(work);
                self.idle.worked(now);
                continue;
            }
            match self.idle.next(now) {
                Wait::Sleep => self.sleep(now),
                Wait::Spin => self.config.uplink.has_rested(),
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
            snoop: &mut self.config.snoop,
            clamp: self.clamp.as_ref(),
            marking: self.config.marking,
            counters: &self.counters,
            finish_checksums: self.config.finish_checksums,
            now,
        };
        let port = &mut self.config.port;
        let (most, stations) = (self.config.batch, batch.stations);
        let foresee = |frame: &[u8]| _ = stations.prefetch(frame);
        let foresee = stations.wants_prefetch().then_some(foresee);
        let frames = port.receive_foreseeing(most, foresee, |frame| batch.frame(frame));
        if frames > 0 {
            batch.flush();
            self.finish_snooping(now);
        }
        if let Some(xdp) = self.config.uplink.xdp() {
            self.counters.wan_xdp_tx.set(xdp.sent());
        }
        frames
    }

    fn wan_to_lan(&mut self, now: Instant) -> usize {
        let (counters, most) = (&*self.counters, self.config.batch);
        let mut port = NotingPort {
            port: &mut self.config.port,
            recorder: self.recorder.as_ref(),
        };
        let mut batch = WanToLan {
            stations: &self.config.stations,
            lanes: &mut self.lanes,
            port: &mut port,
            floods: &mut self.peer_floods,
            snoop: &mut self.config.snoop,
            clamp: self.clamp.as_mut(),
            counters,
            now,
        };
        let (peers, learnt) = (&mut self.peers, &self.config.learnt);
        let mut learn = |news| follow(peers, news, learnt);
        let (uplink, mailbox) = (&mut self.config.uplink, &mut self.config.mailbox);
        let left = mailbox.empty(most, |datagram, from| {
            batch.run(datagram, datagram.len(), from, &mut learn);
        });
        let by_xdp = uplink.receive_xdp(most, |mut datagrams| {
            let mut pending = None;
            while let Some(received) = datagrams.next() {
                let Some((datagram, from)) = received else {
                    counters.wan_rx_datagrams.add(1);
                    counters.drop_one(DropReason::MalformedDatagram);
                    continue;
                };
                if let Some(worker) = mailbox.owner(datagram) {
                    mailbox.hand_over(worker, datagram, from, counters);
                    continue;
                }
                let (before, last) = (pending.take(), datagrams.len() == 0);
                pending = batch.datagram_apart(before, datagram, last, from, &mut learn);
            }
            // Behind it came what is none of its lane's.
            batch.put_aside(pending);
        });
        let mut take_or_hand_over = |run: &mut [u8], size: usize, from: Arrival| {
            let size = size.max(1);
            by_lane(run, |rest| match mailbox.owner(rest) {
                None => batch.lane(rest, size, from, &mut learn),
                Some(worker) => {
                    let taken = same_lane(rest, size);
                    for datagram in rest[..taken].chunks(size) {
                        mailbox.hand_over(worker, datagram, from, counters);
                    }
                    taken
                }
            });
        };
        counters.wan_xdp_rx.add(by_xdp as u64);
        let mut total = by_xdp + left;
        // No more than a batch and what one call brings: the other direction has its turn then.
        let limit = total + most;
        while total < limit && uplink.socket_is_due() {
            total += uplink.receive_udp(&mut take_or_hand_over);
        }
        self.config.mailbox.ring();
        self.finish_snooping(now);
        let uplink = &mut self.config.uplink;
        if total > 0 || self.config.port.has_unsent() {
            self.config.port.flush();
        }
        if uplink.has_unsent() {
            uplink.flush();
        }
        total
    }

    /// What a batch has said goes to the control plane, and what answers it to the LAN.
    fn finish_snooping(&mut self, now: Instant) {
        let (counters, stations) = (&*self.counters, &*self.config.stations);
        let mut port = NotingPort {
            port: &mut self.config.port,
            recorder: self.recorder.as_ref(),
        };
        let mut answered = false;
        self.config.snoop.finish(|frame| {
            answered = true;
            port.send_own(frame, stations, now, counters);
        });
        if answered {
            port.port.flush();
        }
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
