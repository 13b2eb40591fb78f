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
mod lanes;
mod liveness;
mod multicast;
mod next_hops;
mod one_way;
mod own_addresses;
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
    net::SocketAddr,
    os::unix::net::UnixListener,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use causeway_tunnel::{
    identity::PublicKey,
    message::{Bye, ByeReason, Message},
    sa::Limits,
    session::Endpoint,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{Semaphore, mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tracing::{debug, info, warn};

use crate::{
    aead::Libraries,
    appliance::UplinkPort,
    config::Config,
    device::{self, Device},
    lan_port::{LanPort, RxFilter},
    sa_log::SaLog,
    spec::MacName,
    stations::{PeerIndex, StationTable},
    sys::xsk::CopyMode,
    uplink::{Gro, NextHops, Target},
    vlans::Stripping,
    wan_to_lan::LearntPath,
    worker::{Command, Punts, WorkerHandle},
    xdp::{AttachMode, LanProgram},
};
use alarms::Alarms;
pub use alarms::alarm_kinds;
use announce::Announcer;
use context::Context;
use event::{Event, SessionId};
pub use hello::Hellos;
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
    /// What seals and opens datagrams.
    pub libraries: Libraries,
    /// The XDP program on the LAN port.
    pub program: LanProgram,
    /// The LAN port's device.
    pub lan: Device,
    /// What was made to be it.
    pub lan_port: LanPort,
    /// Where the XDP program runs.
    pub attach_mode: AttachMode,
    /// How the kernel moves frames of the LAN port.
    pub copy_mode: CopyMode,
    /// What it receives beside what is for its own address, for as long as this lives.
    pub rx_filter: RxFilter,
    /// Its VLAN tags, left in for as long as this lives.
    pub stripping: Stripping,
    /// The workers.
    pub workers: Vec<WorkerHandle>,
    /// Their UDP addresses.
    pub uplinks: Vec<SocketAddr>,
    /// AF_XDP on the uplink, if it is used.
    pub uplink: Option<UplinkPort>,
    /// Why it is, or is not.
    pub uplink_why: String,
    /// The largest UDP payload that the search for the path MTU goes to.
    pub max_udp_payload: u16,
    /// Paths learnt by workers.
    pub learnt: mpsc::UnboundedReceiver<LearntPath>,
    /// Frames that workers let us see.
    pub punts: Punts,
    /// The stations of the segment.
    pub segment: Segment,
    /// The control socket.
    pub control_socket: UnixListener,
    /// Where keys are logged.
    pub sa_log: Option<SaLog>,
}

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
    own_addresses: HashSet<std::net::IpAddr>,
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

/// How long clients of the control socket have to read what they are told at the stop.
const LAST_ANSWERS: Duration = Duration::from_millis(100);

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
    fn new(parts: Parts, events: mpsc::Sender<Event>) -> Self {
        let mut parts = parts;
        let context = Context {
            workers: parts.workers.iter().map(WorkerHandle::sender).collect(),
            limits: Limits::default(),
            libraries: (parts.libraries.seal, parts.libraries.open),
            sa_log: parts.sa_log.take(),
            in_use: Mutex::default(),
        };
        Self {
            context: Arc::new(context),
            peers: parts.config.peers.iter().cloned().map(Peer::new).collect(),
            snooping: Snooping::new(parts.config.role, parts.config.peers.len()),
            multicast: multicast::Multicast::new(parts.config.peers.len()),
            announcer: Announcer::default(),
            stations: parts.segment.table(),
            hellos: Arc::clone(&parts.hellos),
            suspects: Suspects::new(parts.program.injected(), Instant::now()),
            alarms: Alarms::default(),
            own_addresses: HashSet::new(),
            wanted: watch::Sender::default(),
            next_hops: NextHops::default(),
            uplink_is_gone: false,
            gro: Gro::new(parts.config.uplink_gro),
            started: Instant::now(),
            next_session: 0,
            next_look: Instant::now(),
            one_way: one_way::OneWay::default(),
            probes_until: None,
            refusal_logged: None,
            clients: Arc::new(Semaphore::new(api::CLIENTS)),
            events,
            parts,
        }
    }

    fn start_tasks(&mut self) -> Result<(), String> {
        let events = self.events.clone();
        tokio::spawn(own_addresses::watch(self.parts.lan.index, events));
        if let Some(sightings) = self.parts.program.sightings() {
            tokio::spawn(sightings::watch(sightings, self.events.clone()));
        }
        let (wanted, events) = (self.wanted.subscribe(), self.events.clone());
        match &self.parts.uplink {
            Some(port) => tokio::spawn(next_hops::watch(port.device.index, wanted, events)),
            None => tokio::spawn(uplink_devices::watch(wanted, events)),
        };
        let socket = self.parts.control_socket.try_clone();
        let socket = socket.map_err(|e| format!("cannot open the control socket: {e}"))?;
        tokio::spawn(api::serve(
            socket,
            self.events.clone(),
            Arc::clone(&self.clients),
        ));
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

    /// Has the LAN port's device receive for the stations that are away now. Who changes them calls this; so does
    /// the look at the LAN port, every second.
    fn filter_for_stations(&mut self) {
        if self.parts.rx_filter.is_list() {
            self.parts.rx_filter.follow(self.stations.away_macs());
        }
    }

    /// The LAN port may go, or be given another MAC address.
    fn look_at_lan(&mut self) -> Result<(), String> {
        self.parts.lan_port.look()?;
        self.filter_for_stations();
        let name = &self.parts.lan.name;
        let gone = format!("interface {name} is gone");
        let device = match Device::find(name) {
            Ok(device) if device.index == self.parts.lan.index => device,
            Ok(_) => return Err(gone),
            Err(_) if !device::exists(name) => return Err(gone),
            // What cannot be read now (out of descriptors, say) can be at the next look.
            Err(_) => return Ok(()),
        };
        if device.mac != self.parts.lan.mac {
            info!(
                "interface {name} has a new MAC address, {}",
                MacName(device.mac)
            );
            let program = &mut self.parts.program;
            program.set_mac(device.mac).map_err(|e| e.to_string())?;
            self.parts.segment.set_own_mac(device.mac);
            self.tell_all(|| Command::OwnMac(device.mac));
            self.parts.lan = device;
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
        let kept = self.keep_last();
        self.parts.program.detach();
        if let Some(port) = &mut self.parts.uplink {
            port.program.detach();
        }
        for worker in &mut self.parts.workers {
            worker.stop();
        }
        self.parts.rx_filter = RxFilter::Nothing;
        self.parts.stripping.restore();
        self.parts.lan_port.close();
        self.gro.restore();
        self.parts
            .endpoint
            .close(Bye::new(ByeReason::Shutdown, ""))
            .await;
        // A slow disk keeps nothing of the above waiting.
        let _ = kept.await;
        // Whoever asked for what is kept now is told so.
        let clients = self.clients.acquire_many(api::CLIENTS as u32);
        let _ = timeout(LAST_ANSWERS, clients).await;
    }
}

/// Passes on who calls us.
async fn accept(endpoint: Arc<Endpoint>, events: mpsc::Sender<Event>) {
    while let Some(result) = endpoint.accept().await {
        let event = match result {
            Ok(session) => Event::Accepted(session),
            Err(error) => Event::AcceptFailed(error),
        };
        if events.send(event).await.is_err() {
            return;
        }
    }
}
