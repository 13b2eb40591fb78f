//! The path's MTU: found, and found again when it shrinks.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use causeway_tunnel::message::{Lanes, Message};
use causeway_tunnel::session::{Session, SessionOptions};

use crate::support::*;

/// Waits until the session's MTU satisfies `wanted`; there is no event for it to wait for.
async fn mtu(session: &Session, wanted: impl Fn(u16) -> bool) -> u16 {
    within(async {
        loop {
            let mtu = session.path_mtu();
            if wanted(mtu) {
                return mtu;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

#[tokio::test]
async fn the_whole_path_is_used_up_to_the_limit() {
    for (limit, bind) in [(1472, V4), (1452, V6), (8972, V4)] {
        let options = SessionOptions {
            max_udp_payload: limit,
            ..Default::default()
        };
        let (site, cloud) = pair_with(bind, options);
        let (dialed, accepted) = connect(&site, &cloud).await;
        let started = Instant::now();
        mtu(&dialed, |mtu| mtu == limit).await;
        mtu(&accepted, |mtu| mtu == limit).await;
        println!("{limit} found after {:?}", started.elapsed());
    }
}

#[tokio::test]
async fn a_smaller_path_is_found_to_the_byte_and_again_when_it_shrinks() {
    let (site, cloud) = pair(V4);
    let relay = Relay::to(cloud.addr()).await;
    relay.limit.store(1399, Ordering::Relaxed);
    let started = Instant::now();
    let (dialed, accepted) = connect_to(&site, &cloud, relay.addr).await;
    mtu(&dialed, |mtu| mtu == 1399).await;
    mtu(&accepted, |mtu| mtu == 1399).await;
    println!("1399 found after {:?}", started.elapsed());

    relay.limit.store(1300, Ordering::Relaxed);
    let shrunk = Instant::now();
    mtu(&dialed, |mtu| mtu <= 1300).await;
    println!("black hole noticed after {:?}", shrunk.elapsed());
    assert_eq!(dialed.close_reason(), None);
    mtu(&dialed, |mtu| mtu == 1300).await;
    mtu(&accepted, |mtu| mtu == 1300).await;
    println!("1300 found after {:?}", shrunk.elapsed());

    let message = Message::Lanes(Lanes {
        spis: vec![1; 5000],
    });
    dialed.send(&message).await.unwrap();
    assert_eq!(within(accepted.recv()).await.unwrap(), message);
}
