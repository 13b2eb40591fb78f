//! What the control plane asks of a worker, carried out between batches.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_ebpf::ethernet::TAG_LEN;
use causeway_tunnel::{
    DropReason,
    lane::{RxLane, TxLane},
};
use crossbeam::channel::TryRecvError;

use super::{Command, Keepalive, OPENING_KEEPALIVES, Worker, noting::NotingPort};
use crate::{
    lan_to_wan::LanToWan,
    multicast::Groups,
    stations::PeerIndex,
    uplink::{Path, UdpUplink},
    vlans::Border,
    wan_to_lan::InboundLane,
};

impl Worker {
    /// Carries out what the control plane asks; false: stop.
    pub(super) fn obey(&mut self, now: Instant) -> bool {
        loop {
            let command = match self.inbox.try_recv() {
                Ok(command) => command,
                Err(TryRecvError::Empty) => return true,
                // Nobody is left who could tell us anything.
                Err(TryRecvError::Disconnected) => return false,
            };
            if !self.obey_one(command, now) {
                return false;
            }
        }
    }

    fn obey_one(&mut self, command: Command, now: Instant) -> bool {
        match command {
            Command::InstallRx {
                peer,
                remote_lane,
                spi,
                keys,
                limits,
                learns_path,
                highest,
                received,
                done,
            } => {
                let lane = RxLane::new(spi, &keys, limits, now);
                self.installed += 1;
                let inbound = InboundLane {
                    lane,
                    peer,
                    remote_lane,
                    highest,
                    received,
                    generation: self.installed,
                    learns_path,
                    path: None,
                    border: self.config.vlans.of(peer).map(Border::new),
                };
                self.lanes.insert(u32::from(spi), inbound);
                // The session may have ended meanwhile; then nobody waits.
                let _ = done.send(());
            }
            Command::InstallTx {
                peer,
                spi,
                keys,
                limits,
                datagram_size,
                path,
            } => {
                let run = self.config.uplink.run_limits();
                let lane = TxLane::new(spi, &keys, limits, now, datagram_size, run);
                self.install_tx(usize::from(peer), lane, path, now);
                self.clamp_to(peer);
                self.config.snoop.forget_questions(now);
            }
            Command::RemoveRx(spi) => {
                if let Some(mut inbound) = self.lanes.remove(&spi) {
                    // Parts of frames that still wait will do so in vain.
                    let incomplete = inbound.lane.tick(now + Duration::from_secs(3_600));
                    self.counters.drops[DropReason::Incomplete.index()].add(incomplete);
                }
            }
            Command::ClearTx(peer) => self.peers[usize::from(peer)].lane = None,
            Command::Probe(peer) => self.keepalives[usize::from(peer)].opening = OPENING_KEEPALIVES,
            Command::Train(peer, sizes) => self.train(peer, &sizes, now),
            Command::ReplaceSocket(socket) => self.replace_socket(*socket, now),
            Command::SetPath(peer, path) => self.peers[usize::from(peer)].path = Some(path),
            Command::SetDatagramSize(peer, bytes) => {
                if let Some(lane) = &mut self.peers[usize::from(peer)].lane {
                    lane.set_datagram_size(bytes);
                }
                self.clamp_to(peer);
            }
            Command::LiveSpis(spis, done) => {
                self.config.mailbox.set_live(spis);
                // As above.
                let _ = done.send(());
            }
            Command::Stations(table) => self.config.stations = table,
            Command::Groups(groups) => self.set_groups(&groups),
            Command::Inject(frames) => self.inject(&frames, now),
            Command::SendTo(peer, frames) => self.send_to(peer, &frames, now),
            Command::Neighbours(all) => self.config.snoop.set_neighbours(all),
            Command::OwnMac(mac) => self.config.snoop.set_port(mac),
            Command::NextHops(hops) => self.config.uplink.set_next_hops(hops),
            Command::CloseUplinkXdp => self.config.uplink.close_xdp(),
            Command::Note(recorder, done) => {
                self.recorder = recorder;
                // As above.
                let _ = done.send(());
            }
            Command::Stop => return false,
        }
        true
    }

    pub(super) fn set_groups(&mut self, groups: &Arc<Groups>) {
        self.flood.set_groups(groups);
        for gate in &mut self.peer_floods {
            gate.set_groups(groups);
        }
    }

    fn inject(&mut self, frames: &[Vec<u8>], now: Instant) {
        let mut port = NotingPort {
            port: &mut self.config.port,
            recorder: self.recorder.as_ref(),
        };
        for frame in frames {
            port.send_own(frame, &self.config.stations, now, &self.counters);
        }
        self.config.port.flush();
    }

    fn send_to(&mut self, peer: PeerIndex, frames: &[Vec<u8>], now: Instant) {
        let mut batch = LanToWan {
            stations: &self.config.stations,
            peers: &mut self.peers,
            uplink: &mut self.config.uplink,
            flood: &mut self.flood,
            snoop: &mut self.config.snoop,
            clamp: None,
            marking: self.config.marking,
            counters: &self.counters,
            finish_checksums: false,
            now,
        };
        for frame in frames {
            batch.own_frame(peer, frame);
        }
        batch.flush();
    }

    /// TCP's segments are to fit the datagrams of the peer's lane, also where their frames grow by a tag at the border.
    fn clamp_to(&mut self, peer: PeerIndex) {
        let tx = &self.peers[usize::from(peer)];
        if let (Some(clamp), Some(lane)) = (&mut self.clamp, &tx.lane) {
            let tag = if tx.border.is_some() { TAG_LEN } else { 0 };
            clamp.set_datagram_size(peer, lane.datagram_size() - tag);
        }
    }

    /// The peers learn of the new port by keepalives.
    fn replace_socket(&mut self, socket: UdpUplink, now: Instant) {
        self.config.uplink.replace_socket(socket);
        for peer in 0..self.peers.len() {
            self.keepalives[peer].opening = OPENING_KEEPALIVES;
            self.keep_alive(peer, now);
        }
    }

    fn install_tx(&mut self, peer: usize, lane: TxLane, path: Option<Path>, now: Instant) {
        let tx = &mut self.peers[peer];
        tx.lane = Some(lane);
        if path.is_some() {
            tx.path = path;
        }
        self.counters.peers[peer].tx_datagrams.set(0);
        self.keepalives[peer] = Keepalive {
            datagrams: 0,
            since: now,
            opening: OPENING_KEEPALIVES,
        };
        self.keep_alive(peer, now);
    }
}
