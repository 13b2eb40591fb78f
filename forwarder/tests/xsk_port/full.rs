//! More than fits: rings that overflow, a device that is down, frames that are too long.

use std::time::{Duration, Instant};

use causeway::sys::xsk::TransmitError;

use crate::{FAR, LAN, Lab, frame, netns::in_namespace, number_of, wait_until};

const RING: usize = 64;

#[test]
fn what_overflows_the_rx_ring_is_counted() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, RING as u32);
        for round in 1..=3_u64 {
            let sent = 5 * RING as u32;
            for number in 0..sent {
                while !lab.far.send(&frame(number, 60)) {
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
            let (mut got, port) = (Vec::new(), &mut lab.port);
            wait_until("every frame is received or counted", || {
                let s = port.statistics().expect("getsockopt");
                let lost = (s.rx_dropped + s.rx_ring_full) / round;
                lost + RING as u64 == u64::from(sent)
            });
            port.receive(usize::MAX, |bytes| got.push(number_of(bytes)));
            assert_eq!(
                got,
                (0..RING as u32).collect::<Vec<_>>(),
                "the first are kept"
            );
            lab.settle();
        }
    });
}

#[test]
fn batches_larger_than_the_tx_ring_arrive_or_are_counted() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, RING as u32);
        let mut taken = Vec::new();
        for number in 0..20 * RING as u32 {
            match lab.port.transmit(&frame(number, 200)) {
                Ok(()) => taken.push(number),
                Err(error) => assert_eq!(error, TransmitError::Full),
            }
        }
        lab.settle();
        let dropped = namespace.tx_dropped(LAN) as usize;
        let mut arrived = Vec::new();
        while let Some(bytes) = lab.far.receive(Duration::from_millis(300)) {
            arrived.push(number_of(&bytes));
        }
        assert_eq!(arrived.len() + dropped, taken.len());
        assert!(arrived.len() >= RING && arrived.is_sorted());
        if dropped == 0 {
            assert_eq!(arrived, taken);
        }
    });
}

#[test]
fn frames_that_are_no_frames_are_refused_and_cost_no_chunk() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, RING as u32);
        for _ in 0..10 * RING {
            for short in 0..14 {
                let refused = lab.port.transmit(&vec![0; short]);
                assert_eq!(refused, Err(TransmitError::TooShort));
            }
            let refused = lab.port.transmit(&frame(0, 1_523));
            assert_eq!(refused, Err(TransmitError::TooLong));
        }
        lab.port.transmit(&frame(0, 1_514)).expect("room");
        lab.settle();
        assert_eq!(lab.port.statistics().expect("getsockopt").tx_invalid, 0);
    });
}

#[test]
fn a_device_that_goes_down_fills_the_ring_and_goes_on_when_it_is_up() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, RING as u32);
        for round in 0..3 {
            namespace.ip(&["link", "set", LAN, "down"]);
            for number in 0..RING as u32 {
                lab.port
                    .transmit(&frame(number, 300))
                    .expect("room in the ring");
            }
            let before = lab.port.kicks_deferred();
            let start = Instant::now();
            for _ in 0..100 {
                assert_eq!(lab.port.transmit(&frame(0, 300)), Err(TransmitError::Full));
            }
            assert!(lab.port.has_unsent());
            // One kick for each, which the kernel puts off: neither a loop nor a wait.
            assert_eq!(lab.port.kicks_deferred() - before, 100, "round {round}");
            assert!(start.elapsed() < Duration::from_secs(2));

            namespace.ip(&["link", "set", LAN, "up"]);
            lab.settle();
            assert!(!lab.port.has_unsent());
            let dropped = namespace.tx_dropped(LAN) as usize;
            assert_eq!(dropped, 0);
            for number in 0..RING as u32 {
                let bytes = lab.far.receive(crate::netns::PATIENCE).expect("a frame");
                assert_eq!(number_of(&bytes), number);
            }
        }
        // And it still receives.
        wait_until("a frame arrives", || {
            lab.far.send(&frame(1, 60));
            lab.port.receive(RING, |bytes| {
                number_of(bytes);
            }) > 0
        });
    });
}

#[test]
fn a_device_that_is_gone_ends_nothing() {
    in_namespace(|namespace| {
        let mut lab = Lab::new(namespace, RING as u32);
        namespace.ip(&["link", "delete", FAR]);
        let mut taken = 0;
        for number in 0..10 * RING as u32 {
            taken += usize::from(lab.port.transmit(&frame(number, 60)).is_ok());
            lab.port.receive(RING, |_| panic!("from where?"));
        }
        lab.port.flush();
        assert_eq!(taken, RING);
        assert_eq!(lab.port.chunks().transmit, RING);
    });
}
