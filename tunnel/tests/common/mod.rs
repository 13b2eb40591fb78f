//! What the integration tests share: SAs with fixed keys, numbered frames, and a
//! sender that checks every run it is handed.

#![allow(dead_code, reason = "each test binary uses its own part")]

use causeway_tunnel::aead::Cipher;
use causeway_tunnel::lane::{Run, RunLimits, RxLane, TxLane};
use causeway_tunnel::sa::{Limits, SaKeys};
use causeway_tunnel::{DropReason, Frame, Spi};
use std::time::{Duration, Instant};

pub(crate) const RUN: RunLimits = RunLimits {
    max_segments: 64,
    max_bytes: 65_507,
};

/// No limit of datagrams, so that tests can reach the high half of the sequence.
pub(crate) const ENDLESS: Limits = Limits {
    datagrams: u64::MAX,
    lifetime: Duration::from_secs(180),
};

pub(crate) fn spi() -> Spi {
    Spi::new(0x1000, 1)
}

/// Key bytes 00, 01, 02, …; the salt goes on counting.
pub(crate) fn keys(cipher: Cipher) -> SaKeys {
    let keymat: Vec<u8> = (0..cipher.keymat_len() as u8).collect();
    SaKeys::new(cipher, &keymat).expect("as long as it should be")
}

pub(crate) fn tx_lane(limits: Limits, now: Instant, size: usize, run: RunLimits) -> TxLane {
    TxLane::new(spi(), &keys(Cipher::Aes256Gcm), limits, now, size, run)
}

pub(crate) fn rx_lane(limits: Limits, now: Instant) -> RxLane {
    RxLane::new(spi(), &keys(Cipher::Aes256Gcm), limits, now)
}

/// A frame that nobody else makes: its number, then bytes that follow from it.
pub(crate) fn frame(number: usize, length: usize) -> Vec<u8> {
    let mut state = number as u64 + 1;
    let noise = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963);
        (state >> 56) as u8
    });
    (number as u32)
        .to_be_bytes()
        .into_iter()
        .chain(noise)
        .take(length)
        .collect()
}

/// The number of a frame that is one of `frame`'s, to the last byte.
pub(crate) fn number_of(bytes: &[u8]) -> usize {
    let number = u32::from_be_bytes(bytes[..4].try_into().expect("four bytes")) as usize;
    assert!(
        bytes == frame(number, bytes.len()),
        "not a frame that went in"
    );
    number
}

/// Takes a run apart, after checking what UDP segmentation offload demands of it.
pub(crate) fn datagrams_of(run: Run<'_>, size: usize, limits: RunLimits) -> Vec<Vec<u8>> {
    let datagrams: Vec<_> = run.datagrams().map(<[u8]>::to_vec).collect();
    assert!(!datagrams.is_empty() && datagrams.len() <= limits.max_segments.max(1));
    assert!(run.bytes.len() <= limits.max_bytes || datagrams.len() == 1);
    let (last, full) = datagrams.split_last().expect("not empty");
    assert!(
        full.iter().all(|d| d.len() == size),
        "segments are full datagrams"
    );
    assert!(last.len() <= size && last.len().is_multiple_of(4));
    datagrams
}

/// Gives a copy of the `datagrams`, which are equally long but for the last, to `lane` as one run.
/// Returns the verdict on each and the numbers delivered.
pub(crate) fn receive_run(
    lane: &mut RxLane,
    datagrams: &[&[u8]],
    now: Instant,
) -> (Vec<Result<usize, DropReason>>, Vec<usize>) {
    let (mut numbers, mut verdicts) = (Vec::new(), Vec::new());
    let mut run = datagrams.concat();
    let mut rest = &mut run[..];
    while !rest.is_empty() {
        let taken = lane.receive_run(
            rest,
            datagrams[0].len(),
            now,
            &mut |frame: Frame<'_>| {
                assert!(frame.tail.is_empty() || frame.head.len() >= Frame::MIN_HEAD);
                numbers.push(number_of(&frame.to_vec()));
            },
            &mut |verdict| verdicts.push(verdict.map(|received| received.frames)),
        );
        rest = &mut rest[taken..];
        let spi = lane.spi().to_be_bytes();
        assert!(!rest.starts_with(&spi), "it takes what is of its lane");
    }
    assert_eq!(verdicts.len(), datagrams.len());
    let frames: usize = verdicts.iter().flatten().sum();
    assert!(
        frames <= numbers.len() && verdicts.iter().any(Result::is_err) || frames == numbers.len()
    );
    (verdicts, numbers)
}

/// Gives copies of the datagrams to `lane`, which lie apart. Returns their verdicts and the numbers delivered.
pub(crate) fn receive_apart(
    lane: &mut RxLane,
    datagrams: &[&[u8]],
    now: Instant,
) -> (Vec<Result<usize, DropReason>>, Vec<usize>) {
    let (mut numbers, mut verdicts, mut before) = (Vec::new(), Vec::new(), None);
    let mut copies: Vec<_> = datagrams.iter().map(|d| d.to_vec()).collect();
    let mut copies = copies.iter_mut();
    while let Some(datagram) = copies.next() {
        let last = copies.len() == 0;
        let mut take = |frame: Frame<'_>| {
            assert!(frame.tail.is_empty() || frame.head.len() >= Frame::MIN_HEAD);
            numbers.push(number_of(&frame.to_vec()));
        };
        let (verdict, beginning) =
            lane.receive_apart(before.take(), datagram, last, now, &mut take);
        verdicts.push(verdict.map(|received| received.frames));
        before = beginning;
    }
    assert!(before.is_none(), "nothing comes behind the last");
    (verdicts, numbers)
}

/// Gives a copy of `datagram` to `lane`. Returns its verdict and the numbers delivered.
pub(crate) fn receive(
    lane: &mut RxLane,
    datagram: &[u8],
    now: Instant,
) -> (Result<usize, DropReason>, Vec<usize>) {
    let mut numbers = Vec::new();
    let verdict = lane.receive(&mut datagram.to_vec(), now, &mut |f| {
        numbers.push(number_of(&f.to_vec()))
    });
    if let Ok(received) = verdict {
        assert_eq!(received.frames, numbers.len());
    }
    (verdict.map(|r| r.frames), numbers)
}
