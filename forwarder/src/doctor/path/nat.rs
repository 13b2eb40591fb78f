//! What a NAT on the way does, by where the peers see our lanes come from.
//!
//! RFC 4787 has the words: whether a NAT keeps ports (section 4.2.1), whether it maps a port of ours alike for every
//! destination (section 4.1), and how long it remembers (section 4.3). One peer, with one address and port, shows the
//! first and the last; the second takes two.

use std::net::{IpAddr, SocketAddr};

use super::{
    super::{
        check::{Check, failing, ok, unknown},
        session::{Measured, Outlived},
    },
    SETTLED,
};
use crate::status::{PeerStatus, SessionStatus};

const NAT: &str = "NAT";
const MAPPING: &str = "NAT mapping";
const LIFETIME: &str = "NAT lifetime";

/// A session this old without a dead lane has shown that mappings outlive the pauses between keepalives, in seconds.
const LONG: f64 = 60.0;

/// Where a peer sees our lanes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    peer: String,
    /// Our address on the way there.
    local: Option<IpAddr>,
    /// Our port of a lane, and where the peer sees it; empty if it is not known of each lane.
    lanes: Vec<(u16, SocketAddr)>,
}

impl Seen {
    /// By what the peer tells; `ports` are those of our workers. Of a session that the peer dialled there is nothing to
    /// tell.
    pub fn of(name: &str, session: &SessionStatus, local: Option<IpAddr>, ports: &[u16]) -> Self {
        let of_lane = |lane: &crate::status::LaneStatus| {
            let at: SocketAddr = lane.seen_at.as_deref()?.parse().ok()?;
            Some((*ports.get(lane.worker)?, at))
        };
        let lanes = session.tx_lanes.iter().filter(|_| session.dialled);
        let lanes: Option<Vec<_>> = lanes.map(of_lane).collect();
        Self {
            peer: name.into(),
            local,
            lanes: lanes.unwrap_or_default(),
        }
    }

    /// Whether there is a NAT, if that is known.
    fn is_behind(&self) -> Option<bool> {
        let ours = |(port, at): &(u16, SocketAddr)| {
            self.local == Some(at.ip().to_canonical()) && *port == at.port()
        };
        (!self.lanes.is_empty()).then(|| !self.lanes.iter().all(ours))
    }
}

/// What it does to addresses and ports. Nothing to say at a listening end, whose address the peer dialled.
pub(super) fn kind(
    peer: &PeerStatus,
    session: &SessionStatus,
    local: Option<IpAddr>,
    ports: &[u16],
) -> Option<Check> {
    if !session.dialled {
        return None;
    }
    let name = &peer.name;
    let Seen { lanes: seen, .. } = Seen::of(name, session, local, ports);
    if seen.is_empty() {
        // The first report comes within a second, of an older release never.
        let why = match session.is_unheard() {
            true => "nothing arrives, so the other end cannot say where it sees us",
            false => "the other end does not say where it sees us (an older release?)",
        };
        return (session.age_s > SETTLED).then(|| unknown(NAT, format!("{name}: {why}")));
    }
    let first = seen[0].1;
    let one_address = seen.iter().all(|(_, at)| at.ip() == first.ip());
    let same_ports = seen.iter().all(|(port, at)| at.port() == *port);
    let pairs: Vec<_> = seen
        .iter()
        .map(|(port, at)| format!("{port} to {}", at.port()))
        .collect();
    let what = match (local == Some(first.ip()), one_address, same_ports) {
        (true, true, true) => "none: the other end sees our own address and ports".to_owned(),
        (_, true, true) => format!(
            "it changes the address to {} and keeps the ports",
            first.ip()
        ),
        (_, true, false) => format!(
            "it changes the address to {} and the ports ({})",
            first.ip(),
            pairs.join(", ")
        ),
        (_, false, _) => {
            let mut all: Vec<_> = seen.iter().map(|(_, at)| at.ip().to_string()).collect();
            all.sort();
            all.dedup();
            format!("it spreads our ports over addresses: {}", all.join(", "))
        }
    };
    Some(ok(NAT, format!("{name}: {what}")))
}

