//! Opens everything that an appliance is made of, in an order that leaves nothing half done.
//!
//! Nothing is redirected to us before a worker waits for it: ports and sockets first, then the
//! workers, the XDP program on the device last. Whatever fails on the way closes what was
//! opened before; and as all of it hangs on file descriptors, so does the end of the process,
//! however it comes.

pub(crate) mod placement;
mod uplink;

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    sync::Arc,
    time::Duration,
};

use causeway_tunnel::{
    identity::PrivateKey,
    session::{Endpoint, SessionOptions},
    wire::MAX_FRAME,
};
use socket2::SockRef;
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::{
    aead::Libraries,
    config::{Config, MAX_WORKERS},
    control::{self, Hellos, Parts, Segment, api},
    device::{self, Device},
    lan_port::{LanPort, Mark, RxFilter},
    options::AutoOnOff,
    preflight,
    sa_log::SaLog,
    snoop::Snoop,
    stations::Place,
    sys::{
        sockopt,
        xsk::{XskConfig, XskPort},
    },
    uplink::{UdpUplink, Uplink, XdpUplink, wildcard},
    vlans::Stripping,
    wan_to_lan::LearntPath,
    worker::{Mailbox, Punt, Punts, WorkerConfig, WorkerHandle},
    xdp::{AttachMode, LanProgram},
};

pub use self::uplink::UplinkPort;

/// Silence after which a session is given up, at least.
const IDLE: Duration = Duration::from_secs(5);

/// IPv4 and UDP header; IPv6 has 20 bytes more and QUIC finds that out.
const IP_AND_UDP: u32 = 28;

/// How long the end waits for a name that is being looked up (getaddrinfo cannot be told to stop).
const LAST_LOOKUP: Duration = Duration::from_millis(100);

/// Runs an appliance with the private key of its configuration until it is told to stop.
///
/// # Errors
///
/// One line that says what is wrong and how to mend it.
pub fn run(config: Config, key: &PrivateKey) -> Result<(), String> {
    preflight::check_capabilities()?;
    if let Some(warning) = preflight::clock_warning(std::time::SystemTime::now()) {
        warn!("{warning}");
    }
    preflight::lift_memlock();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the control plane: {e}"))?;
    let outcome = runtime.block_on(async {
        let parts = open(config, key).await?;
        announce(&parts);
        control::run(parts).await
    });
    runtime.shutdown_timeout(LAST_LOOKUP);
    outcome
}

async fn open(mut config: Config, key: &PrivateKey) -> Result<Parts, String> {
    placement::check_cores(&config.cpus, &placement::usable_cores())?;
    let control_socket = api::listen(&config.control)?;
    let queues = placement::queues_to_make(config.workers, &config.cpus);
    let mark = Mark::new(&config.control);
    let lan_port = LanPort::open(&config.lan, &mark, queues).await?;
    let lan = find_lan(lan_port.interface())?;
    let segment = Segment::open(&config, lan.mac)?;
    // From here on those that are away now: the operator's word and what was learnt included.
    config.stations = segment.table();
    let sa_log = config.sa_log.as_deref().map(open_sa_log).transpose()?;
    let mut program = load_program(&config, &lan)?;
    let workers = number_of_workers(&config, &lan)?;
    let hellos = Hellos::new(config.role, workers, lan.max_frame(), config.cipher)?;
    let hellos = Arc::new(hellos);
    let choice = uplink::choose(&config, &lan, workers).await?;
    let session = session_options(&config, uplink::MAX_UDP_PAYLOAD);
    let max_udp_payload = session.max_udp_payload;
    let libraries = Libraries::choose(config.aead, config.cipher, max_udp_payload.into());
    let (endpoint, sockets) = open_sockets(&config, workers, key, &hellos, session)?;
    let (uplink, uplinks) = unite(sockets, choice.xdp);
    let ports = open_ports(&config, workers, &lan, &mut program)?;
    let copy_mode = ports[0].copy_mode();
    let (learnt, learnt_inbox) = mpsc::unbounded_channel();
    let addresses = uplinks.iter().map(|u| u.udp().local_address());
    let addresses = addresses
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("cannot tell the port of a UDP socket: {e}"))?;
    let (punts, punt) = Punts::for_workers(ports.len(), config.peers.len())
        .map_err(|e| format!("cannot make an eventfd: {e}"))?;
    let workers = spawn_workers(&config, &lan, &lan_port, ports, uplinks, punt, &learnt)?;
    let rx_filter = rx_filter(&config, &lan)?;
    let stripping = Stripping::turn_off(&lan);
    let attach_mode = attach(&mut program, &lan)?;
    let uplink = uplink.map(|mut port| {
        let numbers = addresses.iter().map(SocketAddr::port);
        uplink::add_ports(&mut port, numbers).map(|()| port)
    });
    Ok(Parts {
        public_key: key.public(),
        endpoint: Arc::new(endpoint),
        hellos,
        libraries,
        program,
        lan,
        lan_port,
        attach_mode,
        copy_mode,
        rx_filter,
        stripping,
        workers,
        uplinks: addresses,
        uplink: uplink.transpose()?,
        uplink_why: choice.why,
        max_udp_payload,
        learnt: learnt_inbox,
        punts,
        segment,
        control_socket,
        sa_log,
        config,
    })
}

