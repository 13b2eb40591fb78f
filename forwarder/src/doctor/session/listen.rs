//! The end that is dialled: whoever of the peers calls is measured, one after the other.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use causeway_tunnel::session::{Endpoint, SessionError};
use socket2::SockRef;
use tokio::time::{Instant, timeout_at};

use super::{Failed, Measured, Sockets, ceiling, farewell, make_hello, options, run};
use crate::{doctor::options::Own, spec::PeerSpec, stations::Role, uplink::bind};

/// How long is waited for a peer that is awaited: who dials tries every second or two.
const CALL: Duration = Duration::from_secs(6);

/// Sessions that a peer may end itself before it has been measured: of several attempts at once it keeps one, and of
/// those that it made while another was measured none.
const ATTEMPTS: usize = 8;

/// Waits for peers that dial us, measures the path to each, and tells; ends when none that is still awaited has called
/// for a while, whoever else does, with why not, if somebody was refused. `mtu` is that of our link, in bytes of the IP
/// packet.
///
/// # Errors
///
/// The port is not to be had.
pub async fn listen(
    own: &Own,
    at: SocketAddr,
    peers: &[PeerSpec],
    mtu: u32,
    mut tell: impl FnMut(&PeerSpec, Result<Measured, Failed>),
) -> Result<Option<SessionError>, String> {
    let cannot = |e: std::io::Error| {
        format!("cannot listen at {at}: {e}; is it taken, or not an address of ours?")
    };
    // Alone at first: a port that another program shares would be bound like a free one.
    let quic = bind(at, false).map_err(cannot)?;
    SockRef::from(&quic).set_reuse_port(true).map_err(cannot)?;
    let sockets = Sockets::beside(&quic).map_err(cannot)?;
    let hello = make_hello(own.role.unwrap_or(Role::Cloud), sockets.count(), own)?;
    // Of either family; what is measured has a ceiling of its own.
    let options = options(ceiling(own, mtu, SocketAddr::from(([0; 4], 0))));
    let keys = peers.iter().map(|peer| peer.key);
    let endpoint = Endpoint::new(quic, &own.key, keys, options, hello);
    let endpoint = endpoint.map_err(|e| e.to_string())?;
    let mut waiting: Vec<_> = peers.iter().collect();
    let mut attempts = HashMap::new();
    let mut refused = None;
    let mut until = Instant::now() + CALL;
    while !waiting.is_empty() {
        let Ok(Some(accepted)) = timeout_at(until, endpoint.accept()).await else {
            break;
        };
        let session = match accepted {
            Ok(session) => session,
            Err(error) => {
                refused = Some(error);
                continue;
            }
        };
        let Some(place) = waiting.iter().position(|peer| peer.key == session.peer()) else {
            continue;
        };
        // One that its peer has given up while another was measured: the peer calls again.
        if session.close_reason().is_some() {
            continue;
        }
        let ceiling = ceiling(own, mtu, session.remote_address());
        let outcome = run(&session, &sockets, ceiling, own.lane_keepalive).await;
        session.close(farewell()).await;
        let ended = matches!(outcome, Err(Failed::Session(SessionError::ClosedByPeer(_))));
        let count = attempts.entry(session.peer()).or_insert(0);
        *count += 1;
        if !ended || *count >= ATTEMPTS {
            tell(waiting.remove(place), outcome);
        }
        // The others had no chance meanwhile.
        until = Instant::now() + CALL;
    }
    endpoint.close(farewell()).await;
    Ok(refused)
}
