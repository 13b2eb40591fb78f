//! From an address, or from a stranger's first packet, to a session: TLS, then both Hellos.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::TransportConfig;
use quinn::{ClientConfig, ConnectError, Connection, Incoming, NoneTokenStore, ServerConfig};
use tokio::time::timeout;

use super::connection_id::ConnectionIds;
use super::control::{ControlReader, ControlWriter};
use super::counters::Counters;
use super::error::{Explainer, SessionError};
use super::{FAREWELL, Session, SessionOptions, canonical};
use crate::identity::PublicKey;
use crate::message::{ByeReason, Hello, Message};
use crate::tls::{self, Presented, SERVER_NAME, TlsIdentity, TrustedKeys};

type MakeHello = dyn Fn(&PublicKey) -> Hello + Send + Sync;

/// What every handshake of an endpoint needs.
pub(super) struct Handshaker {
    pub(super) quinn: quinn::Endpoint,
    pub(super) public: PublicKey,
    pub(super) tls: TlsIdentity,
    pub(super) ids: ConnectionIds,
    pub(super) trusted: TrustedKeys,
    pub(super) options: SessionOptions,
    pub(super) transport_dial: Arc<TransportConfig>,
    pub(super) transport_accept: Arc<TransportConfig>,
    pub(super) counters: Arc<Counters>,
    pub(super) make_hello: Box<MakeHello>,
}

impl std::fmt::Debug for Handshaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handshaker")
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

impl Handshaker {
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

    /// Dials, proves and greets.
    pub(super) async fn dial(
        &self,
        addr: SocketAddr,
        expect: PublicKey,
    ) -> Result<Session, SessionError> {
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

    /// Answers one handshake of somebody.
    pub(super) async fn accept(&self, incoming: Incoming) -> Result<Session, SessionError> {
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
                let _ = timeout(FAREWELL, connection.closed()).await;
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

pub(super) fn server_config(
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
