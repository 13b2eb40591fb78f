//! WAN to LAN: open, unbundle, admit.

use std::{hint::black_box, time::Instant};

use causeway::{
    counters::{SharedCounter, WorkerCounters},
    stations::{Role, StationTable},
    sys::xsk::TransmitError,
    wan_to_lan::{FrameSink, InboundLane, InboundLanes, WanToLan},
};
use causeway_tunnel::{InboundSa, esp, lane::RxLane};

use super::{
    Protection, Sample, Series,
    world::{ENDLESS, PATH, Runs, Site, spi, stations},
};

/// Bytes of datagrams that are sealed, untimed, before they are opened, timed: what the sockets' receive
/// buffers hold at once.
const AHEAD: usize = 1 << 20;

/// Chunks of the port: those of a TX ring of the default size.
const CHUNKS: usize = 2_048;
const CHUNK: usize = 2_048;

/// One end's way in, ESP's half of it alone, and the other end.
pub struct Receiver {
    site: Site,
    stations: StationTable,
    lanes: InboundLanes,
    sa: InboundSa,
    port: Chunks,
    counters: WorkerCounters,
    /// As much as is sealed ahead, to copy frames from.
    received: Vec<u8>,
}

impl Receiver {
    /// Whole batches of the other end, and the number of their frames.
    fn sealed(&mut self) -> (Runs, usize) {
        let (mut runs, mut frames, mut bytes) = (Runs::default(), 0, 0);
        while bytes < AHEAD {
            let from = runs.0.len();
            self.site.batch(&mut runs);
            bytes += runs.0[from..].iter().map(|(b, _)| b.len()).sum::<usize>();
            frames += self.site.frames().len();
        }
        (runs, frames)
    }

    fn injected(&self) -> u64 {
        self.counters.peers[0].rx_frames.get()
    }
}

/// A port whose chunks are sent as soon as they are written: what remains is the copy into them.
struct Chunks {
    memory: Vec<u8>,
    chunk: usize,
    next: usize,
}

impl Chunks {
    fn new(longest: usize) -> Self {
        let chunk = longest.next_multiple_of(CHUNK);
        Self {
            memory: vec![0; CHUNKS * chunk],
            chunk,
            next: 0,
        }
    }
}

impl FrameSink for Chunks {
    #[inline]
    fn transmit(&mut self, frame: &[u8]) -> Result<(), TransmitError> {
        let chunk = &mut self.memory[self.next..][..self.chunk];
        let Some(room) = chunk.get_mut(..frame.len()) else {
            return Err(TransmitError::TooLong);
        };
        room.copy_from_slice(frame);
        black_box(room);
        self.next = (self.next + self.chunk) % self.memory.len();
        Ok(())
    }
}

impl Series for Receiver {
    const DIRECTION: &'static str = "wan_to_lan";

    fn new(lengths: &[usize], protection: Protection) -> Self {
        let (now, keys) = (Instant::now(), protection.keys());
        let inbound = InboundLane {
            lane: RxLane::new(spi(), &keys, ENDLESS, now),
            peer: 0,
            remote_lane: 0,
            highest: SharedCounter::default(),
            generation: 1,
            learns_path: false,
            path: None,
        };
        Self {
            site: Site::new(lengths, protection),
            stations: stations(Role::Cloud),
            lanes: [(u32::from(spi()), inbound)].into_iter().collect(),
            sa: InboundSa::new(spi(), &keys, ENDLESS, now),
            port: Chunks::new(lengths.iter().copied().max().unwrap_or(0)),
            counters: WorkerCounters::new(1),
            received: vec![0x5a; AHEAD],
        }
    }

    fn path(&mut self) -> Sample {
        let ((mut runs, frames), before) = (self.sealed(), self.injected());
        let start = Instant::now();
        let mut batch = WanToLan {
            stations: &self.stations,
            lanes: &mut self.lanes,
            port: &mut self.port,
            counters: &self.counters,
            now: start,
        };
        for datagram in runs.datagrams() {
            black_box(batch.datagram(datagram, PATH));
        }
        let sample = Sample::since(start, frames);
        let injected = self.injected() - before;
        assert_eq!(injected, sample.frames, "every frame comes out");
        sample
    }

    fn esp(&mut self) -> Sample {
        let (mut runs, frames) = self.sealed();
        let start = Instant::now();
        for datagram in runs.datagrams() {
            let opened = esp::open(&mut self.sa, datagram, start);
            black_box(opened.expect("it was sealed a moment ago"));
        }
        Sample::since(start, frames)
    }

    fn copy(&mut self) -> Sample {
        let (start, mut at, mut frames) = (Instant::now(), 0, 0);
        while at < AHEAD {
            for frame in self.site.frames() {
                let from = at % (AHEAD - frame.len());
                let sent = self.port.transmit(&self.received[from..][..frame.len()]);
                debug_assert!(sent.is_ok(), "chunks are as long as the longest");
                at += frame.len();
            }
            frames += self.site.frames().len();
        }
        Sample::since(start, frames)
    }
}
