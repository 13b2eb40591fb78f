//! Why there is no session (any more), in one line that names the mend.

use std::net::SocketAddr;
use std::time::Duration;

use quinn::ConnectionError;

use crate::identity::PublicKey;
use crate::message::{Bye, MessageError, PROTOCOL_VERSION, Role};
use crate::tls::Presented;

/// Why a session could not be made or is over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The UDP socket or a setting is unusable.
    #[error("cannot use the session's UDP socket: {0}")]
    Socket(String),
    /// The address cannot be dialed from this socket.
    #[error("cannot dial {addr}: {why}")]
    Address {
        /// The address dialed.
        addr: SocketAddr,
        /// What is wrong with it.
        why: String,
    },
    /// Nothing came back.
    #[error(
        "no answer within {} s from {addr}: is causeway running there, and does UDP port {} \
         reach it?", seconds.as_secs_f32(), addr.port()
    )]
    NoAnswer {
        /// The address dialed.
        addr: SocketAddr,
        /// How long we waited.
        seconds: Duration,
    },
    /// The handshake began but did not come to an end.
    #[error(
        "the handshake with {addr} stalled and was given up after {} s: are large UDP \
         datagrams (1,200 bytes) lost on the way?", seconds.as_secs_f32()
    )]
    Stalled {
        /// The other end's address.
        addr: SocketAddr,
        /// How long we waited.
        seconds: Duration,
    },
    /// The end that answered is not the one we know.
    #[error(
        "{addr} has the key {presented} but {expected} is configured for it: correct the key in \
         --peer, or the address if another machine answers there"
    )]
    WrongKey {
        /// The address dialed.
        addr: SocketAddr,
        /// The key configured for it.
        expected: PublicKey,
        /// The key that it proved to be reachable under.
        presented: PublicKey,
    },
    /// The end that we dialed does not know us.
    #[error("{addr} refused our key: add our public key {ours} as a --peer there")]
    KeyRefused {
        /// The address dialed.
        addr: SocketAddr,
        /// Our own public key.
        ours: PublicKey,
    },
    /// Somebody whose key is none of our peers' dialed us.
    #[error(
        "refused {addr}: its key {presented} is none of our peers'; if it should be one, add it as a --peer"
    )]
    Stranger {
        /// Where it dialed from.
        addr: SocketAddr,
        /// Its key. It may not have proved that it owns it.
        presented: PublicKey,
    },
    /// The end that dialed us expects another key here.
    #[error("{addr} dialed us but expects another key: give our public key {ours} to its --peer")]
    NotExpected {
        /// Where it dialed from.
        addr: SocketAddr,
        /// Our own public key.
        ours: PublicKey,
    },
    /// QUIC, but not causeway.
    #[error("{0} speaks QUIC but not causeway: is the port right?")]
    NotCauseway(SocketAddr),
    /// A QUIC that does not know version 1.
    #[error("{0} speaks no QUIC version 1: is the port right?")]
    QuicVersion(SocketAddr),
    /// The two control protocols differ.
    #[error(
        "{addr} speaks control protocol version {theirs} and this end {PROTOCOL_VERSION}: \
         install the same causeway release on both ends"
    )]
    Version {
        /// The other end's address.
        addr: SocketAddr,
        /// Its version.
        theirs: u16,
    },
    /// Both ends are sites, or both clouds.
    #[error(
        "{addr} has the role {role} like this end: one must run with --role site, the other with --role cloud"
    )]
    SameRole {
        /// The other end's address.
        addr: SocketAddr,
        /// The role of both.
        role: Role,
    },
    /// TLS or QUIC could not agree, or the peer broke their rules.
    #[error("the connection with {addr} failed: {why}")]
    Transport {
        /// The other end's address.
        addr: SocketAddr,
        /// The words of the TLS or QUIC library, of this end or of the other.
        why: String,
    },
    /// The peer broke the control protocol.
    #[error(
        "{addr} broke the control protocol: {why}; install the same causeway release on both ends"
    )]
    Protocol {
        /// The other end's address.
        addr: SocketAddr,
        /// What it did.
        why: String,
    },
    /// The peer no longer knows the session: it was restarted.
    #[error("{0} was restarted and has forgotten the session")]
    Reset(SocketAddr),
    /// Nothing was heard from the peer any more.
    #[error("nothing heard from {addr} for {} s: is it down, or the path to it?", seconds.as_secs_f32())]
    IdleTimeout {
        /// The other end's address.
        addr: SocketAddr,
        /// The idle timeout.
        seconds: Duration,
    },
    /// The peer closed the session.
    #[error("the peer closed the session: {0}")]
    ClosedByPeer(Bye),
    /// This end closed the session.
    #[error("the session was closed by this end")]
    Closed,
    /// The message cannot be sent.
    #[error(transparent)]
    Message(#[from] MessageError),
}

