//! What the control plane knows of one other end.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use causeway_tunnel::{session::Session, spi::Spi};
use tokio::{sync::Notify, task::AbortHandle};

use super::{establish::Receiving, event::SessionId, liveness::Liveness};
use crate::{spec::PeerSpec, uplink::Path};

/// Datagrams under one key after which a new session is due, whatever its age.
pub(super) const SOFT_LIMIT: u64 = 1 << 27;

/// How long datagrams under keys of an earlier session are still accepted.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// A new session's path MTU search starts from the bottom. For this long after a rekey over the
/// same path the datagrams keep the size that the session before had found; shorter than the
/// shortest time between rekeys, so that a path that has shrunk comes through.
const SEARCH: Duration = Duration::from_millis(1_500);

/// Earlier sessions of a peer whose keys are kept at once; more make the oldest go early.
const RETIRED: usize = 16;

/// The same complaint about a peer goes to the log once in this time.
const REPEAT: Duration = Duration::from_secs(60);

/// Sessions with one peer that may be in the making at once; more are refused.
pub(super) const CANDIDATES: usize = 4;

/// A clock that differs by more seconds than this from ours is worth a warning.
const CLOCK_SKEW: u64 = 60;

/// UDP payload of datagrams before anything is known of the path: QUIC's least (RFC 9000, 14.1).
pub(super) const LEAST_DATAGRAM: u16 = 1_200;

/// The session whose lanes carry frames now.
pub(super) struct Live {
    pub(super) id: SessionId,
    pub(super) session: Session,
    pub(super) since: Instant,
    pub(super) receive: Vec<Receiving>,
    pub(super) send: Vec<Spi>,
    /// Whether its control connection stands. The lanes outlive it until the keys are worn.
    pub(super) connected: bool,
    /// How often the peer has said what it allows: each time costs a walk through all that was seen.
    pub(super) allows: u32,
    /// Bytes of datagrams that the peer has asked for.
    pub(super) trained: usize,
    /// Notified when the peer asks how far we have received.
    pub(super) asked: Arc<Notify>,
}

impl Live {
    fn standing(&self) -> Standing {
        Standing {
            connected: self.connected,
            dialled: self.session.is_dialer(),
            since: self.since,
        }
    }

    /// The peer's program as it names itself, fit for a log: escaped and not too long.
    pub(super) fn software(&self) -> String {
        let name = &self.session.hello().software;
        name.escape_debug().take(64).collect()
    }

    /// How many seconds the peer's clock is ahead of ours, if that is worth a warning.
    pub(super) fn noteworthy_clock_skew(&self) -> Option<i64> {
        let skew = self.session.clock_skew();
        (skew.unsigned_abs() > CLOCK_SKEW).then_some(skew)
    }
}

/// What decides whether a session needs another.
#[derive(Clone, Copy, Debug)]
struct Standing {
    connected: bool,
    /// Whether we dialled it.
    dialled: bool,
    since: Instant,
}

impl Standing {
    /// Whether to call the peer: the session is gone, or it is ours to renew and its time has come.
    fn wants_call(self, now: Instant, rekey_after: Duration, worn: u64) -> bool {
        let age = now.duration_since(self.since);
        let due = age >= rekey_after || (age > 2 * GRACE && worn >= SOFT_LIMIT);
        !self.connected || (self.dialled && due)
    }
}

/// A clock's skew in seconds, in words.
pub(super) fn ahead_or_behind(skew: i64) -> String {
    let seconds = skew.unsigned_abs();
    match skew {
        0.. => format!("{seconds} s ahead of ours"),
        _ => format!("{seconds} s behind ours"),
    }
}

/// Receiving security associations of an earlier session.
struct Retired {
    receive: Vec<Spi>,
    until: Instant,
}