fn find_lan(interface: &str) -> Result<Device, String> {
    let lan = Device::find(interface).map_err(|e| e.to_string())?;
    if !lan.is_up {
        return Err(format!(
            "interface {} is down: ip link set {} up",
            lan.name, lan.name
        ));
    }
    if lan.max_frame() > MAX_FRAME {
        let most = MAX_FRAME - (lan.max_frame() - lan.mtu as usize);
        return Err(format!(
            "interface {} has an MTU of {}, and frames to {MAX_FRAME} bytes can cross: ip link set {} mtu {most}",
            lan.name, lan.mtu, lan.name
        ));
    }
    Ok(lan)
}

/// One worker for each queue: frames of a queue without a worker would be lost.
fn number_of_workers(config: &Config, lan: &Device) -> Result<u8, String> {
    let (name, queues) = (&lan.name, lan.queues);
    match config.workers {
        Some(workers) if u32::from(workers) != queues => Err(format!(
            "--workers {workers} and interface {name} with {queues} queue(s) do not fit: give it as many queues (ethtool -L {name} combined {workers}), or leave --workers out"
        )),
        _ if queues > u32::from(MAX_WORKERS) => Err(format!(
            "interface {name} has {queues} queues and at most {MAX_WORKERS} workers are possible: ethtool -L {name} combined {MAX_WORKERS}"
        )),
        _ => Ok(queues as u8),
    }
}

fn open_sa_log(path: &std::path::Path) -> Result<SaLog, String> {
    warn!(
        "keys are written to {}: whoever reads it reads the traffic",
        path.display()
    );
    SaLog::open(path).map_err(|e| format!("cannot open --sa-log {}: {e}", path.display()))
}

fn load_program(config: &Config, lan: &Device) -> Result<LanProgram, String> {
    let mut program = LanProgram::load().map_err(|e| e.to_string())?;
    let lan_config = config.of_lan(lan.mac);
    program.configure(&lan_config).map_err(|e| e.to_string())?;
    for (key, station) in config.stations.iter() {
        debug_assert_eq!(
            station.place,
            Place::Away,
            "the configuration names away stations only"
        );
        program
            .set_station(key, station.place)
            .map_err(|e| e.to_string())?;
    }
    Ok(program)
}

