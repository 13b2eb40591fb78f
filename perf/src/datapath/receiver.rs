//! WAN to LAN: open, unbundle, admit.

use std::{hint::black_box, time::Instant};

use causeway::{
    counters::{SharedCounter, WorkerCounters},
    flood::FloodGate,
    snoop::Snoop,
    stations::{Role, StationTable},
    sys::{
        prefetch::prefetch,
        xsk::{FLUSH_EVERY, PREFETCH_FROM, TransmitError},
    },
    wan_to_lan::{FrameSink, InboundLane, InboundLanes, WanToLan},
};
use causeway_tunnel::{InboundSa, esp, lane::RxLane};

use super::{
    Protection, Sample, Series,
    world::{ENDLESS, PATH, Runs, Site, gate, spi, stations},
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
    snoop: Snoop,
    floods: [FloodGate; 1],
    counters: WorkerCounters,
    datagrams_per_frame: f64,
    /// As much as is sealed ahead, to copy frames from.
    received: Vec<u8>,
}

impl Receiver {
    /// Whole batches of the other end, and the number of their frames.
    fn sealed(&mut self) -> (Runs, usize) {
        let (mut runs, mut frames, mut bytes) = (Runs::default(), 0, 0);
        while bytes < AHEAD {
            let from = runs.0.len();
            self.site.address();
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

/// The LAN port ([`XskPort`](causeway::sys::xsk::XskPort)) without its kernel: free chunks in a stack, a
/// flush after as many frames as there, and a kernel that has sent them when the flush returns, as one in
/// copy mode has. What remains is the copy into chunks, and which chunks those are.
struct Chunks {
    memory: Vec<u8>,
    chunk: usize,
    /// Where those begin that hold nothing.
    free: Vec<usize>,
    /// Those that were written since the last flush.
    written: Vec<usize>,
}

impl Chunks {
    fn new(longest: usize) -> Self {
        let chunk = longest.next_multiple_of(CHUNK);
        Self {
            memory: vec![0; CHUNKS * chunk],
            chunk,
            free: (0..CHUNKS).map(|i| i * chunk).collect(),
            written: Vec::with_capacity(FLUSH_EVERY),
        }
    }

    fn flush(&mut self) {
        self.free.append(&mut self.written);
    }
}

impl FrameSink for Chunks {
    #[inline]
    fn transmit(&mut self, head: &[u8], tail: &[u8]) -> Result<(), TransmitError> {
        let length = head.len() + tail.len();
        if self.written.len() >= FLUSH_EVERY {
            self.flush();
        }
        if length > self.chunk {
            return Err(TransmitError::TooLong);
        }
        let at = self.free.pop().ok_or(TransmitError::Full)?;
        let room = &mut self.memory[at..][..length];
        let (first, second) = room.split_at_mut(head.len());
        first.copy_from_slice(head);
        if !second.is_empty() {
            second.copy_from_slice(tail);
        }
        black_box(room);
        self.written.push(at);
        if length >= PREFETCH_FROM
            && let Some(&next) = self.free.last()
        {
            prefetch(&self.memory[next..][..length]);
        }
        Ok(())
    }
}

impl Series for Receiver {
    const DIRECTION: &'static str = "wan_to_lan";

    fn new(lengths: &[usize], protection: Protection, count: usize) -> Self {
        let (now, keys) = (Instant::now(), protection.keys());
        let inbound = InboundLane {
            lane: RxLane::new(spi(), &keys, ENDLESS, now),
            peer: 0,
            remote_lane: 0,
            highest: SharedCounter::default(),
            received: SharedCounter::default(),
            generation: 1,
            learns_path: false,
            path: None,
            border: None,
        };
        let mut site = Site::new(lengths, protection, count);
        let mut runs = Runs::default();
        site.batch(&mut runs);
        Self {
            datagrams_per_frame: runs.datagrams().count() as f64 / site.frames().len() as f64,
            site,
            stations: stations(Role::Cloud, count),
            lanes: [(u32::from(spi()), inbound)].into_iter().collect(),
            sa: InboundSa::new(spi(), &keys, ENDLESS, now),
            snoop: Snoop::default(),
            floods: [gate(now)],
            port: Chunks::new(lengths.iter().copied().max().unwrap_or(0)),
            counters: WorkerCounters::new(1),
            received: vec![0x5a; AHEAD],
        }
    }

    fn datagrams_per_frame(&self) -> f64 {
        self.datagrams_per_frame
    }

    fn path(&mut self) -> Sample {
        let ((mut runs, frames), before) = (self.sealed(), self.injected());
        let start = Instant::now();
        let mut batch = WanToLan {
            stations: &self.stations,
            lanes: &mut self.lanes,
            port: &mut self.port,
            floods: &mut self.floods,
            snoop: &mut self.snoop,
            clamp: None,
            counters: &self.counters,
            now: start,
        };
        for (run, size) in &mut runs.0 {
            batch.run(run, *size, PATH, &mut |news| {
                black_box(news);
            });
        }
        self.port.flush();
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
                let sent = self
                    .port
                    .transmit(&self.received[from..][..frame.len()], &[]);
                debug_assert!(sent.is_ok(), "chunks are as long as the longest");
                at += frame.len();
            }
            frames += self.site.frames().len();
        }
        Sample::since(start, frames)
    }
}
