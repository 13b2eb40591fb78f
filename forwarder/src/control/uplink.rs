//! What the control plane does about AF_XDP on the uplink: it keeps program and workers up to date.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use causeway_ebpf::UplinkVerdict;
use tracing::{debug, info, warn};

use super::{Control, establish::worker_of, next_hops::UplinkState};
use crate::{
    spec::MacName,
    status::{NextHopStatus, UplinkStatus, UplinkXdpStatus},
    sys::ethtool::UdpFlow,
    uplink::{NextHop, NextHops, Path, Placement, Target, canonical},
    worker::Command,
};

impl Control {
    /// Where the workers send to: what next hops, or devices, are wanted for.
    pub(super) fn want_next_hops(&self) {
        let mut targets = BTreeSet::new();
        for peer in &self.peers {
            let dialled = peer.live.as_ref().filter(|l| l.session.is_dialer());
            let dialled = dialled.map(|live| Path {
                remote: live.session.remote_address(),
                local: None,
            });
            targets.extend(dialled.iter().map(Target::from));
            targets.extend(peer.paths.values().map(Target::from));
        }
        self.wanted.send_if_modified(|wanted| {
            let changed = *wanted != targets;
            *wanted = targets;
            changed
        });
    }

    /// Has the uplink's device bring each lane to the queue of its worker.
    pub(super) fn place_lanes(&mut self) {
        let Some(port) = &mut self.parts.uplink else {
            return;
        };
        if !port.flow_rules.wanted() {
            return;
        }
        let (listen, workers) = (self.parts.config.listen, &self.parts.uplinks);
        let mut placement = Placement::new();
        for peer in &self.peers {
            let session = peer.live.as_ref().map(|live| &live.session);
            match (session.filter(|s| s.is_dialer()), listen) {
                // The peer sends each lane to the port of the worker that it is for.
                (Some(dialled), _) => {
                    let remote = canonical(dialled.remote_address());
                    placement.extend(own_ports(remote, workers));
                }
                (None, Some(listen)) => {
                    placement.extend(lanes_of(&peer.paths, listen.port(), workers.len()));
                }
                (None, None) => {}
            }
        }
        placement.retain(|_, queue| *queue < port.queues);
        port.flow_rules.set(&placement);
    }

    pub(super) fn uplink_changed(&mut self, state: UplinkState) {
        let Some(port) = &mut self.parts.uplink else {
            return;
        };
        if let Some(mac) = state.mac.filter(|mac| *mac != port.device.mac) {
            info!(
                "interface {} has a new MAC address, {}",
                port.device.name,
                MacName(mac)
            );
            port.device.mac = mac;
            let config = port.config();
            if let Err(e) = port.program.configure(&config) {
                warn!("uplink {}: {e}", port.device.name);
            }
        }
        let listen = self.parts.config.listen.map(|l| l.ip().to_canonical());
        // The kernel would take nothing for a loopback address from a wire, either.
        let ours = |ip: &IpAddr| {
            !ip.is_loopback() && listen.is_none_or(|l| l.is_unspecified() || l == *ip)
        };
        let addresses = state.addresses.into_iter().filter(ours);
        if let Err(e) = port.program.set_addresses(addresses) {
            warn!("addresses of the uplink: {e}");
        }
        if state.mac.is_none() && !self.uplink_is_gone {
            // Its index does not come back. What the ports had not sent would be offered for ever.
            self.uplink_is_gone = true;
            self.tell_all(|| Command::CloseUplinkXdp);
        }
        if self.next_hops == state.hops {
            return;
        }
        for (target, hop) in &state.hops {
            report(target, hop, &self.next_hops);
        }
        self.next_hops = state.hops;
        let hops = Arc::new(self.next_hops.clone());
        self.tell_all(|| Command::NextHops(Arc::clone(&hops)));
    }

    pub(super) fn uplink_status(&self) -> UplinkStatus {
        let xdp = self.parts.uplink.as_ref().map(|port| UplinkXdpStatus {
            interface: port.device.name.clone(),
            mac: MacName(port.device.mac).to_string(),
            xdp: port.attach_mode.to_string(),
            copy_mode: port.copy_mode.label().into(),
            tx_dropped: port.device.dropped_since(),
            queues: port.queues,
            flow_rules: port.flow_rules.to_string(),
            next_hops: self.next_hop_status(),
        });
        UplinkStatus {
            kind: if xdp.is_some() { "xdp" } else { "udp" }.into(),
            why: self.parts.uplink_why.clone(),
            gro: self
                .gro
                .states()
                .map(|(name, state)| (name.to_owned(), state.to_string()))
                .collect(),
            max_udp_payload: self.parts.max_udp_payload,
            xdp,
        }
    }

