//! The path to each peer, by the status of the appliance that runs at the port.

mod counted;
mod measured;
mod nat;

use std::net::{IpAddr, SocketAddr};

pub use self::measured::{checks as measured, not_measured};
pub use self::nat::{Seen, mapping};
use super::check::{Check, failing, ok, unknown};
use crate::status::{LaneStatus, PeerStatus, SessionStatus, Status};

const SESSION: &str = "session";
const PATH_MTU: &str = "path MTU";
const ESP: &str = "ESP passes";

/// A session this old has shown whether its lanes arrive, in seconds.
const SETTLED: f64 = 5.0;
/// And one this old has found its path MTU, in seconds, also where each size that is too large is lost in silence.
const SEARCHED: f64 = 15.0;
/// What IPv6's header has more than that of IPv4, and what QUIC's search may be short of the truth, in bytes.
const IPV6_MORE: u16 = 20;
const SLACK: u32 = 3;
/// Bytes of UDP payload that QUIC begins with (RFC 9000, section 14.1).
const SMALLEST: u16 = 1_200;

/// The checks of every peer's path; `local` is [`super::route::local_address`], `told` what routers have said of the path to there, in
/// bytes of UDP payload ([`super::session::told_mtu`]).
pub fn checks(
    status: &Status,
    local: impl Fn(SocketAddr) -> Option<IpAddr>,
    told: impl Fn(SocketAddr) -> Option<u32>,
) -> Vec<Check> {
    let port = |at: &String| at.parse::<SocketAddr>().map_or(0, |at| at.port());
    let ports: Vec<_> = status.workers.iter().map(|w| port(&w.uplink)).collect();
    let mut checks = Vec::new();
    for peer in &status.peers {
        checks.extend(of_peer(peer, status.uplink.max_udp_payload, &told));
        if let Some(session) = &peer.session {
            let ours = session.remote.parse().ok().and_then(&local);
            checks.push(counted::loss(peer, session));
            checks.extend(nat::kind(peer, session, ours, &ports));
            checks.extend(nat::kept(peer, session, ours, &ports));
            checks.push(counted::throughput(peer, session, &status.aead));
        }
    }
    let seen = status.peers.iter().filter_map(|peer| {
        let session = peer.session.as_ref()?;
        let ours = session.remote.parse().ok().and_then(&local);
        Some(Seen::of(&peer.name, session, ours, &ports))
    });
    checks.extend(mapping(&seen.collect::<Vec<_>>()));
    checks
}

fn of_peer(
    peer: &PeerStatus,
    ceiling: u16,
    told: impl Fn(SocketAddr) -> Option<u32>,
) -> Vec<Check> {
    match &peer.session {
        None => vec![no_session(peer)],
        Some(session) => vec![
            ok(
                SESSION,
                format!(
                    "{}: up for {:.0} s with {}, round trip {:.1} ms, {}",
                    peer.name,
                    session.age_s,
                    session.remote,
                    session.rtt_s * 1_000.0,
                    session.cipher
                ),
            ),
            path_mtu(peer, session, ceiling, told),
            esp(peer, session),
        ],
    }
}

fn no_session(peer: &PeerStatus) -> Check {
    let name = &peer.name;
    let last = peer.last_error.as_deref();
    match (&peer.address, last) {
        (Some(address), Some(error)) => failing(
            SESSION,
            format!("{name}: none ({error})"),
            format!(
                "the other end at {address} has to run and to know our key, and UDP to that port has to pass both ways: firewalls, security groups, NAT"
            ),
        ),
        (Some(address), None) => unknown(
            SESSION,
            format!("{name}: {address} is being dialled; run this again in some seconds"),
        ),
        (None, error) => failing(
            SESSION,
            format!(
                "{name}: none, and it is the other end that has to dial{}",
                error.map_or(String::new(), |e| format!(" ({e})"))
            ),
            "look at the other end's `causeway status`; UDP to our port has to be let in here",
        ),
    }
}

