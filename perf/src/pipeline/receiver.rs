//! WAN to LAN: open, unbundle, admit.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use causeway::{
    counters::WorkerCounters,
    stations::{Role, StationTable},
    sys::xsk::TransmitError,
    wan_to_lan::{FrameSink, InboundLane, InboundLanes, WanToLan},
};
use causeway_tunnel::{InboundSa, aead::Cipher, esp, lane::RxLane};

use super::{
    Sample, Series,
    world::{BATCH, ENDLESS, PATH, Runs, Site, keys, spi, stations},
};

/// Bytes of datagrams that are sealed, untimed, before they are opened, timed: what the sockets' receive
/// buffers hold at once.
const AHEAD: usize = 1 << 20;

/// Chunks of the port: those of a TX ring of the default size.
const CHUNKS: usize = 2_048;
const CHUNK: usize = 2_048;

/// One end's way in, the cipher's half of it alone, and the other end.
pub(super) struct Receiver {
    site: Site,
    stations: StationTable,
    lanes: InboundLanes,
    sa: InboundSa,
    port: Chunks,
    counters: WorkerCounters,
}

impl Receiver {
    pub(super) fn new(frame_bytes: usize, cipher: Cipher) -> Self {
        let now = Instant::now();
        let inbound = InboundLane {
            lane: RxLane::new(spi(), &keys(cipher), ENDLESS, now),
            peer: 0,
            remote_lane: 0,
            generation: 1,
            learns_path: false,
            path: None,
        };
        Self {
            site: Site::new(frame_bytes, cipher),
            stations: stations(Role::Cloud),
            lanes: [(u32::from(spi()), inbound)].into_iter().collect(),
            sa: InboundSa::new(spi(), &keys(cipher), ENDLESS, now),
            port: Chunks::new(frame_bytes),
            counters: WorkerCounters::new(1),
        }
    }

    /// Whole batches of the other end, and the number of their frames.
    fn sealed(&mut self) -> (Vec<(Vec<u8>, usize)>, u64) {
        let (mut runs, mut frames, mut bytes) = (Runs::default(), 0, 0);
        while bytes < AHEAD {
            let from = runs.0.len();
            self.site.batch(&mut runs);
            bytes += runs.0[from..].iter().map(|(b, _)| b.len()).sum::<usize>();
            frames += BATCH as u64;
        }
        (runs.0, frames)
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
    fn new(frame_bytes: usize) -> Self {
        let chunk = frame_bytes.next_multiple_of(CHUNK);
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

    fn path(&mut self, time: Duration) -> Sample {
        let before = self.injected();
        let mut sample = Sample::default();
        while sample.time < time {
            let (mut runs, frames) = self.sealed();
            let start = Instant::now();
            let mut batch = WanToLan {
                stations: &self.stations,
                lanes: &mut self.lanes,
                port: &mut self.port,
                counters: &self.counters,
                now: start,
            };
            for (bytes, size) in &mut runs {
                for datagram in bytes.chunks_mut(*size) {
                    black_box(batch.datagram(datagram, PATH));
                }
            }
            sample.time += start.elapsed();
            sample.frames += frames;
        }
        let injected = self.injected() - before;
        assert_eq!(injected, sample.frames, "every frame comes out");
        sample
    }

    fn aead(&mut self, time: Duration) -> Sample {
        let mut sample = Sample::default();
        while sample.time < time {
            let (mut runs, frames) = self.sealed();
            let start = Instant::now();
            for (bytes, size) in &mut runs {
                for datagram in bytes.chunks_mut(*size) {
                    let opened = esp::open(&mut self.sa, datagram, start);
                    black_box(opened.expect("it was sealed a moment ago"));
                }
            }
            sample.time += start.elapsed();
            sample.frames += frames;
        }
        sample
    }
}
