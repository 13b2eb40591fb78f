//! Two ends on the loopback interface, and a relay between them that can misbehave.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use causeway_tunnel::aead::Cipher;
use causeway_tunnel::identity::{PrivateKey, PublicKey};
use causeway_tunnel::message::{Hello, PROTOCOL_VERSION, Role};
use causeway_tunnel::session::{Endpoint, Session, SessionError, SessionOptions};
use tokio::task::AbortHandle;

/// Far more than anything here takes, so that a hang fails and does not hang.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub const V4: &str = "127.0.0.1:0";
pub const V6: &str = "[::1]:0";

pub fn hello(role: Role) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        role,
        lanes: 1,
        max_frame: 1518,
        features: 0,
        unix_time: 0,
        cipher: Cipher::Aes256Gcm,
        software: "test".into(),
        instance: 1,
        stations_applied: None,
    }
}

pub struct End {
    pub key: PrivateKey,
    pub endpoint: Endpoint,
}

impl End {
    pub fn new(bind: &str, key: PrivateKey, trusted: &[&PrivateKey], hello: Hello) -> End {
        End::with(bind, key, trusted, hello, SessionOptions::default())
    }

    pub fn with(
        bind: &str,
        key: PrivateKey,
        trusted: &[&PrivateKey],
        hello: Hello,
        options: SessionOptions,
    ) -> End {
        let socket = UdpSocket::bind(bind).unwrap();
        let trusted: Vec<_> = trusted.iter().map(|key| key.public()).collect();
        let endpoint =
            Endpoint::new(socket, &key, trusted, options, move |_| hello.clone()).unwrap();
        End { key, endpoint }
    }

    pub fn addr(&self) -> SocketAddr {
        self.endpoint.local_addr().unwrap()
    }

    pub fn public(&self) -> PublicKey {
        self.key.public()
    }

    pub async fn accept(&self) -> Result<Session, SessionError> {
        within(self.endpoint.accept()).await.unwrap()
    }

    /// The next session, past the failures of others.
    pub async fn accept_session(&self) -> Session {
        loop {
            match self.accept().await {
                Ok(session) => return session,
                Err(error) => println!("not the session: {error}"),
            }
        }
    }

    pub async fn dial(&self, other: &End) -> Result<Session, SessionError> {
        within(self.endpoint.dial(other.addr(), &other.public())).await
    }
}

pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("not done within the deadline")
}

/// A site and a cloud that trust each other.
pub fn pair(bind: &str) -> (End, End) {
    pair_with(bind, SessionOptions::default())
}

pub fn pair_with(bind: &str, options: SessionOptions) -> (End, End) {
    let (a, b) = (PrivateKey::generate(), PrivateKey::generate());
    let site = End::with(bind, a.clone(), &[&b], hello(Role::Site), options.clone());
    let cloud = End::with(bind, b, &[&a], hello(Role::Cloud), options);
    (site, cloud)
}

/// A session between the two, as its dialer and its acceptor see it.
pub async fn connect(dialer: &End, acceptor: &End) -> (Session, Session) {
    connect_to(dialer, acceptor, acceptor.addr()).await
}

pub async fn connect_to(dialer: &End, acceptor: &End, addr: SocketAddr) -> (Session, Session) {
    let public = acceptor.public();
    let dial = within(dialer.endpoint.dial(addr, &public));
    let (dialed, accepted) = tokio::join!(dial, acceptor.accept_session());
    (dialed.unwrap(), accepted)
}

/// Forwards datagrams between one client and `target`: those up to `limit` bytes, as long as
/// `budget` lasts.
pub struct Relay {
    pub addr: SocketAddr,
    /// Largest datagram that passes, in bytes.
    pub limit: Arc<AtomicUsize>,
    /// How many more datagrams of the client pass.
    pub budget: Arc<AtomicUsize>,
    /// What the client sent.
    pub seen: Arc<Mutex<Vec<Vec<u8>>>>,
    task: AbortHandle,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Relay {
    pub async fn to(target: SocketAddr) -> Relay {
        let front = tokio::net::UdpSocket::bind(V4).await.unwrap();
        let back = tokio::net::UdpSocket::bind(V4).await.unwrap();
        back.connect(target).await.unwrap();
        let addr = front.local_addr().unwrap();
        let limit = Arc::new(AtomicUsize::new(usize::MAX));
        let budget = Arc::new(AtomicUsize::new(usize::MAX));
        let seen = Arc::<Mutex<Vec<Vec<u8>>>>::default();
        let (l, b, s) = (limit.clone(), budget.clone(), seen.clone());
        let task = tokio::spawn(async move {
            let (mut up, mut down) = (vec![0; 65_536], vec![0; 65_536]);
            let mut client = None;
            loop {
                tokio::select! {
                    received = front.recv_from(&mut up) => {
                        let Ok((length, from)) = received else { continue };
                        client = Some(from);
                        s.lock().unwrap().push(up[..length].to_vec());
                        let spend = |left: usize| left.checked_sub(1);
                        let passes = b.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
                        if passes.is_ok() && length <= l.load(Ordering::Relaxed) {
                            let _ = back.send(&up[..length]).await;
                        }
                    }
                    received = back.recv(&mut down) => {
                        let (Ok(length), Some(client)) = (received, client) else { continue };
                        if length <= l.load(Ordering::Relaxed) {
                            let _ = front.send_to(&down[..length], client).await;
                        }
                    }
                }
            }
        });
        Relay {
            addr,
            limit,
            budget,
            seen,
            task: task.abort_handle(),
        }
    }
}
