//! A sending lane, a network that does anything, a receiving lane.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use causeway_tunnel::join::{MAX_AGE, SEAMS};
use causeway_tunnel::lane::{DatagramSink, Run, RunLimits, TxLane};
use causeway_tunnel::{DropReason, Frame, wire};
use common::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Instant;

/// What the sender is told to do.
#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Flush,
    Keepalive,
    Resize(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![4 => 14usize..200, 3 => 200usize..=1_514, 1 => 1_515usize..=9_216];
    prop_oneof![
        12 => length.prop_map(Step::Push),
        3 => Just(Step::Flush),
        1 => Just(Step::Keepalive),
        1 => datagram_size().prop_map(Step::Resize),
    ]
}

fn datagram_size() -> impl Strategy<Value = usize> {
    prop_oneof![
        Just(256),
        Just(9_000),
        256usize..400,
        1_200usize..1_500,
        256usize..=9_000
    ]
}

#[derive(Clone, Debug)]
struct Plan {
    steps: Vec<Step>,
    size: usize,
    first: u64,
    run: RunLimits,
    /// Whether the sink lends memory for a datagram, time after time.
    lends: Vec<bool>,
    /// How many datagrams the receiving kernel merges at most (UDP_GRO).
    merged: usize,
    /// Whether what is merged lies apart, as a batch of AF_XDP does.
    apart: bool,
}

prop_compose! {
    fn plan()(
        steps in prop::collection::vec(step(), 1..60),
        size in datagram_size(),
        first in prop_oneof![Just(1), (u64::from(u32::MAX) - 20)..=u64::from(u32::MAX), 1u64 << 40..1 << 41],
        max_segments in 1usize..=64,
        max_bytes in 256usize..=65_507,
        lends in prop_oneof![Just(vec![false]), Just(vec![true]), prop::collection::vec(any::<bool>(), 1..20)],
        merged in prop_oneof![Just(1), 2usize..10],
        apart in any::<bool>(),
    ) -> Plan {
        Plan { steps, size, first, run: RunLimits { max_segments, max_bytes }, lends, merged, apart }
    }
}

/// Takes runs, and lends memory for single datagrams by a pattern.
struct Sink<'a> {
    limits: RunLimits,
    lends: std::iter::Cycle<std::slice::Iter<'a, bool>>,
    /// What is lent now.
    lent: Option<Vec<u8>>,
    out: Vec<Vec<u8>>,
}

impl DatagramSink for Sink<'_> {
    fn lend(&mut self, size: usize) -> bool {
        assert_eq!(self.lent, None, "one at a time");
        // No byte of it is what it happens to hold.
        self.lent = self.lends.next().unwrap().then(|| vec![0xa5; size]);
        self.lent.is_some()
    }

    fn lent(&mut self) -> &mut [u8] {
        self.lent.as_mut().expect("only what was lent")
    }

    fn send_lent(&mut self, length: usize) {
        let datagram = self.lent.take().expect("only what was lent");
        self.out.push(datagram[..length].to_vec());
    }

    // A run keeps the size it began with: the largest that was set is the bound.
    fn send_run(&mut self, run: Run<'_>) {
        assert_eq!(self.lent, None, "a run goes out before the next datagram");
        assert!(run.segment_size <= wire::MAX_DATAGRAM_SIZE);
        self.out
            .extend(datagrams_of(run, run.segment_size, self.limits));
    }
}

/// What went out: the datagrams in order, and for each frame the datagrams it is in.
struct Sent {
    datagrams: Vec<Vec<u8>>,
    frames: Vec<BTreeSet<usize>>,
}

fn send(plan: &Plan, now: Instant) -> Sent {
    let mut lane = tx_lane(ENDLESS, now, plan.size, plan.run);
    lane.skip_to(plan.first);
    let mut sink = Sink {
        limits: plan.run,
        lends: plan.lends.iter().cycle(),
        lent: None,
        out: Vec::new(),
    };
    let mut pushed = 0;
    for step in plan.steps.iter().chain([&Step::Flush]) {
        apply(&mut lane, step, &mut pushed, now, &mut sink);
    }
    let datagrams = sink.out;
    assert_eq!(lane.sequence(), plan.first - 1 + datagrams.len() as u64);
    let frames = whereabouts(&datagrams, now);
    assert_eq!(frames.len(), pushed);
    Sent { datagrams, frames }
}

