//! Puts the status together.

mod session;

use std::{collections::BTreeMap, time::Instant};

use causeway_ebpf::{SightingCounter, Verdict};
use causeway_tunnel::DropReason;

use super::{
    Control,
    liveness::PATIENCE,
    peer::{Live, Peer, ahead_or_behind},
};
use crate::{
    appliance::placement,
    counters::{Counter, WorkerCounters},
    preflight,
    spec::{MacName, StationName},
    stations::Role,
    status::{AeadStatus, AeadTimes, LanStatus, PeerStatus, Status, WorkerStatus},
};

impl Control {
    pub(super) fn status(&self) -> Status {
        let parts = &self.parts;
        Status {
            version: env!("CARGO_PKG_VERSION").into(),
            pid: std::process::id(),
            role: match parts.config.role {
                Role::Site => "site",
                Role::Cloud => "cloud",
            }
            .into(),
            uptime_s: self.started.elapsed().as_secs_f64(),
            public_key: parts.public_key.to_string(),
            listen: parts.config.listen.map(|l| l.to_string()),
            aead: self.aead_status(),
            lan: self.lan_status(),
            uplink: self.uplink_status(),
            peers: (0..self.peers.len()).map(|i| self.peer_status(i)).collect(),
            stations: self
                .station_statuses()
                .into_iter()
                .map(|(key, status)| (StationName(key).to_string(), status))
                .collect(),
            snooping: self.snooping_status(),
            groups: self.group_status(),
            announcing: self.announcing_status(),
            workers: self.worker_status(),
            verdicts: self.verdicts(),
            sightings: self.sighting_counters(),
            uplink_verdicts: self.uplink_verdicts(),
            drops: DropReason::ALL
                .iter()
                .map(|reason| {
                    let of = |c: &WorkerCounters| c.drops[reason.index()].get();
                    (reason.label().into(), self.sum(of))
                })
                .collect(),
            not_advertised: self.not_advertised(),
            quic: parts
                .endpoint
                .counters()
                .iter()
                .map(|(counter, value)| (counter.label().into(), value))
                .collect(),
            alarms: self.alarms.status(Instant::now(), |peer| {
                self.peers[usize::from(peer)].spec.name.clone()
            }),
            warnings: self.warnings(),
        }
    }

    fn aead_status(&self) -> AeadStatus {
        let libraries = &self.parts.libraries;
        let measured = libraries.measured.iter().map(|m| {
            let (seal_ns, open_ns) = (m.seal_ns, m.open_ns);
            (m.library.to_string(), AeadTimes { seal_ns, open_ns })
        });
        AeadStatus {
            seal: libraries.seal.to_string(),
            open: libraries.open.to_string(),
            why: libraries.why(),
            datagram_bytes: libraries.datagram,
            measured: measured.collect(),
        }
    }

    fn lan_status(&self) -> LanStatus {
        let parts = &self.parts;
        let mut own: Vec<_> = self.own_addresses.iter().map(ToString::to_string).collect();
        own.sort();
        LanStatus {
            interface: parts.lan.name.clone(),
            mac: MacName(parts.lan.mac).to_string(),
            mtu: parts.lan.mtu,
            xdp: parts.attach_mode.to_string(),
            copy_mode: parts.copy_mode.label().into(),
            promiscuous: parts.rx_filter.is_promiscuous(),
            rx_filter: parts.rx_filter.to_string(),
            port: parts.config.lan.to_string(),
            vlan_stripping: parts.stripping.to_string(),
            tx_dropped: parts.lan.dropped_since(),
            own_addresses: own,
        }
    }

