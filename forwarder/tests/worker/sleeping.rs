//! A worker sleeps when there is nothing to do, and wakes when there is.

use std::time::{Duration, Instant};

use causeway::worker::Command;

use crate::{
    ends::{End, Ends, path},
    netns::{in_namespace, wait_until},
};

/// How often the worker goes to sleep in a second.
pub(crate) fn sleeps_in_a_second(end: &End) -> u64 {
    let before = end.counters().sleeps.get();
    std::thread::sleep(Duration::from_secs(1));
    end.counters().sleeps.get() - before
}

/// A wake-up comes a moment after its command: the next command in that moment must not be slept on
/// until the tick.
#[test]
fn commands_are_carried_out_at_once() {
    in_namespace(|namespace| {
        let ends = Ends::new(namespace);
        let (end, cloud) = (&ends.site, path(ends.cloud.address));
        for round in 0..3_000 {
            // The second comes while the worker wakes for the first, a little later each time.
            end.tell(Command::SetPath(0, cloud));
            let gap = Instant::now();
            while gap.elapsed() < Duration::from_nanos(50) * round {
                std::hint::spin_loop();
            }
            let start = Instant::now();
            end.install_rx(0x3000_0000 + ((round % 4) << 8), false);
            let waited = start.elapsed();
            assert!(
                waited < Duration::from_millis(200),
                "round {round}: {waited:?}"
            );
        }
    });
}

#[test]
fn a_wake_up_for_nothing_wakes_once() {
    in_namespace(|namespace| {
        let ends = Ends::new(namespace);
        for _ in 0..10 {
            ends.site.worker.sender().wake();
        }
        let sleeps = sleeps_in_a_second(&ends.site);
        assert!(sleeps < 30, "it went to sleep {sleeps} times");
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
