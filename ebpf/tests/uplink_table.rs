//! The uplink's verdict table on the host, and what must hold for frames that nobody thought of.
#![cfg(feature = "cases")]

use std::collections::HashSet;

use causeway_ebpf::{
    EthernetHeader, Outer, UplinkTables, UplinkVerdict,
    cases::uplink::{self, UplinkCase, UplinkWorld},
    uplink_verdict,
};

fn verdict(frame: &[u8]) -> UplinkVerdict {
    uplink_verdict(frame, &uplink::config(), &UplinkWorld)
}

#[test]
fn every_case_has_its_verdict() {
    let mut names = HashSet::new();
    for UplinkCase {
        name,
        frame,
        expected,
    } in uplink::cases()
    {
        assert_eq!(verdict(&frame), expected, "{name}: {frame:02x?}");
        assert!(names.insert(name.clone()), "two cases are {name}");
    }
}

#[test]
fn the_table_covers_every_verdict() {
    let seen: HashSet<_> = uplink::cases().iter().map(|case| case.expected).collect();
    for verdict in UplinkVerdict::ALL {
        let expected = *verdict != UplinkVerdict::NoSocket;
        assert_eq!(seen.contains(verdict), expected, "{verdict}");
    }
}

/// xorshift64* (Vigna 2016): the same frames in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// Whatever is steered, user space can parse, and it is for us.
#[test]
fn random_and_damaged_frames_keep_the_promises() {
    let cases = uplink::cases();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut steered = 0;
    for _ in 0..200_000 {
        let mut frame = cases[random.below(cases.len())].frame.clone();
        for _ in 0..random.below(4) {
            let at = random.below(frame.len());
            frame[at] ^= 1 << random.below(8);
        }
        frame.truncate(random.below(2 * frame.len() + 1));
        if verdict(&frame) != UplinkVerdict::Esp {
            continue;
        }
        steered += 1;
        let header = EthernetHeader::parse(&frame[..]).expect("parsed before");
        let outer = Outer::parse(&frame[..], &header).expect("parsed before");
        assert_eq!(header.destination, uplink::UPLINK);
        assert!(UplinkWorld.is_our_port(outer.destination_port));
        assert!(UplinkWorld.is_our_address(&outer.destination));
        let payload = &frame[outer.payload..outer.payload + outer.length];
        assert!(payload.len() >= 4 && payload[0] & 0x40 == 0);
        assert!(frame.len() <= usize::from(uplink::MAX_FRAME));
    }
    assert!(steered > 10_000, "hardly tried: {steered}");
}