    fn next_hop_status(&self) -> Vec<NextHopStatus> {
        let mut hops: Vec<_> = self.next_hops.iter().collect();
        hops.sort_by_key(|(target, _)| **target);
        let status = |(target, hop): (&Target, &Result<NextHop, String>)| NextHopStatus {
            remote: target.remote.to_string(),
            local: target.local.map(|ip| ip.to_string()),
            next_hop: hop.as_ref().ok().map(ToString::to_string),
            why_not: hop.as_ref().err().cloned(),
        };
        hops.into_iter().map(status).collect()
    }

    pub(super) fn uplink_verdicts(&self) -> BTreeMap<String, u64> {
        let port = self.parts.uplink.as_ref();
        let counters = port.and_then(|port| port.program.counters().ok());
        let labels = UplinkVerdict::ALL.iter().map(|v| v.label().to_owned());
        counters.map_or_else(BTreeMap::new, |counters| labels.zip(counters).collect())
    }
}

/// A rule for each worker's own port, from where the peer is: whose rule it is can be told by that.
fn own_ports(remote: SocketAddr, workers: &[SocketAddr]) -> impl Iterator<Item = (UdpFlow, u32)> {
    workers.iter().enumerate().map(move |(queue, worker)| {
        let flow = UdpFlow {
            to: worker.port(),
            from: Some(remote),
            ipv6: remote.is_ipv6(),
        };
        (flow, queue as u32)
    })
}

/// A rule for each lane of a peer, from where it comes to the port that all share.
fn lanes_of(
    paths: &HashMap<u8, Path>,
    to: u16,
    workers: usize,
) -> impl Iterator<Item = (UdpFlow, u32)> {
    paths.iter().map(move |(lane, path)| {
        let flow = UdpFlow {
            to,
            from: Some(path.remote),
            ipv6: path.remote.is_ipv6(),
        };
        (flow, worker_of(*lane, workers) as u32)
    })
}

/// Says in the log what has changed: the way to a peer is news, that it is found at first is not.
fn report(target: &Target, hop: &Result<NextHop, String>, before: &NextHops) {
    let remote = target.remote;
    match (before.get(target), hop) {
        (Some(before), hop) if before == hop => {}
        (Some(Ok(_)), Ok(hop)) => info!("the way to {remote} is now by {hop}"),
        (Some(Ok(_)), Err(why)) => {
            info!("{remote} is reached through the kernel, not by AF_XDP: {why}");
        }
        (_, Ok(hop)) => debug!("the way to {remote} is by {hop}"),
        (_, Err(why)) => debug!("{remote} is reached through the kernel: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn flow(from: &str, to: u16) -> UdpFlow {
        UdpFlow {
            to,
            from: Some(address(from)),
            ipv6: from.starts_with('['),
        }
    }

    #[test]
    fn what_comes_to_a_workers_own_port_is_for_its_queue() {
        let workers = ["[::]:41001", "[::]:41007", "[::]:41003"].map(address);
        for peer in ["198.51.100.7:24500", "[2001:db8::7]:24500"] {
            let placed: Vec<_> = own_ports(address(peer), &workers).collect();
            let queue = |queue: u32, port| (flow(peer, port), queue);
            let expected = [queue(0, 41_001), queue(1, 41_007), queue(2, 41_003)];
            assert_eq!(placed, expected);
        }
    }

    /// Of more lanes than workers each worker has several, as the security associations are dealt out.
    #[test]
    fn a_lane_to_the_shared_port_is_for_the_queue_of_its_worker() {
        let path = |port: u16| Path {
            remote: SocketAddr::from(([192, 0, 2, 1], port)),
            local: None,
        };
        let paths = [(0, path(7)), (1, path(8)), (2, path(9)), (5, path(10))];
        let placed: Placement = lanes_of(&paths.into(), 24_500, 2).collect();
        let lane = |from, queue: u32| (flow(from, 24_500), queue);
        let expected = [
            lane("192.0.2.1:7", 0),
            lane("192.0.2.1:8", 1),
            lane("192.0.2.1:9", 0),
            lane("192.0.2.1:10", 1),
        ];
        assert_eq!(placed, expected.into());
    }
}
