//! A receive queue that stalls: the lanes that arrive by it are moved until they arrive by another, and the session stays.
//!
//! The queue is one of an uplink's, by which an XDP program gives datagrams to the AF_XDP socket of its worker. It stalls as
//! far as a veth can: the router's transmit queue of that number swallows what it gets (`tc`, qdisc `blackhole`).
//! The other end sends by UDP: a lane's queue is a hash of its ports then, as a network card makes it. (By AF_XDP it is that of
//! the worker, and the router keeps to it.)

use std::{
    collections::BTreeMap,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::{
    flows::{Flows, TO_DC, TO_VM},
    lab::{Lab, PATIENCE, within},
    lanes::{UDP, XDP, lanes, pinned, sum},
};

/// A lane is dead after 3 s; where it lands on the queue that stalls once more, the next moves are after 3, 6 and 12 s.
const MOVED: Duration = Duration::from_secs(60);

/// Receive queues of an uplink, seen from the router.
struct Queues<'a> {
    lab: &'a Lab,
    /// The router's port, named for the end that it leads to.
    port: &'a str,
}

impl<'a> Queues<'a> {
    /// Each gets a qdisc of its own, which counts.
    fn of(lab: &'a Lab, port: &'a str) -> Self {
        let queues = Self { lab, port };
        // What the kernel asks for a neighbour with is not what this is about, and may go by any queue.
        for (namespace, device) in [("path", port), (port, "wan")] {
            let shown = lab.exec(
                namespace,
                &["ip", "-4", "-json", "neigh", "show", "dev", device],
            );
            let known: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
            assert!(!known.is_empty(), "{namespace} knows no neighbour");
            for of in known {
                let [address, mac] = ["dst", "lladdr"].map(|name| of[name].as_str().unwrap());
                let stays = ["lladdr", mac, "dev", device, "nud", "permanent"];
                let change = [&["ip", "neigh", "replace", address][..], &stays].concat();
                lab.exec(namespace, &change);
            }
        }
        queues.tc(&["replace", "dev", port, "root", "handle", "1:", "mq"]);
        queues
    }

    fn tc(&self, words: &[&str]) -> String {
        self.lab
            .exec("path", &[&["tc", "-json", "-s", "qdisc"], words].concat())
    }

    /// What has gone to each, by the name of its place.
    fn packets(&self) -> BTreeMap<String, u64> {
        let shown = self.tc(&["show", "dev", self.port]);
        let qdiscs: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
        let children = qdiscs.iter().filter_map(|qdisc| {
            let parent = qdisc["parent"].as_str()?.to_owned();
            Some((parent, qdisc["packets"].as_u64()?))
        });
        children.collect()
    }

    /// What goes to each while `meanwhile` runs.
    fn packets_of(&self, meanwhile: impl FnOnce()) -> BTreeMap<String, u64> {
        let before = self.packets();
        meanwhile();
        let mut packets = self.packets();
        packets
            .iter_mut()
            .for_each(|(queue, n)| *n -= before[queue]);
        packets
    }

    fn stall(&self, queue: &str) {
        self.tc(&["replace", "dev", self.port, "parent", queue, "blackhole"]);
    }
}

/// A lab whose `to` receives by AF_XDP from `from`, and a queue of it by which lanes arrive, others not, and the session's QUIC
/// connection does not: which are which is chance.
fn with_a_queue_of_some_lanes(from: &str, to: &str, way: [&str; 3]) -> (Lab, String) {
    /// Fewer are keepalives; a lane's flows are some hundred.
    const SOME: u64 = 20;
    for _ in 0..12 {
        let lab = Lab::up(&["--queues", "4"]);
        lab.start(from, &pinned(UDP, &[]));
        lab.start(to, &pinned(XDP, &[]));
        lab.wait_for_session();
        // Lanes say more often where they are when they begin.
        sleep(Duration::from_secs(1));
        let queues = Queues::of(&lab, to);
        // QUIC has five heartbeats a second, and answers to the other end's.
        let idle = queues.packets_of(|| sleep(Duration::from_secs(3)));
        let loaded = queues.packets_of(|| load(&lab, way).assert_all_arrived_in_order());
        // Both take about as long.
        let carries = |queue: &String| loaded[queue] > idle[queue] + SOME;
        let others_carry = |queue: &String| loaded.keys().any(|q| q != queue && carries(q));
        // The router sends what came on queue 0 or 1 on the first of its own: every other lane.
        let mut found = loaded.keys().filter(|queue| {
            *queue != "1:1" && idle[*queue] < 3 && carries(queue) && others_carry(queue)
        });
        if let Some(queue) = found.next() {
            let queue = queue.clone();
            return (lab, queue);
        }
    }
    panic!("twelve times no lane had a queue apart from QUIC and from others");
}

/// A second of all lanes.
fn load(lab: &Lab, way: [&str; 3]) -> Flows {
    Flows::run(lab, way, &["--flows", "48", "--rate", "20", "--time", "1"])
}

fn is_left(from: &str, to: &str, way: [&str; 3], words: &str) {
    let (lab, queue) = with_a_queue_of_some_lanes(from, to, way);
    let sessions = lab.status(from).peers[0].sessions;
    Queues {
        lab: &lab,
        port: to,
    }
    .stall(&queue);
    let stalled = Instant::now();
    let flows = load(&lab, way);
    flows.assert_in_order();
    let received: Vec<bool> = flows.flows.iter().map(|f| f.received == f.sent).collect();
    assert!(
        received.contains(&true) && received.contains(&false),
        "{flows:?}"
    );
    // Nobody sends any more but keepalives; each lane is heard again, those that were hit after a move.
    let arrives = || {
        let (tx, _) = lanes(&lab, from);
        let well = |lane: &causeway::status::LaneStatus| {
            lane.dead_s.is_none() && lane.heard == Some(lane.sequence)
        };
        tx.iter().any(|lane| lane.moves > 0) && tx.iter().all(well)
    };
    assert!(
        within(MOVED, arrives),
        "{:?}, {}",
        lanes(&lab, from),
        lab.log(from)
    );
    println!("{queue} of {to} is left after {:?}", stalled.elapsed());
    let status = lab.status(from);
    assert_eq!(status.peers[0].sessions, sessions, "the session has stayed");
    let (tx, _) = lanes(&lab, from);
    assert!(
        tx.iter().any(|lane| lane.moves == 0),
        "the others stay: {tx:?}"
    );
    let log = lab.log(from);
    for words in ["is dead, nothing of it has arrived", "arrives again", words] {
        assert!(log.contains(words), "{words} lacks in {log}");
    }
    // The queue stalls still, and nothing is lost.
    let by_xdp = || sum(&lab.status(to), "wan_xdp_rx");
    let before = by_xdp();
    load(&lab, way).assert_all_arrived_in_order();
    assert!(within(PATIENCE, || by_xdp() > before + 100), "by AF_XDP");
    let dead = || lab.status(from).peers[0].lanes_dead;
    assert!(within(PATIENCE, || dead() == 0), "{:?}", lanes(&lab, from));
}

/// The dialling end sends such a lane from another port, which another queue is for.
#[test]
fn lanes_of_a_dialling_end_leave_a_queue_that_stalls() {
    is_left("site", "cloud", TO_VM, "it moves to UDP port");
}

/// The listening end sends it to the port of another lane.
#[test]
fn lanes_of_a_listening_end_leave_a_queue_that_stalls() {
    let words = "it moves to the address of the peer's lane";
    is_left("cloud", "site", TO_DC, words);
}
