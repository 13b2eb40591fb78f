use proptest::{collection::vec, prelude::*};

use super::*;
use crate::checksum::sum;

/// A TCP packet, put together from its parts.
#[derive(Clone, Debug)]
struct Parts {
    tags: usize,
    ipv6: bool,
    /// 4-byte words of IPv4 options; of IPv6, extension headers.
    extra: usize,
    fragment: u16,
    flags: u8,
    options: Vec<Vec<u8>>,
    payload: Vec<u8>,
}

fn packet(parts: &Parts) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend([0x81, 0, 0, 7].repeat(parts.tags));
    let mut options = parts.options.concat();
    options.truncate(40);
    options.resize(options.len().next_multiple_of(4), 0);
    let mut tcp = vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    tcp.push((5 + options.len() as u8 / 4) << 4);
    tcp.extend([parts.flags, 1, 2, 0, 0, 0, 0]);
    tcp.extend(&options);
    tcp.extend(&parts.payload);
    let addresses: &[u8] = if parts.ipv6 { &[0xFD; 32] } else { &[10; 8] };
    let pseudo = sum(addresses) + u32::from(TCP) + tcp.len() as u32;
    let checksum = !fold(pseudo + sum(&tcp));
    tcp[16..18].copy_from_slice(&checksum.to_be_bytes());
    if parts.ipv6 {
        frame.extend([0x86, 0xDD, 0x60, 0, 0, 0]);
        frame.extend(((8 * parts.extra + tcp.len()) as u16).to_be_bytes());
        // Destination options of eight bytes, one behind the other.
        frame.extend([if parts.extra > 0 { 60 } else { TCP }, 64]);
        frame.extend(addresses);
        for left in (0..parts.extra).rev() {
            frame.extend([if left > 0 { 60 } else { TCP }, 0, 1, 4, 0, 0, 0, 0]);
        }
    } else {
        frame.extend([0x08, 0, 0x45 + parts.extra as u8, 0]);
        frame.extend(((20 + 4 * parts.extra + tcp.len()) as u16).to_be_bytes());
        frame.extend([0, 1]);
        frame.extend(parts.fragment.to_be_bytes());
        frame.extend([64, TCP, 0, 0]);
        frame.extend(addresses);
        frame.extend([1].repeat(4 * parts.extra));
    }
    frame.extend(tcp);
    frame
}

/// The same with a lower MSS: the parts are changed, and the checksum is made anew. Slow, and simple to see through.
fn lowered(parts: &Parts, most: u16) -> Vec<u8> {
    let is_first = parts.ipv6 || parts.fragment & 0x1FFF == 0;
    let mut parts = parts.clone();
    if is_first && parts.flags & SYN != 0 {
        let mut room = 40_usize;
        for option in &mut parts.options {
            let whole = option.len() <= room;
            room = room.saturating_sub(option.len());
            let malformed = option[0] > NO_OPERATION
                && option
                    .get(1)
                    .is_none_or(|l| *l < 2 || usize::from(*l) != option.len());
            if !whole || option[0] == END || malformed {
                break;
            }
            if option[..2.min(option.len())] == [MSS, 4] {
                let mss = u16::from_be_bytes([option[2], option[3]]).min(most);
                option[2..].copy_from_slice(&mss.to_be_bytes());
            }
        }
    }
    packet(&parts)
}

fn option() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => any::<u16>().prop_map(|mss| [[MSS, 4], mss.to_be_bytes()].concat()),
        3 => Just(vec![NO_OPERATION]),
        1 => Just(vec![3, 3, 7]),
        1 => Just(vec![8, 10, 1, 2, 3, 4, 5, 6, 7, 8]),
        1 => Just(vec![MSS, 5, 0xFF, 0xFF, 1]),
        1 => Just(vec![END]),
        // No length that leads on: what follows is not looked at.
        1 => Just(vec![MSS, 0]),
        1 => Just(vec![30, 1]),
        1 => Just(vec![30, 200]),
    ]
}

