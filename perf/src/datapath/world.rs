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

const STAYED: [u8; 6] = [0x00, 0x50, 0x56, 0xff, 0xff, 0xff];

pub(super) const PATH: Path = Path {
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 24_500),
    local: None,
};

pub(super) fn spi() -> Spi {
    Spi::new(0x1000, 0)
}

/// Moved station number `i` of as many as a batch has frames.
fn moved(i: usize) -> [u8; 6] {
    [0x00, 0x50, 0x56, 0, (i >> 8) as u8, i as u8]
}

/// The stations as one end knows them.
pub(super) fn stations(role: Role) -> StationTable {
    let place = match role {
        Role::Site => Place::Away,
        Role::Cloud => Place::Home,
    };
    let mut table = StationTable::new(role);
    for i in 0..BATCH {
        table.insert(StationKey::new(0, moved(i)), Station { place, peer: 0 });
    }
    table
}

/// A gate that no frame here asks: none is to a group.
pub(super) fn gate(now: Instant) -> FloodGate {
    let policy = FloodPolicy::All;
    FloodGate::new(FloodRule { policy, rate: 0 }, now)
}

/// The sending half of a site's worker, with a batch of frames, each for another station.
pub(super) struct Site {
    frames: Vec<Vec<u8>>,
    stations: StationTable,
    peers: [PeerTx; 1],
    flood: FloodGate,
    snoop: Snoop,
    counters: WorkerCounters,
}

impl Site {
    /// With as many whole turns of the `lengths` as a batch takes.
    pub(super) fn new(lengths: &[usize], protection: Protection) -> Self {
        let now = Instant::now();
        let lane = TxLane::new(spi(), &protection.keys(), ENDLESS, now, DATAGRAM, RUN);
        let batch = BATCH - BATCH % lengths.len();
        let frame = |(i, length): (usize, &usize)| {
            let mut frame = [&moved(i)[..], &STAYED, &ETHERTYPE].concat();
            frame.resize(*length, i as u8);
            frame
        };
        let lengths = lengths.iter().cycle().take(batch);
        Self {
            frames: lengths.enumerate().map(frame).collect(),
            stations: stations(Role::Site),
            peers: [PeerTx {
                lane: Some(lane),
                path: Some(PATH),
                ..PeerTx::default()
            }],
            flood: gate(now),
            snoop: Snoop::default(),
            counters: WorkerCounters::new(1),
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
        for frame in &mut self.frames {
            batch.frame(frame);
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
