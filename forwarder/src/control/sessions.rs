//! From a call to a live session, and to the next one: what the events of sessions lead to.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_tunnel::{
    message::{Bye, ByeReason},
    sa::SaKeys,
    session::{Session, SessionError},
    spi::Spi,
};
use tokio::sync::{Notify, mpsc};
use tracing::{debug, error, info, warn};

use super::{
    Control, dial,
    establish::{Candidate, Established, Failed, establish},
    event::{Event, SessionId},
    lanes,
    peer::{CANDIDATES, GRACE, Live, ahead_or_behind},
};
use crate::{
    stations::PeerIndex,
    uplink::Path,
    worker::{Command, WorkerHandle},
};

/// Calls of strangers get a line in the log once in this time.
const REFUSALS: Duration = Duration::from_secs(10);

impl Control {
    pub(super) fn call_if_due(&mut self, index: PeerIndex, now: Instant) {
        let worn = self.datagrams_under_key(index);
        let peer = &mut self.peers[usize::from(index)];
        if !peer.wants_call(now, self.parts.config.rekey_after, worn) {
            return;
        }
        let Some(address) = peer.spec.address.clone() else {
            return;
        };
        let target = dial::Target {
            peer: index,
            key: peer.spec.key,
            address,
        };
        let (endpoint, events) = (self.parts.endpoint.clone(), self.events.clone());
        let call = tokio::spawn(async move {
            let session = dial::until_answered(&endpoint, &target, &events).await;
            let event = Event::Dialled {
                peer: index,
                session,
            };
            let _ = events.send(event).await;
        });
        peer.call = Some(call.abort_handle());
    }

    /// The larger number of datagrams sent or received under one key of the live session; right
    /// once the keys before it are forgotten (`peer::GRACE`).
    fn datagrams_under_key(&self, peer: PeerIndex) -> u64 {
        let of_worker = |worker: &WorkerHandle| {
            let counters = &worker.counters.peers[usize::from(peer)];
            counters.tx_datagrams.get()
        };
        let sent = self.parts.workers.iter().map(of_worker);
        let live = self.peers[usize::from(peer)].live.iter();
        let received = live.flat_map(|l| l.receive.iter().map(|lane| lane.highest.get()));
        sent.chain(received).max().unwrap_or(0)
    }

    pub(super) fn accepted(&mut self, session: Session) {
        let key = session.peer();
        let Some(index) = self.peers.iter().position(|p| p.spec.key == key) else {
            // The handshake lets in keys of the configuration only.
            return error!("a session with key {key}, which is no peer's");
        };
        if self.peers[index].candidates >= CANDIDATES {
            return debug!(
                "peer {} has too many sessions in the making",
                self.peers[index].spec.name
            );
        }
        self.begin(index as PeerIndex, session);
    }

    pub(super) fn begin(&mut self, peer: PeerIndex, session: Session) {
        self.next_session += 1;
        let candidate = Candidate {
            id: self.next_session,
            peer,
            session,
        };
        self.peers[usize::from(peer)].candidates += 1;
        let (context, events) = (Arc::clone(&self.context), self.events.clone());
        tokio::spawn(async move {
            let event = match establish(candidate, context).await {
                Ok(established) => Event::Established(established),
                Err(failed) => Event::EstablishFailed(failed),
            };
            let _ = events.send(event).await;
        });
    }

    /// Both ends can receive on the new session's lanes: sending moves over to it.
    pub(super) fn established(&mut self, new: Established) {
        let Established {
            candidate,
            receive,
            send,
        } = new;
        let Candidate {
            id,
            peer: index,
            session,
        } = candidate;
        let now = Instant::now();
        let peer = &mut self.peers[usize::from(index)];
        peer.candidates -= 1;
        let send = self.install_send(index, &session, send);
        let peer = &mut self.peers[usize::from(index)];
        let first = peer.live.is_none();
        // What came before we were told so has been learnt already.
        for lane in &receive {
            if let Some(path) = peer.paths.get(&lane.remote_lane) {
                lane.note_path(lane.remote_lane, path.remote);
            }
        }
        let asked = Arc::new(Notify::new());
        let live = Live {
            id,
            session: session.clone(),
            since: now,
            receive: receive.clone(),
            send,
            connected: true,
            allows: 0,
            trained: 0,
            asked: Arc::clone(&asked),
        };
        let before = peer.replace(live, now);
        if let Some(call) = peer.call.take() {
            call.abort();
        }
        self.greet(index, before.as_ref(), first);
        if !goes_on(before.as_ref(), &session) {
            self.announce_away(Some(index));
        }
        // The end that dialled the session before also closes it; should it not, we do in the end.
        if let Some(before) = before {
            let patience = match before.session.is_dialer() || !before.connected {
                true => Duration::ZERO,
                false => GRACE,
            };
            close_replaced(before.session, patience);
        }
        tokio::spawn(lanes::report(session.clone(), receive, asked));
        tokio::spawn(read(session, index, id, self.events.clone()));
        self.begin_telling(index);
    }

