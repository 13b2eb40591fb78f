//! Opens everything that an appliance is made of, in an order that leaves nothing half done.
//!
//! Nothing is redirected to us before a worker waits for it: ports and sockets first, then the
//! workers, the XDP program on the device last. Whatever fails on the way closes what was
//! opened before; and as all of it hangs on file descriptors, so does the end of the process,
//! however it comes.

pub(crate) mod placement;
mod ports;
mod sockets;
mod uplink;
mod workers;

use std::{net::SocketAddr, os::fd::AsFd as _, sync::Arc, time::Duration};

use causeway_tunnel::{identity::PrivateKey, wire::MAX_FRAME};
use tokio::sync::mpsc;
use tracing::{info, warn};

use self::placement::Placement;
pub(crate) use self::sockets::open_socket;
pub use self::uplink::UplinkPort;
use crate::{
    aead::Libraries,
    config::Config,
    control::{self, Hellos, Parts, Segment, api},
    device::Device,
    lan_port::{LanPort, Mark, RxFilter},
    preflight,
    sa_log::SaLog,
    stations::Place,
    vlans::Stripping,
    worker::Punts,
    xdp::{AttachMode, LanProgram},
};

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
    let workers = workers::number(&config, &lan)?;
    let hellos = Hellos::new(config.role, workers, lan.max_frame(), config.cipher)?;
    let hellos = Arc::new(hellos);
    let placement = Placement::new(&config, &lan);
    let choice = uplink::choose(&config, &placement, &lan, workers).await?;
    let session = sockets::session_options(&config, uplink::MAX_UDP_PAYLOAD);
    let max_udp_payload = session.max_udp_payload;
    let libraries = Libraries::choose(config.aead, config.cipher, max_udp_payload.into());
    let (endpoint, sockets) = sockets::open(&config, workers, key, &hellos, session)?;
    let (uplink, uplinks) = sockets::unite(sockets, choice.xdp);
    let ports = ports::open(&config, &placement, &lan, workers.into(), |queue, port| {
        program.set_socket(queue, &port.as_fd())
    })?;
    let copy_mode = ports[0].copy_mode();
    let (learnt, learnt_inbox) = mpsc::unbounded_channel();
    let addresses = uplinks.iter().map(|u| u.udp().local_address());
    let addresses = addresses
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| format!("cannot tell the port of a UDP socket: {e}"))?;
    let (punts, punt) = Punts::for_workers(ports.len(), config.peers.len())
        .map_err(|e| format!("cannot make an eventfd: {e}"))?;
    let workers = workers::spawn(
        &config,
        &placement,
        &lan,
        &lan_port,
        (ports, uplinks),
        punt,
        &learnt,
    )?;
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

fn attach(program: &mut LanProgram, lan: &Device) -> Result<AttachMode, String> {
    let mode = program.attach(&lan.name).map_err(|e| e.to_string())?;
    if mode == AttachMode::Generic
        && let Some((why, mend)) = preflight::merging(&lan.name, &lan.merging_below())
    {
        warn!("{why}: {mend}");
    }
    Ok(mode)
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