fn apply(
    lane: &mut TxLane,
    step: &Step,
    pushed: &mut usize,
    now: Instant,
    out: &mut impl DatagramSink,
) {
    match *step {
        Step::Push(length) => {
            assert_eq!(lane.push(&frame(*pushed, length), now, out), Ok(()));
            *pushed += 1;
        }
        Step::Flush => lane.flush(out),
        Step::Keepalive => assert_eq!(lane.keepalive(now, out), Ok(())),
        Step::Resize(size) => {
            lane.set_datagram_size(size);
            assert_eq!(lane.datagram_size(), size - size % 4);
        }
    }
}

/// Reads the datagrams in order, by the format's words and nothing of the
/// receiver's but the decryption: which frame is in which datagrams.
fn whereabouts(datagrams: &[Vec<u8>], now: Instant) -> Vec<BTreeSet<usize>> {
    use causeway_tunnel::{InboundSa, aead::Cipher, esp, wire::NextHeader};
    let mut sa = InboundSa::new(spi(), &keys(Cipher::Aes256Gcm), ENDLESS, now);
    let (mut frames, mut owed) = (Vec::<BTreeSet<usize>>::new(), 0);
    for (index, datagram) in datagrams.iter().enumerate() {
        let mut datagram = datagram.clone();
        let opened = esp::open(&mut sa, &mut datagram, now).expect("nothing happened to it");
        if opened.next_header != NextHeader::Bundle {
            assert_eq!(owed, 0, "no frame crosses a flush");
            frames.extend((opened.next_header == NextHeader::Ethernet).then(|| [index].into()));
            continue;
        }
        let field = |at: usize| {
            usize::from(u16::from_be_bytes([
                opened.payload[at],
                opened.payload[at + 1],
            ]))
        };
        assert_eq!(field(0), owed, "the offset is what is owed");
        let mut at = 2 + owed.min(opened.payload.len() - 2);
        if owed > 0 {
            frames.last_mut().expect("owed by a frame").insert(index);
        }
        owed -= at - 2;
        while at < opened.payload.len() {
            let end = at + 2 + field(at);
            frames.push([index].into());
            owed = end.saturating_sub(opened.payload.len());
            at = end;
        }
    }
    assert_eq!(owed, 0, "every frame is sent to its end");
    frames
}

/// What the network does to one datagram.
#[derive(Clone, Debug)]
struct Fate {
    lost: bool,
    /// Copies beyond the first, each as late as its number says.
    copies: Vec<u64>,
    late: u64,
    flip: Option<usize>,
}

fn fate(max_late: u64) -> impl Strategy<Value = Fate> {
    let copies = prop_oneof![4 => Just(vec![]), 1 => prop::collection::vec(0..max_late, 1..3)];
    let flip = prop_oneof![4 => Just(None), 1 => any::<usize>().prop_map(Some)];
    let lost = prop_oneof![9 => Just(false), 1 => Just(true)];
    (lost, copies, 0..max_late, flip).prop_map(|(lost, copies, late, flip)| Fate {
        lost,
        copies,
        late,
        flip,
    })
}

/// The order of arrival as (index, intact): each datagram no more than the
/// largest lateness later than the one sent at the same time.
fn arrivals(datagrams: usize, fates: &[Fate]) -> Vec<(usize, Option<usize>)> {
    let mut arrivals = Vec::new();
    for (index, fate) in (0..datagrams).zip(fates.iter().cycle()) {
        // A damaged copy travels beside the good one.
        arrivals.extend(
            fate.flip
                .map(|bit| (index as u64 + fate.late / 2, index, Some(bit))),
        );
        if !fate.lost {
            let late = fate.copies.iter().chain([&fate.late]);
            arrivals.extend(late.map(|late| (index as u64 + late, index, None)));
        }
    }
    arrivals.sort_by_key(|&(at, ..)| at);
    arrivals
        .into_iter()
        .map(|(_, index, flip)| (index, flip))
        .collect()
}

/// As the kernel merges datagrams that arrive: equal ones, of which the last may be shorter.
fn merge<T>(datagrams: &[(Vec<u8>, T)], most: usize) -> Vec<&[(Vec<u8>, T)]> {
    let (mut runs, mut rest) = (Vec::new(), datagrams);
    while let Some((first, _)) = rest.first() {
        let equal = rest.iter().take_while(|(d, _)| d.len() == first.len());
        let equal = equal.count().min(most);
        let shorter = equal < most && rest.get(equal).is_some_and(|(d, _)| d.len() < first.len());
        let (run, behind) = rest.split_at(equal + usize::from(shorter));
        runs.push(run);
        rest = behind;
    }
    runs
}

