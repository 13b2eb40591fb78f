//! The paths to the peers, each by what tells most of it without disturbing anybody.

use super::{
    check::Check,
    options::{DoctorArgs, Own, Wanted},
    path, reach, session,
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
            .flat_map(|s| path::checks(s, path::local_address, session::told_mtu)),
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
    if keys::is_in_use(&own.file) {
        let here = running.is_some_and(|status| status.public_key == own.key.public().to_string());
        checks.extend(reach::checks(&rest).await);
        let untold = rest.iter().filter(|_| !here);
        checks.extend(untold.map(|peer| reach::in_use(&peer.name, &own.file)));
        return checks;
    }
    checks.extend(measure(own, &rest, device).await);
    checks
}

/// The paths to peers, by sessions with our key, one after the other.
async fn measure(own: &Own, peers: &[PeerSpec], device: &Device) -> Vec<Check> {
    let sockets = match session::Sockets::open(session::LANES) {
        Ok(sockets) => sockets,
        Err(e) => return vec![reach::nothing("session", format!("no UDP socket: {e}"))],
    };
    let mtu = device::largest_mtu(&device.name);
    let (mut checks, mut seen) = (Vec::new(), Vec::new());
    for spec in peers {
        if spec.address.is_none() {
            checks.push(reach::waits(&spec.name, own.listen));
            continue;
        }
        let measured = match session::measure(own, spec, mtu, &sockets).await {
            Ok(measured) => measured,
            Err(failed) => {
                checks.push(path::not_measured(&spec.name, &failed));
                continue;
            }
        };
        let local = measured.session.remote.parse().ok();
        let local = local.and_then(path::local_address);
        let peer = PeerStatus {
            name: spec.name.clone(),
            session: Some(measured.session.clone()),
            ..PeerStatus::default()
        };
        checks.extend(path::measured(&peer, &measured, local));
        seen.push(path::Seen::of(
            &spec.name,
            &measured.session,
            local,
            &measured.ports,
        ));
    }
    checks.extend(path::mapping(&seen));
    checks
}