/// Whether it maps a port of ours alike for different destinations; nothing without a NAT.
pub fn mapping(all: &[Seen]) -> Option<Check> {
    let behind: Vec<_> = { all.iter() }
        .filter(|s| s.is_behind() == Some(true))
        .collect();
    let (one, rest) = behind.split_first()?;
    // Of a port of ours, where two peers see it.
    let shared = rest.iter().find_map(|other| {
        let (port, at) = one.lanes.iter().find_map(|(port, at)| {
            let there = other.lanes.iter().find(|(p, _)| p == port)?;
            Some((*port, (*at, there.1)))
        })?;
        Some((other, port, at))
    });
    let Some((other, port, (a, b))) = shared else {
        return Some(ok(
            MAPPING,
            format!(
                "any will do for an end that dials; whether another destination would see the same port, one peer ({}) cannot show",
                one.peer
            ),
        ));
    };
    let peers = format!("peers {} and {}", one.peer, other.peer);
    Some(ok(
        MAPPING,
        match a == b {
            true => format!(
                "endpoint-independent, as far as {peers} show: both see our port {port} at {a}"
            ),
            false => format!(
                "address-dependent: our port {port} is at {a} for one and at {b} for the other of {peers}; fine for a dialling end"
            ),
        },
    ))
}

/// How long it remembers, by the silence that a lane of the doctor's has outlived.
pub(super) fn lifetime(
    peer: &PeerStatus,
    measured: &Measured,
    local: Option<IpAddr>,
) -> Option<Check> {
    let name = &peer.name;
    let seen = Seen::of(name, &measured.session, local, &measured.ports);
    if seen.is_behind() != Some(true) {
        return None;
    }
    Some(match measured.silence {
        Some((silence, Outlived::Yes)) => ok(
            LIFETIME,
            format!(
                "{name}: more than {:.1} s, after which the appliance sends a keepalive: the other end's datagrams still came in",
                silence.as_secs_f64()
            ),
        ),
        Some((silence, Outlived::Disturbed(after))) => unknown(
            LIFETIME,
            format!(
                "{name}: {:.1} s without a datagram were to show it, but the other end sent one of its own after {:.1} s (a frame for this side, or its lane-keepalive is shorter): run this again when there is less traffic",
                silence.as_secs_f64(),
                after.as_secs_f64()
            ),
        ),
        Some((silence, Outlived::No)) => failing(
            LIFETIME,
            format!(
                "{name}: less than {:.1} s: after that silence the other end's datagrams do not come in any more, and the appliance sends no keepalive before",
                silence.as_secs_f64()
            ),
            "a shorter lane-keepalive at this end, half of what the NAT or firewall remembers UDP for at most; or let it remember for longer",
        ),
        None => unknown(
            LIFETIME,
            format!("{name}: the other end does not send what it is asked for (an older release?)"),
        ),
    })
}

