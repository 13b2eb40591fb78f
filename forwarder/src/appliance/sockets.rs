//! What sends and receives at the uplink: the QUIC endpoint, and a socket for each worker.

use std::{
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd as _,
    sync::Arc,
    time::Duration,
};

use causeway_tunnel::{
    identity::PrivateKey,
    session::{Endpoint, SessionOptions},
};
use socket2::SockRef;

use super::UplinkPort;
use crate::{
    config::Config,
    control::Hellos,
    device,
    sys::{sockopt, xsk::XskPort},
    uplink::{UdpUplink, Uplink, XdpUplink, wildcard},
};

/// Silence after which a session is given up, at least.
const IDLE: Duration = Duration::from_secs(5);

/// IPv4 and UDP header; IPv6 has 20 bytes more and QUIC finds that out.
const IP_AND_UDP: u32 = 28;

/// Each worker's socket with the AF_XDP port on the queue of its number, if there is one.
pub(super) fn unite(
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
pub(super) fn open(
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

pub(super) fn session_options(config: &Config, max_udp_payload: u32) -> SessionOptions {
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
