//! Frames from one LAN to the other.

use std::time::Duration;

use crate::{
    ends::{Ends, MOVED, SERVER, frame},
    netns::{Namespace, in_namespace, wait_until},
    uplinks::Wire,
};

const NEVER: Duration = Duration::from_secs(600);

#[test]
fn every_length_crosses_both_ways() {
    for wire in [Wire::Sockets, Wire::Xdp4, Wire::Xdp6] {
        in_namespace(|namespace| every_length(namespace, wire));
    }
}

fn every_length(namespace: &Namespace, wire: Wire) {
    let mut ends = Ends::over(namespace, wire, NEVER);
    for length in 60..=1_514 {
        let there = ends.site.frame(length as u32, length);
        ends.site.send(&there);
        ends.cloud.expect(&there);
        let back = ends.cloud.frame(length as u32, length);
        ends.cloud.send(&back);
        ends.site.expect(&back);
    }
    for end in [&ends.site, &ends.cloud] {
        let counters = end.counters();
        assert!(counters.drops.iter().all(|n| n.get() == 0));
        assert_eq!(counters.lan_rx_frames.get(), 1_455);
        assert_eq!(counters.lan_tx_frames.get(), 1_455);
        let [by_xdp, sent] = [&counters.wan_xdp_tx, &counters.wan_tx_datagrams].map(|c| c.get());
        // The opening keepalives may have come before the next hops.
        assert_eq!(
            by_xdp + 3 >= sent,
            wire != Wire::Sockets,
            "{by_xdp} of {sent}"
        );
        assert_eq!(counters.wan_xdp_rx.get() > 1_455, wire != Wire::Sockets);
    }
}

#[test]
fn bursts_cross_both_ways_at_once() {
    for wire in [Wire::Sockets, Wire::Xdp4] {
        in_namespace(|namespace| bursts(namespace, wire));
    }
}

fn bursts(namespace: &Namespace, wire: Wire) {
    const BURST: u32 = 200;
    let mut ends = Ends::over(namespace, wire, NEVER);
    for round in 0..50 {
        let numbers = || round * BURST..(round + 1) * BURST;
        let length = |number: u32| 60 + (number as usize * 131) % 1_455;
        for number in numbers() {
            ends.site.send(&ends.site.frame(number, length(number)));
            ends.cloud.send(&ends.cloud.frame(number, length(number)));
        }
        for number in numbers() {
            let (there, back) = (MOVED, SERVER);
            ends.cloud
                .expect(&frame(there, back, number, length(number)));
            ends.site
                .expect(&frame(back, there, number, length(number)));
        }
    }
}

#[test]
fn broadcasts_cross_and_reflections_do_not() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        let question = frame([0xff; 6], SERVER, 1, 60);
        ends.site.send(&question);
        ends.cloud.expect(&question);
        let question = frame([0xff; 6], MOVED, 2, 60);
        ends.cloud.send(&question);
        ends.site.expect(&question);
        // A switch that brings back what each end injected.
        ends.site.send(&question);
        ends.cloud.send(&frame([0xff; 6], SERVER, 1, 60));
        assert_eq!(ends.site.lan.receive(Duration::from_millis(300)), None);
        assert_eq!(ends.cloud.lan.receive(Duration::from_millis(1)), None);
    });
}

#[test]
fn an_idle_lane_sends_keepalives() {
    in_namespace(|namespace| {
        let ends = Ends::with_keepalives(namespace, Duration::from_millis(500));
        // One at once and two on the ticks that follow, then one in 500 to 750 ms.
        wait_until("the opening keepalives", || {
            ends.site.counters().keepalives.get() >= 3
        });
        let (before, start) = (
            ends.site.counters().keepalives.get(),
            std::time::Instant::now(),
        );
        wait_until("three more", || {
            ends.site.counters().keepalives.get() >= before + 3
        });
        assert!(
            start.elapsed() > Duration::from_millis(1_100),
            "no more often than asked for"
        );
        wait_until("all arrive", || {
            let sent = ends.site.counters().keepalives.get();
            let received = ends.cloud.counters().peers[0].rx_datagrams.get();
            received >= sent
        });
        assert_eq!(
            ends.cloud.counters().lan_tx_frames.get(),
            0,
            "a dummy is no frame"
        );
    });
}