/// TLS alerts (RFC 8446 section 6) whose cause we know.
mod alert {
    pub(super) const HANDSHAKE_FAILURE: u8 = 40;
    pub(super) const ACCESS_DENIED: u8 = 49;
    pub(super) const NO_APPLICATION_PROTOCOL: u8 = 120;
}

/// What is known about a connection when it fails, to tell the cause in the operator's terms.
#[derive(Clone, Debug)]
pub(super) struct Explainer {
    pub(super) addr: SocketAddr,
    pub(super) ours: PublicKey,
    /// The key that we dialed; `None` on the accepting end.
    pub(super) expected: Option<PublicKey>,
    pub(super) presented: Presented,
    pub(super) idle_timeout: Duration,
    pub(super) handshake_timeout: Duration,
}

impl Explainer {
    /// The cause of a failed handshake.
    pub(super) fn handshake(&self, error: ConnectionError) -> SessionError {
        match error {
            ConnectionError::TimedOut => self.too_late(),
            other => self.session(other),
        }
    }

    /// The handshake did not come to an end in time.
    pub(super) fn too_late(&self) -> SessionError {
        let (addr, seconds) = (self.addr, self.handshake_timeout);
        match (self.expected, self.presented.get()) {
            (Some(_), None) => SessionError::NoAnswer { addr, seconds },
            _ => SessionError::Stalled { addr, seconds },
        }
    }

    /// The cause of the end of a connection.
    pub(super) fn session(&self, error: ConnectionError) -> SessionError {
        let addr = self.addr;
        match error {
            ConnectionError::VersionMismatch => SessionError::QuicVersion(addr),
            ConnectionError::Reset => SessionError::Reset(addr),
            ConnectionError::TimedOut => SessionError::IdleTimeout {
                addr,
                seconds: self.idle_timeout,
            },
            ConnectionError::LocallyClosed => SessionError::Closed,
            ConnectionError::ApplicationClosed(close) => {
                let code = u32::try_from(close.error_code.into_inner()).unwrap_or_default();
                let text = String::from_utf8_lossy(&close.reason).into_owned();
                SessionError::ClosedByPeer(Bye { code, text })
            }
            ConnectionError::TransportError(error) => {
                self.transport(error.code.into(), false, error.to_string())
            }
            ConnectionError::ConnectionClosed(close) => {
                self.transport(close.error_code.into(), true, format!("it says {close}"))
            }
            ConnectionError::CidsExhausted => SessionError::Transport {
                addr,
                why: "connection ids are exhausted".into(),
            },
        }
    }

    fn transport(&self, code: u64, by_peer: bool, why: String) -> SessionError {
        let (addr, ours) = (self.addr, self.ours);
        // RFC 9001 section 4.8: 0x0100 plus the TLS alert.
        let alert = u8::try_from(code.wrapping_sub(0x100)).ok();
        match (alert, by_peer, self.expected, self.presented.get()) {
            (Some(alert::ACCESS_DENIED), true, Some(_), _) => {
                SessionError::KeyRefused { addr, ours }
            }
            (Some(alert::ACCESS_DENIED), true, None, _) => SessionError::NotExpected { addr, ours },
            (Some(alert::ACCESS_DENIED), false, Some(expected), Some(presented)) => {
                SessionError::WrongKey {
                    addr,
                    expected,
                    presented,
                }
            }
            (Some(alert::ACCESS_DENIED), false, None, Some(presented)) => {
                SessionError::Stranger { addr, presented }
            }
            (Some(alert::NO_APPLICATION_PROTOCOL), ..) => SessionError::NotCauseway(addr),
            (Some(alert::HANDSHAKE_FAILURE), ..) => SessionError::Transport {
                addr,
                why: format!("no common TLS 1.3 parameters (X25519MLKEM768, Ed25519); {why}"),
            },
            _ => SessionError::Transport {
                addr,
                why: why.escape_debug().to_string(),
            },
        }
    }

    /// What the peer sent on the control stream is wrong.
    pub(super) fn message(&self, error: MessageError) -> SessionError {
        let addr = self.addr;
        match error {
            MessageError::Version(theirs) => SessionError::Version { addr, theirs },
            other => SessionError::Protocol {
                addr,
                why: other.to_string(),
            },
        }
    }

    /// The peer did something that the control protocol does not have.
    pub(super) fn protocol(&self, why: &str) -> SessionError {
        SessionError::Protocol {
            addr: self.addr,
            why: why.into(),
        }
    }
}
