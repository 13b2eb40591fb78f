use causeway_tunnel::identity::PrivateKey;

use super::*;

const MINUTES: Duration = Duration::from_secs(120);

fn peer(address: Option<&str>) -> Peer {
    Peer::new(PeerSpec {
        name: "cloud".into(),
        key: PrivateKey::generate().public(),
        address: address.map(Into::into),
    })
}

fn after(seconds: u64) -> impl Fn(Instant) -> Instant {
    move |start| start + Duration::from_secs(seconds)
}

#[test]
fn without_a_session_only_who_has_an_address_calls_and_only_once() {
    let now = Instant::now();
    assert!(!peer(None).wants_call(now, MINUTES, 0));
    let mut peer = peer(Some("192.0.2.1:24500"));
    assert!(peer.wants_call(now, MINUTES, 0));

    peer.candidates = 1;
    assert!(
        !peer.wants_call(now, MINUTES, u64::MAX),
        "one is in the making"
    );
    peer.candidates = 0;

    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().expect("a runtime");
    peer.call = Some(runtime.spawn(async {}).abort_handle());
    assert!(
        !peer.wants_call(now, MINUTES, u64::MAX),
        "a call is under way"
    );
    peer.call = None;
    assert!(peer.wants_call(now, MINUTES, 0));
}

#[test]
fn a_session_is_renewed_by_its_dialler_by_age_or_by_use() {
    let since = Instant::now();
    let table = [
        // connected, dialled, age, datagrams: call?
        (true, true, 119, 0, false),
        (true, true, 120, 0, true),
        (true, true, 60, SOFT_LIMIT - 1, false),
        (true, true, 60, SOFT_LIMIT, true),
        (true, true, 5, SOFT_LIMIT, false),
        (true, false, 500, u64::MAX, false),
        (false, true, 0, 0, true),
        (false, false, 0, 0, true),
    ];
    for (connected, dialled, age, worn, expected) in table {
        let standing = Standing {
            connected,
            dialled,
            since,
        };
        let wants = standing.wants_call(after(age)(since), MINUTES, worn);
        assert_eq!(wants, expected, "{standing:?} at {age} s, {worn} datagrams");
    }
}

#[test]
fn earlier_lanes_expire_once_and_each_in_its_time() {
    let start = Instant::now();
    let mut peer = peer(None);
    let spis = |n: u32| vec![Spi::new(n << 8, 0), Spi::new(n << 8, 1)];
    peer.retire(spis(1), start);
    peer.retire(spis(2), after(3)(start));
    assert_eq!(peer.expired(start + GRACE - Duration::from_millis(1)), []);
    assert_eq!(peer.expired(start + GRACE), spis(1));
    assert_eq!(peer.expired(start + GRACE), []);
    assert_eq!(peer.expired(after(3)(start) + GRACE), spis(2));
    assert_eq!(peer.expired(after(600)(start)), []);
}

#[test]
fn the_same_complaint_is_news_once_a_minute() {
    let start = Instant::now();
    let mut peer = peer(None);
    assert!(peer.complain("refused", start));
    assert!(!peer.complain("refused", after(59)(start)));
    assert!(peer.complain("refused", after(60)(start)));
    assert!(!peer.complain("refused", after(119)(start)));
    assert!(peer.complain("no route", after(119)(start)));
    assert_eq!(peer.last_error.as_deref(), Some("no route"));
    assert!(
        peer.complain("refused", after(119)(start)),
        "it was another in between"
    );
}
