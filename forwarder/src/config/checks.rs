//! What can be wrong with one option, or with one beside another, and what holds where none is given.

use std::{net::SocketAddr, time::Duration};

use super::{ConfigError, wrong};
use crate::{
    lan_port::RxFilterKind,
    options::{AutoOnOff, OnOff, RunOptions, RxFilterName, UplinkKind},
    spec::{PeerSpec, Period},
    stations::Role,
    sys::xsk::{LEAST_CHUNKS, MOST_CHUNKS, XskTuning},
};

/// Peers of one end: every flooded frame is sent to each.
const MAX_PEERS: usize = 256;

pub(super) fn check_peers(peers: &[PeerSpec]) -> Result<(), ConfigError> {
    if peers.is_empty() {
        return wrong("who is the other end? give --peer NAME=PUBKEY[@HOST:PORT]");
    }
    if peers.len() > MAX_PEERS {
        return wrong(format!(
            "{} peers are more than the possible {MAX_PEERS}",
            peers.len()
        ));
    }
    for (i, peer) in peers.iter().enumerate() {
        for other in &peers[..i] {
            if other.name == peer.name {
                return wrong(format!("two peers are named {}: rename one", peer.name));
            }
            if other.key == peer.key {
                return wrong(format!(
                    "peers {} and {} have the same public key: each end needs its own",
                    other.name, peer.name
                ));
            }
        }
    }
    Ok(())
}

/// An end either listens or dials.
///
/// A dialling end's sockets have a port each, so that the other end can tell lanes and QUIC apart by
/// it: its kernel merges what has the same addresses and ports (UDP_GRO) before the selector sees it.
pub(super) fn check_direction(
    listen: Option<SocketAddr>,
    peers: &[PeerSpec],
) -> Result<(), ConfigError> {
    let Some(dialled) = peers.iter().find(|p| p.address.is_some()) else {
        return Ok(());
    };
    if let Some(waits) = peers.iter().find(|p| p.address.is_none()) {
        return wrong(format!(
            "peer {} has an address and peer {} has none: an end either dials all its peers or waits for all of them",
            dialled.name, waits.name
        ));
    }
    match listen {
        Some(_) => wrong(format!(
            "peer {} has an address, so this end dials: leave --listen out, or the address of the peer",
            dialled.name
        )),
        None => Ok(()),
    }
}

pub(super) fn check_uplink(
    kind: UplinkKind,
    interface: Option<&str>,
    lan: &str,
) -> Result<(), ConfigError> {
    match interface {
        Some(_) if kind == UplinkKind::Udp => wrong(
            "--uplink-interface is for --uplink xdp and auto: with --uplink udp, the default, the kernel's routes choose, leave it out",
        ),
        Some(name) if name == lan => wrong(format!(
            "--uplink-interface {name} is the LAN port: AF_XDP on both needs two interfaces; name another, or use --uplink udp"
        )),
        _ => Ok(()),
    }
}

/// At the cloud the addresses would be those of the site's hosts, which it does not know.
pub(super) fn rx_filter(
    role: Role,
    promisc: Option<OnOff>,
    filter: Option<RxFilterName>,
) -> Result<RxFilterKind, ConfigError> {
    match (promisc, filter) {
        (Some(OnOff::Off), Some(_)) => wrong(
            "--promisc off has the LAN port receive what its device does by itself: leave out --rx-filter, or --promisc",
        ),
        (Some(OnOff::On), Some(RxFilterName::UnicastList)) => {
            wrong("--promisc on and --rx-filter unicast-list contradict each other: leave one out")
        }
        (_, Some(RxFilterName::UnicastList)) if role == Role::Cloud => wrong(
            "--rx-filter unicast-list is for the site: the cloud end does not know the addresses of the site's hosts; leave it out",
        ),
        (_, Some(RxFilterName::UnicastList)) => Ok(RxFilterKind::UnicastList),
        (Some(OnOff::Off), None) => Ok(RxFilterKind::Nothing),
        _ => Ok(RxFilterKind::Promiscuous),
    }
}

pub(super) fn within<T: PartialOrd + std::fmt::Display>(
    flag: &str,
    value: T,
    least: T,
    most: T,
) -> Result<T, ConfigError> {
    if value < least || value > most {
        return wrong(format!("{flag} {value} is not between {least} and {most}"));
    }
    Ok(value)
}

pub(super) fn period(
    flag: &str,
    given: Option<Period>,
    default_ms: u64,
    least_ms: u64,
    most_ms: u64,
) -> Result<Duration, ConfigError> {
    let ms = given.map_or(default_ms, |p| p.0.as_millis() as u64);
    if ms < least_ms || ms > most_ms {
        return wrong(format!(
            "{flag} {ms}ms is not between {least_ms}ms and {most_ms}ms"
        ));
    }
    Ok(Duration::from_millis(ms))
}

pub(super) fn tuning(o: &RunOptions) -> Result<XskTuning, ConfigError> {
    let ring = ring_size(o.ring_size)?;
    let chunks = |n| within("--umem-frames", n, LEAST_CHUNKS * ring, MOST_CHUNKS * ring);
    let budget = |n| within("--tx-budget", n, 32, ring);
    let bytes = |n| within("--xdp-send-buffer", n, 65_536, 1 << 30);
    Ok(XskTuning {
        chunks: o.umem_frames.map(chunks).transpose()?,
        huge_pages: o.huge_pages.unwrap_or(AutoOnOff::Auto),
        tx_budget: o.tx_budget.map(budget).transpose()?,
        send_buffer: o.xdp_send_buffer.map(bytes).transpose()?,
        busy_poll: match within("--busy-poll", o.busy_poll.unwrap_or(0), 0, 1_024)? {
            0 => None,
            frames => Some(frames),
        },
    })
}

pub(super) fn ring_size(given: Option<u32>) -> Result<u32, ConfigError> {
    let size = given.unwrap_or(2_048);
    if !size.is_power_of_two() {
        return wrong(format!("--ring-size {size} is not a power of two"));
    }
    within("--ring-size", size, 64, 32_768)
}