/// The same by a session of a running appliance, whose lanes are never silent for longer than it lets them.
pub(super) fn kept(
    peer: &PeerStatus,
    session: &SessionStatus,
    local: Option<IpAddr>,
    ports: &[u16],
) -> Option<Check> {
    let name = &peer.name;
    if Seen::of(name, session, local, ports).is_behind() != Some(true) {
        return None;
    }
    let moved = peer.lane_moves > 0 || peer.lanes_dead > 0;
    Some(match (moved, session.age_s > LONG) {
        (true, _) => unknown(
            LIFETIME,
            format!(
                "{name}: lanes have died and were moved {} times, of which a NAT that forgets may be the cause: a shorter lane-keepalive tells",
                peer.lane_moves
            ),
        ),
        (false, true) => ok(
            LIFETIME,
            format!(
                "{name}: longer than the appliance is ever silent (lane-keepalive): no lane has died in {:.0} s",
                session.age_s
            ),
        ),
        (false, false) => unknown(
            LIFETIME,
            format!("{name}: the session is too young to tell; run this again after a minute"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{
        super::super::check::{Verdict, asked::said},
        *,
    };
    use crate::status::LaneStatus;

    const PORTS: [u16; 2] = [4_001, 4_002];

    fn ours() -> Option<IpAddr> {
        Some(IpAddr::from([192, 168, 1, 5]))
    }

    fn session(lanes: [&str; 2]) -> SessionStatus {
        let lanes = lanes.iter().enumerate().map(|(worker, at)| LaneStatus {
            worker,
            seen_at: Some((*at).into()),
            ..LaneStatus::default()
        });
        SessionStatus {
            dialled: true,
            tx_lanes: lanes.collect(),
            ..SessionStatus::default()
        }
    }

    #[test]
    fn a_nat_is_told_by_what_it_changes() {
        for (lanes, word) in [
            (["192.168.1.5:4001", "192.168.1.5:4002"], "none"),
            (
                ["203.0.113.9:4001", "203.0.113.9:4002"],
                "to 203.0.113.9 and keeps the ports",
            ),
            (
                ["203.0.113.9:1024", "203.0.113.9:4002"],
                "to 203.0.113.9 and the ports (4001 to 1024, 4002 to 4002)",
            ),
            (
                ["203.0.113.9:4001", "203.0.113.8:4002"],
                "over addresses: 203.0.113.8, 203.0.113.9",
            ),
        ] {
            let session = session(lanes);
            let check = kind(&PeerStatus::default(), &session, ours(), &PORTS).unwrap();
            assert!(said(&check).contains(word), "{check:?}");
        }
        let mut untold = session(["", ""]);
        let kind = |session: &SessionStatus| kind(&PeerStatus::default(), session, ours(), &PORTS);
        assert_eq!(kind(&untold), None);
        untold.age_s = 60.0;
        let check = kind(&untold).unwrap();
        assert!(matches!(check.verdict, Verdict::Unknown { .. }));
        untold.dialled = false;
        assert_eq!(kind(&untold), None);
    }

    #[test]
    fn two_peers_tell_how_it_maps_and_one_does_not() {
        let of = |name, lanes| Seen::of(name, &session(lanes), ours(), &PORTS);
        let none = of("a", ["192.168.1.5:4001", "192.168.1.5:4002"]);
        assert_eq!(mapping(&[none.clone(), none]), None);
        let one = of("a", ["203.0.113.9:4001", "203.0.113.9:4002"]);
        let check = mapping(std::slice::from_ref(&one)).unwrap();
        assert!(said(&check).starts_with("any will do"), "{check:?}");
        let same = Seen {
            peer: "b".into(),
            ..one.clone()
        };
        let check = mapping(&[one.clone(), same]).unwrap();
        assert!(
            said(&check).starts_with("endpoint-independent"),
            "{check:?}"
        );
        let other = of("b", ["203.0.113.9:999", "203.0.113.9:998"]);
        let check = mapping(&[one, other]).unwrap();
        assert!(said(&check).starts_with("address-dependent"), "{check:?}");
    }

    #[test]
    fn a_mapping_that_is_forgotten_has_a_mend() {
        let peer = PeerStatus::default();
        let mut measured = Measured {
            session: session(["203.0.113.9:4001", "203.0.113.9:4002"]),
            ports: PORTS.into(),
            ..Measured::default()
        };
        let verdict = |measured: &Measured| lifetime(&peer, measured, ours()).unwrap().verdict;
        assert!(matches!(verdict(&measured), Verdict::Unknown { .. }));
        measured.silence = Some((Duration::from_secs(10), Outlived::Yes));
        assert!(matches!(verdict(&measured), Verdict::Ok { .. }));
        let disturbed = Outlived::Disturbed(Duration::from_secs(4));
        measured.silence = Some((Duration::from_secs(10), disturbed));
        assert!(
            matches!(verdict(&measured), Verdict::Unknown { why } if why.contains("after 4.0 s"))
        );
        measured.silence = Some((Duration::from_secs(10), Outlived::No));
        assert!(
            matches!(verdict(&measured), Verdict::Failing { mend, .. } if mend.contains("lane-keepalive"))
        );
        measured.session = session(["192.168.1.5:4001", "192.168.1.5:4002"]);
        assert_eq!(lifetime(&peer, &measured, ours()), None);

        let mut running = session(["203.0.113.9:4001", "203.0.113.9:4002"]);
        let kept = |peer: &PeerStatus, session: &SessionStatus| {
            kept(peer, session, ours(), &PORTS).unwrap().verdict
        };
        assert!(matches!(kept(&peer, &running), Verdict::Unknown { .. }));
        running.age_s = 100.0;
        assert!(matches!(kept(&peer, &running), Verdict::Ok { .. }));
        let moved = PeerStatus {
            lane_moves: 2,
            ..PeerStatus::default()
        };
        assert!(matches!(kept(&moved, &running), Verdict::Unknown { .. }));
    }
}
