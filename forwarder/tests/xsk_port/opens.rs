//! What a port says when it cannot be opened.

use causeway::sys::xsk::{XskConfig, XskError, XskPort};

use crate::{FAR, LAN, config, netns::in_namespace};

fn refused(config: &XskConfig) -> XskError {
    match XskPort::open(config) {
        Ok(_) => panic!("opened: {config:?}"),
        Err(error) => error,
    }
}

#[test]
fn a_queue_has_one_port_and_is_free_after_it() {
    in_namespace(|namespace| {
        namespace.veth(LAN, FAR);
        for round in 0..20 {
            let port = XskPort::open(&config(64));
            let port = port.unwrap_or_else(|e| panic!("round {round}, the last is closed: {e}"));
            let text = refused(&config(64)).to_string();
            assert!(text.contains("lan0 queue 0"), "{text}");
            assert!(
                text.contains("another program has an AF_XDP socket"),
                "{text}"
            );
            drop(port);
        }
    });
}

#[test]
fn a_queue_or_device_that_is_not_there_is_named() {
    in_namespace(|namespace| {
        namespace.veth(LAN, FAR);
        let mut wrong = config(64);
        wrong.queue = 7;
        let text = refused(&wrong).to_string();
        assert!(text.contains("lan0 queue 7"), "{text}");
        assert!(text.contains("does the device have this queue?"), "{text}");
        for name in ["nonesuch", "", "nul\0"] {
            let mut wrong = config(64);
            wrong.interface = name.into();
            let text = refused(&wrong).to_string();
            assert!(text.contains("there is no such interface"), "{text}");
        }
    });
}

#[test]
fn frames_have_to_fit_three_chunks() {
    in_namespace(|namespace| {
        namespace.veth(LAN, FAR);
        for fits in [60, 1_792, 1_793, 3_840, 3_841, 9_216, 11_520] {
            let mut config = config(64);
            config.max_frame = fits;
            XskPort::open(&config).unwrap_or_else(|e| panic!("{fits}: {e}"));
        }
        let mut large = config(64);
        large.max_frame = 11_521;
        let error = refused(&large);
        assert!(matches!(
            error,
            XskError::FrameTooLarge { limit: 11_520, .. }
        ));
        assert!(
            error.to_string().contains("lower the MTU of lan0"),
            "{error}"
        );
    });
}

#[test]
fn ring_sizes_are_powers_of_two() {
    in_namespace(|namespace| {
        namespace.veth(LAN, FAR);
        for wrong in [0, 1, 32, 63, 65, 100, 3_000, 65_536, u32::MAX] {
            let error = refused(&config(wrong));
            assert!(
                matches!(error, XskError::RingSize(n) if n == wrong),
                "{error}"
            );
            assert!(error.to_string().contains("64 and 32768"), "{error}");
        }
        for right in [64, 512, 4_096] {
            let mut port = XskPort::open(&config(right)).expect("a power of two");
            let (chunks, ring) = (port.chunks(), right as usize);
            assert_eq!((chunks.total, chunks.fill_ring), (4 * ring, 2 * ring));
            assert_eq!((chunks.free, chunks.kept_by_kernel()), (2 * ring, 0));
        }
    });
}
