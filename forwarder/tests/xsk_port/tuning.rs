//! What can be set of a port, seen where it acts: at the socket, in the ring, in the memory's pages.

use std::os::fd::AsFd as _;

use causeway::{
    options::AutoOnOff,
    sys::{
        sockopt,
        xsk::{XskConfig, XskError, XskPort, XskTuning},
    },
};

use crate::{FAR, LAN, config, frame, netns::in_namespace, netns::wait_until, number_of};

fn tuned(ring_size: u32, tuning: XskTuning) -> XskConfig {
    XskConfig {
        tuning,
        ..config(ring_size)
    }
}

fn open(ring_size: u32, tuning: XskTuning) -> XskPort {
    XskPort::open(&tuned(ring_size, tuning)).expect("an AF_XDP socket")
}

#[test]
fn the_send_buffer_is_what_was_asked_for() {
    in_namespace(|namespace| {
        namespace.veth(LAN, FAR);
        let of = |port: &XskPort| sockopt::send_buffer(port.as_fd()).expect("getsockopt");
        // The kernel doubles what it is given, for its own needs (net/core/sock.c).
        let default = open(512, XskTuning::default());
        assert_eq!(of(&default), 2 * 512 * 2_048);
        drop(default);
        let tuning = XskTuning {
            send_buffer: Some(300_000),
            ..XskTuning::default()
        };
        assert_eq!(of(&open(512, tuning)), 600_000);
    });
}

#[test]
fn busy_polling_is_set_at_the_socket_and_frames_come() {
    let of = |port: &XskPort| sockopt::busy_poll(port.as_fd()).expect("getsockopt");
    in_namespace(|namespace| {
        namespace.veth(LAN, FAR);
        assert!(!of(&open(64, XskTuning::default())).0);
    });
    in_namespace(|namespace| {
        let tuning = XskTuning {
            busy_poll: Some(128),
            ..XskTuning::default()
        };
        let mut lab = crate::Lab::with(namespace, &tuned(64, tuning));
        let (preferred, time) = of(&lab.port);
        assert!(preferred && time > 0);
        for number in 0..10 {
            assert!(lab.far.send(&frame(number, 60)));
            let mut got = None;
            wait_until("the frame comes", || {
                lab.port.receive(1, |bytes| got = Some(number_of(bytes)));
                got.is_some()
            });
            assert_eq!(got, Some(number));
        }
    });
}

/// How often the kernel put a kick off while it sent a ring full of frames.
fn kicks_deferred(tx_budget: Option<u32>) -> u64 {
    let mut deferred = 0;
    in_namespace(|namespace| {
        let tuning = XskTuning {
            tx_budget,
            ..XskTuning::default()
        };
        let mut lab = crate::Lab::with(namespace, &tuned(128, tuning));
        for number in 0..128 {
            lab.port.transmit(&frame(number, 60)).expect("room");
        }
        lab.port.flush();
        lab.settle();
        deferred = lab.port.kicks_deferred();
    });
    deferred
}

#[test]
fn the_budget_is_how_much_one_call_sends() {
    assert_eq!(kicks_deferred(None), 0, "the whole ring");
    // Two flushes of 64 frames, 32 a call: in each the kernel says EAGAIN once.
    assert_eq!(kicks_deferred(Some(32)), 2);
}

#[test]
fn frame_memory_has_as_many_chunks_as_asked_for() {
    in_namespace(|namespace| {
        namespace.veth(LAN, FAR);
        for (asked, given) in [(None, 1_024), (Some(700), 700), (Some(512), 512)] {
            let tuning = XskTuning {
                chunks: asked,
                ..XskTuning::default()
            };
            let chunks = open(256, tuning).chunks();
            assert_eq!(chunks.total, given);
            assert_eq!(chunks.fill_ring, given - chunks.free);
            assert!(chunks.free >= 256, "a ring full of frames can be sent");
        }
    });
}

/// Pages of 2 MiB that the machine has, for as long as this lives.
struct HugePages(String);

const NR_HUGEPAGES: &str = "/proc/sys/vm/nr_hugepages";

impl HugePages {
    fn reserve(pages: u32) -> Self {
        let before = std::fs::read_to_string(NR_HUGEPAGES).expect("/proc is there");
        std::fs::write(NR_HUGEPAGES, pages.to_string()).expect("root");
        let now = std::fs::read_to_string(NR_HUGEPAGES).expect("/proc is there");
        let reserved = Self(before);
        let enough = now.trim().parse::<u32>().is_ok_and(|n| n >= pages);
        assert!(enough, "this machine has no room for {pages} huge pages");
        reserved
    }
}

impl Drop for HugePages {
    fn drop(&mut self) {
        std::fs::write(NR_HUGEPAGES, self.0.trim()).expect("root");
    }
}

/// Kibibytes of this process's mappings of exactly this size in huge pages.
fn in_huge_pages(size_kib: u32) -> u32 {
    let maps = std::fs::read_to_string("/proc/self/smaps").expect("/proc is there");
    let mut of_size = false;
    let mut total = 0;
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("Size:"), Some(kib)) => of_size = kib.parse() == Ok(size_kib),
            (Some("KernelPageSize:"), Some("2048")) if of_size => total += size_kib,
            _ => {}
        }
    }
    total
}

#[test]
fn huge_pages_hold_the_frame_memory_or_it_says_why_not() {
    in_namespace(|namespace| {
        namespace.veth(LAN, FAR);
        let with = |huge_pages| XskTuning {
            huge_pages,
            ..XskTuning::default()
        };
        // 4,096 entries, 4 chunks of 2 KiB each: 32 MiB, which no other test maps.
        let (ring, kib) = (4_096, 32 << 10);
        let reserved = HugePages::reserve(64);
        for setting in [AutoOnOff::On, AutoOnOff::Auto] {
            let port = open(ring, with(setting));
            assert_eq!(in_huge_pages(kib), kib, "{setting:?}");
            assert_eq!(port.ordinary_pages(), None);
        }
        let port = open(ring, with(AutoOnOff::Off));
        assert_eq!((in_huge_pages(kib), port.ordinary_pages()), (0, None));
        drop((port, reserved));

        // More than there are: 256 MiB.
        let refused = XskPort::open(&tuned(32_768, with(AutoOnOff::On)));
        let error = refused.err().expect("there are not that many");
        assert!(matches!(error, XskError::HugePages { pages: 128, .. }));
        assert!(error.to_string().contains("vm.nr_hugepages"), "{error}");
        let port = open(32_768, with(AutoOnOff::Auto));
        assert!(port.ordinary_pages().is_some(), "and goes without");
    });
}
