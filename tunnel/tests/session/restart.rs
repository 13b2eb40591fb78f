//! An end that is killed and started again.

use std::net::{SocketAddr, UdpSocket};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use causeway_tunnel::identity::PrivateKey;
use causeway_tunnel::message::Role;
use causeway_tunnel::session::{Endpoint, SessionError, SessionOptions};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::support::*;

/// A cloud end on a runtime of its own that takes one session.
struct Doomed {
    addr: SocketAddr,
    kill: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Doomed {
    async fn start(key: PrivateKey, site: PrivateKey) -> Doomed {
        let (kill, killed) = oneshot::channel();
        let (started, addr) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let leftovers = runtime.block_on(async move {
                let cloud = End::new(V4, key, &[&site], hello(Role::Cloud));
                started.send(cloud.addr()).unwrap();
                let session = cloud.accept().await.unwrap();
                killed.await.unwrap();
                (session, cloud)
            });
            // With its runtime gone, nothing can send a last word when the handles are dropped.
            runtime.shutdown_background();
            drop(leftovers);
        });
        Doomed {
            addr: addr.await.unwrap(),
            kill,
            thread,
        }
    }

    /// As `kill -9` would: the socket is closed, and the peer learns nothing.
    fn kill(self) {
        self.kill.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

#[tokio::test]
async fn the_peer_of_a_restarted_end_is_told_by_a_stateless_reset() {
    let (a, b) = (PrivateKey::generate(), PrivateKey::generate());
    let site = End::new(V4, a.clone(), &[&b], hello(Role::Site));
    let doomed = Doomed::start(b.clone(), a.clone()).await;
    let addr = doomed.addr;
    let dialed = within(site.endpoint.dial(addr, &b.public())).await.unwrap();
    doomed.kill();
    // What was under way, a farewell included, would arrive in this time.
    let quiet = tokio::time::timeout(Duration::from_millis(100), dialed.closed()).await;
    assert!(
        quiet.is_err(),
        "the dying end must not have said anything: {quiet:?}"
    );

    let restarted = Instant::now();
    let socket = UdpSocket::bind(addr).expect("the old socket is closed");
    let options = SessionOptions::default();
    let cloud = Endpoint::new(socket, &b, [a.public()], options, |_| hello(Role::Cloud)).unwrap();
    let error = within(dialed.closed()).await;
    let took = restarted.elapsed();
    println!("the reset came {took:?} after the restart");
    assert_eq!(error, SessionError::Reset(addr));
    assert!(took < Duration::from_secs(1), "{took:?}");

    let public = b.public();
    let (again, accepted) =
        within(async { tokio::join!(site.endpoint.dial(addr, &public), cloud.accept()) }).await;
    again.unwrap();
    accepted.unwrap().unwrap();
    println!("and the next session {:?} after it", restarted.elapsed());
}
