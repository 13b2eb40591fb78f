//! The control plane: one thread that owns the truth and tells the workers.
//!
//! Everything that happens (a peer answers, a session ends, an address changes, somebody asks
//! for the status) is an `Event` in one queue, handled here one after the other. What takes
//! time runs in tasks of its own: calling a peer (`dial`), agreeing on lanes (`establish`),
//! reading a session's messages, following the host's addresses (`own_addresses`) and the ways to the
//! peers (`next_hops`), what the XDP program sees (`sightings`), answering at the control socket ([`api`]).

mod alarms;
mod announce;
pub mod api;
mod context;
mod dial;
mod establish;
mod event;
mod hello;
mod lan;
mod lanes;
mod lifetime;
mod liveness;
mod multicast;
mod next_hops;
mod one_way;
mod own_addresses;
mod parts;
mod peer;
mod probes;
mod punted;
mod report;
mod segment;
mod sessions;
mod sightings;
mod snooping;
mod suspects;
mod uplink;
mod uplink_devices;

use std::{
    collections::{BTreeSet, HashSet},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_tunnel::message::Message;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, warn};

use crate::{
    stations::{PeerIndex, StationTable},
    uplink::{Gro, NextHops, Target},
    worker::{Command, WorkerHandle},
};
use alarms::Alarms;
pub use alarms::alarm_kinds;
use announce::Announcer;
use context::Context;
use event::{Event, SessionId};
pub use hello::Hellos;
pub use parts::Parts;
use peer::Peer;
pub use segment::Segment;
use snooping::Snooping;
use suspects::Suspects;

/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Events that wait at most: a peer that talks faster than we listen is held back by QUIC.
const EVENTS: usize = 256;

/// How often the LAN port's device is looked at.
const LOOK: Duration = Duration::from_secs(1);

struct Control {
    parts: Parts,
    context: Arc<Context>,
    events: mpsc::Sender<Event>,
    peers: Vec<Peer>,
    /// Who lives where: what the registry of the segment has decided.
    stations: StationTable,
    snooping: Snooping,
    multicast: multicast::Multicast,
    announcer: Announcer,
    hellos: Arc<Hellos>,
    suspects: Suspects,
    alarms: Alarms,
    own_addresses: HashSet<IpAddr>,
    /// Where the workers send to: next hops are looked for.
    wanted: watch::Sender<BTreeSet<Target>>,
    next_hops: NextHops,
    uplink_is_gone: bool,
    /// At the devices that datagrams for the sockets arrive at.
    gro: Gro,
    started: Instant,
    next_session: SessionId,
    next_look: Instant,
    /// Whether frames at the LAN port go both ways.
    one_way: one_way::OneWay,
    /// Until when frames are passed to the doctor.
    probes_until: Option<Instant>,
    /// When a caller that we refuse was last worth a line in the log.
    refusal_logged: Option<Instant>,
    /// Places for clients of the control socket.
    clients: Arc<Semaphore>,
}

/// Runs until SIGINT or SIGTERM, or until something breaks that only a restart mends.
///
/// # Errors
///
/// One line that says what broke.
pub async fn run(parts: Parts) -> Result<(), String> {
    let (events, mut inbox) = mpsc::channel(EVENTS);
    let mut control = Control::new(parts, events);
    let cannot = |e: std::io::Error| format!("cannot handle signals: {e}");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let bell = control.parts.punts.bell();
    let bell = bell.map_err(|e| format!("cannot wait for the workers: {e}"))?;
    control.start_tasks()?;
    control.announce_away(None);
    let outcome = loop {
        let handled = tokio::select! {
            Some(event) = inbox.recv() => control.handle(event).await,
            Some(news) = control.parts.learnt.recv() => {
                control.learn(news);
                Ok(())
            }
            rung = bell.rung() => {
                control.take_punted();
                rung.map_err(|e| format!("cannot wait for the workers: {e}"))
            }
            _ = tick.tick() => control.tick(),
            _ = interrupt.recv() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
        };
        if let Err(e) = handled {
            break Err(e);
        }
        control.want_next_hops();
        control.place_lanes();
    };
    control.stop().await;
    outcome
}

impl Control {
    async fn handle(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Dialled { peer, session } => {
                self.peers[usize::from(peer)].call = None;
                self.begin(peer, session);
            }
            Event::DialFailed { peer, error } => self.complain(peer, &error),
            Event::Accepted(session) => self.accepted(session),
            Event::AcceptFailed(error) => self.refused(&error),
            Event::Established(established) => self.established(*established),
            Event::EstablishFailed(failed) => self.establish_failed(&failed),
            Event::Message { peer, id, message } => self.message(peer, id, message),
            Event::Closed { peer, id, error } => self.closed(peer, id, &error),
            Event::CallAgain(peer) => self.peers[usize::from(peer)].call = None,
            Event::OwnAddresses(addresses) => self.set_own_addresses(addresses),
            Event::Uplink(state) => self.uplink_changed(state),
            Event::UplinkDevices(devices) => self.gro.add(devices),
            Event::Publish => self.publish_now(Instant::now()),
            Event::Told { peer, id } => self.told(peer, id),
            Event::Stations(request, reply) => self.station_request(&request, reply),
            Event::Probes { macs, reply } => drop(reply.send(self.set_probes(&macs))),
            Event::Sighted(sightings) => self.sighted(&sightings),
            // Whoever asked may be gone.
            Event::Status(reply) => drop(reply.send(self.status())),
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), String> {
        if self.parts.workers.iter().any(WorkerHandle::has_ended) {
            return Err(
                "a worker thread has ended; this is a defect, please report the log".into(),
            );
        }
        let now = Instant::now();
        if now >= self.next_look {
            self.next_look = now + LOOK;
            self.look_at_lan()?;
            self.look_for_one_way(now);
        }
        self.end_old_probes(now);
        self.announce_due(now);
        self.age_bindings(now);
        self.publish_bindings(now);
        self.segment_tick(now);
        self.look_at_suspects(now);
        self.tell_groups(now);
        for peer in 0..self.peers.len() {
            self.call_if_due(peer as PeerIndex, now);
            let expired = self.peers[peer].expired(now);
            self.context.remove(&expired);
            if let Some(bytes) = self.peers[peer].new_datagram_size(now) {
                debug!(
                    "peer {}: datagrams of {bytes} bytes",
                    self.peers[peer].spec.name
                );
                let size = usize::from(bytes);
                self.tell_all(|| Command::SetDatagramSize(peer as PeerIndex, size));
            }
        }
        Ok(())
    }

    fn message(&mut self, peer: PeerIndex, id: SessionId, message: Message) {
        match message {
            Message::Stations(stations) => self.take_stations(peer, id, stations),
            Message::Heard(heard) => self.heard(peer, id, &heard),
            Message::Allow(allow) => self.take_allow(peer, id, allow),
            Message::Train(train) => self.train(peer, id, &train),
            Message::Bye(_) => {}
            Message::Hello(_) | Message::Lanes(_) => {
                let name = &self.peers[usize::from(peer)].spec.name;
                debug!("peer {name}: a message out of turn is ignored");
            }
        }
    }

    fn complain(&mut self, peer: PeerIndex, error: &str) {
        let peer = &mut self.peers[usize::from(peer)];
        if peer.complain(error, Instant::now()) {
            warn!("peer {}: {error}", peer.spec.name);
        }
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for worker in &self.context.workers {
            worker.tell(command());
        }
    }
}
