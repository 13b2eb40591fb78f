use std::{net::SocketAddr, time::Duration};

use super::{super::super::check::Verdict, *};

fn well() -> Measured {
    let mut measured = Measured {
        ceiling: 1_472,
        told: 1_472,
        largest: [Some(1_472); 2],
        trains: [(); 2].map(|()| vec![train(100, 100)]),
        answers: true,
        ..Measured::default()
    };
    measured.session.path_mtu = 1_472;
    measured.session.remote = "203.0.113.2:24500".into();
    measured
}

fn train(sent: u64, arrived: u64) -> Train {
    Train { sent, arrived }
}

fn why(check: &Check) -> (&'static str, &str) {
    match &check.verdict {
        Verdict::Ok { seen } => ("ok", seen),
        Verdict::Failing { why, .. } => ("failing", why),
        Verdict::Unknown { why } => ("unknown", why),
    }
}

#[test]
fn a_path_that_carries_what_the_link_does_is_well() {
    let check = path_mtu("cloud", &well());
    assert_eq!(why(&check).0, "ok");
    assert!(why(&check).1.contains("1472 bytes"), "{check:?}");
    // QUIC has not found out yet, or the other end's link is narrower.
    let mut measured = well();
    measured.session.path_mtu = 1_200;
    assert_eq!(why(&path_mtu("cloud", &measured)).0, "ok");
}

#[test]
fn a_narrow_link_is_named_unless_it_says_so_itself() {
    let mut narrow = well();
    narrow.largest = [Some(1_372); 2];
    let check = path_mtu("cloud", &narrow);
    let (verdict, text) = why(&check);
    assert_eq!(verdict, "failing");
    assert!(text.contains("IP packets of 1400 bytes"), "{text}");
    narrow.told = 1_372;
    assert_eq!(why(&path_mtu("cloud", &narrow)).0, "ok");
    narrow.largest = [Some(1_200); 2];
    assert_eq!(why(&path_mtu("cloud", &narrow)).0, "failing");
}

#[test]
fn what_quic_has_not_found_yet_is_no_narrow_link() {
    let mut quic = well();
    quic.largest = [None; 2];
    let check = path_mtu("cloud", &quic);
    assert_eq!(why(&check).0, "ok");
    assert!(
        why(&check).1.contains("QUIC datagrams of 1472"),
        "{check:?}"
    );
    for found in [1_200, 1_371] {
        quic.session.path_mtu = found;
        let check = path_mtu("cloud", &quic);
        assert_eq!(why(&check).0, "unknown");
        assert!(why(&check).1.contains("of the 1472"), "{check:?}");
    }
    // What a router tells needs no search.
    quic.told = 1_372;
    assert_eq!(why(&path_mtu("cloud", &quic)).0, "ok");
}

#[test]
fn a_way_back_that_is_narrower_is_named() {
    let mut measured = well();
    measured.largest[1] = Some(1_200);
    let check = path_mtu("cloud", &measured);
    assert_eq!(why(&check).0, "failing");
    assert!(why(&check).1.contains("only 1200 back"), "{check:?}");
}

#[test]
fn loss_is_told_by_lane_and_way() {
    let mut measured = well();
    measured.trains[0] = vec![train(100, 99), train(100, 100)];
    let check = loss("cloud", &measured);
    assert_eq!(why(&check).0, "ok");
    assert!(
        why(&check)
            .1
            .contains("1 of 100 and 0 of 100 there; 0 of 100 back"),
        "{check:?}"
    );
    measured.trains[1] = vec![train(100, 97)];
    assert_eq!(why(&loss("cloud", &measured)).0, "failing");
    // An older release counts nothing, and sends nothing that it is asked for.
    measured.trains = [vec![], vec![train(0, 0)]];
    assert_eq!(why(&loss("cloud", &measured)).0, "unknown");
}

#[test]
fn throughput_says_how_it_was_estimated() {
    let mut measured = well();
    assert_eq!(why(&throughput("cloud", &measured)).0, "unknown");
    let (bytes, time) = (500_000, Duration::from_millis(40));
    measured.filled = Some(Filled { bytes, time });
    let time = Duration::from_micros(3);
    measured.returned = Some(Filled { bytes, time });
    let check = throughput("cloud", &measured);
    let (verdict, text) = why(&check);
    assert_eq!(verdict, "ok");
    assert!(
        text.contains("at least 100 Mb/s there (500 kB of QUIC in 40 ms"),
        "{text}"
    );
    assert!(text.contains("more than can be told back"), "{text}");
}

#[test]
fn what_keeps_a_session_from_being_has_its_verdict() {
    let addr = SocketAddr::from(([192, 0, 2, 1], 24_500));
    let seconds = Duration::from_secs(5);
    let bye = causeway_tunnel::message::Bye::new(ByeReason::Replaced, "");
    for (error, verdict) in [
        (SessionError::NoAnswer { addr, seconds }, "failing"),
        (SessionError::Stalled { addr, seconds }, "failing"),
        (SessionError::Version { addr, theirs: 9 }, "failing"),
        (SessionError::ClosedByPeer(bye), "unknown"),
        (SessionError::NotCauseway(addr), "unknown"),
    ] {
        let check = not_measured("cloud", &Failed::Session(error));
        assert_eq!(why(&check).0, verdict, "{check:?}");
    }
}
