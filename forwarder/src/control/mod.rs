//! The control plane: one thread that owns the truth and tells the workers.
//!
//! Everything that happens (a peer answers, a session ends, an address changes, somebody asks
//! for the status) is an [`Event`] in one queue, handled here one after the other. What takes
//! time runs in tasks of its own: calling a peer ([`dial`]), agreeing on lanes ([`establish`]),
//! reading a session's messages, following the host's addresses ([`own_addresses`]), answering
//! at the control socket ([`api`]).

pub mod api;
mod dial;
mod establish;
mod event;
mod hello;
mod own_addresses;
mod peer;
mod report;
mod segment;

use std::{
    collections::HashSet,
    os::unix::net::UnixListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use causeway_ebpf::maps::LanConfig;
use causeway_tunnel::{
    identity::PublicKey,
    message::{Bye, ByeReason, Message},
    sa::Limits,
    session::{Endpoint, Session, SessionError},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};
use tracing::{debug, error, info, warn};

use crate::{
    config::Config,
    device::Device,
    sa_log::SaLog,
    spec::MacName,
    stations::{PeerIndex, StationTable},
    sys::{sockopt::Promiscuous, xsk::CopyMode},
    uplink::Path,
    wan_to_lan::LearntPath,
    worker::{Command, WorkerHandle},
    xdp::{AttachMode, LanProgram},
};
use establish::{Candidate, Context, Established, Failed, establish};
use event::{Event, SessionId};
pub use hello::Hellos;
use peer::{CANDIDATES, Live, Peer};

/// How often timers are looked at.
const TICK: Duration = Duration::from_millis(100);

/// How often the LAN port's device is looked at.
const LOOK: Duration = Duration::from_secs(1);

/// The opened parts of an appliance that the control plane takes over.
pub struct Parts {
    /// The checked configuration.
    pub config: Config,
    /// Our public key.
    pub public_key: PublicKey,
    /// The QUIC endpoint.
    pub endpoint: Arc<Endpoint>,
    /// What its Hellos say.
    pub hellos: Arc<Hellos>,
    /// The XDP program on the LAN port.
    pub program: LanProgram,
    /// The LAN port's device.
    pub lan: Device,
    /// Where the XDP program runs.
    pub attach_mode: AttachMode,
    /// How the kernel moves frames of the LAN port.
    pub copy_mode: CopyMode,
    /// Promiscuity, for as long as this lives.
    pub promiscuous: Option<Promiscuous>,
    /// The workers.
    pub workers: Vec<WorkerHandle>,
    /// Their UDP addresses.
    pub uplinks: Vec<String>,
    /// Paths learnt by workers.
    pub learnt: mpsc::UnboundedReceiver<LearntPath>,
    /// The control socket.
    pub control_socket: UnixListener,
    /// Where keys are logged.
    pub sa_log: Option<SaLog>,
}

struct Control {
    parts: Parts,
    context: Arc<Context>,
    events: mpsc::UnboundedSender<Event>,
    peers: Vec<Peer>,
    stations: StationTable,
    hellos: Arc<Hellos>,
    own_addresses: HashSet<std::net::IpAddr>,
    started: Instant,
    next_session: SessionId,
    next_look: Instant,
}

/// Runs until SIGINT or SIGTERM, or until something breaks that only a restart mends.
///
/// # Errors
///
/// One line that says what broke.
pub async fn run(parts: Parts) -> Result<(), String> {
    let (events, mut inbox) = mpsc::unbounded_channel();
    let mut control = Control::new(parts, events);
    let cannot = |e: std::io::Error| format!("cannot handle signals: {e}");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    control.start_tasks()?;
    let outcome = loop {
        let handled = tokio::select! {
            Some(event) = inbox.recv() => control.handle(event).await,
            Some(news) = control.parts.learnt.recv() => {
                control.learn(news);
                Ok(())
            }
            _ = tick.tick() => control.tick(),
            _ = interrupt.recv() => break Ok(()),
            _ = terminate.recv() => break Ok(()),
        };
        if let Err(e) = handled {
            break Err(e);
        }
    };
    control.stop().await;
    outcome
}

impl Control {
    fn new(parts: Parts, events: mpsc::UnboundedSender<Event>) -> Self {
        let mut parts = parts;
        let context = Context {
            workers: parts.workers.iter().map(WorkerHandle::sender).collect(),
            limits: Limits::default(),
            sa_log: parts.sa_log.take(),
            in_use: Mutex::default(),
        };
        Self {
            context: Arc::new(context),
            peers: parts.config.peers.iter().cloned().map(Peer::new).collect(),
            stations: parts.config.stations.clone(),
            hellos: Arc::clone(&parts.hellos),
            own_addresses: HashSet::new(),
            started: Instant::now(),
            next_session: 0,
            next_look: Instant::now(),
            events,
            parts,
        }
    }

    fn start_tasks(&mut self) -> Result<(), String> {
        let events = self.events.clone();
        tokio::spawn(own_addresses::watch(self.parts.lan.index, events));
        let socket = self.parts.control_socket.try_clone();
        let socket = socket.map_err(|e| format!("cannot open the control socket: {e}"))?;
        tokio::spawn(api::serve(socket, self.events.clone()));
        tokio::spawn(accept(self.parts.endpoint.clone(), self.events.clone()));
        Ok(())
    }

    async fn handle(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Dialled { peer, session } => {
                self.peers[usize::from(peer)].call = None;
                self.begin(peer, session);
            }
            Event::DialFailed { peer, error } => self.complain(peer, &error),
            Event::Accepted(session) => self.accepted(session),
            Event::AcceptFailed(error) => debug!("a handshake failed: {error}"),
            Event::Established(established) => self.established(*established),
            Event::EstablishFailed(failed) => self.establish_failed(&failed),
            Event::Message { peer, id, message } => self.message(peer, id, message),
            Event::Closed { peer, id, error } => self.closed(peer, id, &error),
            Event::CallAgain(peer) => self.peers[usize::from(peer)].call = None,
            Event::OwnAddresses(addresses) => self.set_own_addresses(addresses),
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
        }
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

    /// The LAN port may go, or be given another MAC address.
    fn look_at_lan(&mut self) -> Result<(), String> {
        let name = &self.parts.lan.name;
        let device = match Device::find(name) {
            Ok(device) if device.index == self.parts.lan.index => device,
            _ => return Err(format!("interface {name} is gone")),
        };
        if device.mac != self.parts.lan.mac {
            info!(
                "interface {name} has a new MAC address, {}",
                MacName(device.mac)
            );
            let config = LanConfig::new(self.parts.config.role, device.mac);
            self.parts
                .program
                .configure(&config)
                .map_err(|e| e.to_string())?;
            self.parts.lan = device;
        }
        Ok(())
    }

    fn call_if_due(&mut self, index: PeerIndex, now: Instant) {
        let worn = self.datagrams_under_key(index);
        let peer = &mut self.peers[usize::from(index)];
        if !peer.wants_call(now, self.parts.config.rekey_after, worn) {
            return;
        }
        let Some(address) = peer.spec.address.clone() else {
            return;
        };
        let target = dial::Target {
            peer: index,
            key: peer.spec.key,
            address,
        };
        let (endpoint, events) = (self.parts.endpoint.clone(), self.events.clone());
        let call = tokio::spawn(async move {
            let session = dial::until_answered(&endpoint, &target, &events).await;
            let _ = events.send(Event::Dialled {
                peer: index,
                session,
            });
        });
        peer.call = Some(call.abort_handle());
    }

    /// The larger number of datagrams sent or received under one key of the live session; right
    /// once the keys before it are forgotten ([`peer::GRACE`]).
    fn datagrams_under_key(&self, peer: PeerIndex) -> u64 {
        let of_worker = |worker: &WorkerHandle| {
            let counters = &worker.counters.peers[usize::from(peer)];
            counters.tx_datagrams.get().max(counters.rx_highest.get())
        };
        self.parts.workers.iter().map(of_worker).max().unwrap_or(0)
    }

    fn accepted(&mut self, session: Session) {
        let key = session.peer();
        let Some(index) = self.peers.iter().position(|p| p.spec.key == key) else {
            // The handshake lets in keys of the configuration only.
            return error!("a session with key {key}, which is no peer's");
        };
        if self.peers[index].candidates >= CANDIDATES {
            return debug!(
                "peer {} has too many sessions in the making",
                self.peers[index].spec.name
            );
        }
        self.begin(index as PeerIndex, session);
    }

    fn begin(&mut self, peer: PeerIndex, session: Session) {
        self.next_session += 1;
        let candidate = Candidate {
            id: self.next_session,
            peer,
            session,
        };
        self.peers[usize::from(peer)].candidates += 1;
        let (context, events) = (Arc::clone(&self.context), self.events.clone());
        tokio::spawn(async move {
            let event = match establish(candidate, context).await {
                Ok(established) => Event::Established(established),
                Err(failed) => Event::EstablishFailed(failed),
            };
            let _ = events.send(event);
        });
    }

    fn established(&mut self, new: Established) {
        let Established {
            candidate,
            receive,
            send,
        } = new;
        let Candidate {
            id,
            peer: index,
            session,
        } = candidate;
        let dialled = session.is_dialer();
        let now = Instant::now();
        let peer = &mut self.peers[usize::from(index)];
        peer.candidates -= 1;
        if !peer.yields_to(dialled, self.parts.public_key < peer.spec.key, now) {
            self.context.remove(&receive);
            tokio::spawn(async move { session.close(Bye::new(ByeReason::Replaced, "")).await });
            return;
        }
        let paths = &peer.paths;
        let mut spis = Vec::new();
        for (worker, (spi, keys)) in self.context.workers.iter().zip(send) {
            let path = if dialled {
                Some(Path {
                    remote: session.remote_address(),
                    local: None,
                })
            } else {
                paths.get(&spi.worker()).copied()
            };
            spis.push(spi);
            worker.tell(Command::InstallTx {
                peer: index,
                spi,
                keys,
                limits: self.context.limits,
                datagram_size: usize::from(peer.datagram_size),
                path,
            });
        }
        let first = peer.live.is_none();
        let live = Live {
            id,
            session: session.clone(),
            since: now,
            receive,
            send: spis,
            connected: true,
        };
        let before = peer.replace(live, now);
        if let Some(call) = peer.call.take() {
            call.abort();
        }
        self.greet(index, before.as_ref(), first);
        if let Some(before) = before.filter(|b| b.session.is_dialer() || !b.connected) {
            tokio::spawn(async move {
                before
                    .session
                    .close(Bye::new(ByeReason::Replaced, ""))
                    .await
            });
        }
        tokio::spawn(read(session, index, id, self.events.clone()));
        self.offer_stations(index);
    }

    /// Says in the log that a session is up, and what is odd about it.
    fn greet(&self, index: PeerIndex, before: Option<&Live>, first: bool) {
        let peer = &self.peers[usize::from(index)];
        let Some(live) = &peer.live else { return };
        let (name, remote) = (&peer.spec.name, live.session.remote_address());
        let hello = live.session.hello();
        if before.is_some_and(|b| b.connected && b.session.hello().instance == hello.instance) {
            debug!("peer {name}: new keys, session {}", live.id);
            return;
        }
        let how = if live.session.is_dialer() {
            "dialled"
        } else {
            "accepted"
        };
        let again = if first { "" } else { " again" };
        info!(
            "peer {name}: session up{again} with {remote} ({how}), {}, {}",
            live.session.cipher(),
            hello.software.escape_debug()
        );
        if let Some(skew) = live.noteworthy_clock_skew() {
            warn!(
                "peer {name}: its clock is {skew} s ahead of ours; the tunnel works, but times in the two logs do not compare: set both by NTP"
            );
        }
    }

    fn establish_failed(&mut self, failed: &Failed) {
        let peer = &mut self.peers[usize::from(failed.peer)];
        peer.candidates -= 1;
        if peer.is_connected() {
            // One of several that the peer tried at once, most likely.
            return debug!(
                "peer {}: a further session came to nothing: {}",
                peer.spec.name, failed.error
            );
        }
        self.complain(failed.peer, &failed.error);
        if failed.dialled {
            // The next tick calls again; one that failed so far in must not do so at every tick.
            let (events, peer) = (self.events.clone(), failed.peer);
            let pause = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = events.send(Event::CallAgain(peer));
            });
            self.peers[usize::from(failed.peer)].call = Some(pause.abort_handle());
        }
    }

    fn message(&mut self, peer: PeerIndex, id: SessionId, message: Message) {
        match message {
            Message::Stations(stations) => self.take_stations(peer, id, stations),
            Message::Bye(_) => {}
            Message::Hello(_) | Message::Lanes(_) => {
                let name = &self.peers[usize::from(peer)].spec.name;
                debug!("peer {name}: a message out of turn is ignored");
            }
        }
    }

    fn closed(&mut self, index: PeerIndex, id: SessionId, error: &SessionError) {
        let peer = &mut self.peers[usize::from(index)];
        let Some(live) = peer.live.as_mut().filter(|live| live.id == id) else {
            return;
        };
        live.connected = false;
        if matches!(error, SessionError::ClosedByPeer(bye) if bye.reason() == ByeReason::Shutdown) {
            self.tell_all(|| Command::ClearTx(index));
        }
        self.complain(index, &format!("session ended: {error}"));
        self.call_if_due(index, Instant::now());
    }

    fn complain(&mut self, peer: PeerIndex, error: &str) {
        let peer = &mut self.peers[usize::from(peer)];
        if peer.complain(error, Instant::now()) {
            warn!("peer {}: {error}", peer.spec.name);
        }
    }

    /// A worker has learnt where one of the peer's workers is: all that send there follow.
    ///
    /// Also the one that told us: its sending lane may have been installed in between.
    fn learn(&mut self, news: LearntPath) {
        let peer = &mut self.peers[usize::from(news.peer)];
        peer.paths.insert(news.remote_lane, news.path);
        debug!(
            "peer {}: lane {} is at {}",
            peer.spec.name, news.remote_lane, news.path.remote
        );
        let Some(live) = &peer.live else { return };
        for (worker, spi) in live.send.iter().enumerate() {
            if spi.worker() == news.remote_lane {
                self.context.workers[worker].tell(Command::SetPath(news.peer, news.path));
            }
        }
    }

    fn set_own_addresses(&mut self, addresses: HashSet<std::net::IpAddr>) {
        if let Err(e) = self
            .parts
            .program
            .set_own_addresses(addresses.iter().copied())
        {
            warn!("own addresses of the LAN port: {e}");
        }
        self.own_addresses = addresses;
    }

    fn tell_all(&self, command: impl Fn() -> Command) {
        for worker in &self.context.workers {
            worker.tell(command());
        }
    }

    /// Farewell to all peers, the workers finish their batch, the port is left as it was found.
    async fn stop(mut self) {
        info!("stopping");
        self.parts.program.detach();
        for worker in &mut self.parts.workers {
            worker.stop();
        }
        drop(self.parts.promiscuous.take());
        self.parts
            .endpoint
            .close(Bye::new(ByeReason::Shutdown, ""))
            .await;
    }
}

/// Passes on who calls us.
async fn accept(endpoint: Arc<Endpoint>, events: mpsc::UnboundedSender<Event>) {
    while let Some(result) = endpoint.accept().await {
        let event = match result {
            Ok(session) => Event::Accepted(session),
            Err(error) => Event::AcceptFailed(error),
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

/// Passes on what a peer says until the session ends.
async fn read(
    session: Session,
    peer: PeerIndex,
    id: SessionId,
    events: mpsc::UnboundedSender<Event>,
) {
    loop {
        let event = match session.recv().await {
            Ok(message) => Event::Message { peer, id, message },
            Err(error) => Event::Closed { peer, id, error },
        };
        let over = matches!(event, Event::Closed { .. });
        if events.send(event).is_err() || over {
            return;
        }
    }
}
