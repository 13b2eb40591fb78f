//! What the control plane knows of one other end.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use causeway_tunnel::{message::Applied, session::Session, spi::Spi, stations::StationsJoiner};
use tokio::task::AbortHandle;

use super::event::SessionId;
use crate::{spec::PeerSpec, uplink::Path};

/// Datagrams under one key after which a new session is due, whatever its age.
pub(super) const SOFT_LIMIT: u64 = 1 << 27;

/// How long datagrams under keys of an earlier session are still accepted.
pub(super) const GRACE: Duration = Duration::from_secs(10);

/// A new session's path MTU search starts from the bottom. For this long after a rekey the
/// datagrams keep the size that the session before had found.
const SEARCH: Duration = Duration::from_secs(10);

/// Two sessions that begin within this time, one dialled by each end, are one meant twice.
const CROSSING: Duration = Duration::from_secs(2);

/// The same complaint about a peer goes to the log once in this time.
const REPEAT: Duration = Duration::from_secs(60);

/// Sessions with one peer that may be in the making at once; more are refused.
pub(super) const CANDIDATES: usize = 4;

/// A clock that differs by more seconds than this from ours is worth a warning.
const CLOCK_SKEW: i64 = 60;

/// UDP payload of datagrams before anything is known of the path: QUIC's least (RFC 9000, 14.1).
pub(super) const LEAST_DATAGRAM: u16 = 1_200;

/// The session whose lanes carry frames now.
pub(super) struct Live {
    pub(super) id: SessionId,
    pub(super) session: Session,
    pub(super) since: Instant,
    pub(super) receive: Vec<Spi>,
    pub(super) send: Vec<Spi>,
    /// Whether its control connection stands. The lanes outlive it until the keys are worn.
    pub(super) connected: bool,
}

impl Live {
    fn standing(&self) -> Standing {
        Standing {
            connected: self.connected,
            dialled: self.session.is_dialer(),
            since: self.since,
        }
    }

    /// How many seconds the peer's clock is ahead of ours, if that is worth a warning.
    pub(super) fn noteworthy_clock_skew(&self) -> Option<i64> {
        let skew = self.session.clock_skew();
        (skew.abs() > CLOCK_SKEW).then_some(skew)
    }
}

/// What decides whether a session needs another, and which of two stays.
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

    /// Whether a new session takes over. See [`Peer::yields_to`].
    fn yields_to(self, dialled: bool, we_are_lower: bool, now: Instant) -> bool {
        let crossed = now.duration_since(self.since) < CROSSING;
        !self.connected || self.dialled == dialled || !crossed || dialled == we_are_lower
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
    /// UDP payload of our datagrams.
    pub(super) datagram_size: u16,
    pub(super) sessions: u64,
    pub(super) last_error: Option<String>,
    logged: Option<Instant>,
    pub(super) joiner: StationsJoiner,
    /// The table of the peer that we hold.
    pub(super) applied: Option<Applied>,
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
            datagram_size: LEAST_DATAGRAM,
            sessions: 0,
            last_error: None,
            logged: None,
            joiner: StationsJoiner::new(2 * causeway_ebpf::maps::MAX_STATIONS as usize),
            applied: None,
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

    /// Whether a new session takes over from the live one.
    ///
    /// It does, but for one case: both ends dialled each other at the same time. Then both keep
    /// the session that the end with the lower public key dialled.
    pub(super) fn yields_to(&self, dialled: bool, we_are_lower: bool, now: Instant) -> bool {
        self.live
            .as_ref()
            .is_none_or(|live| live.standing().yields_to(dialled, we_are_lower, now))
    }

    /// Makes a session the live one; gives the one before.
    pub(super) fn replace(&mut self, live: Live, now: Instant) -> Option<Live> {
        let before = self.live.replace(live);
        if let Some(before) = &before {
            self.retire(before.receive.clone(), now);
        }
        self.sessions += 1;
        self.last_error = None;
        self.logged = None;
        before
    }

    /// Has security associations of an earlier session expire when [`GRACE`] is over.
    fn retire(&mut self, receive: Vec<Spi>, now: Instant) {
        let until = now + GRACE;
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
        let searching = self.sessions > 1 && now.duration_since(live.since) < SEARCH;
        let size = if searching {
            found.max(self.datagram_size)
        } else {
            found
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
