//! An end that is killed and started again.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use causeway_tunnel::identity::PrivateKey;
use causeway_tunnel::message::Role;
use causeway_tunnel::session::{Endpoint, SessionError, SessionOptions};
use tokio::runtime::Builder;

use crate::support::*;

/// The acceptor lives on a runtime of its own, which is torn down without a word to anybody,
/// as by `kill -9`; a new one starts on the same port with the same key.
#[test]
fn the_peer_of_a_restarted_end_is_told_by_a_stateless_reset() {
    let runtime = || {
        Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap()
    };
    let (a, b) = (PrivateKey::generate(), PrivateKey::generate());
    let site_runtime = runtime();
    let site = site_runtime.block_on(async { End::new(V4, a.clone(), &[&b], hello(Role::Site)) });

    let doomed = runtime();
    let (dialed, addr) = doomed.block_on(async {
        let cloud = End::new(V4, b.clone(), &[&a], hello(Role::Cloud));
        let addr = cloud.addr();
        let accepting = tokio::spawn(async move {
            let session = cloud.accept().await.unwrap();
            // Held until the runtime dies.
            std::future::pending::<()>().await;
            drop((session, cloud));
        });
        let public = b.public();
        let dialed = site_runtime
            .block_on_elsewhere(site.endpoint.dial(addr, &public))
            .await;
        drop(accepting);
        (dialed.unwrap(), addr)
    });
    doomed.shutdown_timeout(Duration::from_secs(5));
    assert_eq!(
        dialed.close_reason(),
        None,
        "the dying end must not have said anything"
    );

    let restarted = Instant::now();
    site_runtime.block_on(async {
        let socket = UdpSocket::bind(addr).expect("the old socket is closed");
        let trusted = [a.public()];
        let options = SessionOptions::default();
        let cloud = Endpoint::new(socket, &b, trusted, options, |_| hello(Role::Cloud)).unwrap();
        let error = within(dialed.closed()).await;
        let took = restarted.elapsed();
        println!("the reset came {took:?} after the restart");
        assert_eq!(error, SessionError::Reset(addr));
        assert!(took < Duration::from_secs(1), "{took:?}");

        let (again, accepted) = tokio::join!(site.endpoint.dial(addr, &b.public()), cloud.accept());
        again.unwrap();
        accepted.unwrap().unwrap();
        println!("and the next session {:?} after it", restarted.elapsed());
    });
}

/// Waits here for a future whose endpoint lives on another runtime.
trait Elsewhere {
    async fn block_on_elsewhere<T>(&self, future: impl Future<Output = T>) -> T;
}

impl Elsewhere for tokio::runtime::Runtime {
    async fn block_on_elsewhere<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|cx| {
            let _entered = self.enter();
            future.as_mut().poll(cx)
        })
        .await
    }
}
