//! Sessions: one QUIC connection between two ends that know each other's keys.
//!
//! An [`Endpoint`] dials and accepts; a [`Session`] exists once both ends have proved their keys
//! and exchanged [`Hello`]s that fit together. It carries control messages, knows the path's MTU,
//! and yields the keys of the ESP security associations. A rekey is a new session beside the old
//! one; who dials when, and what the messages lead to, is the caller's business.

mod acceptor;
mod connection_id;
mod control;
mod counters;
mod endpoint;
mod error;
mod filler;
mod gate;
mod handshake;
mod options;
mod socket;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior};
use zeroize::Zeroizing;

use crate::aead::Cipher;
use crate::identity::PublicKey;
use crate::message::{Bye, ByeReason, Hello, Message};
use control::{ControlReader, ControlWriter};
use error::Explainer;

pub use counters::{CounterSnapshot, SessionCounter};
pub use endpoint::Endpoint;
pub use error::SessionError;
pub use filler::Filled;
pub use options::{MAX_UDP_PAYLOAD, MIN_UDP_PAYLOAD, SessionOptions};

/// Label of the TLS exporter (RFC 8446 section 7.5) for the keys of security associations. RFC
/// 5705 section 4 reserves labels that begin with EXPERIMENTAL for use without registration.
pub const ESP_EXPORTER_LABEL: &[u8] = b"EXPERIMENTAL-causeway-esp";

/// How long [`Session::close`] waits for the peer to have read the `Bye`.
const FAREWELL: Duration = Duration::from_millis(500);

/// A session with a peer. Clones are handles to the same session, which ends when the last one
/// is dropped, if not before.
#[derive(Clone, Debug)]
pub struct Session(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    connection: quinn::Connection,
    writer: Mutex<ControlWriter>,
    reader: Mutex<ControlReader>,
    peer: PublicKey,
    hello: Hello,
    our_hello: Hello,
    clock_skew: i64,
    dialer: bool,
    explain: Explainer,
    /// What the peer said when it closed.
    farewell: OnceLock<Bye>,
    heartbeat: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.heartbeat.abort();
        self.connection.close(0u32.into(), b"");
    }
}

impl Session {
    /// Both Hellos were exchanged and fit together.
    fn new(established: handshake::Established, options: &SessionOptions) -> Session {
        let handshake::Established {
            connection,
            writer,
            reader,
            peer,
            hello,
            our_hello,
            explain,
        } = established;
        let heartbeat = tokio::spawn(heartbeat(connection.clone(), options.clone()));
        Session(Arc::new(Shared {
            writer: Mutex::new(writer),
            reader: Mutex::new(reader),
            peer,
            clock_skew: clock_skew(&hello),
            hello,
            our_hello,
            dialer: connection.side() == quinn::Side::Client,
            explain,
            farewell: OnceLock::new(),
            heartbeat: heartbeat.abort_handle(),
            connection,
        }))
    }

    /// The key that the other end proved to have.
    pub fn peer(&self) -> PublicKey {
        self.0.peer
    }

    /// What the other end said first.
    pub fn hello(&self) -> &Hello {
        &self.0.hello
    }

    /// What this end said first.
    pub fn our_hello(&self) -> &Hello {
        &self.0.our_hello
    }

    /// The cipher of all security associations of this session.
    pub fn cipher(&self) -> Cipher {
        self.0.our_hello.agreed_cipher(&self.0.hello)
    }

    /// How many seconds the other end's clock is ahead of ours, as far as its `Hello` tells; 0
    /// if it does not know the time. Nothing in the protocol depends on it.
    pub fn clock_skew(&self) -> i64 {
        self.0.clock_skew
    }

    /// Whether this end dialed.
    pub fn is_dialer(&self) -> bool {
        self.0.dialer
    }

    /// The other end's address; it changes when the other end's NAT gives it another.
    pub fn remote_address(&self) -> SocketAddr {
        canonical(self.0.connection.remote_address())
    }

