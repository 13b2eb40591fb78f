//! One UDP socket that dials and accepts sessions.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{AsyncUdpSocket, ClientConfig, ConnectError, NoneTokenStore, Runtime, ServerConfig};
use quinn::{Connection, Incoming, TokioRuntime, TransportConfig};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;

use super::connection_id::ConnectionIds;
use super::control::{ControlReader, ControlWriter};
use super::counters::{CounterSnapshot, Counters, SessionCounter};
use super::error::{Explainer, SessionError};
use super::socket::GatedSocket;
use super::{Session, SessionOptions, canonical};
use crate::identity::{PrivateKey, PublicKey};
use crate::message::{Bye, ByeReason, Hello, Message};
use crate::tls::{self, Presented, SERVER_NAME, TlsIdentity, TrustedKeys};

/// Sessions and refusals that wait for [`Endpoint::accept`].
const ACCEPT_QUEUE: usize = 64;

/// How long [`Endpoint::close`] waits for QUIC to take leave of its peers.
const LEAVE: Duration = Duration::from_secs(1);

/// One UDP socket that dials and accepts sessions. Dropping it ends its handshakes, not its
/// sessions.
#[derive(Debug)]
pub struct Endpoint {
    shared: Arc<Shared>,
    accepted: Mutex<mpsc::Receiver<Result<Session, SessionError>>>,
    acceptor: AbortHandle,
}

type MakeHello = dyn Fn(&PublicKey) -> Hello + Send + Sync;

