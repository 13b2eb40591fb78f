use std::net::SocketAddr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::stations::Station;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn hello() -> Hello {
    Hello {
        version: PROTOCOL_VERSION,
        role: Role::Site,
        lanes: 2,
        max_frame: 1518,
        features: 0,
        unix_time: 1_800_000_000,
        cipher: Cipher::Aes256Gcm,
        software: "causeway 0.1.0".into(),
        instance: 0x0123_4567_89ab_cdef,
        stations_applied: Some(Applied {
            instance: 7,
            generation: 300,
        }),
    }
}

/// What PROTOCOL.md shows as hex, at the start of indented lines behind the heading.
fn documented() -> String {
    let is_hex = |word: &&str| {
        word.bytes()
            .all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
    };
    include_str!("../../PROTOCOL.md")
        .lines()
        .skip_while(|line| *line != "### Frames of the control stream")
        .filter_map(|line| line.strip_prefix("    "))
        .flat_map(|line| line.split_whitespace().take_while(is_hex))
        .collect()
}

#[test]
fn documented_examples() {
    let document = documented();
    let check = |message: Message, pinned: &str| {
        assert_eq!(hex(&message.encode().unwrap()), pinned);
        assert!(document.contains(pinned), "PROTOCOL.md lacks {pinned}");
    };
    check(
        Message::Hello(hello()),
        "000000398200aa000101000202031905ee0400051a6b49d20006020\
         76e636175736577617920302e312e30081b0123456789abcdef09a200070119012c",
    );
    let spis = vec![0x1001, 0x8200_1002];
    check(
        Message::Lanes(Lanes { spis }),
        "0000000d8201a100821910011a82001002",
    );
    let station = Station {
        vlan: 100,
        mac: [0x00, 0x50, 0x56, 0x01, 0x02, 0x03],
    };
    let stations = Stations {
        generation: 5,
        since: 4,
        more: false,
        added: vec![station],
        withdrawn: vec![],
    };
    check(
        Message::Stations(stations),
        "000000178202a50005010402f40381821864460050560102030480",
    );
    check(
        Message::Bye(Bye::new(ByeReason::Shutdown, "upgrade")),
        "0000000e8203a20001016775706772616465",
    );
    let lane = |spi, highest| HeardLane {
        spi,
        highest,
        received: None,
        from: None,
    };
    let lanes = vec![lane(0x1001, 300), lane(0x8200_1002, 0)];
    // As of the versions that tell no more.
    check(
        Message::Heard(Heard { lanes }),
        "000000138204a100828219100119012c821a8200100200",
    );
    let counted = HeardLane {
        received: Some(299),
        from: Some(SocketAddr::from(([192, 0, 2, 1], 24_500)).into()),
        ..lane(0x1001, 300)
    };
    assert_eq!(counted.seen_at().unwrap().port(), 24_500);
    let none_yet = HeardLane {
        highest: 0,
        ..counted
    };
    assert_eq!(none_yet.seen_at(), None);
    check(
        Message::Heard(Heard {
            lanes: vec![counted],
        }),
        "000000248204a100818419100119012c19012b825000000000000000000000ffffc0000201195fb4",
    );
    let sizes = vec![36, 1_200, 1_472];
    check(
        Message::Train(Train { sizes }),
        "0000000d8206a1008318241904b01905c0",
    );
    let sizes = vec![];
    check(Message::Train(Train { sizes }), "000000058206a10080");
    let range = AllowedRange {
        first_vlan: 0,
        last_vlan: 100,
        mac: [0x00, 0x50, 0x56, 0, 0, 0],
        bits: 24,
    };
    let (ranges, limit) = (vec![range], 4_096);
    check(
        Message::Allow(Allow { ranges, limit }),
        "000000168205a200818400186446005056000000181801191000",
    );
}

fn any_hello() -> impl Strategy<Value = Hello> {
    let applied = option::of((any::<u64>(), any::<u64>()));
    let numbers = (
        any::<u8>(),
        any::<u16>(),
        any::<u64>(),
        any::<u64>(),
        any::<u64>(),
    );
    (any::<bool>(), any::<bool>(), numbers, applied, ".{0,40}").prop_map(
        |(site, strong, (lanes, max_frame, features, unix_time, instance), applied, software)| {
            Hello {
                version: PROTOCOL_VERSION,
                role: if site { Role::Site } else { Role::Cloud },
                lanes,
                max_frame,
                features,
                unix_time,
                cipher: if strong {
                    Cipher::Aes256Gcm
                } else {
                    Cipher::Aes128Gcm
                },
                software,
                instance,
                stations_applied: applied.map(|(instance, generation)| Applied {
                    instance,
                    generation,
                }),
            }
        },
    )
}

fn any_stations() -> impl Strategy<Value = Stations> {
    let station = || (any::<u16>(), any::<[u8; 6]>()).prop_map(|(vlan, mac)| Station { vlan, mac });
    let numbers = (any::<u64>(), any::<u64>(), any::<bool>());
    (numbers, vec(station(), 0..20), vec(station(), 0..20)).prop_map(
        |((generation, since, more), added, withdrawn)| Stations {
            generation,
            since,
            more,
            added,
            withdrawn,
        },
    )
}

