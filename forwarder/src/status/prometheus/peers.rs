//! The other ends, their sessions and lanes.

use std::fmt::Display;

use super::exposition::{Exposition, Family};
use crate::status::{LaneStatus, PeerStatus, SessionStatus};

pub(super) fn write(out: &mut Exposition, peers: &[PeerStatus]) {
    write_peers(out, peers);
    write_traffic(out, peers);
    write_learning(out, peers);
    write_sessions(out, peers);
    write_sending(out, peers);
    write_receiving(out, peers);
}

/// A sample for each peer that has the value.
fn each<V: Display>(
    family: Family<'_>,
    peers: &[PeerStatus],
    value: impl Fn(&PeerStatus) -> Option<V>,
) {
    let samples = peers.iter().filter_map(|p| Some((&p.name, value(p)?)));
    family.by("peer", samples);
}

fn write_peers(out: &mut Exposition, peers: &[PeerStatus]) {
    let mut info = out.gauge("peer_info", "The peer; always 1.");
    for peer in peers {
        let labels = [
            ("peer", &*peer.name),
            ("public_key", &*peer.public_key),
            ("address", peer.address.as_deref().unwrap_or_default()),
        ];
        info.sample(&labels, 1);
    }
    let up = out.gauge("peer_up", "1 if there is a session with the peer, else 0.");
    each(up, peers, |p| Some(u8::from(p.state == "up")));
    let sessions = out.counter(
        "peer_sessions",
        "Sessions since the start, rekeys included.",
    );
    each(sessions, peers, |p| Some(p.sessions));
    let dead = out.gauge("peer_lanes_dead", "Sending lanes that are dead now.");
    each(dead, peers, |p| Some(p.lanes_dead));
    let moves = out.counter("peer_lane_moves", "Times that sending lanes were moved.");
    each(moves, peers, |p| Some(p.lane_moves));
}

fn write_traffic(out: &mut Exposition, peers: &[PeerStatus]) {
    let frames = out.counter("peer_tx_frames", "Frames accepted for the peer.");
    each(frames, peers, |p| Some(p.tx_frames));
    let bytes = out.counter(
        "peer_tx_bytes",
        "Bytes of the frames accepted for the peer.",
    );
    each(bytes, peers, |p| Some(p.tx_bytes));
    let frames = out.counter("peer_rx_frames", "Frames of the peer that were injected.");
    each(frames, peers, |p| Some(p.rx_frames));
    let bytes = out.counter("peer_rx_bytes", "Bytes of the frames that were injected.");
    each(bytes, peers, |p| Some(p.rx_bytes));
}

fn write_learning(out: &mut Exposition, peers: &[PeerStatus]) {
    let help = "Stations within the ranges that are learnt from the peer, or advertised to it, and that were seen.";
    each(out.gauge("peer_stations_seen", help), peers, |p| {
        Some(p.learning.seen)
    });
    let help = "Stations of the peer that were not taken, by reason.";
    let mut refused = out.counter("peer_stations_refused", help);
    for peer in peers {
        for (reason, number) in &peer.learning.refused {
            refused.sample(&[("peer", &peer.name), ("reason", reason)], number);
        }
    }
    let help = "Times that a multicast group of the peer was not kept for want of room.";
    each(out.counter("peer_groups_refused", help), peers, |p| {
        Some(p.groups_refused)
    });
}

fn write_sessions(out: &mut Exposition, peers: &[PeerStatus]) {
    let help = "The session with the peer; always 1.";
    let mut info = out.gauge("peer_session_info", help);
    for peer in peers {
        let Some(session) = &peer.session else {
            continue;
        };
        let labels = [
            ("peer", &*peer.name),
            ("remote", &*session.remote),
            ("dialled", if session.dialled { "true" } else { "false" }),
            ("cipher", &*session.cipher),
            ("software", &*session.software),
        ];
        info.sample(&labels, 1);
    }
    let mut write = |name: &str, help: &str, of: fn(&SessionStatus) -> f64| {
        each(out.gauge(name, help), peers, |p| p.session.as_ref().map(of));
    };
    let help = "Age of the session; each rekey begins a new one.";
    write("peer_session_age_seconds", help, |s| s.age_s);
    let help = "Round trip of the control connection.";
    write("peer_rtt_seconds", help, |s| s.rtt_s);
    let help = "Largest UDP payload that passes to the peer.";
    write("peer_path_mtu_bytes", help, |s| f64::from(s.path_mtu));
}

/// A sample for each lane that has the value. A lane is named by its place: its SPI is new with each rekey.
fn each_lane<V: Display>(
    mut family: Family<'_>,
    peers: &[PeerStatus],
    lanes: fn(&SessionStatus) -> &[LaneStatus],
    value: impl Fn(&LaneStatus) -> Option<V>,
) {
    for peer in peers {
        let lanes = peer.session.as_ref().map_or(&[][..], lanes);
        for (place, lane) in lanes.iter().enumerate() {
            let Some(value) = value(lane) else { continue };
            let (place, worker) = (place.to_string(), lane.worker.to_string());
            let labels = [("peer", &*peer.name), ("lane", &place), ("worker", &worker)];
            family.sample(&labels, value);
        }
    }
}

fn write_sending(out: &mut Exposition, peers: &[PeerStatus]) {
    let lanes: fn(&SessionStatus) -> &[LaneStatus] = |session| &session.tx_lanes;
    let help = "Datagrams sent on the lane in this session.";
    let family = out.counter("lane_tx_datagrams", help);
    each_lane(family, peers, lanes, |l| Some(l.sequence));
    let help = "Highest sequence number of a sending lane that the peer has received, if it tells.";
    let family = out.gauge("lane_tx_heard_sequence", help);
    each_lane(family, peers, lanes, |l| l.heard);
    let help =
        "Datagrams of a sending lane that have arrived at the peer in this session, if it tells.";
    let family = out.counter("lane_tx_arrived_datagrams", help);
    each_lane(family, peers, lanes, |l| l.received);
    let help = "For how long a sending lane has been dead; 0 if it is not.";
    let family = out.gauge("lane_dead_seconds", help);
    each_lane(family, peers, lanes, |l| Some(l.dead_s.unwrap_or(0.0)));
    let help = "Times that a sending lane was moved, over all sessions.";
    let family = out.counter("lane_moves", help);
    each_lane(family, peers, lanes, |l| Some(l.moves));
}

fn write_receiving(out: &mut Exposition, peers: &[PeerStatus]) {
    let lanes: fn(&SessionStatus) -> &[LaneStatus] = |session| &session.rx_lanes;
    let help = "Datagrams that have arrived on the lane in this session.";
    let family = out.counter("lane_rx_datagrams", help);
    each_lane(family, peers, lanes, |l| l.received);
    let help =
        "Highest sequence number received on the lane: less what arrived, it is what was lost.";
    let family = out.gauge("lane_rx_highest_sequence", help);
    each_lane(family, peers, lanes, |l| Some(l.sequence));
}
