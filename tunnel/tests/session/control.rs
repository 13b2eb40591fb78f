//! Messages, keys and the end of a session.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::time::Duration;

use causeway_tunnel::aead::Cipher;
use causeway_tunnel::message::{Bye, ByeReason, Lanes, Message};
use causeway_tunnel::session::{Session, SessionError, SessionOptions};
use causeway_tunnel::stations::{Station, StationsJoiner, StationsUpdate};

use crate::support::*;

fn lanes(n: u32) -> Message {
    Message::Lanes(Lanes { spis: vec![n] })
}

#[tokio::test]
async fn messages_cross_in_both_directions_in_order() {
    let (site, cloud) = pair(V6);
    let (dialed, accepted) = connect(&site, &cloud).await;
    let send_all = |session: Session| async move {
        for n in 0..500 {
            session.send(&lanes(n)).await.unwrap();
        }
    };
    let recv_all = |session: Session| async move {
        for n in 0..500 {
            assert_eq!(session.recv().await.unwrap(), lanes(n));
        }
    };
    within(async {
        tokio::join!(
            send_all(dialed.clone()),
            send_all(accepted.clone()),
            recv_all(dialed.clone()),
            recv_all(accepted.clone()),
        )
    })
    .await;
    assert_eq!(dialed.cipher(), Cipher::Aes256Gcm);
}

#[tokio::test]
async fn a_receiver_that_is_cancelled_loses_nothing() {
    let (site, cloud) = pair(V4);
    let (dialed, accepted) = connect(&site, &cloud).await;
    let sender = tokio::spawn(async move {
        for n in 0..300 {
            dialed.send(&lanes(n)).await.unwrap();
            tokio::task::yield_now().await;
        }
        dialed
    });
    let mut next = 0;
    while next < 300 {
        tokio::select! {
            biased;
            _ = tokio::task::yield_now() => {}
            message = accepted.recv() => {
                assert_eq!(message.unwrap(), lanes(next));
                next += 1;
            }
        }
    }
    within(sender).await.unwrap();
}

#[tokio::test]
async fn the_largest_station_table_crosses_both_ways_at_once() {
    let (site, cloud) = pair(V4);
    let (dialed, accepted) = connect(&site, &cloud).await;
    let station = |n: u32| {
        let [a, b, c, d] = n.to_be_bytes();
        Station {
            vlan: (n % 4095) as u16,
            mac: [2, 0, a, b, c, d],
        }
    };
    let table = StationsUpdate {
        generation: 1,
        since: 0,
        added: (0..65_536).map(station).collect(),
        withdrawn: vec![],
    };
    let send = |session: Session| {
        let messages = table.clone().into_messages();
        async move {
            for message in messages {
                session.send(&message).await.unwrap();
            }
        }
    };
    let receive = |session: Session| async move {
        let mut joiner = StationsJoiner::new(65_536);
        loop {
            let Ok(Message::Stations(part)) = session.recv().await else {
                panic!("no stations")
            };
            if let Some(update) = joiner.push(part).unwrap() {
                return update;
            }
        }
    };
    let (.., got_a, got_b) = within(async {
        tokio::join!(
            send(dialed.clone()),
            send(accepted.clone()),
            receive(dialed.clone()),
            receive(accepted.clone()),
        )
    })
    .await;
    assert!(got_a == table && got_b == table);
}

#[tokio::test]
async fn bye_reaches_the_peer_whatever_it_waits_for() {
    let (site, cloud) = pair(V4);
    for (text, long) in [("upgrade", false), (&*"x".repeat(4000), true)] {
        let (dialed, accepted) = connect(&site, &cloud).await;
        let bye = Bye::new(ByeReason::Shutdown, text);
        let (_, received, closed) = within(async {
            tokio::join!(accepted.close(bye.clone()), dialed.recv(), dialed.closed())
        })
        .await;
        assert_eq!(received, Err(SessionError::ClosedByPeer(bye.clone())));
        assert_eq!(closed, SessionError::ClosedByPeer(bye.clone()));
        assert_eq!(dialed.send(&lanes(1)).await, Err(closed));
        assert_eq!(dialed.close_reason(), Some(SessionError::ClosedByPeer(bye)));
        if !long {
            let text = dialed.close_reason().unwrap().to_string();
            assert_eq!(
                text,
                "the peer closed the session: its program stops (upgrade)"
            );
        }
    }
}

#[tokio::test]
async fn bye_is_heard_without_a_reader() {
    let (site, cloud) = pair(V4);
    let (dialed, accepted) = connect(&site, &cloud).await;
    let bye = Bye::new(ByeReason::Replaced, "");
    let (_, closed) =
        within(async { tokio::join!(dialed.close(bye.clone()), accepted.closed()) }).await;
    assert_eq!(closed, SessionError::ClosedByPeer(bye));
    assert_eq!(dialed.closed().await, SessionError::Closed);
}