/// Each worker's socket with the AF_XDP port on the queue of its number, if there is one.
fn unite(
    sockets: Vec<UdpUplink>,
    xdp: Option<(UplinkPort, Vec<XskPort>)>,
) -> (Option<UplinkPort>, Vec<Uplink>) {
    let (port, queues) = xdp.unzip();
    let max_frame = port.as_ref().map_or(0, |p| p.max_frame);
    let mut queues = queues.unwrap_or_default().into_iter();
    let of = |udp: UdpUplink| {
        let number = udp.local_address().map_or(0, |a| a.port());
        let xdp = queues.next();
        let xdp = xdp.map(|queue| XdpUplink::new(queue, number, max_frame));
        Uplink::new(udp, xdp)
    };
    (port, sockets.into_iter().map(of).collect())
}

/// The QUIC endpoint and a UDP socket for each worker, all on one port where we listen.
fn open_sockets(
    config: &Config,
    workers: u8,
    key: &PrivateKey,
    hellos: &Arc<Hellos>,
    session: SessionOptions,
) -> Result<(Endpoint, Vec<UdpUplink>), String> {
    let cannot = |e: std::io::Error| match config.listen {
        Some(address) => format!(
            "cannot open UDP {address}: {e}; is another causeway running, or is the address not ours? see --listen"
        ),
        None => format!("cannot open a UDP socket: {e}"),
    };
    // Number 0 of the reuseport group is QUIC, number i + 1 is worker i: the order of binding.
    // Alone at first: a port that another program shares would be bound like a free one, and its
    // datagrams and ours would go to either.
    let quic = bind(config.listen, false).map_err(cannot)?;
    SockRef::from(&quic)
        .set_reuse_port(config.listen.is_some())
        .map_err(cannot)?;
    let mut sockets = Vec::new();
    for _ in 0..workers {
        sockets.push(open_socket(config.listen).map_err(cannot)?);
    }
    if config.listen.is_some() {
        sockopt::attach_reuseport_selector(quic.as_fd())
            .map_err(|e| format!("cannot share the UDP port between workers: {e}"))?;
    }
    let endpoint = Endpoint::new(quic, key, config.peers.iter().map(|p| p.key), session, {
        let hellos = Arc::clone(hellos);
        move |peer| hellos.to(peer)
    });
    let endpoint = endpoint.map_err(|e| format!("cannot open the QUIC endpoint: {e}"))?;
    Ok((endpoint, sockets))
}

/// A worker's socket, on the port that all share where we listen, on one of the kernel's choice where not.
///
/// # Errors
///
/// What the kernel answers.
pub(crate) fn open_socket(listen: Option<SocketAddr>) -> std::io::Result<UdpUplink> {
    UdpUplink::new(bind(listen, true)?)
}

fn bind(listen: Option<SocketAddr>, share: bool) -> std::io::Result<UdpSocket> {
    match listen {
        Some(address) => crate::uplink::bind(address, share),
        None => crate::uplink::bind(wildcard(0), false),
    }
}

fn session_options(config: &Config, max_udp_payload: u32) -> SessionOptions {
    let mtu = config
        .max_path_mtu
        .map_or_else(|| device::largest_mtu(&config.lan.interface()), u32::from);
    let payload = mtu.saturating_sub(IP_AND_UDP).clamp(1_200, max_udp_payload);
    SessionOptions {
        keep_alive: config.keep_alive,
        // Several heartbeats may be lost before the peer is given up.
        idle_timeout: IDLE.max(5 * config.keep_alive),
        max_udp_payload: payload as u16,
        ..SessionOptions::default()
    }
}

fn open_ports(
    config: &Config,
    workers: u8,
    lan: &Device,
    program: &mut LanProgram,
) -> Result<Vec<XskPort>, String> {
    let mut ports = Vec::new();
    for queue in 0..u32::from(workers) {
        let what = XskConfig {
            interface: lan.name.clone(),
            queue,
            ring_size: config.ring_size,
            max_frame: lan.max_frame(),
            tuning: config.tuning,
        };
        let port = placement::open_port(config, &what);
        let port = port.map_err(|e| e.to_string())?;
        program
            .set_socket(queue, &port.as_fd())
            .map_err(|e| e.to_string())?;
        ports.push(port);
    }
    placement::advise(config, lan, &ports[0]);
    Ok(ports)
}

