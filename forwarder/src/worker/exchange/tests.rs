use super::*;

const WORKER: usize = 3;

fn from() -> Arrival {
    Path {
        remote: ([192, 0, 2, 7], 4_500).into(),
        local: None,
    }
    .into()
}

/// The ESP datagram number `number` for that worker.
fn datagram(worker: u8, number: u8) -> [u8; 6] {
    [0x81, 0, 0, worker, number, 0]
}

/// Four workers that receive on one SPI each.
fn four() -> Vec<Mailbox> {
    let mut all = Mailbox::for_workers(4).unwrap();
    let live: Arc<LiveSpis> = Arc::new((0..4).map(|w| 0x8100_0000 + w).collect());
    for mailbox in &mut all {
        mailbox.set_live(Arc::clone(&live));
    }
    all
}

/// How often the worker was woken since the last call.
fn woken(mailbox: &Mailbox) -> Option<u64> {
    let mut count = [0; 8];
    rustix::io::read(&**mailbox.wake(), &mut count).ok()?;
    Some(u64::from_ne_bytes(count))
}

fn numbers(mailbox: &mut Mailbox, limit: usize) -> Vec<u8> {
    let mut got = Vec::new();
    let visit = |datagram: &mut [u8], path| {
        assert_eq!(path, from());
        got.push(datagram[4]);
    };
    assert_eq!(mailbox.empty(limit, visit), got.len());
    got
}

#[test]
fn only_what_another_receives_on_is_handed_over() {
    let mut all = four();
    let owner = |mailbox: &Mailbox, worker| mailbox.owner(&datagram(worker, 0));
    let owners = [0, 1, 2, 3, 4, 255].map(|w| owner(&all[1], w));
    assert_eq!(owners, [Some(0), None, Some(2), Some(3), None, None]);
    assert_eq!(all[1].owner(&[0x81, 0, 0]), None);
    assert_eq!(all[1].owner(&[]), None);
    for stranger in [[0x82, 0, 0, 2], [0x81, 0, 1, 2], [0, 0, 0, 2]] {
        assert_eq!(all[1].owner(&stranger), None, "{stranger:02x?}");
    }
    all[1].set_live(Arc::default());
    assert_eq!(owner(&all[1], 2), None, "it is live no longer");
}

#[test]
fn it_arrives_in_order_and_wakes_its_worker_once_a_batch() {
    let (mut all, counters) = (four(), WorkerCounters::new(1));
    for number in 0..9 {
        all[0].hand_over(WORKER, &datagram(3, number), from(), &counters);
    }
    assert_eq!(woken(&all[WORKER]), None, "not before the batch is over");
    all[0].ring();
    all[0].ring();
    assert_eq!((woken(&all[WORKER]), woken(&all[2])), (Some(1), None));
    assert_eq!(numbers(&mut all[WORKER], 7), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(numbers(&mut all[WORKER], 7), [7, 8]);
    assert!(numbers(&mut all[WORKER], 7).is_empty());
    assert_eq!(counters.wan_handed_over.get(), 9);
}

/// Whoever rings while the worker has not yet looked need not wake it again, and is found all the same.
#[test]
fn what_two_leave_is_found_after_one_call() {
    let (mut all, counters) = (four(), WorkerCounters::new(1));
    for sender in [0, 2] {
        all[sender].hand_over(WORKER, &datagram(3, sender as u8), from(), &counters);
        all[sender].ring();
    }
    assert_eq!(woken(&all[WORKER]), Some(1));
    assert_eq!(numbers(&mut all[WORKER], 9), [0, 2]);
    all[2].hand_over(WORKER, &datagram(3, 5), from(), &counters);
    all[2].ring();
    assert_eq!(woken(&all[WORKER]), Some(1));
    assert_eq!(numbers(&mut all[WORKER], 9), [5]);
}

#[test]
fn what_does_not_fit_is_dropped_and_counted() {
    let (mut all, counters) = (four(), WorkerCounters::new(1));
    for _ in 0..ROOM + 5 {
        all[0].hand_over(WORKER, &datagram(3, 0), from(), &counters);
    }
    assert_eq!(counters.wan_handed_over.get(), ROOM as u64);
    assert_eq!(counters.drops[DropReason::HandoverFull.index()].get(), 5);
    assert_eq!(counters.wan_rx_datagrams.get(), 5);
    // One that does not empty its queue does not keep the others from theirs.
    all[0].hand_over(2, &datagram(2, 1), from(), &counters);
    all[0].ring();
    assert_eq!(numbers(&mut all[2], 9), [1]);
    for _ in 0..2 * POOL {
        all[0].hand_over(1, &datagram(1, 0), from(), &counters);
    }
    assert!(all[0].made <= POOL, "{}", all[0].made);
}

#[test]
fn buffers_come_back_and_no_more_are_made() {
    let (mut all, counters) = (four(), WorkerCounters::new(1));
    for round in 0..50 {
        for number in 0..200 {
            let to = 1 + (number + round) as usize % 3;
            all[0].hand_over(to, &datagram(to as u8, number), from(), &counters);
        }
        all[0].ring();
        let got: usize = (1..4).map(|w| numbers(&mut all[w], 512).len()).sum();
        assert_eq!(got, 200);
    }
    assert_eq!(all[0].made, 200);
}

/// Two threads, each worker on its own: everything arrives once and in order.
#[test]
fn nothing_is_lost_or_overtaken_between_threads() {
    const COUNT: u32 = 50_000;
    let mut all = four().into_iter();
    let (mut a, mut b) = (all.next().unwrap(), all.next().unwrap());
    let sender = std::thread::spawn(move || {
        let counters = WorkerCounters::new(1);
        let mut sent = 0;
        while sent < COUNT {
            let bytes = [&[0x81, 0, 0, 1][..], &sent.to_be_bytes()].concat();
            let before = counters.wan_handed_over.get();
            a.hand_over(1, &bytes, from(), &counters);
            sent += (counters.wan_handed_over.get() - before) as u32;
            if sent.is_multiple_of(64) || counters.wan_handed_over.get() == before {
                a.ring();
                std::thread::yield_now();
            }
        }
        a.ring();
        a.made
    });
    let mut expected = 0;
    while expected < COUNT {
        let taken = b.empty(100, |bytes, _| {
            assert_eq!(bytes[4..], expected.to_be_bytes());
            expected += 1;
        });
        if taken == 0 {
            std::thread::yield_now();
        }
    }
    assert!(sender.join().unwrap() <= POOL);
}