#[tokio::test]
async fn closing_the_endpoint_tells_all_peers_and_ends_accept() {
    let (site, cloud) = pair(V4);
    let (first, _a) = connect(&site, &cloud).await;
    let (second, _b) = connect(&site, &cloud).await;
    let bye = Bye::new(ByeReason::Shutdown, "reboot");
    let (_, closed) =
        within(async { tokio::join!(cloud.endpoint.close(bye.clone()), first.closed()) }).await;
    assert_eq!(closed, SessionError::ClosedByPeer(bye.clone()));
    assert_eq!(
        within(second.closed()).await,
        SessionError::ClosedByPeer(bye)
    );
    assert!(within(cloud.endpoint.accept()).await.is_none());
}

#[tokio::test]
async fn dropping_the_last_handle_ends_the_session() {
    let (site, cloud) = pair(V4);
    let (dialed, accepted) = connect(&site, &cloud).await;
    let clone = dialed.clone();
    drop(dialed);
    clone.send(&lanes(1)).await.unwrap();
    assert_eq!(within(accepted.recv()).await.unwrap(), lanes(1));
    drop(clone);
    let SessionError::ClosedByPeer(bye) = within(accepted.closed()).await else {
        panic!()
    };
    assert_eq!(bye.reason(), ByeReason::Unspecified);
}

#[tokio::test]
async fn keys_agree_on_both_ends_and_nowhere_else() {
    let (site, cloud) = pair(V4);
    let (dialed, accepted) = connect(&site, &cloud).await;
    let (dialed2, accepted2) = connect(&site, &cloud).await;
    let mut all = HashSet::new();
    for (one, other) in [(&dialed, &accepted), (&dialed2, &accepted2)] {
        for spi in [1, 2, 0x0100_0000] {
            for by_dialer in [true, false] {
                let key = one.keying_material(spi, by_dialer, 36);
                assert_eq!(key, other.keying_material(spi, by_dialer, 36));
                assert_eq!(key.len(), 36);
                assert!(all.insert(key.to_vec()), "two associations share a key");
            }
        }
    }
    assert_eq!(all.len(), 12);
}

#[tokio::test]
async fn silence_ends_the_session_with_the_time_it_took() {
    let options = SessionOptions {
        keep_alive: Duration::from_millis(50),
        idle_timeout: Duration::from_millis(600),
        ..Default::default()
    };
    let (site, cloud) = pair_with(V4, options);
    let relay = Relay::to(cloud.addr()).await;
    let (dialed, _accepted) = connect_to(&site, &cloud, relay.addr).await;
    relay.limit.store(0, std::sync::atomic::Ordering::Relaxed);
    let error = within(dialed.closed()).await;
    let seconds = Duration::from_millis(600);
    assert_eq!(
        error,
        SessionError::IdleTimeout {
            addr: relay.addr,
            seconds
        }
    );
    assert!(error.to_string().contains("for 0.6 s"), "{error}");
}

#[tokio::test]
async fn a_dialer_that_moves_keeps_its_session() {
    let (site, cloud) = pair(V4);
    let (dialed, accepted) = connect(&site, &cloud).await;
    let before = accepted.remote_address();
    site.endpoint.rebind(UdpSocket::bind(V4).unwrap()).unwrap();
    dialed.send(&lanes(7)).await.unwrap();
    assert_eq!(within(accepted.recv()).await.unwrap(), lanes(7));
    assert_ne!(site.addr(), before);
    assert_eq!(accepted.remote_address(), site.addr());
    accepted.send(&lanes(8)).await.unwrap();
    assert_eq!(within(dialed.recv()).await.unwrap(), lanes(8));
}

/// What fills the path is nobody's message, and the session goes on.
#[tokio::test]
async fn a_filled_path_disturbs_no_message() {
    let (site, cloud) = pair(V4);
    let (dialed, accepted) = connect(&site, &cloud).await;
    within(async {
        let filled = dialed.fill(300_000, Duration::from_secs(10)).await.unwrap();
        assert!(filled.bytes >= 300_000, "{filled:?}");
        assert!(filled.time > Duration::ZERO);
        accepted.send(&lanes(7)).await.unwrap();
        assert_eq!(dialed.recv().await.unwrap(), lanes(7));
        drop(accepted);
        dialed.closed().await;
        let ended = dialed.fill(300_000, Duration::from_secs(10)).await;
        assert!(
            matches!(ended, Err(SessionError::ClosedByPeer(_))),
            "{ended:?}"
        );
    })
    .await;
}