/// Sends `plan` through the network. Returns what was sent, what came out in
/// order, and how many parts of frames were given up in the end.
fn cross(plan: &Plan, fates: &[Fate], now: Instant) -> (Sent, Vec<usize>, u64) {
    let sent = send(plan, now);
    let mut lane = rx_lane(ENDLESS, now);
    let (mut delivered, mut given_up) = (Vec::new(), 0);
    let arrivals = arrivals(sent.datagrams.len(), fates);
    let mut datagrams: Vec<_> = arrivals
        .iter()
        .map(|(index, flip)| (sent.datagrams[*index].clone(), *flip))
        .collect();
    for (datagram, flip) in &mut datagrams {
        if let Some(bit) = *flip {
            let bit = bit % (datagram.len() * 8);
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
    }
    for run in merge(&datagrams, plan.merged) {
        let bytes: Vec<_> = run.iter().map(|(datagram, _)| &datagram[..]).collect();
        let receive = match plan.apart {
            true => receive_apart,
            false => receive_run,
        };
        let (verdicts, numbers) = receive(&mut lane, &bytes, now);
        for (verdict, (_, flip)) in verdicts.iter().zip(run) {
            assert!(
                flip.is_none() || verdict.is_err(),
                "a damaged datagram brings nothing"
            );
        }
        delivered.extend(numbers);
        given_up += lane.tick(now);
    }
    given_up += lane.tick(now + 2 * MAX_AGE);
    assert_eq!(lane.tick(now + 4 * MAX_AGE), 0);
    (sent, delivered, given_up)
}

fn sorted(mut numbers: Vec<usize>) -> Vec<usize> {
    numbers.sort_unstable();
    numbers
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// A wire that does nothing: every frame, in order.
    #[test]
    fn in_order(plan in plan()) {
        let now = Instant::now();
        let (sent, delivered, given_up) = cross(&plan, &[Fate { lost: false, copies: vec![], late: 0, flip: None }], now);
        prop_assert_eq!(delivered, (0..sent.frames.len()).collect::<Vec<_>>());
        prop_assert_eq!(given_up, 0);
    }

    /// Reordering within the ring, loss, copies, damage: exactly the frames of which
    /// every datagram arrived, each once. So a lost datagram costs no frame that has no byte in it.
    #[test]
    fn a_lost_datagram_costs_only_its_own_frames(
        plan in plan(),
        fates in prop::collection::vec(fate(SEAMS as u64 - 1), 1..40),
    ) {
        let (sent, delivered, given_up) = cross(&plan, &fates, Instant::now());
        let lost: BTreeSet<usize> = (0..sent.datagrams.len()).filter(|i| fates[i % fates.len()].lost).collect();
        let whole = (0..sent.frames.len()).filter(|&f| sent.frames[f].is_disjoint(&lost));
        prop_assert_eq!(sorted(delivered), whole.collect::<Vec<_>>());
        let torn = sent.frames.iter().filter(|f| !f.is_disjoint(&lost) && !f.is_subset(&lost)).count();
        prop_assert!(given_up >= torn as u64 && (torn > 0) == (given_up > 0), "{} torn, {} given up", torn, given_up);
    }

    /// Lateness beyond every bound: frames may be lost, none comes twice or changed.
    #[test]
    fn any_order_at_all(
        plan in plan(),
        fates in prop::collection::vec(fate(20_000), 1..40),
    ) {
        let (sent, delivered, _) = cross(&plan, &fates, Instant::now());
        let unique: BTreeSet<usize> = delivered.iter().copied().collect();
        prop_assert_eq!(unique.len(), delivered.len());
        prop_assert!(unique.iter().all(|&number| number < sent.frames.len()));
    }
}

/// Each cut frame is in two neighbours, so a lost datagram costs two of them at most.
#[test]
fn a_lost_datagram_costs_its_whole_frames_and_two_cut_ones() {
    let now = Instant::now();
    let steps = vec![Step::Push(130); 40];
    let plan = Plan {
        steps,
        size: 512,
        first: 1,
        run: RUN,
        lends: vec![false],
        merged: 4,
        apart: false,
    };
    let sent = send(&plan, now);
    for lost in 0..sent.datagrams.len() {
        let mut lane = rx_lane(ENDLESS, now);
        let survivors = sent
            .datagrams
            .iter()
            .enumerate()
            .filter(|(i, _)| *i != lost);
        let count: usize = survivors
            .map(|(_, d)| receive(&mut lane, d, now).1.len())
            .sum();
        let inside = sent.frames.iter().filter(|f| f.contains(&lost));
        let cut = inside.clone().filter(|f| f.len() > 1).count();
        assert_eq!(count, 40 - inside.count());
        assert!(cut <= 2);
    }
}

/// In a run a frame stays where it was opened, however it is cut: in two halves if the first has all that is
/// looked at, else in one part, of which the beginning was moved over what stood between.
#[test]
fn frames_cut_in_a_run_stay_in_it() {
    let (now, mut moved) = (Instant::now(), 0);
    for length in [60, 130, 600, 1_514] {
        // Of 512 bytes: the longest are in four datagrams, unless there is much of them in the first.
        for size in [512, 1_452] {
            let (mut tx, mut rx) = (tx_lane(ENDLESS, now, size, RUN), rx_lane(ENDLESS, now));
            let mut runs = Vec::new();
            let mut keep = |run: Run<'_>| runs.push((run.bytes.to_vec(), run.segment_size));
            for number in 0..200 {
                tx.push(&frame(number, length), now, &mut keep).unwrap();
            }
            tx.flush(&mut keep);
            let (mut number, mut elsewhere) = (0, 0);
            let count = runs.len();
            for (mut run, size) in runs {
                let place = run.as_ptr_range();
                let mut take = |taken: Frame<'_>| {
                    assert!(taken.tail.is_empty() || taken.head.len() >= Frame::MIN_HEAD);
                    assert_eq!(number_of(&taken.to_vec()), number);
                    let stays = [taken.head, taken.tail].map(|part| {
                        let at = part.as_ptr_range();
                        part.is_empty() || place.start <= at.start && at.end <= place.end
                    });
                    elsewhere += usize::from(stays != [true; 2]);
                    moved += usize::from(taken.head.len() > size);
                    number += 1;
                };
                let verdict = &mut |verdict: Result<_, _>| assert!(verdict.is_ok());
                assert_eq!(
                    rx.receive_run(&mut run, size, now, &mut take, verdict),
                    run.len()
                );
            }
            assert_eq!(number, 200);
            // Between runs one is copied; and of 1,514 bytes in four datagrams what was moved once is too long to be moved again.
            assert!(
                elsewhere < count || (length, size) == (1_514, 512),
                "{length} in {size}: {elsewhere} of {count} runs' were copied"
            );
            assert_eq!(rx.tick(now + 2 * MAX_AGE), 0);
        }
    }
    assert!(moved > 0, "parts longer than a datagram");
}

