#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::*;
use crate::wire::MAX_FRAME;
use proptest::prelude::*;

/// A piece with its datagram's number: (sequence, ahead, begins, bytes).
type Sent = (u64, usize, bool, Vec<u8>);

/// A frame of `length` bytes, of which each is another than those around it, and than those of a frame with another `fill`.
fn frame(length: usize, fill: u8) -> Vec<u8> {
    (0..length).map(|at| fill ^ at as u8).collect()
}

/// Cuts a [`frame`] at each of `cuts`, from datagram `first` on.
fn cut(first: u64, length: usize, fill: u8, cuts: &[usize]) -> Vec<Sent> {
    let edges: Vec<usize> = [0].iter().chain(cuts).chain([&length]).copied().collect();
    let pieces = edges.windows(2).zip(first..);
    let piece = |(edge, sequence): (&[usize], u64)| {
        (
            sequence,
            length - edge[0],
            edge[0] == 0,
            frame(length, fill)[edge[0]..edge[1]].to_vec(),
        )
    };
    pieces.map(piece).collect()
}

fn add(joiner: &mut Joiner, sent: &Sent, now: Instant) -> Result<Vec<Vec<u8>>, DropReason> {
    let (sequence, ahead, begins, bytes) = sent;
    let piece = Piece {
        ahead: *ahead,
        begins: *begins,
        bytes,
    };
    let complete = joiner.add(*sequence, &piece, now).map(|frame| {
        let frame = frame.inspect(|f| {
            assert!(f.tail.is_empty() || f.head.len() >= Frame::MIN_HEAD);
        });
        frame.iter().map(Frame::to_vec).collect()
    });
    check(joiner);
    complete
}

/// Each part is in the ring at each seam that it is open at, or on the free list.
fn check(joiner: &Joiner) {
    let at = |number: u64, here, index| {
        let seam = joiner.ring[slot(number)];
        seam.is_some_and(|s| s.number == number && s.here == here && s.part == index)
    };
    let mut seams = 0;
    for (index, part) in joiner.parts.iter().enumerate() {
        if joiner.free.contains(&index) {
            continue;
        }
        assert!(part.begins || at(part.first - 1, Side::Behind, index));
        assert!(part.rest == 0 || at(part.last, Side::Before, index));
        assert!(!part.is_complete(), "a complete frame is delivered at once");
        seams += usize::from(!part.begins) + usize::from(part.rest > 0);
    }
    assert_eq!(
        joiner.ring.iter().flatten().count(),
        seams,
        "and nothing else is in the ring"
    );
    assert!(joiner.parts.len() <= SEAMS + 1);
    let mut free = joiner.free.clone();
    free.sort_unstable();
    free.dedup();
    assert_eq!(free.len(), joiner.free.len(), "no part is free twice");
}

/// Where the first part is no head, the second gives what that lacks, if it has so much.
#[test]
fn a_frame_is_cut_anywhere() {
    let now = Instant::now();
    let mut joiner = Joiner::default();
    let mut first = 1;
    for length in [14, 65, 100, 128, 129, 1_514] {
        for at in [1, 13, 40, 63, 64, 65, 127]
            .into_iter()
            .filter(|at| *at < length)
        {
            let pieces = cut(first, length, 7, &[at]);
            assert_eq!(add(&mut joiner, &pieces[0], now), Ok(vec![]));
            assert_eq!(
                add(&mut joiner, &pieces[1], now),
                Ok(vec![frame(length, 7)])
            );
            first += 2;
        }
    }
}

#[test]
fn halves_join_in_either_order() {
    let now = Instant::now();
    let pieces = cut(7, 1_514, 1, &[900]);
    for order in [[0, 1], [1, 0]] {
        let mut joiner = Joiner::default();
        assert_eq!(add(&mut joiner, &pieces[order[0]], now), Ok(vec![]));
        assert_eq!(
            add(&mut joiner, &pieces[order[1]], now),
            Ok(vec![frame(1_514, 1)])
        );
        assert_eq!((joiner.parts.len(), joiner.take_given_up()), (1, 0));
    }
}

#[test]
fn the_largest_frame_in_the_most_datagrams_backwards() {
    let now = Instant::now();
    let cuts: Vec<usize> = (1..MAX_FRAME).step_by(220).collect();
    let pieces = cut(1, MAX_FRAME, 3, &cuts);
    let mut joiner = Joiner::default();
    for piece in pieces[1..].iter().rev() {
        assert_eq!(add(&mut joiner, piece, now), Ok(vec![]));
    }
    assert_eq!(
        add(&mut joiner, &pieces[0], now),
        Ok(vec![frame(MAX_FRAME, 3)])
    );
    assert_eq!(joiner.parts.len(), 1);
}

