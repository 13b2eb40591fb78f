#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::*;
use crate::aead::Cipher;
use crate::sa::{Limits, SaKeys};
use crate::wire::NextHeader::{Bundle, Dummy, Ethernet};
use DropReason::{
    BadTag, KeyWorn, MalformedDatagram, Replayed, TooOld, UnknownPayload, UnknownSpi,
};
use std::time::Duration;

const LIMITS: Limits = Limits {
    datagrams: u64::MAX,
    lifetime: Duration::from_secs(180),
};

fn pair(limits: Limits, now: Instant) -> (OutboundSa, InboundSa) {
    let keys = SaKeys::new(Cipher::Aes256Gcm, &[0x5a; 36]).unwrap();
    let spi = Spi::new(0x0123_4567, 3);
    (
        OutboundSa::new(spi, &keys, limits, now),
        InboundSa::new(spi, &keys, limits, now),
    )
}

fn sealed(sa: &mut OutboundSa, payload: &[u8], next_header: NextHeader) -> Vec<u8> {
    let mut datagram = vec![0; sealed_len(payload.len())];
    datagram[ESP_HEADER..][..payload.len()].copy_from_slice(payload);
    assert_eq!(
        seal(sa, &mut datagram, payload.len(), next_header),
        Ok(datagram.len())
    );
    datagram
}

/// Seals `text` as it is: padding, pad length and next header are the test's.
fn sealed_text(sa: &mut OutboundSa, text: &[u8]) -> Vec<u8> {
    let sequence = sa.next_sequence().unwrap();
    let low = (sequence as u32).to_be_bytes();
    let mut datagram = [
        &sa.spi().to_be_bytes()[..],
        &low,
        &sequence.to_be_bytes(),
        text,
    ]
    .concat();
    let icv = sa.seal(sequence, &mut datagram[ESP_HEADER..]);
    datagram.extend(icv);
    datagram
}

