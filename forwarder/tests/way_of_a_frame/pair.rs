//! Both ends back to back: LAN to WAN at one, a wire that is a `Vec`, WAN to LAN at the other.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use causeway::{
    clamp_mss::Clamp,
    counters::{SharedCounter, WorkerCounters},
    flood::{FloodGate, FloodRule},
    lan_to_wan::{LanToWan, PeerTx, RunSink},
    snoop::Snoop,
    stations::{Role, StationTable},
    sys::xsk::TransmitError,
    traffic_class::Marking,
    uplink::{Arrival, Path},
    wan_to_lan::{FrameSink, InboundLane, InboundLanes, WanToLan},
};
use causeway_ebpf::FloodPolicy;
use causeway_ebpf::cases::frames::{arp_request, dot1ad, dot1q, tcp};
use causeway_tunnel::{
    DropReason,
    aead::Cipher,
    lane::{Run, RunLimits, RxLane, TxLane},
    sa::{Limits, SaKeys},
    spi::Spi,
};

use crate::*;

/// The uplink: every datagram that was sent, and its traffic class.
#[derive(Default)]
struct Wire {
    datagrams: Vec<Vec<u8>>,
    classes: Vec<u8>,
    class: u8,
}

impl RunSink for Wire {
    fn send(&mut self, run: &Run<'_>, path: &Path) -> io::Result<()> {
        assert_eq!(*path, PATH);
        self.datagrams.extend(run.datagrams().map(<[u8]>::to_vec));
        self.classes.resize(self.datagrams.len(), self.class);
        Ok(())
    }

    fn mark(&mut self, class: u8) {
        self.class = class;
    }
}

/// The LAN port: every frame that was injected.
#[derive(Default)]
struct Lan(Vec<Vec<u8>>);

impl FrameSink for Lan {
    fn transmit(&mut self, head: &[u8], tail: &[u8]) -> Result<(), TransmitError> {
        self.0.push([head, tail].concat());
        Ok(())
    }
}

const PATH: Path = Path {
    remote: SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 24_500),
    local: None,
};

fn keys() -> SaKeys {
    SaKeys::new(Cipher::Aes256Gcm, &[0x2a; 36]).unwrap()
}

/// One way: the sender's table, the receiver's, and a lane from one to the other.
pub(crate) struct OneWay {
    pub(crate) from: StationTable,
    pub(crate) to: StationTable,
    pub(crate) sender: WorkerCounters,
    pub(crate) receiver: WorkerCounters,
    pub(crate) peers: Vec<PeerTx>,
    pub(crate) lanes: InboundLanes,
    pub(crate) flood: FloodGate,
    pub(crate) floods: Vec<FloodGate>,
    pub(crate) now: Instant,
    /// What the sender copies to the outer header; what that was of each datagram of the last batch; and the
    /// ECN field that they arrive with.
    pub(crate) marking: Marking,
    /// Both ends', and what they lower the MSS with.
    pub(crate) snoops: [Snoop; 2],
    pub(crate) clamp: Option<Clamp>,
    pub(crate) classes: Vec<u8>,
    pub(crate) ecn: u8,
}

impl OneWay {
    /// With peer 0 on both sides; peer 1 has no session.
    pub(crate) fn new(from: Role, to: Role) -> Self {
        let now = Instant::now();
        let (spi, limits) = (Spi::new(0x1000, 0), Limits::default());
        let run = RunLimits {
            max_segments: 8,
            max_bytes: 65_507,
        };
        let lane = TxLane::new(spi, &keys(), limits, now, 1_452, run);
        let connected = PeerTx {
            lane: Some(lane),
            path: Some(PATH),
            ..PeerTx::default()
        };
        let inbound = InboundLane {
            lane: RxLane::new(spi, &keys(), limits, now),
            peer: 0,
            remote_lane: 0,
            highest: SharedCounter::default(),
            received: SharedCounter::default(),
            generation: 1,
            learns_path: false,
            path: None,
            border: None,
        };
        Self {
            from: table(from),
            to: table(to),
            sender: WorkerCounters::new(2),
            receiver: WorkerCounters::new(2),
            peers: vec![connected, PeerTx::default()],
            lanes: [(u32::from(spi), inbound)].into_iter().collect(),
            flood: gate(1_000_000, now),
            floods: vec![gate(1_000_000, now)],
            now,
            marking: Marking::default(),
            snoops: Default::default(),
            clamp: None,
            classes: Vec::new(),
            ecn: 0,
        }
    }

