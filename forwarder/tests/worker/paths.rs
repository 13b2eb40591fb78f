//! Where a listening end answers to: where the newest authentic datagram came from.

use std::{
    net::{SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use causeway::stations::Role;
use causeway_tunnel::{
    DropReason,
    lane::{RunLimits, TxLane},
    sa::Limits,
};

use crate::{
    ends::{CLOUD_SPI, End, MOVED, SERVER, SITE_SPI, frame, keys, spi},
    netns::{Namespace, in_namespace, wait_until},
};

/// A cloud end whose site is the test: a lane, and any number of sockets to send from.
struct Listener {
    cloud: End,
    lane: TxLane,
    numbers: u32,
}

impl Listener {
    fn new(namespace: &Namespace) -> Self {
        let cloud = End::new(
            namespace,
            Role::Cloud,
            ["cloud0", "cloud1"],
            Duration::from_secs(600),
        );
        cloud.install_rx(SITE_SPI, true);
        cloud.install_tx(CLOUD_SPI, None);
        let run = RunLimits {
            max_segments: 1,
            max_bytes: 2_000,
        };
        let now = Instant::now();
        let limits = Limits::default();
        let lane = TxLane::new(spi(SITE_SPI), &keys(), limits, now, 1_452, run);
        Self {
            cloud,
            lane,
            numbers: 0,
        }
    }

    /// The next datagram of the site, with a frame of its own.
    fn datagram(&mut self) -> Vec<u8> {
        let mut datagram = Vec::new();
        self.numbers += 1;
        let frame = frame(MOVED, SERVER, self.numbers, 60);
        let mut send = |run: causeway_tunnel::lane::Run<'_>| datagram = run.bytes.to_vec();
        self.lane.push(&frame, Instant::now(), &mut send).unwrap();
        self.lane.flush(&mut send);
        datagram
    }

    fn send(&self, from: &UdpSocket, datagram: &[u8]) {
        from.send_to(datagram, self.cloud.address).unwrap();
    }

    /// Which of the sockets the cloud's next frame comes to.
    fn answers(&self, sockets: &[&UdpSocket]) -> Vec<SocketAddr> {
        let before = self.cloud.counters().wan_tx_datagrams.get();
        // Keepalives that were under way to an earlier path are no answer.
        for socket in sockets {
            while socket.recv(&mut [0; 2_000]).is_ok() {}
        }
        self.cloud.send(&self.cloud.frame(0, 100));
        wait_until("an answer", || {
            self.cloud.counters().wan_tx_datagrams.get() > before
        });
        std::thread::sleep(Duration::from_millis(20));
        let reached = |s: &&&UdpSocket| s.recv(&mut [0; 2_000]).is_ok();
        let reached = sockets.iter().filter(reached);
        reached.map(|s| s.local_addr().unwrap()).collect()
    }
}

fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    socket
}

#[test]
fn only_the_newest_authentic_datagram_moves_the_path() {
    in_namespace(|namespace| {
        let mut listener = Listener::new(namespace);
        let (home, elsewhere, thief) = (socket(), socket(), socket());
        let all = [&home, &elsewhere, &thief];
        let address = |s: &UdpSocket| s.local_addr().unwrap();

        listener.cloud.expect_drop(None, DropReason::NoPath);
        let (first, held_back) = (listener.datagram(), listener.datagram());
        listener.send(&home, &first);
        assert_eq!(
            listener.cloud.next_learnt().unwrap().path.remote,
            address(&home)
        );
        assert_eq!(listener.answers(&all), [address(&home)]);
        let newest = listener.datagram();
        listener.send(&home, &newest);

        // A thief who has copies: replayed, delayed (never seen, but not the newest), changed.
        listener.send(&thief, &first);
        listener.send(&thief, &newest);
        wait_until("replays are counted", || {
            listener.cloud.dropped(DropReason::Replayed) == 2
        });
        let delivered = listener.cloud.counters().lan_tx_frames.get();
        listener.send(&thief, &held_back);
        wait_until("a delayed datagram is as good as any", || {
            listener.cloud.counters().lan_tx_frames.get() == delivered + 1
        });
        let mut changed = listener.datagram();
        changed[30] ^= 1;
        listener.send(&thief, &changed);
        wait_until("the change is noticed", || {
            listener.cloud.dropped(DropReason::BadTag) == 1
        });
        assert_eq!(listener.answers(&all), [address(&home)]);
        assert!(
            listener.cloud.learnt.try_recv().is_err(),
            "nothing was learnt"
        );

        // The site itself, behind another port of its NAT now.
        let moved = listener.datagram();
        listener.send(&elsewhere, &moved);
        let learnt = listener.cloud.next_learnt().unwrap();
        assert_eq!((learnt.peer, learnt.remote_lane), (0, 0));
        assert_eq!(learnt.path.remote, address(&elsewhere));
        assert_eq!(listener.answers(&all), [address(&elsewhere)]);
    });
}