#[test]
fn every_payload_length_comes_back() {
    let now = Instant::now();
    let (mut tx, mut rx) = pair(LIMITS, now);
    for (length, next_header) in (0..70).zip([Dummy, Ethernet, Bundle].into_iter().cycle()) {
        let payload: Vec<u8> = (0..length).collect();
        let mut datagram = sealed(&mut tx, &payload, next_header);
        assert_eq!(datagram.len() % ALIGNMENT, 0);
        let opened = open(&mut rx, &mut datagram, now).unwrap();
        assert_eq!(opened.sequence, tx.sequence());
        assert_eq!(
            (opened.next_header, &*opened.payload),
            (next_header, &payload[..])
        );
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused_and_the_original_is_still_good() {
    let now = Instant::now();
    let (mut tx, mut rx) = pair(LIMITS, now);
    tx.skip_to((1 << 33) + 5);
    let datagram = sealed(&mut tx, b"sixty-four bytes cross", Ethernet);
    for bit in 0..datagram.len() * 8 {
        let mut damaged = datagram.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let reason = open(&mut rx, &mut damaged, now).unwrap_err();
        let expected = if bit < 32 { UnknownSpi } else { BadTag };
        assert_eq!(reason, expected, "bit {bit}");
    }
    assert_eq!(rx.highest(), 0);
    assert!(open(&mut rx, &mut datagram.clone(), now).is_ok());
    assert_eq!(
        open(&mut rx, &mut datagram.clone(), now).unwrap_err(),
        Replayed
    );
}

#[test]
fn lengths_that_cannot_be_esp() {
    let now = Instant::now();
    let (mut tx, mut rx) = pair(LIMITS, now);
    let datagram = sealed(&mut tx, &[1; 60], Ethernet);
    for length in (0..MIN_ESP).chain([37, 38, 39, datagram.len() - 1]) {
        let mut short = datagram[..length].to_vec();
        assert_eq!(
            open(&mut rx, &mut short, now).unwrap_err(),
            MalformedDatagram
        );
    }
    let mut cut = datagram[..datagram.len() - 4].to_vec();
    assert_eq!(open(&mut rx, &mut cut, now).unwrap_err(), BadTag);
    assert_eq!(claimed_spi(&datagram), Ok(tx.spi()));
    assert_eq!(
        claimed_spi(&datagram[..MIN_ESP - 1]),
        Err(MalformedDatagram)
    );
    assert_eq!(claimed_spi(&[0x40; 100]), Err(UnknownSpi));
}

#[test]
fn authentic_but_not_ours() {
    let now = Instant::now();
    let (mut tx, mut rx) = pair(LIMITS, now);
    let cases: &[(&[u8], &str)] = &[
        (&[9, 1, 1, 4], "an unknown next header"),
        (&[1, 3, 2, 143], "padding that does not count up"),
        (&[0, 1, 2, 143], "padding that counts from 0"),
        (&[1, 2, 3, 143], "padding longer than the text"),
        (&[1, 2, 255, 143], "padding much longer than the text"),
    ];
    for (text, name) in cases {
        let mut datagram = sealed_text(&mut tx, text);
        assert_eq!(
            open(&mut rx, &mut datagram, now).unwrap_err(),
            UnknownPayload,
            "{name}"
        );
    }
    let mut zero = sealed_text(&mut tx, &[1, 2, 2, 59]);
    zero[4..16].fill(0);
    assert_eq!(
        open(&mut rx, &mut zero, now).unwrap_err(),
        TooOld,
        "sequence 0"
    );
}

/// RFC 4303 section 2.4 allows up to 255 bytes of padding, though we send 3 at most.
#[test]
fn long_padding_is_padding() {
    let now = Instant::now();
    let (mut tx, mut rx) = pair(LIMITS, now);
    let text: Vec<u8> = [7, 7, 7]
        .into_iter()
        .chain(1..=255)
        .chain([255, 143])
        .collect();
    let mut datagram = sealed_text(&mut tx, &text);
    assert_eq!(
        &*open(&mut rx, &mut datagram, now).unwrap().payload,
        &[7, 7, 7]
    );
}

#[test]
fn a_key_is_worn_by_datagrams_at_both_ends() {
    let now = Instant::now();
    let (mut tx, mut rx) = pair(
        Limits {
            datagrams: 3,
            ..LIMITS
        },
        now,
    );
    for _ in 0..3 {
        let mut datagram = sealed(&mut tx, &[1; 14], Ethernet);
        assert!(open(&mut rx, &mut datagram, now).is_ok());
    }
    assert_eq!(seal(&mut tx, &mut [0; 99], 14, Ethernet), Err(KeyWorn));
    assert_eq!(tx.sequence(), 3);

    // A sender that does not stop by itself.
    let (mut endless, _) = pair(LIMITS, now);
    endless.skip_to(4);
    let mut datagram = sealed(&mut endless, &[1; 14], Ethernet);
    assert_eq!(open(&mut rx, &mut datagram, now).unwrap_err(), KeyWorn);
    assert_eq!(rx.highest(), 3);
}

#[test]
fn a_key_is_worn_by_age_at_both_ends() {
    let now = Instant::now();
    let (mut tx, mut rx) = pair(LIMITS, now);
    let (last, over) = (
        now + LIMITS.lifetime - Duration::from_nanos(1),
        now + LIMITS.lifetime,
    );
    assert_eq!(
        (tx.admit(last, 1), tx.admit(over, 1)),
        (Ok(()), Err(KeyWorn))
    );
    let datagram = sealed(&mut tx, &[1; 14], Ethernet);
    assert_eq!(
        open(&mut rx, &mut datagram.clone(), over).unwrap_err(),
        KeyWorn
    );
    assert!(open(&mut rx, &mut datagram.clone(), last).is_ok());
}

#[test]
fn the_default_limits_are_the_designs() {
    let Limits {
        datagrams,
        lifetime,
    } = Limits::default();
    assert_eq!((datagrams, lifetime), (1 << 28, Duration::from_secs(180)));
}