    /// One batch in: the datagrams that come out.
    pub(crate) fn send(&mut self, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let mut wire = Wire::default();
        let mut batch = LanToWan {
            stations: &self.from,
            peers: &mut self.peers,
            uplink: &mut wire,
            flood: &mut self.flood,
            snoop: &mut self.snoops[0],
            clamp: self.clamp.as_ref(),
            marking: self.marking,
            counters: &self.sender,
            finish_checksums: false,
            now: self.now,
        };
        for frame in frames {
            batch.frame(&mut frame.clone());
        }
        batch.flush();
        assert_eq!(wire.class, 0, "a keepalive has none");
        self.classes = wire.classes;
        wire.datagrams
    }

    /// Datagrams in: the frames that reach the LAN.
    pub(crate) fn receive(&mut self, datagrams: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let from = self.arrival();
        self.arrive(|batch| {
            for datagram in datagrams {
                assert_eq!(batch.datagram(&mut datagram.clone(), from), None);
            }
        })
    }

    /// A run in, of datagrams of this size: the frames that reach the LAN.
    fn receive_run(&mut self, mut run: Vec<u8>, size: usize) -> Vec<Vec<u8>> {
        let from = self.arrival();
        let mut learn = |_| panic!("no path is learnt here");
        self.arrive(|batch| batch.run(&mut run, size, from, &mut learn))
    }

    /// A batch of AF_XDP in, of datagrams that lie apart: the frames that reach the LAN.
    fn receive_apart(&mut self, datagrams: &[&[u8]]) -> Vec<Vec<u8>> {
        let from = self.arrival();
        let mut learn = |_| panic!("no path is learnt here");
        self.arrive(|batch| {
            let mut copies: Vec<_> = datagrams.iter().map(|d| d.to_vec()).collect();
            let (mut pending, mut copies) = (None, copies.iter_mut());
            while let Some(datagram) = copies.next() {
                let last = copies.len() == 0;
                pending = batch.datagram_apart(pending, datagram, last, from, &mut learn);
            }
            batch.put_aside(pending);
        })
    }

    fn arrival(&self) -> Arrival {
        Arrival {
            path: PATH,
            ecn: self.ecn,
        }
    }