/// A frame that is cut between datagrams that lie apart stays where it was opened, in both.
#[test]
fn frames_cut_between_datagrams_are_delivered_from_both() {
    let now = Instant::now();
    let (mut tx, mut rx) = (tx_lane(ENDLESS, now, 1_452, RUN), rx_lane(ENDLESS, now));
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut keep = |run: Run<'_>| sent.extend(run.datagrams().map(<[u8]>::to_vec));
    for number in 0..200 {
        tx.push(&frame(number, 1_514), now, &mut keep).unwrap();
    }
    tx.flush(&mut keep);
    let places: Vec<_> = sent
        .iter()
        .map(|datagram| datagram.as_ptr_range())
        .collect();
    let (mut number, mut elsewhere, mut cut, mut before) = (0, 0, 0, None);
    let mut datagrams = sent.iter_mut();
    while let Some(datagram) = datagrams.next() {
        let mut take = |taken: Frame<'_>| {
            assert_eq!(number_of(&taken.to_vec()), number);
            for part in [taken.head, taken.tail] {
                let at = part.as_ptr_range();
                let is_in =
                    |place: &std::ops::Range<_>| place.start <= at.start && at.end <= place.end;
                elsewhere += usize::from(!part.is_empty() && !places.iter().any(is_in));
            }
            cut += usize::from(!taken.tail.is_empty());
            number += 1;
        };
        let last = datagrams.len() == 0;
        let (verdict, beginning) = rx.receive_apart(before, datagram, last, now, &mut take);
        assert!(verdict.is_ok());
        before = beginning;
    }
    assert_eq!(number, 200);
    // Those whose beginning is too short to be looked at, and those with a whole datagram in the middle, are copied.
    assert!(cut > 150 && elsewhere < 50, "{cut}, {elsewhere}");
    assert_eq!(rx.tick(now + 2 * MAX_AGE), 0);
}

