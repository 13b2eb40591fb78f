//! One UDP socket that dials and accepts sessions.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::acceptor::{ACCEPT_QUEUE, accept_loop};
use super::connection_id::ConnectionIds;
use super::counters::{CounterSnapshot, Counters, SessionCounter};
use super::error::SessionError;
use super::handshake::{Handshaker, server_config};
use super::socket::GatedSocket;
use super::{Session, SessionOptions};
use crate::identity::{PrivateKey, PublicKey};
use crate::message::{Bye, Hello};
use crate::tls::{Presented, TlsIdentity, TrustedKeys};

/// How long [`Endpoint::close`] waits for QUIC to take leave of its peers.
const LEAVE: Duration = Duration::from_secs(1);

/// One UDP socket that dials and accepts sessions. Dropping it ends its handshakes, not its
/// sessions.
#[derive(Debug)]
pub struct Endpoint {
    shared: Arc<Handshaker>,
    accepted: Mutex<mpsc::Receiver<Result<Session, SessionError>>>,
    acceptor: AbortHandle,
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl Endpoint {
    /// An endpoint on `socket`, with the key `identity`, that accepts the keys `trusted`.
    /// `make_hello` makes our first message to a peer; it is called once per handshake, when the
    /// peer has proved its key (accepting) or is about to (dialing).
    ///
    /// Must be called within a tokio runtime with I/O and time; the endpoint lives on it.
    ///
    /// # Errors
    /// [`SessionError::Socket`] for an unusable socket or option.
    pub fn new(
        socket: UdpSocket,
        identity: &PrivateKey,
        trusted: impl IntoIterator<Item = PublicKey>,
        options: SessionOptions,
        make_hello: impl Fn(&PublicKey) -> Hello + Send + Sync + 'static,
    ) -> Result<Endpoint, SessionError> {
        let counters = Arc::<Counters>::default();
        let ids = ConnectionIds::new(identity);
        let tls = TlsIdentity::new(identity);
        let keys = TrustedKeys::default();
        keys.replace(trusted);
        let transport_accept = Arc::new(options.transport_config(1)?);
        let server = server_config(&tls, &keys, Presented::default(), &transport_accept);
        let quinn = quinn::Endpoint::new_with_abstract_socket(
            options.endpoint_config(identity)?,
            Some(server),
            gated(socket, &ids, &counters)?,
            Arc::new(TokioRuntime),
        )
        .map_err(socket_error)?;
        let shared = Arc::new(Handshaker {
            quinn,
            public: identity.public(),
            tls,
            ids,
            trusted: keys,
            transport_dial: Arc::new(options.transport_config(0)?),
            transport_accept,
            options,
            counters,
            make_hello: Box::new(make_hello),
        });
        let (sender, accepted) = mpsc::channel(ACCEPT_QUEUE);
        let acceptor = tokio::spawn(accept_loop(shared.clone(), sender)).abort_handle();
        Ok(Endpoint {
            shared,
            accepted: Mutex::new(accepted),
            acceptor,
        })
    }

    /// Our own public key.
    pub fn public(&self) -> PublicKey {
        self.shared.public
    }

    /// The socket's address.
    ///
    /// # Errors
    /// [`SessionError::Socket`] if the system does not tell.
    pub fn local_addr(&self) -> Result<SocketAddr, SessionError> {
        self.shared.quinn.local_addr().map_err(socket_error)
    }

    /// Replaces the set of keys that may dial us. Sessions that exist stay.
    pub fn set_trusted(&self, keys: impl IntoIterator<Item = PublicKey>) {
        self.shared.trusted.replace(keys);
    }

    /// Moves to another socket; sessions that this end dialed move along (QUIC's migration).
    ///
    /// # Errors
    /// [`SessionError::Socket`]; the old socket stays in use then.
    pub fn rebind(&self, socket: UdpSocket) -> Result<(), SessionError> {
        let socket = gated(socket, &self.shared.ids, &self.shared.counters)?;
        self.shared
            .quinn
            .rebind_abstract(socket)
            .map_err(socket_error)
    }

    /// Dials `addr`, where the end with the key `expect` must answer.
    ///
    /// # Errors
    /// Why there is no session. Never later than the handshake timeout.
    pub async fn dial(
        &self,
        addr: SocketAddr,
        expect: &PublicKey,
    ) -> Result<Session, SessionError> {
        let result = self.shared.dial(addr, *expect).await;
        self.shared.counters.add(match result {
            Ok(_) => SessionCounter::HandshakeDialed,
            Err(_) => SessionCounter::DialFailed,
        });
        result
    }

    /// The next session that a peer dialed, or why the handshake of somebody failed. (Of
    /// failures that are not taken in time only the counters tell.) Dropping the future loses
    /// nothing. `None` once the endpoint is closed.
    pub async fn accept(&self) -> Option<Result<Session, SessionError>> {
        self.accepted.lock().await.recv().await
    }

    /// What arrived at the socket and what became of it.
    pub fn counters(&self) -> CounterSnapshot {
        self.shared.counters.read()
    }

    /// Closes every session with `bye` and accepts no more; returns when the peers were told, or
    /// after a second.
    pub async fn close(&self, bye: Bye) {
        self.shared
            .quinn
            .close(bye.code.into(), bye.text.as_bytes());
        // A peer that does not answer has no claim to more.
        let _ = timeout(LEAVE, self.shared.quinn.wait_idle()).await;
    }
}

fn socket_error(error: std::io::Error) -> SessionError {
    SessionError::Socket(error.to_string())
}

fn gated(
    socket: UdpSocket,
    ids: &ConnectionIds,
    counters: &Arc<Counters>,
) -> Result<Arc<dyn AsyncUdpSocket>, SessionError> {
    socket.set_nonblocking(true).map_err(socket_error)?;
    let inner = TokioRuntime.wrap_udp_socket(socket).map_err(socket_error)?;
    Ok(Arc::new(GatedSocket {
        inner,
        ours: ids.clone(),
        counters: counters.clone(),
    }))
}
