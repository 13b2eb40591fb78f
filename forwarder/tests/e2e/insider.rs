//! An end that has the right key and says what it likes: the control protocol and ESP datagrams by the tunnel's own
//! library, in the place of one of the lab's ends.

use std::{
    fs::File,
    net::{SocketAddr, UdpSocket},
    os::fd::AsFd,
    time::{Duration, Instant, SystemTime},
};

use causeway_tunnel::{
    OutboundSa, Spi,
    aead::Cipher,
    esp,
    identity::{PrivateKey, PublicKey},
    message::{Hello, Lanes, Message, PROTOCOL_VERSION, Role},
    sa::{Limits, SaKeys},
    session::{Endpoint, Session, SessionError, SessionOptions},
    wire::{ESP_HEADER, NextHeader},
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::{runtime::Runtime, time::timeout};

use crate::lab::{Lab, PATIENCE};

/// Where the lab's cloud end listens.
pub(crate) const CLOUD: &str = "203.0.113.2:24500";

/// Runs `work` on a thread inside a namespace of the lab; what it opens stays there.
pub(crate) fn inside<T: Send>(lab: &Lab, namespace: &str, work: impl FnOnce() -> T + Send) -> T {
    let path = format!("/run/netns/{}-{namespace}", lab.name());
    std::thread::scope(|scope| {
        let enter = || {
            let file = File::open(path).unwrap();
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            work()
        };
        scope.spawn(enter).join().unwrap()
    })
}

/// A bound UDP socket in a namespace.
pub(crate) fn socket(lab: &Lab, namespace: &str, address: &str) -> UdpSocket {
    inside(lab, namespace, || UdpSocket::bind(address).unwrap())
}

/// The first message of an honest end.
pub(crate) fn hello(role: Role) -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        role,
        lanes: 1,
        max_frame: 1_522,
        features: 0,
        unix_time: unix_time(),
        cipher: Cipher::Aes256Gcm,
        software: "insider".into(),
        instance: 7,
        stations_applied: None,
    }
}

pub(crate) fn unix_time() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// An end in the place of the lab's.
pub(crate) struct Insider {
    pub(crate) runtime: Runtime,
    endpoint: Endpoint,
    peer: PublicKey,
}

impl Insider {
    /// With the key of the lab's `end`, in its namespace, on the socket address given.
    pub(crate) fn new(lab: &Lab, end: &str, address: &str, hello: Hello) -> Self {
        let key = std::fs::read_to_string(lab.dir().join(format!("{end}.key"))).unwrap();
        Self::with_key(lab, end, address, &key.parse().unwrap(), hello)
    }

    /// In the place of the lab's `end`, and with a key that nobody knows.
    pub(crate) fn stranger(lab: &Lab, end: &str, address: &str, hello: Hello) -> Self {
        Self::with_key(lab, end, address, &PrivateKey::generate(), hello)
    }

    fn with_key(lab: &Lab, end: &str, address: &str, key: &PrivateKey, hello: Hello) -> Self {
        let read = |name: String| std::fs::read_to_string(lab.dir().join(name)).unwrap();
        let other = if end == "site" { "cloud" } else { "site" };
        let peer: PublicKey = read(format!("{other}.pub")).parse().unwrap();
        let quic = socket(lab, end, address);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let endpoint = {
            let _entered = runtime.enter();
            Endpoint::new(quic, key, [peer], SessionOptions::default(), move |_| {
                hello.clone()
            })
            .unwrap()
        };
        Self {
            runtime,
            endpoint,
            peer,
        }
    }

    /// The session that the lab's site keeps (it dials several times at once), and our lane in it.
    pub(crate) fn accept(&self) -> (Session, Lane) {
        loop {
            let accepted = self.wait(self.endpoint.accept()).unwrap();
            let with_lane = accepted.and_then(|s| self.lane(&s).map(|lane| (s, lane)));
            match with_lane {
                Ok(kept) => return kept,
                Err(error) => println!("not the session: {error}"),
            }
        }
    }

    /// Dials the lab's cloud end.
    pub(crate) fn dial(&self) -> Result<Session, SessionError> {
        self.wait(self.endpoint.dial(CLOUD.parse().unwrap(), &self.peer))
    }

    pub(crate) fn wait<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime
            .block_on(async { timeout(PATIENCE, future).await.expect("in time") })
    }

    /// Names lanes to each other; the one that we send on.
    pub(crate) fn lane(&self, session: &Session) -> Result<Lane, SessionError> {
        let ours = |_| u32::from(Spi::new(u32::from_ne_bytes(random()), 0));
        let lanes = Message::Lanes(Lanes {
            spis: (0..session.hello().lanes).map(ours).collect(),
        });
        let theirs = self.wait(async {
            session.send(&lanes).await?;
            match session.recv().await? {
                Message::Lanes(lanes) => Ok::<_, SessionError>(lanes.spis[0]),
                other => panic!("{other:?}"),
            }
        })?;
        let cipher = session.cipher();
        let material = session.keying_material(theirs, session.is_dialer(), cipher.keymat_len());
        let keys = SaKeys::new(cipher, &material).unwrap();
        let spi = Spi::try_from(theirs).unwrap();
        Ok(Lane(OutboundSa::new(
            spi,
            &keys,
            Limits::default(),
            Instant::now(),
        )))
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).unwrap();
    bytes
}

/// A sending lane that seals whatever it is given.
pub(crate) struct Lane(OutboundSa);

impl Lane {
    /// One datagram with that payload.
    pub(crate) fn seal(&mut self, payload: &[u8], next_header: NextHeader) -> Vec<u8> {
        let mut datagram = vec![0; esp::sealed_len(payload.len())];
        datagram[ESP_HEADER..][..payload.len()].copy_from_slice(payload);
        esp::seal(&mut self.0, &mut datagram, payload.len(), next_header).unwrap();
        datagram
    }
}

/// A way to a receiving end: a socket of ours and its address.
pub(crate) struct Way {
    socket: UdpSocket,
    target: SocketAddr,
}

impl Way {
    pub(crate) fn new(socket: UdpSocket, target: SocketAddr) -> Self {
        Self { socket, target }
    }

    pub(crate) fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.target).unwrap();
        // In the order sent, and none lost for want of buffer.
        std::thread::sleep(Duration::from_millis(2));
    }
}
