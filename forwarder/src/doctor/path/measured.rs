//! What a session of the doctor's own has shown of the path.

use std::net::IpAddr;

use causeway_tunnel::{
    message::ByeReason,
    session::{Filled, SessionError},
};

use super::{
    super::{
        check::{Check, failing, ok, unknown},
        reach::unheard,
        route::headers,
        session::{Failed, Measured, Train},
    },
    PATH_MTU, SESSION,
    counted::{LESS_LOSS, LOSS, MUCH, THROUGHPUT},
    nat,
};
use crate::status::PeerStatus;

/// The checks of a peer's path; `local` is our address on the way there.
pub fn checks(peer: &PeerStatus, measured: &Measured, local: Option<IpAddr>) -> Vec<Check> {
    let session = &measured.session;
    let name = &peer.name;
    let mut checks = vec![
        ok(
            SESSION,
            format!(
                "{name}: one with our key came up at {}, for {:.0} s, round trip {:.1} ms, {} ({})",
                session.remote,
                session.age_s,
                session.rtt_s * 1_000.0,
                session.cipher,
                session.software
            ),
        ),
        path_mtu(name, measured),
        super::esp(peer, session),
    ];
    checks.push(loss(name, measured));
    checks.extend(nat::kind(peer, session, local, &measured.ports));
    checks.extend(nat::lifetime(peer, measured, local));
    checks.push(throughput(name, measured));
    checks
}

/// What it says that there is nothing measured.
pub fn not_measured(name: &str, failed: &Failed) -> Check {
    let error = match failed {
        Failed::Here(why) => return unknown(SESSION, format!("{name}: {why}")),
        Failed::Session(error) => error,
    };
    if let Some(check) = unheard(SESSION, name, error) {
        return check;
    }
    match error {
        SessionError::ClosedByPeer(bye) if bye.reason() == ByeReason::Replaced => unknown(
            SESSION,
            format!(
                "{name}: another session with this key took the place of ours: a causeway with it runs elsewhere, or was started meanwhile"
            ),
        ),
        SessionError::WrongKey { .. }
        | SessionError::KeyRefused { .. }
        | SessionError::SameRole { .. }
        | SessionError::Version { .. } => {
            failing(SESSION, format!("{name}: no session"), error.to_string())
        }
        _ => unknown(SESSION, format!("{name}: {error}")),
    }
}

fn path_mtu(name: &str, m: &Measured) -> Check {
    let headers = m.session.remote.parse().map_or(0, headers);
    // Datagrams of lanes are multiples of 4 bytes.
    let (ceiling, told) = (m.ceiling / 4 * 4, m.told / 4 * 4);
    let (found, by) = match m.largest[0] {
        Some(largest) => (largest, "ESP"),
        None => (m.session.path_mtu / 4 * 4, "QUIC"),
    };
    let esp = m.largest[0].is_some();
    // It sends a size thrice before it gives it up, and has not the time.
    if !esp && u32::from(m.session.path_mtu) + super::SLACK < ceiling.min(told).into() {
        return unknown(
            PATH_MTU,
            format!(
                "{name}: no ESP tells it; QUIC datagrams of {found} bytes of UDP payload arrive there, of the {} that our link allows, but QUIC looks for more for longer than this session lasted",
                m.ceiling
            ),
        );
    }
    if found <= super::SMALLEST {
        return super::least(name, found);
    }
    if esp && found < ceiling && found < told {
        return failing(
            PATH_MTU,
            format!(
                "{name}: ESP datagrams of up to {found} bytes of UDP payload arrive there, and larger ones are lost without a word, though our link has room for {}: a link on the way carries IP packets of {} bytes, and no ICMP says so",
                m.ceiling,
                found + headers
            ),
            format!(
                "let ICMP pass (type 3; IPv6: type 2), or widen that link. causeway itself finds the size and cuts frames to it; where it has to stay so, max-path-mtu = {} says it",
                (found + headers).max(1_280)
            ),
        );
    }
    if let Some(back) = m.largest[1].filter(|back| *back < found.min(ceiling)) {
        return failing(
            PATH_MTU,
            format!("{name}: {found} bytes of UDP payload arrive there, and only {back} back"),
            "the ways there and back differ: find the link of the way back that is narrow (`tracepath` at the other end)",
        );
    }
    let back = match m.largest[1] {
        Some(_) => "there and back",
        None => "there",
    };
    let why = match told < ceiling {
        true => format!("of the {} of our link; a router says so by ICMP", m.ceiling),
        false => "all that our link or max-path-mtu allows".into(),
    };
    ok(
        PATH_MTU,
        format!("{name}: {by} datagrams of {found} bytes of UDP payload arrive {back}, {why}"),
    )
}

fn loss(name: &str, m: &Measured) -> Check {
    let [there, back] = &m.trains;
    let sum = |way: &[Train]| {
        way.iter().fold(Train::default(), |sum, lane| Train {
            sent: sum.sent + lane.sent,
            arrived: sum.arrived + lane.arrived,
        })
    };
    if there.is_empty() && sum(back).sent == 0 {
        let why = match m.session.is_unheard() {
            true => "nothing arrives of which a part could be lost: see ESP passes",
            false => "the other end does not say what arrives",
        };
        return unknown(LOSS, format!("{name}: {why}"));
    }
    let of_lane = |lane: &Train| {
        format!(
            "{} of {}",
            lane.sent.saturating_sub(lane.arrived),
            lane.sent
        )
    };
    let words = |way: &[Train], what: &str| {
        if sum(way).sent == 0 {
            return format!("the other end's release does not let those {what} be counted");
        }
        let lanes: Vec<_> = way.iter().map(of_lane).collect();
        format!("{} {what}", lanes.join(" and "))
    };
    let seen = format!(
        "{name}: lost were, by lane, {}; {}; round trip {:.1} ms",
        words(there, "there"),
        words(back, "back"),
        m.session.rtt_s * 1_000.0
    );
    let much = |way: &[Train]| {
        let Train { sent, arrived } = sum(way);
        sent.saturating_sub(arrived) as f64 > MUCH * sent as f64
    };
    match much(there) || much(back) {
        true => failing(LOSS, seen, LESS_LOSS),
        false => ok(LOSS, seen),
    }
}

fn throughput(name: &str, m: &Measured) -> Check {
    let rate = |filled: &Filled| {
        let seconds = filled.time.as_secs_f64();
        match seconds >= 0.000_5 {
            true => format!("{:.0} Mb/s", filled.bytes as f64 * 8.0 / seconds / 1e6),
            false => "more than can be told".into(),
        }
    };
    let there = m.filled.as_ref().filter(|f| f.bytes > 0).map(|filled| {
        format!(
            "at least {} there ({} kB of QUIC in {:.0} ms, with its congestion control)",
            rate(filled),
            filled.bytes / 1_000,
            filled.time.as_secs_f64() * 1_000.0
        )
    });
    let back = m.returned.as_ref().filter(|f| f.bytes > 0).map(|returned| {
        format!(
            "about {} back (a train of {} kB of ESP at once, from its first datagram to its last)",
            rate(returned),
            returned.bytes / 1_000
        )
    });
    let estimates: Vec<_> = there.into_iter().chain(back).collect();
    if estimates.is_empty() {
        return unknown(
            THROUGHPUT,
            format!("{name}: nothing arrived that would tell"),
        );
    }
    ok(
        THROUGHPUT,
        format!(
            "{name}: estimates: {}; what the path carries for long only a measurement tells (iperf3 between hosts)",
            estimates.join(", ")
        ),
    )
}

#[cfg(test)]
mod tests;
