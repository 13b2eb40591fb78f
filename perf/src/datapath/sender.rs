//! LAN to WAN: classify, bundle, seal into runs.

use std::{hint::black_box, io, time::Instant};

use causeway::{lan_to_wan::RunSink, uplink::Path};
use causeway_tunnel::{OutboundSa, esp, lane::Run, wire::NextHeader};

use super::{
    Protection, Sample, Series,
    world::{ENDLESS, RUN, Runs, Site, spi},
};

/// One end's way out, the datagrams that one batch comes to, to seal alone, and room for a copy.
pub struct Sender {
    site: Site,
    sa: OutboundSa,
    datagrams: Vec<Vec<u8>>,
    /// As large as a lane's buffer: frames are copied one behind the other, and again from the start.
    room: Vec<u8>,
}

/// An uplink that takes everything, at once.
struct Taken;

impl RunSink for Taken {
    #[inline]
    fn send(&mut self, run: &Run<'_>, path: &Path) -> io::Result<()> {
        black_box((run.bytes, path));
        Ok(())
    }
}

impl Series for Sender {
    const DIRECTION: &'static str = "lan_to_wan";

    fn new(lengths: &[usize], protection: Protection, stations: usize) -> Self {
        let mut site = Site::new(lengths, protection, stations);
        let mut runs = Runs::default();
        site.batch(&mut runs);
        let datagrams = runs.0.iter().flat_map(|(bytes, size)| bytes.chunks(*size));
        Self {
            datagrams: datagrams.map(<[u8]>::to_vec).collect(),
            sa: OutboundSa::new(spi(), &protection.keys(), ENDLESS, Instant::now()),
            room: vec![0; RUN.max_bytes],
            site,
        }
    }

    fn datagrams_per_frame(&self) -> f64 {
        self.datagrams.len() as f64 / self.site.frames().len() as f64
    }

    fn path(&mut self) -> Sample {
        self.site.address();
        let (before, start) = (self.site.accepted(), Instant::now());
        self.site.batch(&mut Taken);
        let sample = Sample::since(start, self.site.frames().len());
        let accepted = self.site.accepted() - before;
        assert_eq!(accepted, sample.frames, "every frame is for the peer");
        sample
    }

    fn esp(&mut self) -> Sample {
        let start = Instant::now();
        for datagram in &mut self.datagrams {
            let payload = esp::payload_capacity(datagram.len());
            let sealed = esp::seal(&mut self.sa, datagram, payload, NextHeader::Bundle);
            let length = black_box(sealed.expect("the key does not wear"));
            debug_assert_eq!(length, datagram.len());
        }
        Sample::since(start, self.site.frames().len())
    }

    fn copy(&mut self) -> Sample {
        let (start, mut at) = (Instant::now(), 0);
        for frame in self.site.frames() {
            if at + frame.len() > self.room.len() {
                at = 0;
            }
            let room = &mut self.room[at..][..frame.len()];
            room.copy_from_slice(frame);
            black_box(room);
            at += frame.len();
        }
        Sample::since(start, self.site.frames().len())
    }
}
