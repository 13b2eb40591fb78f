//! A session with a peer, made by the doctor in the place of the appliance that is to run with the same key.
//!
//! It is made like any other, with lanes of its own, and ends by Bye after some seconds; the peer need not know the
//! difference. Frames that it sends on the lanes are not looked at, and none is sent to it: what goes there are dummies
//! (RFC 4303, section 2.6), which every end ignores and counts. What arrived of them it tells in `Heard`; what is to
//! come back it is asked for by `Train`, which earlier releases ignore. `script` has the order of things.

mod lanes;
mod listen;
mod script;
mod sizes;

use std::{net::SocketAddr, os::fd::AsFd as _, time::Duration};

use causeway_tunnel::{
    identity::PublicKey,
    message::{Bye, ByeReason, FEATURE_TRAINS, Hello},
    session::{Endpoint, Filled, Session, SessionError, SessionOptions},
    wire::MAX_DATAGRAM_SIZE,
};
use tokio::{net::lookup_host, time::timeout};

use self::lanes::Lanes;
pub use self::{lanes::Sockets, listen::listen};
use super::{
    options::Own,
    route::{headers, route_to},
};
use crate::{
    control::Hellos,
    spec::PeerSpec,
    stations::Role,
    status::SessionStatus,
    sys::sockopt,
    uplink::{bind, wildcard},
};

/// How long the handshake may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a session may last beyond the silence that is asked for: it takes ten seconds where ESP does not pass.
const LONGEST: Duration = Duration::from_secs(60);

/// Lanes that we send on, each with a UDP port of its own, as a dialling end with so many workers has them.
pub const LANES: u8 = 2;

/// Why nothing could be measured.
#[derive(Debug)]
pub enum Failed {
    /// There is no session.
    Session(SessionError),
    /// Something here: a name, a socket.
    Here(String),
}

/// What was measured.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Session and lanes, as a running appliance would show them.
    pub session: SessionStatus,
    /// Our UDP port of each lane.
    pub ports: Vec<u16>,
    /// The largest UDP payload that our link allows, or the configuration.
    pub ceiling: u16,
    /// What routers have said of the path by ICMP, in UDP payload: not above the ceiling.
    pub told: u16,
    /// The largest dummies that arrived, each way; none: none did, or nobody tells.
    pub largest: [Option<u16>; 2],
    /// Dummies sent to see what is lost, and those of them that arrived; each way, by lane.
    pub trains: [Vec<Train>; 2],
    /// Whether the peer sends what it is asked for.
    pub answers: bool,
    /// What QUIC sent to fill the path.
    pub filled: Option<Filled>,
    /// Of a train at once, what came back, and from its first to its last.
    pub returned: Option<Filled>,
    /// The silence of a lane, and what became of it.
    pub silence: Option<(Duration, Outlived)>,
}

/// Whether the peer's datagrams still come in to a lane after a silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outlived {
    /// They do.
    Yes,
    /// They do not.
    No,
    /// They do, but something came in so long after the silence began, before it was over.
    Disturbed(Duration),
}

/// Datagrams of a lane that were sent, and those of them that arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Train {
    /// Sent.
    pub sent: u64,
    /// Arrived.
    pub arrived: u64,
}

/// Dials the peer with our key and measures the path; `mtu` is that of our link, in bytes of the IP packet. The
/// sockets are [`LANES`].
///
/// # Errors
///
/// Why there is no session.
pub async fn measure(
    own: &Own,
    peer: &PeerSpec,
    mtu: u32,
    sockets: &Sockets,
) -> Result<Measured, Failed> {
    let address = peer.address.as_deref();
    let address = address.ok_or_else(|| Failed::Here("no address to dial".into()))?;
    let to = resolve(address).await.map_err(Failed::Here)?;
    let ceiling = ceiling(own, mtu, to);
    let options = options(ceiling);
    let (endpoint, session) = dial(own, peer, to, &options).await?;
    let result = run(&session, sockets, ceiling, own.lane_keepalive).await;
    session.close(farewell()).await;
    endpoint.close(farewell()).await;
    result
}

