//! What anybody can send to the port.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use causeway_tunnel::message::{ByeReason, Lanes, Message, Role};
use causeway_tunnel::session::{SessionCounter as C, SessionError, SessionOptions};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rustls::crypto::aws_lc_rs::kx_group;
use tokio::net::UdpSocket;

use crate::identity::dial_with;
use crate::support::*;

/// Random bytes of every length, of which each fourth looks like a QUIC long header.
fn noise(n: usize) -> Vec<Vec<u8>> {
    let mut runner = TestRunner::deterministic();
    let bytes = proptest::collection::vec(any::<u8>(), 0..1472);
    (0..n)
        .map(|i| {
            let mut datagram = bytes.new_tree(&mut runner).unwrap().current();
            if i % 4 == 0 && datagram.len() > 30 {
                let kind = datagram[0] & 0x30;
                datagram[..6].copy_from_slice(&[0xc0 | kind, 0, 0, 0, 1, 8]);
                datagram[14] = 4;
            }
            datagram
        })
        .collect()
}

/// Sends the datagrams slowly enough that none is lost, and returns when all were counted.
async fn bombard(end: &End, datagrams: &[Vec<u8>]) {
    let socket = UdpSocket::bind(V4).await.unwrap();
    let before = end.endpoint.counters().datagrams();
    for (sent, datagram) in datagrams.iter().enumerate() {
        socket.send_to(datagram, end.addr()).await.unwrap();
        if sent % 16 == 15 {
            counted(end, before + sent as u64 + 1).await;
        }
    }
    counted(end, before + datagrams.len() as u64).await;
}