    /// The local address that the other end reaches us under, if the system told.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.0.connection.local_ip().map(|ip| ip.to_canonical())
    }

    /// The largest UDP payload that the path is known to carry, in bytes. It rises from 1,200 in
    /// the first seconds, and falls when full-size datagrams are lost.
    pub fn path_mtu(&self) -> u16 {
        self.0.connection.stats().path.current_mtu
    }

    /// Estimate of the round-trip time.
    pub fn rtt(&self) -> Duration {
        self.0.connection.rtt()
    }

    /// Sends a message; returns when QUIC has taken it. If the future is dropped, the message
    /// still goes out whole, with the next one at the latest.
    ///
    /// # Errors
    /// Why the session is over, or that the message is too long.
    pub async fn send(&self, message: &Message) -> Result<(), SessionError> {
        let result = self
            .0
            .writer
            .lock()
            .await
            .send(message, &self.0.explain)
            .await;
        result.map_err(|error| self.with_farewell(error))
    }

    /// The next message of the peer. Dropping the future loses nothing; a `Bye` is returned as
    /// [`SessionError::ClosedByPeer`]. A peer that breaks the protocol ends the session.
    ///
    /// # Errors
    /// Why the session is over.
    pub async fn recv(&self) -> Result<Message, SessionError> {
        let result = match self.0.reader.lock().await.recv(&self.0.explain).await {
            Ok(Message::Bye(bye)) => return Err(self.farewell(bye)),
            Ok(Message::Hello(_)) => Err(self.0.explain.protocol("it sent a second Hello")),
            other => other,
        };
        result.map_err(|error| {
            if matches!(error, SessionError::Protocol { .. }) {
                self.0
                    .connection
                    .close((ByeReason::Protocol as u32).into(), b"");
            }
            self.with_farewell(error)
        })
    }

    /// The peer waits for this before it closes: it knows then that we have read its Bye.
    fn farewell(&self, bye: Bye) -> SessionError {
        let bye = self.0.farewell.get_or_init(|| bye).clone();
        self.0.connection.close(bye.code.into(), b"");
        SessionError::ClosedByPeer(bye)
    }

    /// Says `Bye` and closes; returns when the peer has read it, or after half a second.
    pub async fn close(&self, bye: Bye) {
        let farewell = async {
            let mut writer = self.0.writer.lock().await;
            if writer
                .send(&Message::Bye(bye.clone()), &self.0.explain)
                .await
                .is_ok()
            {
                writer.finish().await;
            }
        };
        // Whether it was heard or not: the close below says the same once more.
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        self.0
            .connection
            .close(bye.code.into(), bye.text.as_bytes());
    }

    /// Waits until the session is over and says why. Any number of callers may wait.
    pub async fn closed(&self) -> SessionError {
        let error = self.0.connection.closed().await;
        self.with_farewell(self.0.explain.session(error))
    }

    /// Why the session is over, if it is.
    pub fn close_reason(&self) -> Option<SessionError> {
        let error = self.0.connection.close_reason()?;
        Some(self.with_farewell(self.0.explain.session(error)))
    }

    /// Keying material of the security association `spi`, `len` bytes: the cipher's key and then
    /// 4 bytes of salt. Both ends get the same bytes for the same arguments; other SPIs, the
    /// other direction and other sessions have other bytes.
    ///
    /// # Panics
    /// If `len` is 0 or more than 12,240 (HKDF's limit with SHA-384).
    pub fn keying_material(
        &self,
        spi: u32,
        sender_is_dialer: bool,
        len: usize,
    ) -> Zeroizing<Vec<u8>> {
        let [a, b, c, d] = spi.to_be_bytes();
        let context = [a, b, c, d, u8::from(!sender_is_dialer)];
        let mut material = Zeroizing::new(vec![0; len]);
        self.0
            .connection
            .export_keying_material(&mut material, ESP_EXPORTER_LABEL, &context)
            .expect("the handshake is complete and 1 to 12,240 bytes are wanted");
        material
    }

    /// After a `Bye`, that is the reason, whichever way the connection went down.
    fn with_farewell(&self, error: SessionError) -> SessionError {
        match self.0.farewell.get() {
            Some(bye) => SessionError::ClosedByPeer(bye.clone()),
            None => error,
        }
    }
}

/// Keeps the session alive and its path probed.
///
/// Every `keep_alive` a datagram goes out: QUIC's own keep-alive would fall silent on a dead
/// peer, as its retransmissions back off, and a peer that comes up again could not reset us.
/// Every `path_probe_interval` it is as large as the path is known to carry: QUIC learns from
/// lost large packets that the path has shrunk, and control messages alone are small.
async fn heartbeat(connection: quinn::Connection, options: SessionOptions) {
    let mut ticks = tokio::time::interval(options.keep_alive);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut next_probe = Instant::now();
    let mut heard = 0;
    loop {
        tokio::select! {
            now = ticks.tick() => {
                // Full-size datagrams to a silent peer would only fill the congestion window.
                let silent = heard == connection.stats().udp_rx.datagrams;
                heard = connection.stats().udp_rx.datagrams;
                let mut size = 1;
                if !silent && now >= next_probe {
                    size = connection.max_datagram_size().unwrap_or(size);
                    next_probe = now + options.path_probe_interval;
                }
                if connection.send_datagram(vec![0; size].into()).is_err() {
                    tracing::debug!(size, "heartbeat not sent");
                }
            }
            // The peer's heartbeats have done their duty by arriving.
            datagram = connection.read_datagram() => {
                if datagram.is_err() {
                    return;
                }
            }
        }
    }
}

fn clock_skew(hello: &Hello) -> i64 {
    if hello.unix_time == 0 {
        return 0;
    }
    let now = SystemTime::UNIX_EPOCH
        .elapsed()
        .unwrap_or_default()
        .as_secs();
    hello.unix_time.wrapping_sub(now) as i64
}

/// An IPv4 address as such, where a dual-stack socket shows it as ::ffff:a.b.c.d.
fn canonical(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}
