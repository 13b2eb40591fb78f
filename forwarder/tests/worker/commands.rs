//! What the control plane asks takes effect.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use causeway::{
    stations::{Role, StationTable},
    worker::Command,
};
use causeway_tunnel::DropReason;

use crate::{
    ends::{CLOUD_SPI, Ends, SITE_SPI, path, table},
    netns::{in_namespace, wait_until},
};

#[test]
fn a_removed_lane_receives_nothing() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        ends.cloud.tell(Command::RemoveRx(SITE_SPI));
        ends.site
            .expect_drop(Some(&ends.cloud), DropReason::UnknownSpi);
        // The other direction is not concerned.
        let back = ends.cloud.frame(1, 60);
        ends.cloud.send(&back);
        ends.site.expect(&back);
    });
}

#[test]
fn a_cleared_lane_sends_nothing_until_there_is_another() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        ends.site.tell(Command::ClearTx(0));
        ends.site.expect_drop(None, DropReason::NoSession);
        // New keys under a new SPI; the path is known still.
        ends.cloud.install_rx(SITE_SPI + 0x100, true);
        ends.site.install_tx(SITE_SPI + 0x100, None);
        let there = ends.site.frame(1, 60);
        ends.site.send(&there);
        ends.cloud.expect(&there);
    });
}

#[test]
fn the_datagram_size_changes_at_once() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        wait_until("the opening keepalives are over", || {
            ends.site.counters().keepalives.get() == 3
        });
        let frame_takes = |ends: &mut Ends, datagrams: u64| {
            let before = ends.site.counters().wan_tx_datagrams.get();
            let there = ends.site.frame(1, 1_514);
            ends.site.send(&there);
            ends.cloud.expect(&there);
            // The counter moves when the kernel has them all, and the frame may be there by then.
            wait_until("as many datagrams as it takes", || {
                ends.site.counters().wan_tx_datagrams.get() == before + datagrams
            });
        };
        // 1,452 bytes less 36 of ESP and 4 of the bundle, and the rest.
        frame_takes(&mut ends, 2);
        ends.site.tell(Command::SetDatagramSize(0, 256));
        frame_takes(&mut ends, 7);
        ends.site.tell(Command::SetDatagramSize(0, 9_000));
        frame_takes(&mut ends, 1);
    });
}

#[test]
fn a_new_snapshot_of_the_stations_counts_from_the_next_batch() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        let empty = |role| Command::Stations(Arc::new(StationTable::new(role)));
        ends.site.tell(empty(Role::Site));
        // The XDP program's table is older: it still lets the frame through.
        ends.site.expect_drop(None, DropReason::NoStation);
        // And what the cloud says in the station's name is spoofed now.
        ends.cloud
            .expect_drop(Some(&ends.site), DropReason::SpoofedSource);
        ends.cloud.tell(empty(Role::Cloud));
        ends.cloud.expect_drop(None, DropReason::SourceNotOurs);
        for (end, role) in [(&ends.site, Role::Site), (&ends.cloud, Role::Cloud)] {
            end.tell(Command::Stations(Arc::new(table(role))));
        }
        let there = ends.site.frame(1, 60);
        ends.site.send(&there);
        ends.cloud.expect(&there);
    });
}

#[test]
fn a_path_can_be_set() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        let other = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = other.local_addr().unwrap();
        ends.site.tell(Command::SetPath(0, path(address)));
        ends.site.send(&ends.site.frame(1, 60));
        other
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        let (length, from) = other.recv_from(&mut [0; 2_000]).expect("a datagram");
        assert_eq!((length % 4, from), (0, ends.site.address));
        ends.site
            .tell(Command::SetPath(0, path(ends.cloud.address)));
        let there = ends.site.frame(2, 60);
        ends.site.send(&there);
        ends.cloud.expect(&there);
    });
}

/// Also while frames come in, and also if nobody is left to ask.
#[test]
fn a_worker_ends_when_it_is_told_to() {
    in_namespace(|namespace| {
        let mut ends = Ends::new(namespace);
        for number in 0..100 {
            ends.site.send(&ends.site.frame(number, 1_000));
        }
        assert!(!ends.site.worker.has_ended());
        let (start, sender) = (Instant::now(), ends.site.worker.sender());
        ends.site.worker.stop();
        assert!(ends.site.worker.has_ended());
        assert!(start.elapsed() < Duration::from_secs(1));
        // Nobody listens, and that is no error.
        sender.tell(Command::RemoveRx(CLOUD_SPI));

        let counters = Arc::clone(&ends.cloud.worker.counters);
        drop(ends.cloud);
        wait_until("the thread of a dropped handle ends", || {
            Arc::strong_count(&counters) == 1
        });
    });
}