/// `ceiling` is the largest UDP payload that is looked for, over IPv4; 0: not known.
fn path_mtu(
    peer: &PeerStatus,
    session: &SessionStatus,
    ceiling: u16,
    told: impl Fn(SocketAddr) -> Option<u32>,
) -> Check {
    let (name, found) = (&peer.name, session.path_mtu);
    if found <= SMALLEST && session.age_s > SETTLED {
        return least(name, found);
    }
    let remote: Option<SocketAddr> = session.remote.parse().ok();
    let ipv6 = remote.is_some_and(|at| at.is_ipv6());
    let ceiling = ceiling.saturating_sub(if ipv6 { IPV6_MORE } else { 0 });
    let seen = format!("{name}: {found} bytes of UDP payload");
    if found >= ceiling {
        return ok(PATH_MTU, seen);
    }
    let said = { remote.and_then(told) }.is_some_and(|told| told <= u32::from(found) + SLACK);
    if said {
        return ok(
            PATH_MTU,
            format!("{seen} of {ceiling}; a router says so by ICMP"),
        );
    }
    if session.age_s < SEARCHED {
        return ok(
            PATH_MTU,
            format!("{seen} so far; up to {ceiling} is being looked for"),
        );
    }
    unknown(
        PATH_MTU,
        format!(
            "{seen}, of the {ceiling} that our link or max-path-mtu allows: either the other end allows no more (its link, its max-path-mtu), or larger datagrams are lost on the way without a word (no ICMP). It works, at a cost for each frame; `causeway doctor --config FILE` with causeway stopped tells which"
        ),
    )
}

fn least(name: &str, found: u16) -> Check {
    failing(
        PATH_MTU,
        format!(
            "{name}: {found} bytes of UDP payload, the least there is: larger datagrams are lost"
        ),
        "find the link of the path that is narrow (`tracepath`), or drops what is large; it works, at a higher cost for each frame",
    )
}