fn attach(program: &mut LanProgram, lan: &Device) -> Result<AttachMode, String> {
    let mode = program.attach(&lan.name).map_err(|e| e.to_string())?;
    if mode == AttachMode::Generic
        && let Some((why, mend)) = preflight::merging(&lan.name, &lan.merging_below())
    {
        warn!("{why}: {mend}");
    }
    Ok(mode)
}

fn spawn_workers(
    config: &Config,
    lan: &Device,
    lan_port: &LanPort,
    ports: Vec<XskPort>,
    uplinks: Vec<Uplink>,
    punts: Vec<Punt>,
    learnt: &mpsc::UnboundedSender<LearntPath>,
) -> Result<Vec<WorkerHandle>, String> {
    let finish_checksums = match config.finish_checksums {
        AutoOnOff::Auto => lan.is_virtual && !lan_port.finishes_checksums(),
        AutoOnOff::On => true,
        AutoOnOff::Off => false,
    };
    let stations = Arc::new(config.stations.clone());
    let groups = Arc::new(config.groups.clone());
    let cannot = |e: std::io::Error| placement::explain(config, &e);
    let mailboxes = Mailbox::for_workers(ports.len()).map_err(cannot)?;
    let mut workers = Vec::new();
    let opened = ports.into_iter().zip(uplinks).zip(mailboxes).zip(punts);
    for (index, (((port, uplink), mailbox), punt)) in opened.enumerate() {
        let worker = WorkerHandle::spawn(WorkerConfig {
            index: index as u8,
            port,
            uplink,
            mailbox,
            cpu: placement::core_of(&config.cpus, index),
            batch: config.batch,
            idle: config.idle,
            fifo: config.sched_fifo,
            flood: config.flood,
            groups: Arc::clone(&groups),
            finish_checksums,
            clamp_mss: config.clamp_mss,
            marking: config.marking,
            lane_keepalive: config.lane_keepalive,
            peers: config.peers.len(),
            vlans: config.vlans.clone(),
            stations: Arc::clone(&stations),
            snoop: Snoop::new(punt, config.arp_suppress).with_gateways(
                &config.gateways,
                lan.mac,
                (config.batch, lan.max_frame()),
            ),
            learnt: learnt.clone(),
        });
        workers.push(worker.map_err(cannot)?);
    }
    Ok(workers)
}

fn rx_filter(config: &Config, lan: &Device) -> Result<RxFilter, String> {
    let mut filter = RxFilter::open(config.rx_filter, lan.index).map_err(|e| {
        format!(
            "cannot receive promiscuously on {}: {e}; see --promisc",
            lan.name
        )
    })?;
    filter.follow(config.stations.away_macs());
    Ok(filter)
}

fn announce(parts: &Parts) {
    let lan = &parts.lan;
    info!("public key {}", parts.public_key);
    info!(
        "lan port {}: XDP in {} mode, AF_XDP in {} mode, {} queue(s), frames to {} bytes",
        lan.name,
        parts.attach_mode,
        parts.copy_mode.label(),
        parts.workers.len(),
        lan.max_frame()
    );
    match &parts.uplink {
        None => info!("uplink: kernel UDP ({})", parts.uplink_why),
        Some(port) => info!(
            "uplink {}: XDP in {} mode, AF_XDP in {} mode, {} queue(s) ({})",
            port.device.name,
            port.attach_mode,
            port.copy_mode.label(),
            port.queues,
            parts.uplink_why
        ),
    }
    let aead = &parts.libraries;
    info!(
        "AES-GCM: {} seals, {} opens ({})",
        aead.seal,
        aead.open,
        aead.why()
    );
    if let Some(listen) = parts.config.listen {
        info!("listening on UDP {listen}");
    }
}