fn parts() -> impl Strategy<Value = Parts> {
    let fragment = prop_oneof![4 => Just(0x4000), 1 => Just(0x2000), 1 => Just(0x2005)];
    let flags = prop_oneof![4 => Just(SYN), 2 => Just(SYN | 0x10), 1 => Just(0x10)];
    (
        0..=2_usize,
        any::<bool>(),
        0..4_usize,
        fragment,
        flags,
        vec(option(), 0..8),
        vec(any::<u8>(), 0..50),
    )
        .prop_map(
            |(tags, ipv6, extra, fragment, flags, options, payload)| Parts {
                tags,
                ipv6,
                extra,
                fragment,
                flags,
                options,
                payload,
            },
        )
}

fn to(mss: u16) -> Clamp {
    Clamp::new(ClampMss::Size(mss), 1).unwrap()
}

proptest! {
    #[test]
    fn it_is_as_if_the_sender_had_said_less(parts in parts(), most in 536..9_000_u16) {
        let (before, expected) = (packet(&parts), lowered(&parts, most));
        let mut frame = before.clone();
        let changed = to(most).frame(&mut frame, 0);
        prop_assert_eq!(&frame, &expected);
        prop_assert_eq!(changed, frame != before);
        // And in two parts, as a lane may deliver it.
        for cut in [64.min(before.len()), before.len()] {
            let (head, tail) = before.split_at(cut);
            let mut clamp = to(most);
            let copy = clamp.copy(&Frame::halves(head, tail), 0).map(|frame| frame.to_vec());
            prop_assert_eq!(copy, changed.then(|| expected.clone()));
        }
    }

    #[test]
    fn nonsense_is_left_in_one_piece(parts in parts(), damage in vec((any::<usize>(), any::<u8>()), 0..4), cut in any::<usize>()) {
        let mut frame = packet(&parts);
        for (at, value) in damage {
            let at = at % frame.len();
            frame[at] = value;
        }
        frame.truncate(cut % (frame.len() + 1));
        let before = frame.clone();
        let changed = to(1_000).frame(&mut frame, 0);
        prop_assert_eq!(changed, frame != before);
        let differ = frame.iter().zip(&before).filter(|(a, b)| a != b).count();
        prop_assert!(frame.len() == before.len() && differ <= 2 + 2 * 10);
    }
}

fn syn(ipv6: bool, tags: usize) -> Vec<u8> {
    packet(&Parts {
        tags,
        ipv6,
        extra: 0,
        fragment: 0x4000,
        flags: SYN,
        options: vec![vec![MSS, 4, 0x23, 0x28]],
        payload: Vec::new(),
    })
}

/// A full segment makes a frame that fills a datagram as the only one of a bundle.
#[test]
fn auto_is_what_fits_a_datagram() {
    let mut clamp = Clamp::new(ClampMss::Auto, 2).unwrap();
    clamp.set_datagram_size(1, 1_472);
    let room = 1_472 - 16 - 2 - 16 - 4;
    for (ipv6, tags, headers) in [(false, 0, 54), (false, 1, 58), (true, 0, 74), (true, 2, 82)] {
        let mut frame = syn(ipv6, tags);
        assert!(clamp.frame(&mut frame, 1));
        let at = frame.len() - 2;
        let mss = u16::from_be_bytes([frame[at], frame[at + 1]]);
        assert_eq!(usize::from(mss), room - headers);
        assert!(!clamp.frame(&mut frame, 1), "it is low enough now");
    }
    // Nothing is known of the other peer yet.
    assert!(!clamp.frame(&mut syn(false, 0), 0));
}

#[test]
fn settings_are_read() {
    assert_eq!("off".parse(), Ok(ClampMss::Off));
    assert_eq!("auto".parse(), Ok(ClampMss::Auto));
    assert_eq!("1360".parse(), Ok(ClampMss::Size(1_360)));
    for bad in ["", "on", "535", "9999", "-1", "auto "] {
        let error = bad.parse::<ClampMss>().unwrap_err().to_string();
        assert!(error.contains("536 to 9162"), "{error}");
    }
    assert!(Clamp::new(ClampMss::Off, 1).is_none());
}