/// One other end.
pub(super) struct Peer {
    pub(super) spec: PeerSpec,
    pub(super) live: Option<Live>,
    retired: Vec<Retired>,
    /// A call that is under way.
    pub(super) call: Option<AbortHandle>,
    /// Sessions in the making.
    pub(super) candidates: usize,
    /// Where each of the peer's workers is, as learnt from its datagrams.
    pub(super) paths: HashMap<u8, Path>,
    /// Our sending lanes, by worker, over all sessions.
    pub(super) lanes: Vec<Liveness>,
    /// UDP payload of our datagrams.
    pub(super) datagram_size: u16,
    /// While a rekey's path MTU search runs, the size found before is kept.
    keep_size_until: Option<Instant>,
    pub(super) sessions: u64,
    pub(super) last_error: Option<String>,
    logged: Option<Instant>,
    /// Whether it is being told of our stations now.
    pub(super) telling: bool,
}

impl Peer {
    pub(super) fn new(spec: PeerSpec) -> Self {
        Self {
            spec,
            live: None,
            retired: Vec::new(),
            call: None,
            candidates: 0,
            paths: HashMap::new(),
            lanes: Vec::new(),
            datagram_size: LEAST_DATAGRAM,
            sessions: 0,
            last_error: None,
            logged: None,
            keep_size_until: None,
            telling: false,
        }
    }

    /// Whether a session stands.
    pub(super) fn is_connected(&self) -> bool {
        self.live.as_ref().is_some_and(|live| live.connected)
    }

    /// Whether to call the peer now: there is no session, or the one there is wants new keys.
    ///
    /// `worn` is the larger number of datagrams sent or received under one key. It may be that of
    /// earlier keys for a while; no lane wears a key in that time.
    pub(super) fn wants_call(&self, now: Instant, rekey_after: Duration, worn: u64) -> bool {
        if self.spec.address.is_none() || self.call.is_some() || self.candidates > 0 {
            return false;
        }
        self.live
            .as_ref()
            .is_none_or(|live| live.standing().wants_call(now, rekey_after, worn))
    }

    /// Makes a session the live one; gives the one before.
    pub(super) fn replace(&mut self, live: Live, now: Instant) -> Option<Live> {
        let remote = live.session.remote_address();
        self.lanes.resize_with(live.send.len(), Liveness::default);
        self.lanes.iter_mut().for_each(Liveness::rekeyed);
        let before = self.live.replace(live);
        self.keep_size_until = None;
        if let Some(before) = &before {
            self.retire(before.receive.iter().map(|lane| lane.spi).collect(), now);
            let same_path = before.connected && before.session.remote_address() == remote;
            self.keep_size_until = same_path.then_some(now + SEARCH);
        }
        self.sessions += 1;
        self.last_error = None;
        self.logged = None;
        before
    }

    /// Has security associations of an earlier session expire when [`GRACE`] is over.
    fn retire(&mut self, receive: Vec<Spi>, now: Instant) {
        let until = now + GRACE;
        if self.retired.len() >= RETIRED {
            self.retired[0].until = now;
        }
        self.retired.push(Retired { receive, until });
    }

    /// Security associations whose time has come.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<Spi> {
        let over = self.retired.extract_if(.., |r| r.until <= now);
        over.flat_map(|r| r.receive).collect()
    }

    /// The size for our datagrams by what the live session has found, if it changes.
    pub(super) fn new_datagram_size(&mut self, now: Instant) -> Option<u16> {
        let live = self.live.as_ref().filter(|live| live.connected)?;
        let found = live.session.path_mtu();
        let size = match self.keep_size_until {
            Some(until) if now < until => found.max(self.datagram_size),
            _ => found,
        };
        let changed = size != self.datagram_size;
        self.datagram_size = size;
        changed.then_some(size)
    }

    /// Notes why a session or an attempt failed; true: it is news for the log.
    pub(super) fn complain(&mut self, error: &str, now: Instant) -> bool {
        let news = self.last_error.as_deref() != Some(error)
            || self
                .logged
                .is_none_or(|at| now.duration_since(at) >= REPEAT);
        if news {
            self.logged = Some(now);
            self.last_error = Some(error.to_owned());
        }
        news
    }
}

#[cfg(test)]
mod tests;
