//! Where lanes go, and what is done about one whose datagrams do not arrive.
//!
//! Each end tells the other every second how far it has received on each lane (`Heard`). One that sends and is
//! not heard is dead ([`super::liveness`]) and is moved, in the one way that its end has: a dialling end sends
//! from a new UDP port, which makes a new mapping in a NAT and may lead to another receive queue over there;
//! a listening end sends to where another lane of the peer comes from, and the peer's workers hand over.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use causeway_tunnel::{
    message::{Heard, HeardLane, Message, SeenAt, Train},
    session::Session,
};
use tokio::{
    sync::Notify,
    time::{MissedTickBehavior, interval, sleep},
};
use tracing::{debug, info, warn};

use super::{
    Control,
    establish::Receiving,
    event::SessionId,
    liveness::{Advice, Told},
    peer::Peer,
};
use crate::{
    appliance::open_socket, stations::PeerIndex, uplink::Path, wan_to_lan::LearntPath,
    worker::Command,
};

/// How often the peer is told how far we have received, and how soon again if it asks.
const REPORT: Duration = Duration::from_secs(1);
const SOONEST: Duration = Duration::from_millis(20);

/// Bytes of datagrams that a peer may ask for: in a session, those of all lanes together, and at once for each lane, as
/// the worker does nothing else meanwhile. A datagram costs it as much as so many bytes before there is anything in it.
const MOST_TRAINED: usize = 8 << 20;
const MOST_AT_ONCE: usize = 1 << 20;
const FOR_EACH: usize = 300;

impl Peer {
    /// Where our lane goes if it carries an SPI of the peer's worker `worker` and the session was accepted.
    pub(super) fn learnt_path(&self, lane: usize, worker: u8) -> Option<Path> {
        let detour = self.lanes.get(lane).and_then(|lane| lane.detour);
        self.paths.get(&detour.unwrap_or(worker)).copied()
    }

    /// The next of the peer's lanes whose address a dead lane of ours may go to: after the one that it
    /// goes to now, rather one that a lane goes to of which all arrives.
    fn next_detour(&self, lane: usize) -> Option<u8> {
        let live = self.live.as_ref()?;
        let goes_to = |lane: usize| {
            let detour = self.lanes[lane].detour;
            detour.or_else(|| Some(live.send.get(lane)?.worker()))
        };
        let now = goes_to(lane)?;
        let lanes = live.session.hello().lanes;
        let others =
            (1..lanes).map(|step| ((u16::from(now) + u16::from(step)) % u16::from(lanes)) as u8);
        let known = |to: &u8| {
            self.paths
                .get(to)
                .is_some_and(|p| self.paths.get(&now) != Some(p))
        };
        let well = |to: &u8| {
            let mut ours = (0..self.lanes.len()).filter(|lane| self.lanes[*lane].is_well());
            ours.any(|lane| goes_to(lane) == Some(*to))
        };
        let mut known = others.filter(known);
        let first = known.next()?;
        Some(
            std::iter::once(first)
                .chain(known)
                .find(well)
                .unwrap_or(first),
        )
    }
}

impl Control {
    /// A worker has learnt where one of the peer's workers is: all that send there follow.
    ///
    /// Also the one that told us: its sending lane may have been installed in between, and if it goes a detour
    /// it has turned to where its receiver seems to be, since a new session tells the same once more.
    pub(super) fn learn(&mut self, news: LearntPath) {
        let peer = &mut self.peers[usize::from(news.peer)];
        let before = peer.paths.insert(news.remote_lane, news.path);
        debug!(
            "peer {}: lane {} is at {}",
            peer.spec.name, news.remote_lane, news.path.remote
        );
        let Some(live) = &peer.live else { return };
        for lane in &live.receive {
            lane.note_path(news.remote_lane, news.path.remote);
        }
        for (lane, spi) in live.send.iter().enumerate() {
            let detour = &mut peer.lanes[lane].detour;
            if spi.worker() == news.remote_lane && before != Some(news.path) {
                *detour = None;
            }
            let concerned = spi.worker() == news.remote_lane || *detour == Some(news.remote_lane);
            let path = peer.paths.get(&detour.unwrap_or(spi.worker()));
            if let Some(path) = path.filter(|_| concerned) {
                self.context.workers[lane].tell(Command::SetPath(news.peer, *path));
            }
        }
    }

    /// The peer says how far it has received.
    pub(super) fn heard(&mut self, index: PeerIndex, id: SessionId, heard: &Heard) {
        let now = Instant::now();
        for told in &heard.lanes {
            let peer = &mut self.peers[usize::from(index)];
            let Some(live) = peer.live.as_ref().filter(|live| live.id == id) else {
                return;
            };
            let Some(lane) = live.send.iter().position(|s| u32::from(*s) == told.spi) else {
                continue;
            };
            let counters = &self.parts.workers[lane].counters.peers[usize::from(index)];
            let advice = peer.lanes[lane].report(counters.tx_datagrams.get(), told.highest, now);
            peer.lanes[lane].told = Told {
                received: told.received,
                from: told.seen_at(),
            };
            match advice {
                Advice::Nothing => {}
                Advice::Probe => self.context.workers[lane].tell(Command::Probe(index)),
                Advice::Move => self.move_lane(index, lane, now),
                Advice::Revived(after) => info!(
                    "peer {}: lane {lane} arrives again, after {} s",
                    peer.spec.name,
                    after.as_secs()
                ),
            }
        }
    }

