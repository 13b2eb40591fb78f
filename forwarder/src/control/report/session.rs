//! A session and its lanes, for the status.

use std::time::{Duration, Instant};

use super::super::{
    Control,
    peer::{Live, Peer},
};
use crate::status::{LaneStatus, SessionStatus};

impl Peer {
    /// Its dead lanes, and for how long they have been that.
    pub(super) fn dead_lanes(&self, now: Instant) -> impl Iterator<Item = (usize, Duration)> {
        let lanes = self.lanes.iter().enumerate();
        lanes.filter_map(move |(lane, state)| Some((lane, state.dead_for(now)?)))
    }
}

impl Control {
    pub(super) fn session_status(
        &self,
        index: usize,
        peer: &Peer,
        live: &Live,
        now: Instant,
    ) -> SessionStatus {
        let remote = live.session.remote_address();
        let tx = live.send.iter().enumerate().map(|(worker, spi)| {
            let state = &peer.lanes[worker];
            let learnt = || Some(peer.learnt_path(worker, spi.worker())?.remote);
            let path = match live.session.is_dialer() {
                true => Some(remote),
                false => learnt(),
            };
            LaneStatus {
                spi: spi.to_string(),
                worker,
                path: path.map(|path| path.to_string()),
                sequence: self.parts.workers[worker].counters.peers[index]
                    .tx_datagrams
                    .get(),
                heard: state.heard(),
                received: state.told.received,
                seen_at: state.told.from.map(|at| at.to_string()),
                dead_s: state.dead_for(now).map(|dead| dead.as_secs_f64()),
                moves: state.moves,
                detour: state.detour,
            }
        });
        let rx = live.receive.iter().map(|lane| LaneStatus {
            spi: lane.spi.to_string(),
            worker: usize::from(lane.spi.worker()),
            sequence: lane.highest.get(),
            received: Some(lane.received.get()),
            ..LaneStatus::default()
        });
        SessionStatus {
            age_s: now.duration_since(live.since).as_secs_f64(),
            dialled: live.session.is_dialer(),
            remote: remote.to_string(),
            rtt_s: live.session.rtt().as_secs_f64(),
            path_mtu: peer.datagram_size,
            cipher: live.session.cipher().to_string(),
            software: live.software(),
            tx_lanes: tx.collect(),
            rx_lanes: rx.collect(),
        }
    }
}
