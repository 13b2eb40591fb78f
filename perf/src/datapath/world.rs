//! What both directions need: stations, keys, frames, and the ends that are memory.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

use causeway::{
    counters::WorkerCounters,
    flood::{FloodGate, FloodRule},
    lan_to_wan::{LanToWan, PeerTx, RunSink},
    snoop::Snoop,
    stations::{Place, Role, Station, StationKey, StationTable},
    sys::prefetch::groups,
    uplink::Path,
};
use causeway_ebpf::FloodPolicy;
use causeway_tunnel::{
    lane::{Run, RunLimits, TxLane},
    sa::Limits,
    spi::Spi,
};

use super::{DATAGRAM, Protection};

/// Frames of a batch at most: what the appliance takes at once unless told otherwise.
const BATCH: usize = 256;

/// What GSO takes in one call.
pub(super) const RUN: RunLimits = RunLimits {
    max_segments: 64,
    max_bytes: 65_507,
};

/// The measurement is no session: its keys do not wear.
pub(super) const ENDLESS: Limits = Limits {
    datagrams: u64::MAX,
    lifetime: Duration::MAX,
};

/// An ethertype for experiments (IEEE 802, local experimental 1).
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

pub(super) const PATH: Path = Path {
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 24_500),
    local: None,
};

pub(super) fn spi() -> Spi {
    Spi::new(0x1000, 0)
}

/// Moved station number `i` of [`MAX_STATIONS`](causeway_ebpf::MAX_STATIONS).
fn moved(i: usize) -> [u8; 6] {
    [0x00, 0x50, 0x56, 0, (i >> 8) as u8, i as u8]
}

/// The one that stayed on the LAN and talks to it, of which no table knows.
fn stayed(i: usize) -> [u8; 6] {
    [0x00, 0x50, 0x56, 0xff, (i >> 8) as u8, i as u8]
}

/// So many stations as one end knows them.
pub(super) fn stations(role: Role, count: usize) -> StationTable {
    let place = match role {
        Role::Site => Place::Away,
        Role::Cloud => Place::Home,
    };
    let mut table = StationTable::new(role);
    for i in 0..count {
        table.insert(StationKey::new(0, moved(i)), Station { place, peer: 0 });
    }
    table
}

/// A gate that no frame here asks: none is to a group.
pub(super) fn gate(now: Instant) -> FloodGate {
    let policy = FloodPolicy::All;
    FloodGate::new(FloodRule { policy, rate: 0 }, now)
}

/// Numbers of stations in an order without order, over and over.
struct Turn {
    order: Vec<usize>,
    next: usize,
}

impl Turn {
    fn of(count: usize) -> Self {
        let mut order: Vec<usize> = (0..count).collect();
        // Fisher and Yates; the same order each time. A regular one would be one for the table's hash, too.
        let mut random = fastrand::Rng::with_seed(1);
        random.shuffle(&mut order);
        Self { order, next: 0 }
    }

    fn next(&mut self) -> usize {
        self.next = (self.next + 1) % self.order.len();
        self.order[self.next]
    }
}

/// The sending half of a site's worker, with a batch of frames, each for another station, and each batch for others.
pub(super) struct Site {
    frames: Vec<Vec<u8>>,
    turn: Turn,
    stations: StationTable,
    peers: [PeerTx; 1],
    flood: FloodGate,
    snoop: Snoop,
    counters: WorkerCounters,
}

impl Site {
    /// With as many whole turns of the `lengths` as a batch takes.
    pub(super) fn new(lengths: &[usize], protection: Protection, count: usize) -> Self {
        let now = Instant::now();
        let lane = TxLane::new(spi(), &protection.keys(), ENDLESS, now, DATAGRAM, RUN);
        let batch = BATCH - BATCH % lengths.len();
        let frame = |(i, length): (usize, &usize)| {
            let mut frame = [&[0; 12][..], &ETHERTYPE].concat();
            frame.resize(*length, i as u8);
            frame
        };
        let lengths = lengths.iter().cycle().take(batch);
        let mut site = Self {
            frames: lengths.enumerate().map(frame).collect(),
            turn: Turn::of(count),
            stations: stations(Role::Site, count),
            peers: [PeerTx {
                lane: Some(lane),
                path: Some(PATH),
                ..PeerTx::default()
            }],
            flood: gate(now),
            snoop: Snoop::default(),
            counters: WorkerCounters::new(1),
        };
        site.address();
        site
    }

    /// Has the frames of the next batch come from and go to the stations whose turn it is.
    pub(super) fn address(&mut self) {
        for frame in &mut self.frames {
            let station = self.turn.next();
            frame[..6].copy_from_slice(&moved(station));
            frame[6..12].copy_from_slice(&stayed(station));
        }
    }

    /// One batch, from the frames to the runs.
    #[inline]
    pub(super) fn batch(&mut self, uplink: &mut impl RunSink) {
        let mut batch = LanToWan {
            stations: &self.stations,
            peers: &mut self.peers,
            uplink,
            flood: &mut self.flood,
            snoop: &mut self.snoop,
            clamp: None,
            marking: Default::default(),
            counters: &self.counters,
            finish_checksums: false,
            now: Instant::now(),
        };
        let prefetches = self.stations.wants_prefetch();
        for (group, soon) in groups(self.frames.len()) {
            if prefetches {
                let soon = self.frames[soon].iter();
                soon.for_each(|frame| _ = self.stations.prefetch(frame));
            }
            for frame in &mut self.frames[group] {
                batch.frame(frame);
            }
        }
        batch.flush();
    }

    /// The frames of a batch.
    pub(super) fn frames(&self) -> &[Vec<u8>] {
        &self.frames
    }

    /// Frames that were accepted for the peer.
    pub(super) fn accepted(&self) -> u64 {
        self.counters.peers[0].tx_frames.get()
    }
}

/// An uplink that keeps its runs: the bytes, and the size of the datagrams.
#[derive(Default)]
pub(super) struct Runs(pub(super) Vec<(Vec<u8>, usize)>);

impl Runs {
    /// Their datagrams, one by one.
    pub(super) fn datagrams(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let runs = self.0.iter_mut();
        runs.flat_map(|(bytes, size)| bytes.chunks_mut(*size))
    }
}

impl RunSink for Runs {
    fn send(&mut self, run: &Run<'_>, _: &Path) -> io::Result<()> {
        self.0.push((run.bytes.to_vec(), run.segment_size));
        Ok(())
    }
}