    fn peer_status(&self, index: usize) -> PeerStatus {
        let (peer, now) = (&self.peers[index], Instant::now());
        let sum = |of: fn(&crate::counters::PeerCounters) -> &Counter| {
            self.sum(|c: &WorkerCounters| of(&c.peers[index]).get())
        };
        PeerStatus {
            name: peer.spec.name.clone(),
            public_key: peer.spec.key.to_string(),
            address: peer.spec.address.clone(),
            state: state(peer).into(),
            session: peer
                .live
                .as_ref()
                .map(|live| self.session_status(index, peer, live, now)),
            sessions: peer.sessions,
            lanes_dead: peer.dead_lanes(now).count() as u64,
            lane_moves: peer.lanes.iter().map(|lane| lane.moves).sum(),
            last_error: peer.last_error.clone(),
            learning: self.learning_status(index),
            groups_refused: self.groups_refused(index),
            tx_frames: sum(|c| &c.tx_frames),
            tx_bytes: sum(|c| &c.tx_bytes),
            rx_frames: sum(|c| &c.rx_frames),
            rx_bytes: sum(|c| &c.rx_bytes),
        }
    }

    fn worker_status(&self) -> Vec<WorkerStatus> {
        let cpus = &self.parts.config.cpus;
        let uplinks = self.parts.uplinks.iter();
        self.parts
            .workers
            .iter()
            .zip(uplinks)
            .enumerate()
            .map(|(i, (worker, uplink))| WorkerStatus {
                counters: worker_counters(&worker.counters),
                cpu: placement::core_of(cpus, i),
                uplink: uplink.to_string(),
            })
            .collect()
    }

    fn verdicts(&self) -> BTreeMap<String, u64> {
        let Ok(counters) = self.parts.program.counters() else {
            return BTreeMap::new();
        };
        Verdict::ALL
            .iter()
            .zip(counters)
            .map(|(verdict, n)| (verdict.label().into(), n))
            .collect()
    }

    fn sighting_counters(&self) -> BTreeMap<String, u64> {
        let Ok(counters) = self.parts.program.sighting_counters() else {
            return BTreeMap::new();
        };
        SightingCounter::ALL
            .iter()
            .zip(counters)
            .map(|(counter, n)| (counter.label().into(), n))
            .collect()
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = preflight::clock_warning(std::time::SystemTime::now())
            .into_iter()
            .collect();
        warnings.extend(self.one_way.warning(&self.parts.lan.name));
        if let Some(port) = self.parts.uplink.as_ref().filter(|_| self.uplink_is_gone) {
            let name = &port.device.name;
            warnings.push(format!("interface {name} is gone: the kernel's routes are used; restart when it is there again"));
        }
        warnings.extend(self.parts.stripping.warning());
        warnings.extend(self.station_warnings());
        for peer in &self.peers {
            let name = &peer.spec.name;
            if let Some(skew) = peer.live.as_ref().and_then(Live::noteworthy_clock_skew) {
                warnings.push(format!(
                    "the clock of peer {name} is {}: set both by NTP",
                    ahead_or_behind(skew)
                ));
            }
            if peer
                .live
                .as_ref()
                .is_some_and(|live| live.since.elapsed() > self.context.limits.lifetime)
            {
                warnings.push(format!("the keys of peer {name} are worn and no new session came: nothing is sent to it"));
            }
            for (lane, dead) in peer
                .dead_lanes(Instant::now())
                .filter(|(_, dead)| *dead >= 2 * PATIENCE)
            {
                warnings.push(format!(
                    "lane {lane} to peer {name}: dead for {} s, and another UDP port does not help: does a firewall on the way limit ports, or a queue over there stand still?",
                    dead.as_secs()
                ));
            }
            if !peer.is_connected() {
                let why = peer
                    .last_error
                    .as_deref()
                    .unwrap_or("it has not called yet");
                warnings.push(format!("no session with peer {name}: {why}"));
            }
        }
        warnings
    }

    pub(super) fn sum(&self, of: impl Fn(&WorkerCounters) -> u64) -> u64 {
        self.parts.workers.iter().map(|w| of(&w.counters)).sum()
    }
}

fn state(peer: &Peer) -> &'static str {
    match (peer.is_connected(), &peer.spec.address) {
        (true, _) => "up",
        (false, Some(_)) => "dialling",
        (false, None) => "waiting",
    }
}

fn worker_counters(counters: &WorkerCounters) -> BTreeMap<String, u64> {
    let counters = counters.by_name();
    counters
        .map(|(name, counter)| (name.to_owned(), counter.get()))
        .collect()
}