fn any_allow() -> impl Strategy<Value = Allow> {
    let range = (any::<u16>(), any::<u16>(), any::<[u8; 6]>(), any::<u8>());
    let range = range.prop_map(|(first_vlan, last_vlan, mac, bits)| AllowedRange {
        first_vlan,
        last_vlan,
        mac,
        bits,
    });
    (vec(range, 0..9), any::<u32>()).prop_map(|(ranges, limit)| Allow { ranges, limit })
}

fn any_heard_lane() -> impl Strategy<Value = HeardLane> {
    let from = (any::<[u8; 16]>(), any::<u16>())
        .prop_map(|(ip, port)| SocketAddr::from((ip, port)).into());
    let more = (option::of(any::<u64>()), option::of(from));
    (any::<u32>(), any::<u64>(), more).prop_map(|(spi, highest, (received, from))| HeardLane {
        spi,
        highest,
        received,
        from,
    })
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any_hello().prop_map(Message::Hello),
        vec(any::<u32>(), 0..256).prop_map(|spis| Message::Lanes(Lanes { spis })),
        any_stations().prop_map(Message::Stations),
        any_allow().prop_map(Message::Allow),
        (any::<u32>(), ".{0,40}").prop_map(|(code, text)| Message::Bye(Bye { code, text })),
        vec(any_heard_lane(), 0..9).prop_map(|lanes| Message::Heard(Heard { lanes })),
        vec(any::<u16>(), 0..600).prop_map(|sizes| Message::Train(Train { sizes })),
    ]
}

proptest! {
    #[test]
    fn every_message_round_trips(message in any_message()) {
        let frame = message.encode().unwrap();
        let (prefix, body) = frame.split_first_chunk::<LENGTH_PREFIX>().unwrap();
        prop_assert_eq!(u32::from_be_bytes(*prefix) as usize, body.len());
        prop_assert_eq!(Message::decode(body), Ok(Some(message)));
    }

    #[test]
    fn garbage_is_an_error_or_a_message_but_no_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(&bytes);
        for kind in 0..=6 {
            let _ = Message::decode(&[&[0x82, kind][..], &bytes].concat());
        }
    }

    #[test]
    fn damaged_messages_do_not_panic(
        message in any_message(),
        flips in vec((any::<prop::sample::Index>(), 0u8..8), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut body = message.encode().unwrap().split_off(LENGTH_PREFIX);
        for (at, bit) in flips {
            let at = at.index(body.len());
            body[at] ^= 1 << bit;
        }
        let _ = Message::decode(&body);
        body.truncate(cut.index(body.len()));
        let _ = Message::decode(&body);
    }
}

#[test]
fn announced_counts_do_not_allocate() {
    // [1, {0: array of 2^64 - 1 elements}], with none of them there.
    let lanes = b"\x82\x01\xa1\x00\x9b\xff\xff\xff\xff\xff\xff\xff\xff";
    assert!(matches!(
        Message::decode(lanes),
        Err(MessageError::Malformed(_))
    ));
}

#[test]
fn unknown_fields_and_types_are_skipped() {
    // [3, {0: 1, 1: "x", 99: [{1: h'00'}, null]}, "more"] and a type 1,000.
    let bye = b"\x83\x03\xa3\x00\x01\x01\x61x\x18\x63\x82\xa1\x01\x41\x00\xf6\x64more";
    let expected = Message::Bye(Bye::new(ByeReason::Shutdown, "x"));
    assert_eq!(Message::decode(bye), Ok(Some(expected)));
    assert_eq!(Message::decode(b"\x82\x19\x03\xe8\xa0"), Ok(None));
}

#[test]
fn another_version_is_named_whatever_else_its_hello_has() {
    // [0, {0: 2, 1: "new"}]
    let hello = b"\x82\x00\xa2\x00\x02\x01\x63new";
    assert_eq!(Message::decode(hello), Err(MessageError::Version(2)));
}

#[test]
fn missing_fields_are_an_error_unless_optional() {
    let mut body = Message::Hello(Hello {
        stations_applied: None,
        ..hello()
    });
    let frame = body.encode().unwrap();
    assert_eq!(
        Message::decode(&frame[LENGTH_PREFIX..]),
        Ok(Some(body.clone()))
    );
    assert!(Message::decode(b"\x82\x00\xa1\x00\x01").is_err());
    if let Message::Hello(hello) = &mut body {
        hello.software = "x".repeat(MAX_FRAME_LEN);
    }
    assert!(matches!(body.encode(), Err(MessageError::TooLong(_))));
}

#[test]
fn bye_of_a_newer_version_is_unspecified_and_its_words_are_escaped() {
    let bye = Bye {
        code: 4_000,
        text: "line\nforged".into(),
    };
    assert_eq!(bye.reason(), ByeReason::Unspecified);
    assert_eq!(bye.to_string(), "it gave no reason (line\\nforged)");
    for (number, reason) in ByeReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, number);
        assert_eq!(Bye::new(reason, "").reason(), reason);
    }
}

#[test]
fn the_stronger_cipher_wins_from_either_end() {
    let weak = Hello {
        cipher: Cipher::Aes128Gcm,
        ..hello()
    };
    assert_eq!(weak.agreed_cipher(&hello()), Cipher::Aes256Gcm);
    assert_eq!(hello().agreed_cipher(&weak), Cipher::Aes256Gcm);
    assert_eq!(weak.agreed_cipher(&weak), Cipher::Aes128Gcm);
}
