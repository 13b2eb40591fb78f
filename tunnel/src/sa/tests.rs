#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::*;
use crate::aead::Cipher;
use std::net::IpAddr;

fn keys(cipher: Cipher) -> SaKeys {
    let keymat: Vec<u8> = (0..cipher.keymat_len() as u8).collect();
    SaKeys::new(cipher, &keymat).unwrap()
}

#[test]
fn keying_material_has_one_length() {
    for cipher in [Cipher::Aes256Gcm, Cipher::Aes128Gcm] {
        for given in [0, cipher.key_len(), cipher.keymat_len() + 1] {
            let error = SaKeys::new(cipher, &vec![1; given]).err();
            assert_eq!(error, Some(KeymatLength { cipher, given }));
        }
    }
    let error = KeymatLength {
        cipher: Cipher::Aes128Gcm,
        given: 7,
    };
    assert_eq!(
        error.to_string(),
        "aes-128-gcm takes 20 bytes of keying material, not 7"
    );
}

#[test]
fn wireshark_line_is_the_tables_form() {
    let line = keys(Cipher::Aes128Gcm).wireshark_line(IpFamily::V4, Spi::new(0x1000, 1));
    assert_eq!(
        line,
        r#""IPv4","*","*","0x00001001","AES-GCM with 16 octet ICV [RFC4106]","0x000102030405060708090a0b0c0d0e0f10111213","NULL","""#
    );
}

#[test]
fn mapped_addresses_are_ipv4_on_the_wire() {
    let families = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"]
        .map(|text| IpFamily::from(text.parse::<IpAddr>().unwrap()));
    assert_eq!(families, [IpFamily::V4, IpFamily::V4, IpFamily::V6]);
}

#[test]
fn sequence_numbers_never_go_back_nor_past_the_limit() {
    let limits = Limits {
        datagrams: 12,
        ..Limits::default()
    };
    let mut sa = OutboundSa::new(
        Spi::new(1 << 20, 0),
        &keys(Cipher::Aes256Gcm),
        limits,
        Instant::now(),
    );
    assert_eq!(sa.next_sequence(), Ok(1));
    sa.skip_to(10);
    assert_eq!(sa.next_sequence(), Ok(10));
    sa.skip_to(3);
    assert_eq!(sa.next_sequence(), Ok(11));
    assert_eq!(sa.next_sequence(), Ok(12));
    assert_eq!(sa.next_sequence(), Err(DropReason::KeyWorn));
    sa.skip_to(u64::MAX);
    assert_eq!(sa.next_sequence(), Err(DropReason::KeyWorn));
}

#[test]
fn an_endless_lifetime_does_not_overflow() {
    let limits = Limits {
        lifetime: Duration::MAX,
        ..Limits::default()
    };
    let now = Instant::now();
    let sa = OutboundSa::new(Spi::new(1 << 20, 0), &keys(Cipher::Aes256Gcm), limits, now);
    assert_eq!(sa.admit(now + Duration::from_secs(1 << 31), 1), Ok(()));
}

/// The lengths and the order of things are those of a real lane; only the cipher is missing.
#[cfg(feature = "measure")]
#[test]
fn unprotected_keys_leave_the_text_as_it_is() {
    use crate::{esp, wire::ESP_HEADER, wire::NextHeader};
    let now = Instant::now();
    let keys = keys(Cipher::Aes256Gcm).unprotected();
    let spi = Spi::new(0x1000, 1);
    let mut tx = OutboundSa::new(spi, &keys, Limits::default(), now);
    let mut rx = InboundSa::new(spi, &keys, Limits::default(), now);
    let mut datagram = vec![0x5a; esp::sealed_len(60)];
    let length = esp::seal(&mut tx, &mut datagram, 60, NextHeader::Ethernet);
    assert_eq!(length, Ok(datagram.len()));
    assert_eq!(datagram[ESP_HEADER..][..60], [0x5a; 60]);
    let opened = esp::open(&mut rx, &mut datagram, now).unwrap();
    assert_eq!(&*opened.payload, [0x5a; 60]);
    assert!(esp::open(&mut rx, &mut datagram, now).is_err(), "replayed");
}
