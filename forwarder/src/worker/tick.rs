//! A worker's housekeeping, four times a second.

use std::{io, time::Instant};

use causeway_tunnel::DropReason;

use super::{Keepalive, TICK, Worker};
use crate::{counters::Counter, lan_to_wan::ToPeer, stations::PeerIndex, sys::xsk::XskStatistics};

impl Worker {
    pub(super) fn tick(&mut self, now: Instant) {
        self.next_tick = now + TICK;
        for inbound in self.lanes.values_mut() {
            let incomplete = inbound.lane.tick(now);
            self.counters.drops[DropReason::Incomplete.index()].add(incomplete);
        }
        for peer in 0..self.peers.len() {
            self.keep_alive(peer, now);
        }
        self.config.port.wake_receiver();
        self.config.uplink.wake_receiver();
        self.read_kernel_counters();
    }

    fn read_kernel_counters(&mut self) {
        let (counters, config) = (&self.counters, &self.config);
        if let Ok(dropped) = config.uplink.udp().receive_overflow() {
            let before = config.uplink.overflow_before();
            counters.wan_rx_overflow.set(before + u64::from(dropped));
        }
        counters.kicks_deferred.set(config.port.kicks_deferred());
        copy(config.port.statistics(), &counters.xsk);
        if let Some(xdp) = config.uplink.xdp() {
            counters.uplink_kicks_deferred.set(xdp.kicks_deferred());
            copy(xdp.statistics(), &counters.uplink_xsk);
        }
    }

    /// Sends a dummy on a lane that has been idle, or that has just begun.
    pub(super) fn keep_alive(&mut self, peer: usize, now: Instant) {
        let state = &mut self.keepalives[peer];
        let tx = &mut self.peers[peer];
        let (Some(lane), Some(path)) = (&mut tx.lane, &tx.path) else {
            return;
        };
        let moved = lane.sequence() != state.datagrams;
        if moved && state.opening == 0 {
            *state = Keepalive {
                datagrams: lane.sequence(),
                since: now,
                opening: 0,
            };
            return;
        }
        if state.opening == 0 && now.duration_since(state.since) < self.config.lane_keepalive {
            return;
        }
        let (uplink, counters) = (&mut self.config.uplink, &self.counters);
        let sent = lane.keepalive(
            now,
            &mut ToPeer {
                lone_frame: None,
                uplink,
                peer: peer as PeerIndex,
                path,
                counters,
            },
        );
        if sent.is_ok() {
            counters.keepalives.add(1);
            counters.peers[peer].tx_datagrams.set(lane.sequence());
        }
        *state = Keepalive {
            datagrams: lane.sequence(),
            since: now,
            opening: state.opening.saturating_sub(1),
        };
    }
}

impl Worker {
    /// Sends dummies of these sizes.
    pub(super) fn train(&mut self, peer: PeerIndex, sizes: &[u16], now: Instant) {
        let tx = &mut self.peers[usize::from(peer)];
        let (Some(lane), Some(path)) = (&mut tx.lane, &tx.path) else {
            return;
        };
        let (uplink, counters) = (&mut self.config.uplink, &self.counters);
        let mut out = ToPeer {
            lone_frame: None,
            uplink,
            peer,
            path,
            counters,
        };
        for size in sizes {
            if lane.dummy(usize::from(*size), now, &mut out).is_ok() {
                counters.keepalives.add(1);
            }
        }
        let sent = &counters.peers[usize::from(peer)].tx_datagrams;
        sent.set(lane.sequence());
    }
}

fn copy(statistics: io::Result<XskStatistics>, counters: &[Counter; 4]) {
    let Ok(s) = statistics else { return };
    let values = [
        s.rx_dropped,
        s.rx_ring_full,
        s.rx_fill_ring_empty,
        s.tx_invalid,
    ];
    for (counter, value) in counters.iter().zip(values) {
        counter.set(value);
    }
}
