//! The kernel's side of test traffic, between network namespaces.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::{Link, Stream, counter::FrameCounter, forward::Forwarder, live::LiveGenerator};
use crate::{rig::netns::Namespace, sizes::FrameSizes};

/// Namespaces in a row, each joined to the next by a veth pair `right` - `left`.
struct Row(Vec<Namespace>);

impl Row {
    fn new(count: usize) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let lab = NEXT.fetch_add(1, Ordering::Relaxed);
        let create = |i| Namespace::create(&format!("row{lab}-{i}")).expect("a namespace");
        let row = Self((0..count).map(create).collect());
        for pair in row.0.windows(2) {
            let veth = [
                "link", "add", "right", "type", "veth", "peer", "left", "netns",
            ];
            ip(&pair[0], &[&veth[..], &[pair[1].name()]].concat());
            ip(&pair[0], &["link", "set", "right", "up"]);
            ip(&pair[1], &["link", "set", "left", "up"]);
        }
        row
    }

    fn link(&self, i: usize, interface: &str) -> Link {
        Link::new(self.0[i].name(), interface)
    }
}

fn ip(namespace: &Namespace, arguments: &[&str]) {
    namespace.ip(arguments.iter().copied()).expect("ip");
}

fn stream(sizes: FrameSizes, vlan: Option<u16>) -> Stream {
    Stream {
        source: [2, 0, 0, 0, 0, 1],
        destination: [2, 0, 0, 0, 0, 2],
        vlan,
        sizes,
        flows: 3,
    }
}

#[test]
fn every_live_frame_is_counted_or_refused() {
    let row = Row::new(2);
    let sink = FrameCounter::attach(&row.link(1, "left")).expect("a sink");
    for (sizes, vlan) in [
        (FrameSizes::Fixed(64), None),
        (FrameSizes::Fixed(1_518), Some(7)),
        (FrameSizes::Imix, None),
    ] {
        let before = sink.counts().expect("counters");
        let link = row.link(0, "right");
        let mut generator = LiveGenerator::open(&link, &stream(sizes, vlan)).expect("a generator");
        let sent = generator.saturate(Duration::from_millis(50)).expect("sent");
        println!("{sizes}: {sent:?}, {:.0} frames/s", sent.frames_per_s());
        let paced = generator
            .paced(20_000.0, Duration::from_millis(120))
            .expect("sent");
        println!(
            "{sizes} paced: {paced:?}, {:.0} frames/s",
            paced.frames_per_s()
        );
        assert_eq!(paced.frames + paced.refused, 2_400);
        let after = sink.counts().expect("counters");
        assert_eq!(after.frames - before.frames, sent.frames + paced.frames);
        if let FrameSizes::Fixed(size) = sizes {
            let bytes = after.bytes - before.bytes;
            assert_eq!(bytes, (after.frames - before.frames) * (size as u64 - 4));
        }
    }
}

#[test]
fn frames_are_forwarded() {
    let row = Row::new(3);
    let [left, right] = ["left", "right"].map(|i| row.link(1, i));
    let _forwarder = Forwarder::attach(&left, &right).expect("a forwarder");
    let sink = FrameCounter::attach(&row.link(2, "left")).expect("a sink");
    let stream = stream(FrameSizes::Fixed(64), None);
    let mut generator = LiveGenerator::open(&row.link(0, "right"), &stream).expect("a generator");
    let sent = generator
        .paced(10_000.0, Duration::from_millis(100))
        .expect("sent");
    assert_eq!(sink.counts().expect("counters").frames, sent.frames);
    assert_eq!(sent.frames, 1_000);
}

#[test]
fn frames_that_do_not_fit_are_refused_before_anything_is_sent() {
    let row = Row::new(2);
    let link = row.link(0, "right");
    let open = |sizes, vlan| LiveGenerator::open(&link, &stream(sizes, vlan)).err();
    for (sizes, vlan, hint) in [
        (FrameSizes::Fixed(64), Some(1), "at least 68"),
        (FrameSizes::Fixed(1_519), None, "at most 1518"),
    ] {
        let error = open(sizes, vlan).expect("impossible").to_string();
        assert!(error.contains(hint), "{error}");
    }
    ip(&row.0[0], &["link", "set", "right", "down"]);
    let error = open(FrameSizes::Imix, None).expect("down").to_string();
    assert!(error.contains("link set right up"), "{error}");
}