    /// Has every worker send on its lane of the session; gives the SPIs by worker.
    fn install_send(
        &self,
        index: PeerIndex,
        session: &Session,
        send: Vec<(Spi, SaKeys)>,
    ) -> Vec<Spi> {
        let peer = &self.peers[usize::from(index)];
        let mut spis = Vec::new();
        for (worker, (spi, keys)) in self.context.workers.iter().zip(send) {
            let path = if session.is_dialer() {
                let remote = session.remote_address();
                Some(Path {
                    remote,
                    local: None,
                })
            } else {
                peer.learnt_path(spis.len(), spi.worker())
            };
            spis.push(spi);
            worker.tell(Command::InstallTx {
                peer: index,
                spi,
                keys,
                limits: self.context.limits,
                datagram_size: usize::from(peer.datagram_size),
                path,
            });
        }
        spis
    }

    /// Says in the log that a session is up, and what is odd about it.
    fn greet(&self, index: PeerIndex, before: Option<&Live>, first: bool) {
        let peer = &self.peers[usize::from(index)];
        let Some(live) = &peer.live else { return };
        let (name, remote) = (&peer.spec.name, live.session.remote_address());
        if goes_on(before, &live.session) {
            debug!("peer {name}: new keys, session {}", live.id);
            return;
        }
        let how = if live.session.is_dialer() {
            "dialled"
        } else {
            "accepted"
        };
        let again = if first { "" } else { " again" };
        info!(
            "peer {name}: session up{again} with {remote} ({how}), {}, {}",
            live.session.cipher(),
            live.software()
        );
        if let Some(skew) = live.noteworthy_clock_skew() {
            warn!(
                "peer {name}: its clock is {}; the tunnel works, but times in the two logs do not compare: set both by NTP",
                ahead_or_behind(skew)
            );
        }
    }

    /// Says in the log whose call was refused, if somebody may have to mend it.
    pub(super) fn refused(&mut self, error: &SessionError) {
        let now = Instant::now();
        let lately = self
            .refusal_logged
            .is_some_and(|at| now.duration_since(at) < REFUSALS);
        if lately || !dial::needs_mending(error) {
            return debug!("a handshake failed: {error}");
        }
        self.refusal_logged = Some(now);
        warn!("{error}");
    }

    pub(super) fn establish_failed(&mut self, failed: &Failed) {
        let peer = &mut self.peers[usize::from(failed.peer)];
        peer.candidates -= 1;
        if !failed.dialled && (failed.given_up || peer.is_connected()) {
            // One of several that the peer tried at once, most likely.
            return debug!(
                "peer {}: a further session came to nothing: {}",
                peer.spec.name, failed.error
            );
        }
        self.complain(failed.peer, &failed.error);
        if failed.dialled {
            // The next tick calls again; one that failed so far in must not do so at every tick.
            let (events, peer) = (self.events.clone(), failed.peer);
            let pause = tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = events.send(Event::CallAgain(peer)).await;
            });
            self.peers[usize::from(failed.peer)].call = Some(pause.abort_handle());
        }
    }

    pub(super) fn closed(&mut self, index: PeerIndex, id: SessionId, error: &SessionError) {
        let peer = &mut self.peers[usize::from(index)];
        let Some(live) = peer.live.as_mut().filter(|live| live.id == id) else {
            return;
        };
        live.connected = false;
        let reason = match error {
            SessionError::ClosedByPeer(bye) => bye.reason(),
            _ => ByeReason::Unspecified,
        };
        match reason {
            // The session that takes over is there before us.
            ByeReason::Replaced => debug!("peer {}: session {id} is replaced", peer.spec.name),
            ByeReason::Shutdown => {
                self.tell_all(|| Command::ClearTx(index));
                self.complain(index, &format!("session ended: {error}"));
            }
            _ => self.complain(index, &format!("session ended: {error}")),
        }
        self.end_telling(index);
        self.call_if_due(index, Instant::now());
    }
}

/// Whether the session renews the keys of the one before, which stands.
fn goes_on(before: Option<&Live>, session: &Session) -> bool {
    let instance = session.hello().instance;
    before.is_some_and(|b| b.connected && b.session.hello().instance == instance)
}

/// A newer session has taken over: says so to the peer after `patience`, without waiting here.
fn close_replaced(session: Session, patience: Duration) {
    tokio::spawn(async move {
        tokio::time::sleep(patience).await;
        session.close(Bye::new(ByeReason::Replaced, "")).await;
    });
}

/// Passes on what a peer says until the session ends.
async fn read(session: Session, peer: PeerIndex, id: SessionId, events: mpsc::Sender<Event>) {
    loop {
        let event = match session.recv().await {
            Ok(message) => Event::Message { peer, id, message },
            Err(error) => Event::Closed { peer, id, error },
        };
        let over = matches!(event, Event::Closed { .. });
        if events.send(event).await.is_err() || over {
            return;
        }
    }
}