/// Datagrams of the data path: each lane has a port of its own, so QUIC may pass where these do not.
fn esp(peer: &PeerStatus, session: &SessionStatus) -> Check {
    let name = &peer.name;
    let lanes = &session.tx_lanes;
    let silent = |lane: &&LaneStatus| {
        let unheard = lane.heard == Some(0) && lane.sequence > 0 && session.age_s > SETTLED;
        unheard || lane.dead_s.is_some()
    };
    if let Some(lane) = lanes.iter().find(silent) {
        let path = lane.path.as_deref().unwrap_or("an unknown address");
        return failing(
            ESP,
            format!(
                "{name}: of the lane of worker {} nothing arrives at {path}, though QUIC does",
                lane.worker
            ),
            "a firewall that lets only some UDP ports or only QUIC through: match on addresses and the listening end's port alone; or a receive queue of the other end stands still",
        );
    }
    if lanes.iter().any(|lane| lane.path.is_none()) {
        return unknown(
            ESP,
            format!("{name}: nothing has come from the other end that would tell where to send"),
        );
    }
    let told = lanes
        .iter()
        .filter(|lane| lane.heard.is_some_and(|heard| heard > 0));
    let told = told.count();
    if told < lanes.len() && session.age_s > SETTLED {
        return unknown(
            ESP,
            format!("{name}: the other end does not say what it has received (an older release?)"),
        );
    }
    let here = session.rx_lanes.iter().position(|lane| lane.sequence == 0);
    if let Some(lane) = here.filter(|_| session.age_s > SETTLED) {
        return failing(
            ESP,
            format!(
                "{name}: of the other end's lane {lane} nothing arrives here, though QUIC does, and our own arrive there"
            ),
            "a firewall that lets only QUIC or only some UDP ports back in: match on addresses and the listening end's port alone",
        );
    }
    let sent: u64 = lanes.iter().map(|lane| lane.sequence).sum();
    let behind: u64 = lanes
        .iter()
        .map(|lane| lane.sequence.saturating_sub(lane.heard.unwrap_or(0)))
        .sum();
    ok(
        ESP,
        format!(
            "{name}: {sent} datagrams went on {} lanes, {behind} of them since the other end last told",
            lanes.len()
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};

    fn lane(sequence: u64, heard: Option<u64>) -> LaneStatus {
        LaneStatus {
            sequence,
            heard,
            path: Some("203.0.113.2:24500".into()),
            ..LaneStatus::default()
        }
    }

    fn up(lane: LaneStatus) -> PeerStatus {
        PeerStatus {
            name: "cloud".into(),
            session: Some(SessionStatus {
                age_s: 60.0,
                path_mtu: 1_472,
                tx_lanes: vec![lane],
                ..SessionStatus::default()
            }),
            ..PeerStatus::default()
        }
    }

    fn verdicts(peer: PeerStatus) -> Vec<&'static str> {
        let status = Status {
            peers: vec![peer],
            ..Status::default()
        };
        let checks = checks(&status, |_| None, |_| None);
        let path = checks
            .into_iter()
            .filter(|c| matches!(c.name, SESSION | PATH_MTU | ESP));
        let words = path.map(|c| match c.verdict {
            Verdict::Ok { .. } => "ok",
            Verdict::Failing { .. } => "failing",
            Verdict::Unknown { .. } => "unknown",
        });
        words.collect()
    }

    #[test]
    fn a_session_with_lanes_that_arrive_is_well() {
        assert_eq!(verdicts(up(lane(9, Some(8)))), ["ok", "ok", "ok"]);
    }

    #[test]
    fn lanes_that_do_not_arrive_are_named_though_quic_passes() {
        assert_eq!(verdicts(up(lane(9, Some(0)))), ["ok", "ok", "failing"]);
        let dead = LaneStatus {
            dead_s: Some(4.0),
            ..lane(9, Some(5))
        };
        assert_eq!(verdicts(up(dead)), ["ok", "ok", "failing"]);
        assert_eq!(verdicts(up(lane(9, None))), ["ok", "ok", "unknown"]);
        let pathless = LaneStatus {
            path: None,
            ..lane(0, None)
        };
        assert_eq!(verdicts(up(pathless)), ["ok", "ok", "unknown"]);
    }

    #[test]
    fn a_path_that_is_narrower_than_the_link_is_told() {
        let mut peer = up(lane(9, Some(9)));
        let session = peer.session.as_mut().unwrap();
        (session.path_mtu, session.remote) = (1_372, "203.0.113.2:24500".into());
        let session = session.clone();
        let is = |session: &SessionStatus, ceiling, told: Option<u32>| {
            path_mtu(&peer, session, ceiling, |_| told).verdict
        };
        // What the link allows, or nobody knows.
        for ceiling in [0, 1_372] {
            assert!(matches!(
                is(&session, ceiling, Some(1_472)),
                Verdict::Ok { .. }
            ));
        }
        assert!(matches!(
            is(&session, 1_472, Some(1_472)),
            Verdict::Unknown { .. }
        ));
        assert!(matches!(
            is(&session, 1_472, Some(1_373)),
            Verdict::Ok { .. }
        ));
        let young = SessionStatus {
            age_s: 6.0,
            ..session.clone()
        };
        assert!(matches!(is(&young, 1_472, None), Verdict::Ok { .. }));
        let ipv6 = SessionStatus {
            remote: "[2001:db8::1]:24500".into(),
            path_mtu: 1_452,
            ..session
        };
        assert!(matches!(is(&ipv6, 1_472, None), Verdict::Ok { .. }));
    }

    #[test]
    fn a_narrow_path_is_named() {
        let mut peer = up(lane(9, Some(9)));
        peer.session.as_mut().unwrap().path_mtu = 1_200;
        assert_eq!(verdicts(peer), ["ok", "failing", "ok"]);
    }

    #[test]
    fn without_a_session_it_is_said_who_has_to_dial() {
        let peer = |address: Option<&str>, error: Option<&str>| PeerStatus {
            address: address.map(Into::into),
            last_error: error.map(Into::into),
            ..PeerStatus::default()
        };
        assert_eq!(verdicts(peer(Some("h:1"), Some("timed out"))), ["failing"]);
        assert_eq!(verdicts(peer(Some("h:1"), None)), ["unknown"]);
        assert_eq!(verdicts(peer(None, None)), ["failing"]);
    }
}