fn farewell() -> Bye {
    Bye::new(ByeReason::Shutdown, "causeway doctor has seen enough")
}

/// The largest UDP payload of ESP to there.
fn ceiling(own: &Own, mtu: u32, to: SocketAddr) -> u16 {
    let mtu = own.max_path_mtu.map_or(mtu, |most| mtu.min(most.into()));
    mtu.saturating_sub(headers(to).into())
        .clamp(1_200, MAX_DATAGRAM_SIZE as u32) as u16
}

fn options(ceiling: u16) -> SessionOptions {
    SessionOptions {
        handshake_timeout: PATIENCE,
        max_udp_payload: ceiling,
        ..SessionOptions::default()
    }
}

fn make_hello(
    role: Role,
    lanes: u8,
    own: &Own,
) -> Result<impl Fn(&PublicKey) -> Hello + Send + Sync + 'static, String> {
    let hellos = Hellos::new(role, lanes, 1_522, own.cipher)?;
    Ok(move |peer: &PublicKey| {
        let mut hello = hellos.to(peer);
        hello.software.push_str(" doctor");
        hello.features &= !FEATURE_TRAINS;
        hello
    })
}

/// As the role that it is configured for, or whichever the peer does not have.
async fn dial(
    own: &Own,
    peer: &PeerSpec,
    to: SocketAddr,
    options: &SessionOptions,
) -> Result<(Endpoint, Session), Failed> {
    let role = own.role.unwrap_or(Role::Site);
    match dial_as(role, own, peer, to, options).await {
        Err(Failed::Session(SessionError::SameRole { .. })) if own.role.is_none() => {
            dial_as(Role::Cloud, own, peer, to, options).await
        }
        outcome => outcome,
    }
}

async fn dial_as(
    role: Role,
    own: &Own,
    peer: &PeerSpec,
    to: SocketAddr,
    options: &SessionOptions,
) -> Result<(Endpoint, Session), Failed> {
    let socket = bind(wildcard(0), false);
    let socket = socket.map_err(|e| Failed::Here(format!("no UDP socket: {e}")))?;
    let hello = make_hello(role, LANES, own).map_err(Failed::Here)?;
    let endpoint = Endpoint::new(socket, &own.key, [peer.key], options.clone(), hello);
    let endpoint = endpoint.map_err(Failed::Session)?;
    let session = endpoint.dial(to, &peer.key).await;
    Ok((endpoint, session.map_err(Failed::Session)?))
}

async fn run(
    session: &Session,
    sockets: &Sockets,
    ceiling: u16,
    silence: Duration,
) -> Result<Measured, Failed> {
    let late = |what: &str| Failed::Here(format!("the peer {what}; is it busy, or stopped?"));
    let lanes = timeout(PATIENCE, Lanes::open(session, sockets)).await;
    let lanes = lanes.map_err(|_| late("named no lanes within 5 s"))??;
    let measure = async {
        tokio::select! {
            measured = script::play(session, &lanes, ceiling, silence) => measured,
            why = lanes.work(session) => Err(why),
        }
    };
    let measured = timeout(LONGEST + silence, measure).await;
    let measured = measured.map_err(|_| late("takes nothing any more"))??;
    let told = told_mtu(session.remote_address()).unwrap_or(u32::MAX);
    Ok(Measured {
        told: told.min(ceiling.into()) as u16,
        ..measured
    })
}

/// The first address of a name.
pub(super) async fn resolve(name: &str) -> Result<SocketAddr, String> {
    let mut addresses = { lookup_host(name).await }.map_err(|e| format!("{name}: {e}"))?;
    addresses
        .next()
        .ok_or_else(|| format!("{name} has no address"))
}

/// What the kernel has been told of the path by ICMP, in bytes of UDP payload. Nothing is sent.
pub fn told_mtu(remote: SocketAddr) -> Option<u32> {
    let socket = route_to(remote)?;
    let mtu = sockopt::path_mtu(socket.as_fd(), remote.is_ipv6()).ok()?;
    Some(mtu.saturating_sub(headers(remote).into()))
}