async fn counted(end: &End, wanted: u64) {
    within(async {
        while end.endpoint.counters().datagrams() < wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    assert_eq!(end.endpoint.counters().datagrams(), wanted);
}

/// The datagrams by which a real dialer begins.
async fn recorded_handshake(site: &End, cloud: &End) -> Vec<Vec<u8>> {
    let relay = Relay::to(cloud.addr()).await;
    connect_to(site, cloud, relay.addr).await;
    relay.seen.lock().unwrap().clone()
}

fn quick() -> SessionOptions {
    SessionOptions {
        handshake_timeout: Duration::from_millis(500),
        ..Default::default()
    }
}

#[tokio::test]
async fn every_datagram_is_counted_and_none_stops_the_endpoint() {
    let (site, cloud) = pair_with(V4, quick());
    let (dialed, accepted) = connect(&site, &cloud).await;
    // Quiet from here on, so that only the noise is counted.
    drop((dialed, accepted));
    let (_, target) = pair_with(V4, quick());
    bombard(&target, &noise(1000)).await;
    let counters = target.endpoint.counters();
    println!(
        "{:?}",
        counters.iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>()
    );
    assert_eq!(counters.datagrams(), 1000);
    for reason in [
        C::DatagramNotQuic,
        C::DatagramStray,
        C::DatagramVersion,
        C::DatagramZeroRtt,
    ] {
        assert!(counters.get(reason) > 0, "{reason}");
    }
    assert_eq!(counters.get(C::HandshakeAccepted), 0);
    bombard(&cloud, &noise(200)).await;
    connect(&site, &cloud).await;
}

#[tokio::test]
async fn a_real_handshake_with_any_bit_flipped_gives_no_session() {
    let (site, cloud) = pair_with(V4, quick());
    let handshake = recorded_handshake(&site, &cloud).await;
    assert!(handshake.len() >= 3);
    let (_, target) = pair_with(V4, quick());
    let mut flipped = Vec::new();
    for (n, datagram) in handshake.iter().take(4).enumerate() {
        for step in 0..60 {
            let mut datagram = datagram.clone();
            let bit = (step * 8 * datagram.len() / 60 + step + n) % (8 * datagram.len());
            datagram[bit / 8] ^= 1 << (bit % 8);
            flipped.push(datagram);
        }
    }
    // To an endpoint that never saw the handshake, and to the one that did.
    bombard(&target, &flipped).await;
    bombard_live(&cloud, &flipped).await;
    for end in [&target, &cloud] {
        let counters = end.endpoint.counters();
        println!(
            "{:?}",
            counters.iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>()
        );
        assert!(counters.get(C::HandshakeAccepted) <= 1);
    }
    connect(&site, &cloud).await;
}

/// As `bombard`, to an end that may hear from a real peer as well.
async fn bombard_live(end: &End, datagrams: &[Vec<u8>]) {
    let socket = UdpSocket::bind(V4).await.unwrap();
    let before = end.endpoint.counters().datagrams();
    for datagram in datagrams {
        socket.send_to(datagram, end.addr()).await.unwrap();
        tokio::task::yield_now().await;
    }
    within(async {
        while end.endpoint.counters().datagrams() < before + datagrams.len() as u64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_replayed_handshake_gives_no_session() {
    let (site, cloud) = pair_with(V4, quick());
    let handshake = recorded_handshake(&site, &cloud).await;
    // The same end after a restart: nothing is left of the first handshake but its key.
    let restarted = End::with(V4, cloud.key, &[&site.key], hello(Role::Cloud), quick());
    bombard(&restarted, &handshake).await;
    // The first flight begins a handshake, which the rest does not fit.
    within(async {
        while restarted.endpoint.counters().get(C::HandshakeTimeout) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(restarted.endpoint.counters().get(C::HandshakeAccepted), 0);
}

#[tokio::test]
async fn garbage_does_not_disturb_a_session() {
    let (site, cloud) = pair(V4);
    let (dialed, accepted) = connect(&site, &cloud).await;
    for (n, datagrams) in noise(300).chunks(30).enumerate() {
        bombard_live(&cloud, datagrams).await;
        let message = Message::Lanes(Lanes {
            spis: vec![n as u32],
        });
        dialed.send(&message).await.unwrap();
        assert_eq!(within(accepted.recv()).await.unwrap(), message);
    }
}

/// A peer with a trusted key that says Hello and then something else.
#[tokio::test]
async fn a_peer_that_breaks_the_protocol_loses_its_session() {
    let (site, cloud) = pair(V4);
    let hello = Message::Hello(hello(Role::Site)).encode().unwrap();
    for (breach, why) in [
        (
            &b"\xff\xff\xff\xff"[..],
            "4294967295 bytes is over the limit",
        ),
        (b"\x00\x00\x00\x02\xff\xff", "cannot be read"),
        (&hello, "a second Hello"),
    ] {
        let dial = dial_with(&cloud, &site.key, kx_group::X25519MLKEM768, b"causeway");
        let raw = dial.await.unwrap();
        let (mut send, _receive) = raw.open_bi().await.unwrap();
        send.write_all(&hello).await.unwrap();
        let session = cloud.accept().await.unwrap();
        send.write_all(breach).await.unwrap();
        let error = within(session.recv()).await.unwrap_err();
        assert!(matches!(error, SessionError::Protocol { .. }), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        let closed = within(raw.closed()).await;
        let quinn::ConnectionError::ApplicationClosed(close) = closed else {
            panic!("{closed}")
        };
        assert_eq!(close.error_code, (ByeReason::Protocol as u32).into());
    }
}

/// Begins handshakes of which only the first datagrams pass.
async fn stalled(cloud: SocketAddr, site: &End, expect: &End, n: usize) -> Vec<Relay> {
    let mut relays = Vec::new();
    for _ in 0..n {
        let relay = Relay::to(cloud).await;
        // The two Initials of the ClientHello, without which there is no handshake to stall.
        relay.budget.store(2, Ordering::Relaxed);
        relays.push(relay);
    }
    let public = expect.public();
    let dials = relays
        .iter()
        .map(|relay| site.endpoint.dial(relay.addr, &public));
    let mut dials: Vec<_> = dials.map(Box::pin).collect();
    // Polled once: they are under way. Dropping them leaves their half-open handshakes behind.
    for dial in &mut dials {
        std::future::poll_fn(|cx| {
            let _ = dial.as_mut().poll(cx);
            std::task::Poll::Ready(())
        })
        .await;
    }
    let all_passed = || {
        relays
            .iter()
            .all(|relay| relay.budget.load(Ordering::Relaxed) == 0)
    };
    within(async {
        while !all_passed() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    relays
}

#[tokio::test]
async fn stalled_handshakes_delay_nobody() {
    let (site, cloud) = pair(V4);
    let _relays = stalled(cloud.addr(), &site, &cloud, 12).await;
    let started = Instant::now();
    connect(&site, &cloud).await;
    println!(
        "dialed past 12 stalled handshakes in {:?}",
        started.elapsed()
    );
    assert!(started.elapsed() < SessionOptions::default().handshake_timeout / 2);
    assert_eq!(cloud.endpoint.counters().get(C::HandshakeRetry), 0);
}

#[tokio::test]
async fn many_pending_handshakes_make_the_next_prove_its_address_and_then_be_ignored() {
    let options = SessionOptions {
        retry_above: 2,
        max_pending: 4,
        ..quick()
    };
    let slow = SessionOptions {
        handshake_timeout: Duration::from_secs(4),
        ..options
    };
    let (site, cloud) = pair_with(V4, slow);
    let _relays = stalled(cloud.addr(), &site, &cloud, 3).await;
    // Two are pending; the third was asked to retry, which its relay does not let through.
    connect(&site, &cloud).await;
    let counters = cloud.endpoint.counters();
    assert!(
        counters.get(C::HandshakeRetry) >= 2,
        "the third and the good one"
    );
    assert_eq!(counters.get(C::HandshakeAccepted), 1);
}
