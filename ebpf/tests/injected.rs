//! The digest of injected frames: what survives the way, and what does not.
#![cfg(feature = "cases")]

use causeway_ebpf::{
    cases::{
        MOVED, OWN_V6, SECOND_MOVED, SERVER,
        frames::{ARP, arp_packet, arp_request, dot1ad, dot1q, frame, solicitation, tcp},
    },
    injected::{BUCKETS, bucket_of, digest_of, is_noted, note},
};

fn digest(frame: &[u8]) -> u64 {
    digest_of(frame, &[]).expect("an Ethernet header")
}

/// The same frame after this was done to it.
fn changed(frame: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut frame = frame.to_vec();
    change(&mut frame);
    frame
}

fn udp() -> Vec<u8> {
    changed(&tcp(SERVER, MOVED, &[]), |f| f[14 + 9] = 17)
}

#[test]
fn what_happens_to_a_frame_on_its_way_leaves_the_digest() {
    let segment = tcp(SERVER, MOVED, &[]);
    let arp = frame(
        SERVER,
        MOVED,
        &[],
        ARP,
        &arp_packet(1, (MOVED, [9; 4]), [8; 4]),
    );
    let v6 = solicitation(MOVED, &[], OWN_V6);
    let same: &[(&str, &[u8], Vec<u8>)] = &[
        (
            "a TCP checksum",
            &segment,
            changed(&segment, |f| f[14 + 36] ^= 0xff),
        ),
        (
            "a UDP checksum",
            &udp(),
            changed(&udp(), |f| f[14 + 27] ^= 0xff),
        ),
        (
            "DSCP and the header's checksum",
            &segment,
            changed(&segment, |f| {
                f[15] = 0xb8;
                f[14 + 10] ^= 0x12;
                f[14 + 11] ^= 0x34;
            }),
        ),
        ("IPv6's traffic class", &v6, changed(&v6, |f| f[15] ^= 0x10)),
        (
            "padding of an IP packet",
            &segment,
            changed(&segment, |f| f.resize(200, 0xee)),
        ),
        (
            "IP without its padding",
            &segment,
            changed(&segment, |f| f.truncate(54)),
        ),
        ("padding of ARP", &arp, changed(&arp, |f| f[50..].fill(7))),
        (
            "ARP without its padding",
            &arp,
            changed(&arp, |f| f.truncate(42)),
        ),
        ("a priority tag", &segment, tcp(SERVER, MOVED, &[dot1q(0)])),
        (
            "the priority in a tag",
            &tcp(SERVER, MOVED, &[dot1q(10)]),
            changed(&tcp(SERVER, MOVED, &[dot1q(10)]), |f| f[14] ^= 0xe0),
        ),
        (
            "another kind of tag",
            &tcp(SERVER, MOVED, &[dot1q(10)]),
            tcp(SERVER, MOVED, &[dot1ad(10)]),
        ),
        (
            "zeros behind an unknown ethertype",
            &frame(SERVER, MOVED, &[], 0x88b5, &[1, 2, 3]),
            changed(&frame(SERVER, MOVED, &[], 0x88b5, &[1, 2, 3]), |f| {
                f.truncate(17)
            }),
        ),
        (
            "padding behind a length",
            &frame(SERVER, MOVED, &[], 3, &[0xaa, 0xaa, 3]),
            changed(&frame(SERVER, MOVED, &[], 3, &[0xaa, 0xaa, 3]), |f| {
                f[30] = 1
            }),
        ),
    ];
    for (what, before, after) in same {
        assert_eq!(digest(before), digest(after), "{what}");
    }
}

#[test]
fn another_frame_has_another_digest() {
    let segment = tcp(SERVER, MOVED, &[]);
    let frames = [
        segment.clone(),
        tcp(SECOND_MOVED, MOVED, &[]),
        tcp(SERVER, SECOND_MOVED, &[]),
        tcp(SERVER, MOVED, &[dot1q(10)]),
        changed(&segment, |f| f[14 + 5] ^= 1),
        changed(&segment, |f| f[14 + 27] ^= 1),
        udp(),
        changed(&udp(), |f| f[14 + 37] ^= 1),
        arp_request(MOVED, &[], [8; 4]),
        arp_request(MOVED, &[], [9; 4]),
        frame(SERVER, MOVED, &[], 0x88b5, &[1, 2, 3]),
        frame(SERVER, MOVED, &[], 0x88b6, &[1, 2, 3]),
        frame(SERVER, MOVED, &[], 0x88b5, &[1, 2, 3, 1]),
    ];
    let digests: std::collections::HashSet<_> = frames.iter().map(|f| digest(f)).collect();
    assert_eq!(digests.len(), frames.len());
}

#[test]
fn a_frame_in_two_parts_is_the_same_frame() {
    let whole = solicitation(MOVED, &[dot1ad(3), dot1q(4)], OWN_V6);
    for at in 22..whole.len() {
        let (head, tail) = whole.split_at(at);
        assert_eq!(digest_of(head, tail), Some(digest(&whole)), "{at}");
    }
    assert_eq!(digest_of(&whole[..13], &whole[13..]), None);
}

#[test]
fn a_note_counts_in_two_generations() {
    let digest = digest(&tcp(SERVER, MOVED, &[]));
    for generation in [0, 7, u16::MAX] {
        let noted = note(digest, generation);
        assert!(is_noted(noted, digest, generation));
        assert!(is_noted(noted, digest, generation.wrapping_add(1)));
        assert!(!is_noted(noted, digest, generation.wrapping_add(2)));
        assert!(!is_noted(noted, digest, generation.wrapping_sub(1)));
        assert!(!is_noted(noted, digest ^ 1 << 40, generation));
    }
    for free in [0, 1, u16::MAX] {
        assert!(!is_noted(0, 0, free), "an empty place");
    }
}

/// Frames that differ little have buckets of their own: with as many as there are buckets, none
/// holds more than chance would have it (Poisson with mean 1: above 10 once in 10^8).
#[test]
fn similar_frames_spread_over_the_buckets() {
    let mut full = vec![0_u8; BUCKETS as usize];
    let mut segment = tcp(SERVER, MOVED, &[]);
    for n in 0..BUCKETS {
        segment[38..42].copy_from_slice(&n.to_be_bytes());
        full[bucket_of(digest(&segment)) as usize] += 1;
    }
    assert!(full.iter().all(|n| *n <= 10), "{:?}", full.iter().max());
}
