//! An end that is killed and started again.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use causeway_tunnel::identity::PrivateKey;
use causeway_tunnel::message::Role;
use causeway_tunnel::session::{Session, SessionError};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::support::*;

/// An end on a runtime of its own that holds one session.
struct Doomed {
    addr: SocketAddr,
    kill: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Doomed {
    /// `make` makes the end, `meet` its session.
    async fn start(
        make: impl FnOnce() -> End + Send + 'static,
        meet: impl AsyncFnOnce(&End) -> Session + Send + 'static,
    ) -> Doomed {
        let (kill, killed) = oneshot::channel();
        let (started, addr) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let leftovers = runtime.block_on(async move {
                let end = make();
                started.send(end.addr()).unwrap();
                let session = meet(&end).await;
                killed.await.unwrap();
                (session, end)
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

fn restarted(addr: SocketAddr, key: &PrivateKey, trusted: &PrivateKey, role: Role) -> End {
    End::new(&addr.to_string(), key.clone(), &[trusted], hello(role))
}

/// However long the end was down: retransmissions back off, and must not be what finds out.
#[tokio::test]
async fn the_peer_of_a_restarted_end_is_told_by_a_stateless_reset() {
    for down in [100, 2500].map(Duration::from_millis) {
        let (a, b) = (PrivateKey::generate(), PrivateKey::generate());
        let site = End::new(V4, a.clone(), &[&b], hello(Role::Site));
        let (site_key, cloud_key) = (a.clone(), b.clone());
        let make = move || End::new(V4, cloud_key, &[&site_key], hello(Role::Cloud));
        let doomed = Doomed::start(make, async |end| end.accept_session().await).await;
        let addr = doomed.addr;
        let dialed = within(site.endpoint.dial(addr, &b.public())).await.unwrap();
        doomed.kill();
        let quiet = tokio::time::timeout(down, dialed.closed()).await;
        assert!(
            quiet.is_err(),
            "the dying end must not have said anything: {quiet:?}"
        );

        let start = Instant::now();
        let cloud = restarted(addr, &b, &a, Role::Cloud);
        let error = within(dialed.closed()).await;
        let took = start.elapsed();
        println!("down {down:?}: reset after {took:?}");
        assert_eq!(error, SessionError::Reset(addr));
        assert!(took < Duration::from_secs(1), "{took:?}");
        connect(&site, &cloud).await;
        println!("down {down:?}: next session after {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_restarted_dialer_gets_a_session_at_once_and_its_lost_one_is_reset() {
    let (a, b) = (PrivateKey::generate(), PrivateKey::generate());
    let cloud = End::new(V4, b.clone(), &[&a], hello(Role::Cloud));
    let (site_key, cloud_key) = (a.clone(), b.clone());
    let (addr, public) = (cloud.addr(), b.public());
    let make = move || End::new(V4, site_key, &[&cloud_key], hello(Role::Site));
    let dial = async move |end: &End| end.endpoint.dial(addr, &public).await.unwrap();
    let doomed = Doomed::start(make, dial).await;
    let lost = cloud.accept_session().await;
    let site_addr = doomed.addr;
    doomed.kill();

    let start = Instant::now();
    let site = restarted(site_addr, &a, &b, Role::Site);
    let (_dialed, accepted) = connect(&site, &cloud).await;
    println!("next session after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(accepted.remote_address(), lost.remote_address());
    assert_eq!(within(lost.closed()).await, SessionError::Reset(site_addr));
    println!("lost one reset after {:?}", start.elapsed());
    assert_eq!(accepted.close_reason(), None);
}