#[test]
fn neighbours_that_disagree_are_both_dropped() {
    let now = Instant::now();
    let (one, other) = (cut(5, 100, 1, &[40]), cut(5, 200, 2, &[40]));
    for (first, second) in [(&one[0], &other[1]), (&other[1], &one[0])] {
        let mut joiner = Joiner::default();
        assert_eq!(add(&mut joiner, first, now), Ok(vec![]));
        assert_eq!(
            add(&mut joiner, second, now),
            Err(DropReason::MalformedBundle)
        );
        assert_eq!(joiner.free.len(), joiner.parts.len(), "nothing is kept");
    }
}

#[test]
fn parts_age_and_a_late_half_does_not_join() {
    let now = Instant::now();
    let pieces = cut(5, 100, 1, &[40]);
    let mut joiner = Joiner::default();
    joiner.sweep(now);
    add(&mut joiner, &pieces[0], now).unwrap();
    joiner.sweep(now + MAX_AGE - Duration::from_nanos(1));
    assert_eq!(joiner.take_given_up(), 0);
    joiner.sweep(now + MAX_AGE + SWEEP_INTERVAL);
    assert_eq!(joiner.take_given_up(), 1);

    let late = now + MAX_AGE + SWEEP_INTERVAL;
    assert_eq!(add(&mut joiner, &pieces[1], late), Ok(vec![]));
    joiner.sweep(late + MAX_AGE + SWEEP_INTERVAL);
    assert_eq!(joiner.take_given_up(), 1);
}

#[test]
fn the_ring_keeps_the_younger_seam() {
    let now = Instant::now();
    let (old, young) = (cut(9, 100, 1, &[40]), cut(9 + SEAMS as u64, 100, 2, &[40]));
    let mut joiner = Joiner::default();
    add(&mut joiner, &old[0], now).unwrap();
    add(&mut joiner, &young[0], now).unwrap();
    assert_eq!(joiner.take_given_up(), 1, "the old one made room");
    add(&mut joiner, &old[1], now).unwrap();
    assert_eq!(joiner.take_given_up(), 1, "its other half came too late");
    assert_eq!(add(&mut joiner, &young[1], now), Ok(vec![frame(100, 2)]));
}

/// A part so long that its two seams fall on one place of the ring: only a
/// broken sender makes one.
#[test]
fn a_part_does_not_evict_itself() {
    let now = Instant::now();
    let mut joiner = Joiner::default();
    for sequence in 2..=SEAMS as u64 + 2 {
        let ahead = 1_000 - sequence as usize;
        add(&mut joiner, &(sequence, ahead, false, vec![1]), now).unwrap();
    }
    assert!(joiner.take_given_up() > 0);
}

proptest! {
    /// Whatever an authentic but broken sender says, the bookkeeping holds.
    #[test]
    fn any_pieces_leave_the_ring_consistent(
        pieces in prop::collection::vec((1u64..600, 1usize..40, any::<bool>(), 1usize..40), 1..400),
    ) {
        let now = Instant::now();
        let mut joiner = Joiner::default();
        for (i, (sequence, ahead, begins, length)) in pieces.into_iter().enumerate() {
            let piece = (sequence, ahead, begins, vec![1; length.min(ahead)]);
            if piece.2 && length >= ahead {
                continue; // a whole frame is no piece
            }
            let _ = add(&mut joiner, &piece, now);
            if i % 50 == 49 {
                joiner.sweep(now + MAX_AGE);
                check(&joiner);
            }
        }
    }

    /// Frames one behind the other, each cut at random, in any order within the ring.
    #[test]
    fn any_order_within_the_ring_joins_all(
        frames in prop::collection::vec(prop::collection::btree_set(1usize..1_514, 1..8), 1..20),
        shuffle in any::<u64>(),
    ) {
        let now = Instant::now();
        let (mut pieces, mut sequence) = (Vec::new(), 1);
        for (cuts, fill) in frames.iter().zip(0..) {
            let cuts: Vec<usize> = cuts.iter().copied().collect();
            pieces.extend(cut(sequence, 1_514, fill, &cuts));
            // The next frame begins in the datagram that this one ends in.
            sequence += cuts.len() as u64;
        }
        pieces.sort_by_key(|p| (p.0 ^ shuffle).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut joiner = Joiner::default();
        let mut fills = Vec::new();
        for piece in &pieces {
            for joined in add(&mut joiner, piece, now).unwrap() {
                prop_assert_eq!(&joined, &frame(1_514, joined[0]));
                fills.push(joined[0]);
            }
        }
        fills.sort_unstable();
        prop_assert_eq!(fills, (0..frames.len() as u8).collect::<Vec<_>>());
        prop_assert_eq!(joiner.take_given_up(), 0);
    }
}
