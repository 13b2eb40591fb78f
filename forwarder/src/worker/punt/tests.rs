use std::time::Duration;

use super::*;

fn leave(punt: &mut Punt, number: u8, origin: Origin, now: Instant, counters: &WorkerCounters) {
    let bytes = [number; 600];
    let (head, tail) = bytes.split_at(100);
    let (part, frame) = (punt.part(origin, 0), Frame::halves(head, tail));
    punt.leave(Kind::Arp, origin, part, frame, now, counters);
}

#[test]
fn copies_come_with_their_origin_and_cut_to_size() {
    let (mut punts, mut workers) = Punts::for_workers(2, 4).unwrap();
    let (now, counters) = (Instant::now(), WorkerCounters::new(1));
    leave(&mut workers[1], 7, Origin::Peer(3), now, &counters);
    leave(&mut workers[0], 8, Origin::Lan, now, &counters);
    leave(&mut workers[1], 9, Origin::Lan, now, &counters);
    let all: Vec<_> = std::iter::from_fn(|| punts.pop()).collect();
    let seen: Vec<_> = all.iter().map(|p| (p.frame()[0], p.origin)).collect();
    let lan = |n| (n, Origin::Lan);
    assert_eq!(seen, [lan(8), (7, Origin::Peer(3)), lan(9)]);
    assert!(
        all.iter()
            .all(|p| p.length == 600 && p.frame().len() == SEEN)
    );
    assert_eq!(counters.punted.get(), 3);
}

#[test]
fn one_sides_flood_is_counted_and_hides_nothing_of_the_other() {
    let (mut punts, mut workers) = Punts::for_workers(1, 1).unwrap();
    let (now, counters) = (Instant::now(), WorkerCounters::new(1));
    for _ in 0..1_000 {
        leave(&mut workers[0], 1, Origin::Lan, now, &counters);
    }
    let burst = u64::from(RATE / 10 + EACH);
    assert_eq!(counters.punted.get(), burst);
    assert_eq!(counters.punt_limited.get(), 1_000 - burst);
    leave(&mut workers[0], 2, Origin::Peer(0), now, &counters);
    assert_eq!(counters.punted.get(), burst + 1);
    // Nobody takes them out: the queue fills up, which costs the worker nothing.
    for ms in 0..1_000 {
        let now = now + Duration::from_millis(ms);
        leave(&mut workers[0], 3, Origin::Lan, now, &counters);
        leave(&mut workers[0], 3, Origin::Peer(0), now, &counters);
    }
    // What is common stops before the queue is full, parts go on.
    assert!((ROOM - KEPT..ROOM).contains(&(counters.punted.get() as usize)));
    for n in 0..KEPT as u64 {
        for origin in [Origin::Lan, Origin::Peer(0)] {
            let part = workers[0].part(origin, n);
            let (frame, now) = (Frame::whole(&[0; 60]), now + Duration::from_secs(1));
            workers[0].leave(Kind::Arp, origin, part, frame, now, &counters);
        }
    }
    assert_eq!(counters.punted.get(), ROOM as u64);
    assert!(counters.punt_full.get() > 0);
    assert_eq!(std::iter::from_fn(|| punts.pop()).count(), ROOM);
}

#[test]
fn one_peers_flood_hides_nothing_of_another_nor_one_stations() {
    for peers in [2, 256] {
        let (mut punts, mut workers) = Punts::for_workers(1, peers).unwrap();
        let (start, counters) = (Instant::now(), WorkerCounters::new(1));
        let other = Origin::Peer(peers as PeerIndex - 1);
        let mut seen = [0, 0];
        for ms in 0..2_000 {
            let now = start + Duration::from_millis(ms);
            for _ in 0..10 {
                leave(&mut workers[0], 1, Origin::Peer(0), now, &counters);
            }
            if ms % 100 == 0 {
                leave(&mut workers[0], 2, other, now, &counters);
            }
            while let Some(punted) = punts.pop() {
                seen[usize::from(punted.origin == other)] += 1;
            }
        }
        assert_eq!(seen[1], 20);
        assert!(seen[0] <= 2 * (RATE + EACH) + RATE / 10 + EACH, "{seen:?}");
    }
    let (_, workers) = Punts::for_workers(1, 2).unwrap();
    let part = |peer, sender| workers[0].part(Origin::Peer(peer), sender);
    assert_ne!(part(0, 1), part(0, 2), "stations of one peer");
    let (zero, one) = ((0..999).map(|n| part(0, n)), (0..999).map(|n| part(1, n)));
    assert!(zero.max() < one.min());
}

/// With two peers, each has parts that together are more than the whole queue.
#[test]
fn a_peers_flood_from_many_stations_leaves_room_for_others() {
    let (_punts, mut workers) = Punts::for_workers(1, 2).unwrap();
    let (now, counters) = (Instant::now(), WorkerCounters::new(2));
    let mut left = |origin, senders: std::ops::Range<u64>| {
        let before = counters.punted.get();
        for sender in senders {
            let (part, frame) = (workers[0].part(origin, sender), Frame::whole(&[0; 60]));
            workers[0].leave(Kind::Arp, origin, part, frame, now, &counters);
        }
        counters.punted.get() - before
    };
    // Nobody takes them out in this burst.
    let most = u64::from(RATE / 10 + AT_ONCE);
    assert_eq!(left(Origin::Peer(0), 0..100_000), most);
    assert_eq!(left(Origin::Peer(1), 0..50), 50);
    assert_eq!(left(Origin::Lan, 0..50), 50);
}

#[tokio::test]
async fn the_bell_is_heard_once_for_a_batch() {
    let (mut punts, mut workers) = Punts::for_workers(1, 1).unwrap();
    let bell = punts.bell().unwrap();
    let counters = WorkerCounters::new(1);
    let soon = Duration::from_millis(20);
    workers[0].ring();
    assert!(tokio::time::timeout(soon, bell.rung()).await.is_err());
    leave(&mut workers[0], 1, Origin::Lan, Instant::now(), &counters);
    workers[0].ring();
    bell.rung().await.unwrap();
    assert!(punts.pop().is_some());
    assert!(tokio::time::timeout(soon, bell.rung()).await.is_err());
    punts.ring();
    bell.rung().await.unwrap();
}
