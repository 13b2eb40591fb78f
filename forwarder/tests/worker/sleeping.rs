//! A worker sleeps when there is nothing to do, and wakes when there is.

use std::time::{Duration, Instant};

use causeway::worker::Command;

use crate::{
    ends::{End, Ends, path},
    netns::{in_namespace, wait_until},
};

/// How often the worker goes to sleep in a second.
fn sleeps_in_a_second(end: &End) -> u64 {
    let before = end.counters().sleeps.get();
    std::thread::sleep(Duration::from_secs(1));
    end.counters().sleeps.get() - before
}

/// The worker must not miss a command that comes while it handles another (it would sleep on it
/// until the next tick, 250 ms later), nor be awake for ever by one that it has handled already.
#[test]
fn commands_are_carried_out_at_once_and_then_it_sleeps() {
    in_namespace(|namespace| {
        let ends = Ends::new(namespace);
        let end = &ends.site;
        let mut slowest = Duration::ZERO;
        // Another that talks to it all the time, so that commands come close together.
        let (sender, cloud) = (end.worker.sender(), path(ends.cloud.address));
        let chatter = std::thread::spawn(move || {
            for _ in 0..50_000 {
                sender.tell(Command::SetPath(0, cloud));
                std::thread::yield_now();
            }
        });
        let mut installed = 0;
        while !chatter.is_finished() || installed < 1_000 {
            let start = Instant::now();
            end.install_rx(0x3000_0000 + (installed % 4 << 8), false);
            slowest = slowest.max(start.elapsed());
            installed += 1;
        }
        assert!(
            slowest < Duration::from_millis(200),
            "a command waited {slowest:?}"
        );
        // The rest of the commands first; then ticks, and the keepalives of the other end.
        wait_until("it sleeps", || sleeps_in_a_second(end) < 30);
    });
}

/// Frames that the device does not take must not keep the worker awake, nor be forgotten.
#[test]
fn frames_for_a_device_that_is_down_wait_asleep() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        namespace.ip(&["link", "set", "cloud0", "down"]);
        let frames: Vec<_> = (0..20).map(|n| ends.site.frame(n, 100)).collect();
        for frame in &frames {
            ends.site.send(frame);
        }
        wait_until("they are in the ring", || {
            ends.cloud.counters().lan_tx_frames.get() == 20
        });
        let sleeps = sleeps_in_a_second(&ends.cloud);
        assert!(sleeps < 300, "it went to sleep {sleeps} times");
        namespace.ip(&["link", "set", "cloud0", "up"]);
        for frame in &frames {
            ends.cloud.expect(frame);
        }
        assert!(sleeps_in_a_second(&ends.cloud) < 30);
    });
}

#[test]
fn frames_wake_it() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        let mut slowest = Duration::ZERO;
        for number in 0..50 {
            // Long enough that both workers sleep.
            std::thread::sleep(Duration::from_millis(10));
            let frame = ends.site.frame(number, 100);
            let start = Instant::now();
            ends.site.send(&frame);
            ends.cloud.expect(&frame);
            slowest = slowest.max(start.elapsed());
        }
        assert!(
            slowest < Duration::from_millis(200),
            "a frame took {slowest:?}"
        );
    });
}