    /// The peer would like to see what arrives of datagrams of these sizes; of none: to be told now how far we have received.
    pub(super) fn train(&mut self, index: PeerIndex, id: SessionId, train: &Train) {
        let peer = &mut self.peers[usize::from(index)];
        let Some(live) = peer.live.as_mut().filter(|live| live.id == id) else {
            return;
        };
        if train.sizes.is_empty() {
            return live.asked.notify_one();
        }
        let sizes = train.sizes.iter();
        let bytes: usize = sizes.map(|size| usize::from(*size) + FOR_EACH).sum();
        let in_all = live.trained.saturating_add(bytes * live.send.len());
        if bytes > MOST_AT_ONCE || in_all > MOST_TRAINED {
            return debug!("peer {}: it asks for too many datagrams", peer.spec.name);
        }
        live.trained = in_all;
        let sizes: Arc<[u16]> = train.sizes.as_slice().into();
        self.tell_all(|| Command::Train(index, Arc::clone(&sizes)));
    }

    fn move_lane(&mut self, index: PeerIndex, lane: usize, now: Instant) {
        let dials = self.peers[usize::from(index)]
            .live
            .as_ref()
            .is_some_and(|live| live.session.is_dialer());
        let to = match dials {
            true if self.port_serves_others(index, lane) => {
                Err("its UDP port serves other peers well".to_owned())
            }
            true => self.move_socket(lane),
            false => self.take_detour(index, lane),
        };
        let peer = &self.peers[usize::from(index)];
        let (name, state) = (&peer.spec.name, &peer.lanes[lane]);
        let seconds = state.dead_for(now).unwrap_or_default().as_secs();
        let dead =
            format!("peer {name}: lane {lane} is dead, nothing of it has arrived for {seconds} s");
        match (to, state.attempts) {
            (Ok(to), 1) => warn!("{dead}: it moves to {to}"),
            (Ok(to), 2) => warn!("{dead}, although it has moved; now to {to}"),
            (Ok(to), _) => debug!("{dead}: it moves to {to}"),
            (Err(why), 1) => warn!("{dead}, and it cannot move: {why}"),
            (Err(why), _) => debug!("{dead}, and it cannot move: {why}"),
        }
        // Of what follows there is none if nothing is sent.
        self.context.workers[lane].tell(Command::Probe(index));
    }

    /// Whether it is not the port: two others did not help this peer's lane, and this one serves another peer's.
    fn port_serves_others(&self, index: PeerIndex, lane: usize) -> bool {
        const TRIED: u32 = 2;
        let attempts = self.peers[usize::from(index)].lanes[lane].attempts;
        let well = |peer: &Peer| {
            let of_worker = peer.lanes.get(lane);
            peer.live.is_some() && of_worker.is_some_and(|l| l.heard().is_some() && l.is_well())
        };
        let mut others = self.peers.iter().enumerate();
        attempts > TRIED && others.any(|(other, peer)| other != usize::from(index) && well(peer))
    }

    /// Gives the worker another UDP port. Its lanes to other peers go along, who learn of it by keepalives.
    fn move_socket(&mut self, worker: usize) -> Result<String, String> {
        let socket = open_socket(None).map_err(|e| format!("no UDP socket: {e}"))?;
        let address = socket.local_address().map_err(|e| e.to_string())?;
        let before = std::mem::replace(&mut self.parts.uplinks[worker], address);
        if let Some(uplink) = &mut self.parts.uplink {
            let program = &mut uplink.program;
            // Without it the kernel gets what comes to the port, and so does the worker. The old one first: the
            // table may be full.
            if let Err(e) = program
                .remove_port(before.port())
                .and_then(|()| program.add_port(address.port()))
            {
                warn!("uplink {}: {e}", uplink.device.name);
            }
        }
        self.context.workers[worker].tell(Command::ReplaceSocket(Box::new(socket)));
        Ok(format!("UDP port {}", address.port()))
    }

    fn take_detour(&mut self, index: PeerIndex, lane: usize) -> Result<String, String> {
        let peer = &mut self.peers[usize::from(index)];
        let detour = peer
            .next_detour(lane)
            .ok_or("no other lane of the peer has another address")?;
        peer.lanes[lane].detour = Some(detour);
        let path = peer.paths[&detour];
        self.context.workers[lane].tell(Command::SetPath(index, path));
        Ok(format!(
            "the address of the peer's lane {detour}, {}",
            path.remote
        ))
    }
}

impl Receiving {
    /// The peer's lane is at that address now.
    pub(super) fn note_path(&self, remote_lane: u8, address: SocketAddr) {
        if self.remote_lane == remote_lane {
            *self.from.lock().unwrap_or_else(PoisonError::into_inner) = Some(address);
        }
    }

    fn path(&self) -> Option<SocketAddr> {
        *self.from.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the peer how far we have received, every second and when it has asked, until the session is over.
pub(super) async fn report(session: Session, receive: Vec<Receiving>, asked: Arc<Notify>) {
    let mut ticks = interval(REPORT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = asked.notified() => {}
        }
        let of = |lane: &Receiving| {
            let highest = lane.highest.get();
            // Until something has come, that is where a session before had its own.
            let from = lane.path().filter(|_| highest > 0);
            HeardLane {
                spi: lane.spi.into(),
                highest,
                received: Some(lane.received.get()),
                from: from.map(SeenAt::from),
            }
        };
        let lanes = receive.iter().map(of).collect();
        if session
            .send(&Message::Heard(Heard { lanes }))
            .await
            .is_err()
        {
            return;
        }
        sleep(SOONEST).await;
    }
}
