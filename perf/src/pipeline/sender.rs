//! LAN to WAN: classify, bundle, seal into runs.

use std::{
    hint::black_box,
    io,
    time::{Duration, Instant},
};

use causeway::{lan_to_wan::RunSink, uplink::Path};
use causeway_tunnel::{OutboundSa, aead::Cipher, esp, lane::Run, wire::NextHeader};

use super::{
    Sample, Series,
    world::{BATCH, ENDLESS, Runs, Site, keys, spi},
};

/// One end's way out, and the datagrams that one batch comes to, to seal alone.
pub(super) struct Sender {
    site: Site,
    sa: OutboundSa,
    datagrams: Vec<Vec<u8>>,
}

impl Sender {
    pub(super) fn new(frame_bytes: usize, cipher: Cipher) -> Self {
        let mut site = Site::new(frame_bytes, cipher);
        let mut runs = Runs::default();
        site.batch(&mut runs);
        let datagrams = runs.0.iter().flat_map(|(bytes, size)| bytes.chunks(*size));
        Self {
            datagrams: datagrams.map(<[u8]>::to_vec).collect(),
            sa: OutboundSa::new(spi(), &keys(cipher), ENDLESS, Instant::now()),
            site,
        }
    }
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

    fn path(&mut self, time: Duration) -> Sample {
        let (before, start) = (self.site.accepted(), Instant::now());
        let mut elapsed = Duration::ZERO;
        while elapsed < time {
            self.site.batch(&mut Taken);
            elapsed = start.elapsed();
        }
        Sample {
            frames: self.site.accepted() - before,
            time: elapsed,
        }
    }

    fn aead(&mut self, time: Duration) -> Sample {
        let start = Instant::now();
        let mut sample = Sample::default();
        while sample.time < time {
            for datagram in &mut self.datagrams {
                let payload = esp::payload_capacity(datagram.len());
                let sealed = esp::seal(&mut self.sa, datagram, payload, NextHeader::Bundle);
                let length = black_box(sealed.expect("the key does not wear"));
                debug_assert_eq!(length, datagram.len());
            }
            sample.frames += BATCH as u64;
            sample.time = start.elapsed();
        }
        sample
    }
}