/// Frames of which so many bytes fit into their first datagram, in runs with something between the two: what was
/// damaged, what came before, or what was late.
#[test]
fn a_beginning_of_any_length_finds_what_continues_it() {
    const SIZE: usize = 1_452;
    let now = Instant::now();
    let room = wire::BUNDLE_OFFSET + 2 * wire::FRAME_LENGTH;
    let full = causeway_tunnel::esp::payload_capacity(SIZE);
    for (first, length) in (1..600).flat_map(|first| [(first, 605), (first, 1_514)]) {
        let mut tx = tx_lane(ENDLESS, now, SIZE, RUN);
        let mut sent: Vec<Vec<u8>> = Vec::new();
        let mut keep = |run: Run<'_>| sent.extend(run.datagrams().map(<[u8]>::to_vec));
        // One that is whole and alone, one before the beginning, the frame itself, and more to fill what it ends in.
        let whole = full - wire::BUNDLE_OFFSET - wire::FRAME_LENGTH;
        let lengths = [whole, full - room - first, length];
        for (number, length) in lengths.into_iter().chain([130; 30]).enumerate() {
            tx.push(&frame(number, length), now, &mut keep).unwrap();
        }
        tx.flush(&mut keep);
        let [late, a, b, c, ..] = &sent[..] else {
            panic!("so many")
        };
        let mut damaged = b.clone();
        damaged[700] ^= 1;
        let runs: [&[&[u8]]; 5] = [
            &[a, b, c],
            &[a, &damaged, b, c],
            &[a, a, b, b, c],
            &[a, late, b, c],
            &[a, b],
        ];
        let cases = runs.into_iter().enumerate();
        for ((case, run), apart) in cases.flat_map(|case| [(case, false), (case, true)]) {
            let mut lane = rx_lane(ENDLESS, now);
            let mut numbers = Vec::new();
            if case == 4 {
                // What continues it, or the frame behind it, waits in the joiner.
                numbers = common::receive(&mut lane, c, now).1;
            }
            let receive = if apart { receive_apart } else { receive_run };
            numbers.extend(receive(&mut lane, run, now).1);
            let count = |number| numbers.iter().filter(|n| **n == number).count();
            let counts = [count(0), count(1), count(2), count(3)];
            let expected = [usize::from(case == 3), 1, 1, 1];
            assert_eq!(counts, expected, "{first} of {length}, run {case}");
            assert_eq!(numbers.len(), BTreeSet::from_iter(&numbers).len());
        }
    }
}

#[test]
fn frames_of_other_lengths_are_refused() {
    let now = Instant::now();
    let mut lane = tx_lane(ENDLESS, now, 1_452, RUN);
    for length in [0, 1, 13, 9_217, 70_000] {
        let pushed = lane.push(&vec![0; length], now, &mut |_: Run<'_>| {
            panic!("nothing to send")
        });
        assert_eq!(pushed, Err(DropReason::BadFrameLength));
    }
    lane.flush(&mut |_: Run<'_>| panic!("nothing to send"));
    assert_eq!(lane.sequence(), 0);
}

/// Dummies have the size that was asked for, whatever that of other datagrams is, and are received and nothing more.
#[test]
fn dummies_have_their_size() {
    let now = Instant::now();
    let (mut tx, mut rx) = (tx_lane(ENDLESS, now, 1_200, RUN), rx_lane(ENDLESS, now));
    let mut sent: Vec<Vec<u8>> = Vec::new();
    let mut out = |run: Run<'_>| sent.extend(run.datagrams().map(<[u8]>::to_vec));
    let asked = [
        0, 35, 36, 37, 39, 40, 41, 100, 1_200, 1_472, 1_475, 9_000, 60_000,
    ];
    for size in asked {
        tx.dummy(size, now, &mut out).unwrap();
    }
    let sizes: Vec<_> = sent.iter().map(Vec::len).collect();
    assert_eq!(
        sizes,
        [
            36, 36, 36, 36, 36, 40, 40, 100, 1_200, 1_472, 1_472, 9_000, 9_000
        ]
    );
    for datagram in &mut sent {
        let received = rx
            .receive(datagram, now, &mut |_| panic!("no frame"))
            .unwrap();
        assert_eq!((received.frames, received.newest), (0, true));
    }
}