struct Shared {
    quinn: quinn::Endpoint,
    public: PublicKey,
    tls: TlsIdentity,
    ids: ConnectionIds,
    trusted: TrustedKeys,
    options: SessionOptions,
    transport_dial: Arc<TransportConfig>,
    transport_accept: Arc<TransportConfig>,
    counters: Arc<Counters>,
    make_hello: Box<MakeHello>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// A connection on which both Hellos were exchanged and fit together.
pub(super) struct Established {
    pub(super) connection: Connection,
    pub(super) writer: ControlWriter,
    pub(super) reader: ControlReader,
    pub(super) peer: PublicKey,
    pub(super) hello: Hello,
    pub(super) our_hello: Hello,
    pub(super) explain: Explainer,
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
        let shared = Arc::new(Shared {
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

fn server_config(
    tls: &TlsIdentity,
    trusted: &TrustedKeys,
    presented: Presented,
    transport: &Arc<TransportConfig>,
) -> ServerConfig {
    let crypto = tls::server_config(tls, trusted.clone(), presented);
    let mut config = ServerConfig::with_crypto(crypto);
    config
        .transport_config(transport.clone())
        .validation_token_config(SessionOptions::validation_tokens())
        // One Initial flight of a client is below 4 kB.
        .incoming_buffer_size(16 << 10)
        .incoming_buffer_size_total(4 << 20)
        .max_incoming(256);
    config
}

impl Shared {
    fn explainer(&self, addr: SocketAddr, expected: Option<PublicKey>) -> Explainer {
        Explainer {
            addr: canonical(addr),
            ours: self.public,
            expected,
            presented: Presented::default(),
            idle_timeout: self.options.idle_timeout,
            handshake_timeout: self.options.handshake_timeout,
        }
    }

    async fn dial(&self, addr: SocketAddr, expect: PublicKey) -> Result<Session, SessionError> {
        let explain = self.explainer(addr, Some(expect));
        let crypto = tls::client_config(&self.tls, expect, explain.presented.clone());
        let mut config = ClientConfig::new(crypto);
        config
            .transport_config(self.transport_dial.clone())
            .token_store(Arc::new(NoneTokenStore));
        let connecting = self
            .quinn
            .connect_with(config, addr, SERVER_NAME)
            .map_err(|error| cannot_dial(addr, &error))?;
        let greet = async {
            let connection = connecting.await.map_err(|e| explain.handshake(e))?;
            self.greet_as_dialer(connection, expect, explain.clone())
                .await
        };
        match timeout(self.options.handshake_timeout, greet).await {
            Ok(greeted) => Ok(Session::new(greeted?, &self.options)),
            Err(_) => Err(explain.too_late()),
        }
    }

    async fn greet_as_dialer(
        &self,
        connection: Connection,
        peer: PublicKey,
        explain: Explainer,
    ) -> Result<Established, SessionError> {
        let (send, receive) = connection
            .open_bi()
            .await
            .map_err(|e| explain.handshake(e))?;
        let mut writer = ControlWriter::new(send);
        let mut reader = ControlReader::new(receive);
        let our_hello = (self.make_hello)(&peer);
        writer
            .send(&Message::Hello(our_hello.clone()), &explain)
            .await?;
        // Until here the peer may still refuse our key: the dialer's part of TLS ends first.
        let hello = first_message(&mut reader, &explain)
            .await
            .and_then(|hello| {
                check_hello(&our_hello, &hello, &explain)?;
                Ok(hello)
            });
        let hello = hello.inspect_err(|error| close_for(&connection, error))?;
        Ok(Established {
            connection,
            writer,
            reader,
            peer,
            hello,
            our_hello,
            explain,
        })
    }

    async fn accept(&self, incoming: Incoming) -> Result<Session, SessionError> {
        let explain = self.explainer(incoming.remote_address(), None);
        let presented = explain.presented.clone();
        let config = server_config(&self.tls, &self.trusted, presented, &self.transport_accept);
        let connecting = incoming
            .accept_with(Arc::new(config))
            .map_err(|e| explain.handshake(e))?;
        let greet = async {
            let connection = connecting.await.map_err(|e| explain.handshake(e))?;
            self.greet_as_acceptor(connection, explain.clone()).await
        };
        match timeout(self.options.handshake_timeout, greet).await {
            Ok(greeted) => Ok(Session::new(greeted?, &self.options)),
            Err(_) => Err(explain.too_late()),
        }
    }

    async fn greet_as_acceptor(
        &self,
        connection: Connection,
        explain: Explainer,
    ) -> Result<Established, SessionError> {
        let peer = explain
            .presented
            .get()
            .expect("TLS has verified a key of the client");
        let (send, receive) = connection
            .accept_bi()
            .await
            .map_err(|e| explain.handshake(e))?;
        let mut writer = ControlWriter::new(send);
        let mut reader = ControlReader::new(receive);
        let hello = first_message(&mut reader, &explain).await;
        let our_hello = (self.make_hello)(&peer);
        // Ours is sent even to a peer that does not fit, so that it can tell its operator why.
        writer
            .send(&Message::Hello(our_hello.clone()), &explain)
            .await?;
        let fitting = hello.and_then(|hello| {
            check_hello(&our_hello, &hello, &explain)?;
            Ok(hello)
        });
        match fitting {
            Ok(hello) => Ok(Established {
                connection,
                writer,
                reader,
                peer,
                hello,
                our_hello,
                explain,
            }),
            Err(error) => {
                // The peer closes when it has read our Hello; if it does not, its own timeout
                // and ours end the connection.
                let _ = timeout(super::FAREWELL, connection.closed()).await;
                close_for(&connection, &error);
                Err(error)
            }
        }
    }
}

fn cannot_dial(addr: SocketAddr, error: &ConnectError) -> SessionError {
    let why = match error {
        ConnectError::InvalidRemoteAddress(_) if addr.is_ipv6() && addr.port() != 0 => {
            "it is an IPv6 address and the socket is bound to an IPv4 one: listen on [::]".into()
        }
        other => other.to_string(),
    };
    SessionError::Address { addr, why }
}

async fn first_message(
    reader: &mut ControlReader,
    explain: &Explainer,
) -> Result<Hello, SessionError> {
    match reader.recv(explain).await? {
        Message::Hello(hello) => Ok(hello),
        _ => Err(explain.protocol("its first message is no Hello")),
    }
}

fn check_hello(ours: &Hello, theirs: &Hello, explain: &Explainer) -> Result<(), SessionError> {
    if theirs.role == ours.role {
        return Err(SessionError::SameRole {
            addr: explain.addr,
            role: ours.role,
        });
    }
    if theirs.lanes == 0 {
        return Err(explain.protocol("it has no lanes"));
    }
    Ok(())
}

/// Tells the peer why its Hello does not fit.
fn close_for(connection: &Connection, error: &SessionError) {
    let reason = match error {
        SessionError::Version { .. } => ByeReason::Version,
        SessionError::SameRole { .. } => ByeReason::Role,
        _ => ByeReason::Protocol,
    };
    connection.close((reason as u32).into(), b"");
}

/// Runs every handshake in a task of its own, so that none waits for another.
async fn accept_loop(shared: Arc<Shared>, accepted: mpsc::Sender<Result<Session, SessionError>>) {
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            incoming = shared.quinn.accept() => {
                let Some(incoming) = incoming else { return };
                if let Some(incoming) = admit(&shared, incoming, handshakes.len()) {
                    handshakes.spawn(handshake(shared.clone(), incoming, accepted.clone()));
                }
            }
            Some(_) = handshakes.join_next() => {}
        }
    }
}

/// Decides by the number of pending handshakes whether one more may begin.
fn admit(shared: &Shared, incoming: Incoming, pending: usize) -> Option<Incoming> {
    if pending >= shared.options.max_pending {
        shared.counters.add(SessionCounter::HandshakeIgnored);
        incoming.ignore();
        return None;
    }
    if pending >= shared.options.retry_above && !incoming.remote_address_validated() {
        shared.counters.add(SessionCounter::HandshakeRetry);
        if incoming.retry().is_err() {
            tracing::debug!("a client without a validated address cannot be asked to retry");
        }
        return None;
    }
    Some(incoming)
}

async fn handshake(
    shared: Arc<Shared>,
    incoming: Incoming,
    accepted: mpsc::Sender<Result<Session, SessionError>>,
) {
    let result = shared.accept(incoming).await;
    shared.counters.add(match &result {
        Ok(_) => SessionCounter::HandshakeAccepted,
        Err(SessionError::Stranger { .. }) => SessionCounter::HandshakeStranger,
        Err(SessionError::Stalled { .. }) => SessionCounter::HandshakeTimeout,
        Err(_) => SessionCounter::HandshakeFailed,
    });
    match result {
        // The endpoint may be gone: then the session ends here.
        Ok(session) => drop(accepted.send(Ok(session)).await),
        // Strangers must not be able to fill the queue before a peer: a refusal can be dropped.
        Err(error) if accepted.capacity() > ACCEPT_QUEUE / 2 => {
            drop(accepted.try_send(Err(error)));
        }
        Err(error) => tracing::debug!(%error, "a handshake failed"),
    }
}
