//! The paths to the peers, each by what tells most of it without disturbing anybody.

use std::net::SocketAddr;

use causeway_tunnel::session::SessionError;

use super::{
    check::Check,
    options::{DoctorArgs, Own, Wanted},
    path, reach, route,
    session::{self, Failed, Measured},
    turn::Turn,
};
use crate::{
    device::{self, Device},
    keys,
    spec::PeerSpec,
    status::{PeerStatus, Status},
};

/// The paths to all peers: by a running appliance's counters, by a session with its key where none runs, or by a
/// handshake where we have no key.
pub async fn checks(
    args: &DoctorArgs,
    wanted: &Wanted,
    running: Option<&Status>,
    device: &Device,
) -> Vec<Check> {
    let mut checks = Vec::new();
    checks.extend(
        running
            .iter()
            .flat_map(|s| path::checks(s, route::local_address, session::told_mtu)),
    );
    let knows = |peer: &&PeerSpec| {
        let peers = running.iter().flat_map(|status| &status.peers);
        { peers }.any(|known| known.public_key == peer.key.to_string())
    };
    let Some(own) = &wanted.own else {
        checks.extend(reach::checks(&args.peer).await);
        let untold = args.peer.iter().filter(|peer| !knows(peer));
        checks.extend(untold.map(|peer| reach::without_key(&peer.name)));
        return checks;
    };
    let rest = { wanted.peers.iter() }.filter(|peer| !knows(peer));
    let rest: Vec<_> = rest.cloned().collect();
    if rest.is_empty() {
        return checks;
    }
    let turn = Turn::with_key(&own.key.public());
    if keys::is_in_use(&own.file) {
        let here = running.is_some_and(|status| status.public_key == own.key.public().to_string());
        let dialled: Vec<_> = { rest.iter().cloned() }
            .filter(|p| p.address.is_some())
            .collect();
        checks.extend(reach::checks(&dialled).await);
        checks.extend(rest.iter().filter_map(|peer| match here {
            false => Some(reach::in_use(&peer.name, &own.file)),
            true => (peer.address.is_none()).then(|| reach::not_of_running(&peer.name)),
        }));
        return checks;
    }
    checks.extend(match turn {
        Ok(_turn) => measure(own, &rest, device).await,
        Err(why) => vec![reach::nothing("path", why)],
    });
    checks
}

/// The paths to peers, by sessions with our key, one after the other.
async fn measure(own: &Own, peers: &[PeerSpec], device: &Device) -> Vec<Check> {
    let mtu = device::largest_mtu(&device.name);
    let mut found = Found::default();
    let (dialled, waits): (Vec<_>, Vec<_>) =
        { peers.iter().cloned() }.partition(|p| p.address.is_some());
    if !dialled.is_empty() {
        let sockets = match session::Sockets::open(session::LANES) {
            Ok(sockets) => sockets,
            Err(e) => return vec![reach::nothing("session", format!("no UDP socket: {e}"))],
        };
        for peer in &dialled {
            let outcome = session::measure(own, peer, mtu, &sockets).await;
            found.note(peer, outcome);
        }
    }
    if let Some(at) = own.listen.filter(|_| !waits.is_empty()) {
        let tell = |peer: &PeerSpec, outcome| found.note(peer, outcome);
        let refused = session::listen(own, at, &waits, mtu, tell).await;
        found.note_missing(&waits, at, &refused);
    } else {
        found
            .checks
            .extend(waits.iter().map(|peer| reach::no_address(&peer.name)));
    }
    let Found {
        mut checks, seen, ..
    } = found;
    checks.extend(path::mapping(&seen));
    checks
}

/// What the sessions have shown.
#[derive(Default)]
struct Found {
    checks: Vec<Check>,
    seen: Vec<path::Seen>,
    heard: Vec<String>,
}

impl Found {
    fn note(&mut self, spec: &PeerSpec, outcome: Result<Measured, Failed>) {
        self.heard.push(spec.name.clone());
        let measured = match outcome {
            Ok(measured) => measured,
            Err(failed) => return self.checks.push(path::not_measured(&spec.name, &failed)),
        };
        let local = measured.session.remote.parse().ok();
        let local = local.and_then(route::local_address);
        let peer = PeerStatus {
            name: spec.name.clone(),
            session: Some(measured.session.clone()),
            ..PeerStatus::default()
        };
        self.checks.extend(path::measured(&peer, &measured, local));
        let seen = path::Seen::of(&spec.name, &measured.session, local, &measured.ports);
        self.seen.push(seen);
    }

    /// Those that have not dialled us.
    fn note_missing(
        &mut self,
        peers: &[PeerSpec],
        at: SocketAddr,
        outcome: &Result<Option<SessionError>, String>,
    ) {
        let missing = peers.iter().filter(|peer| !self.heard.contains(&peer.name));
        let checks: Vec<_> = { missing }
            .map(|peer| match outcome {
                Err(why) => reach::nothing("session", format!("{}: {why}", peer.name)),
                Ok(refused) => reach::silent(&peer.name, at, refused.as_ref()),
            })
            .collect();
        self.checks.extend(checks);
    }
}