    fn arrive(&mut self, take: impl FnOnce(&mut WanToLan<'_, Lan>)) -> Vec<Vec<u8>> {
        let mut lan = Lan::default();
        let mut batch = WanToLan {
            stations: &self.to,
            lanes: &mut self.lanes,
            port: &mut lan,
            floods: &mut self.floods,
            snoop: &mut self.snoops[1],
            clamp: self.clamp.as_mut(),
            counters: &self.receiver,
            now: self.now,
        };
        take(&mut batch);
        lan.0
    }

    pub(crate) fn cross(&mut self, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let datagrams = self.send(frames);
        self.receive(&datagrams)
    }
}

/// A gate for floods of every kind.
pub(crate) fn gate(rate: u32, now: Instant) -> FloodGate {
    let policy = FloodPolicy::All;
    FloodGate::new(FloodRule { policy, rate }, now)
}

pub(crate) fn dropped(counters: &WorkerCounters, reason: DropReason) -> u64 {
    counters.drops[reason.index()].get()
}

/// A frame of this length, whose bytes tell it from others.
pub(crate) fn long(
    destination: [u8; 6],
    source: [u8; 6],
    tags: &[[u8; 4]],
    length: usize,
) -> Vec<u8> {
    let mut frame = tcp(destination, source, tags);
    let header = frame.len();
    frame.resize(length.max(header), 0);
    for (i, byte) in frame[header..].iter_mut().enumerate() {
        *byte = (i ^ length) as u8;
    }
    frame
}

#[test]
fn a_run_is_followed_from_lane_to_lane() {
    let mut way = OneWay::new(Role::Site, Role::Cloud);
    let frames: Vec<_> = (0..4)
        .map(|number| {
            let mut frame = long(MOVED, STRANGER, &[], 200);
            frame[199] = number;
            frame
        })
        .collect();
    // Each alone, so all as long.
    let sealed: Vec<_> = frames
        .iter()
        .flat_map(|frame| way.send(std::slice::from_ref(frame)))
        .collect();
    let [a, b, c, d] = &sealed[..] else {
        panic!("{} datagrams", sealed.len());
    };
    let stranger = [&[!a[0]], &a[1..]].concat();
    let runt = vec![0; 3];
    let run = [a, b, &stranger, &stranger, c, &stranger, d, &runt].map(Vec::as_slice);
    assert_eq!(way.receive_run(run.concat(), a.len()), frames);
    assert_eq!(way.receiver.wan_rx_datagrams.get(), 8);
    assert_eq!(dropped(&way.receiver, DropReason::UnknownSpi), 3);
    assert_eq!(dropped(&way.receiver, DropReason::MalformedDatagram), 1);
}

/// Whatever comes between the two datagrams of a frame that is cut.
#[test]
fn a_frame_cut_between_datagrams_that_lie_apart_arrives_once() {
    let frames = [1_000, 1_001].map(|length| long(MOVED, STRANGER, &[], length));
    for case in 0..7 {
        let mut way = OneWay::new(Role::Site, Role::Cloud);
        let sealed = way.send(&frames);
        let [a, b] = &sealed[..] else {
            panic!("{} datagrams", sealed.len());
        };
        let (stranger, runt) = ([&[!a[0]], &a[1..]].concat(), [a[0]; 3]);
        let mut damaged = b.clone();
        damaged[100] ^= 1;
        // Batches, and what is dropped of them.
        let (batches, drop): (&[&[&[u8]]], _) = match case {
            0 => (&[&[a, b]], None),
            1 => (&[&[a, &stranger, b]], Some(DropReason::UnknownSpi)),
            2 => (&[&[a, &runt, b]], Some(DropReason::MalformedDatagram)),
            3 => (&[&[a, &damaged, b]], Some(DropReason::BadTag)),
            4 => (&[&[a, &stranger], &[b]], Some(DropReason::UnknownSpi)),
            5 => (&[&[b, a]], None),
            _ => (&[&[a], &[b]], None),
        };
        let arrived = batches.iter().flat_map(|batch| way.receive_apart(batch));
        let mut arrived: Vec<_> = arrived.collect();
        arrived.sort_by_key(Vec::len);
        assert_eq!(arrived, frames, "case {case}");
        let datagrams: usize = batches.iter().map(|batch| batch.len()).sum();
        assert_eq!(way.receiver.wan_rx_datagrams.get(), datagrams as u64);
        let drops: u64 = way.receiver.drops.iter().map(|n| n.get()).sum();
        assert_eq!(drops, u64::from(drop.is_some()), "case {case}");
        assert!(drop.is_none_or(|reason| dropped(&way.receiver, reason) == 1));
        let lane = way.lanes.values_mut().next().unwrap();
        let later = way.now + Duration::from_secs(9);
        assert_eq!(
            lane.lane.tick(later),
            0,
            "nothing is left over, case {case}"
        );
    }
}

#[test]
fn every_length_crosses_to_the_cloud_and_back() {
    let ways = [
        (Role::Site, Role::Cloud, MOVED, STRANGER),
        (Role::Cloud, Role::Site, STRANGER, MOVED),
    ];
    for (from, to, destination, source) in ways {
        let mut way = OneWay::new(from, to);
        let frames: Vec<_> = (60..=1_514)
            .chain([2_000, 9_216])
            .map(|length| long(destination, source, &[], length))
            .collect();
        for batch in frames.chunks(100) {
            assert_eq!(way.cross(batch), batch);
        }
        let sent = &way.sender.peers[0];
        let received = &way.receiver.peers[0];
        assert_eq!(sent.tx_frames.get(), frames.len() as u64);
        assert_eq!(received.rx_frames.get(), frames.len() as u64);
        assert_eq!(sent.tx_bytes.get(), received.rx_bytes.get());
        assert_eq!(sent.tx_datagrams.get(), received.rx_datagrams.get());
        let lane = way.lanes.values().next().unwrap();
        assert_eq!(way.sender.wan_tx_datagrams.get(), lane.highest.get());
        assert!(way.sender.drops.iter().all(|n| n.get() == 0));
        assert!(way.receiver.drops.iter().all(|n| n.get() == 0));
    }
}

#[test]
fn tags_cross_unchanged_and_broadcasts_too() {
    let tags = [dot1ad(10), dot1q(77)];
    let mut way = OneWay::new(Role::Site, Role::Cloud);
    let frames = [
        long(MOVED_TAGGED, STRANGER, &tags, 1_522),
        tcp(MOVED, SERVER, &[dot1q(0)]),
        arp_request(STRANGER, &[dot1q(10)], [192, 0, 2, 9]),
    ];
    assert_eq!(way.cross(&frames), frames);
    // The broadcast goes to all peers; the copy for the one without a session is counted as dropped.
    assert_eq!(way.sender.peers[1].tx_frames.get(), 0);
    assert_eq!(dropped(&way.sender, DropReason::NoSession), 1);
}

#[test]
fn what_may_not_leave_does_not() {
    let mut way = OneWay::new(Role::Site, Role::Cloud);
    let frames = [
        tcp(SERVER, STRANGER, &[]),
        tcp(MOVED_ELSEWHERE, STRANGER, &[]),
        arp_request(MOVED, &[], [192, 0, 2, 9]),
        vec![0; 13],
        long(MOVED, STRANGER, &[], 9_217),
    ];
    assert_eq!(way.send(&frames), Vec::<Vec<u8>>::new());
    for (reason, count) in [
        (DropReason::NoStation, 1),
        (DropReason::NoSession, 1),
        (DropReason::SourceNotOurs, 1),
        (DropReason::BadFrameLength, 2),
    ] {
        assert_eq!(dropped(&way.sender, reason), count, "{reason}");
    }
    way.peers[0].path = None;
    way.send(&[tcp(MOVED, STRANGER, &[])]);
    assert_eq!(dropped(&way.sender, DropReason::NoPath), 1);
    way.flood = gate(0, way.now);
    way.send(&[arp_request(STRANGER, &[], [192, 0, 2, 9])]);
    assert_eq!(dropped(&way.sender, DropReason::FloodLimit), 1);
}

/// A sender whose table says what the receiver's does not: an end that was taken over.
#[test]
fn spoofed_frames_do_not_come_out() {
    let mut way = OneWay::new(Role::Site, Role::Cloud);
    // It speaks for a station that lives at the cloud, to the station's neighbour.
    way.from.remove(StationKey::new(0, MOVED_TOO));
    let honest = tcp(MOVED, STRANGER, &[]);
    let spoofed = tcp(MOVED, MOVED_TOO, &[]);
    assert_eq!(way.cross(&[spoofed, honest.clone()]), [honest]);
    assert_eq!(dropped(&way.receiver, DropReason::SpoofedSource), 1);

    let mut way = OneWay::new(Role::Cloud, Role::Site);
    // It speaks for a server of the site, and for a station that lives at another peer.
    way.from.insert(
        StationKey::new(0, SERVER),
        Station {
            place: Place::Home,
            peer: 0,
        },
    );
    let elsewhere = Station {
        place: Place::Home,
        peer: 0,
    };
    way.from
        .insert(StationKey::new(0, MOVED_ELSEWHERE), elsewhere);
    let honest = tcp(STRANGER, MOVED, &[]);
    let spoofed = [
        tcp(STRANGER, SERVER, &[]),
        tcp(STRANGER, MOVED_ELSEWHERE, &[]),
        arp_request(SERVER, &[], [192, 0, 2, 9]),
    ];
    assert_eq!(
        way.cross(&[&spoofed[..], std::slice::from_ref(&honest)].concat()),
        [honest]
    );
    assert_eq!(dropped(&way.receiver, DropReason::SpoofedSource), 3);
}

#[test]
fn replayed_damaged_and_worn_datagrams_bring_nothing() {
    let mut way = OneWay::new(Role::Site, Role::Cloud);
    let frame = tcp(MOVED, STRANGER, &[]);
    let datagrams = way.send(std::slice::from_ref(&frame));
    let none = Vec::<Vec<u8>>::new();
    let mut damaged = datagrams.clone();
    damaged[0][20] ^= 1;
    assert_eq!(way.receive(&damaged), none);
    assert_eq!(way.receive(&datagrams), std::slice::from_ref(&frame));
    assert_eq!(way.receive(&datagrams), none);
    let mut stranger = datagrams.clone();
    stranger[0][2] ^= 1;
    assert_eq!(way.receive(&stranger), none);
    assert_eq!(way.receive(&[vec![], vec![1, 2, 3]]), none);
    for (reason, count) in [
        (DropReason::BadTag, 1),
        (DropReason::Replayed, 1),
        (DropReason::UnknownSpi, 1),
        (DropReason::MalformedDatagram, 2),
    ] {
        assert_eq!(dropped(&way.receiver, reason), count, "{reason}");
    }
    way.now += Limits::default().lifetime + Duration::from_secs(1);
    assert_eq!(way.send(&[frame]), none);
    assert_eq!(dropped(&way.sender, DropReason::KeyWorn), 1);
}
