//! What a frame costs on its way: packing, the cipher, unpacking, and a whole lane.
//!
//! ```text
//! cargo bench -p causeway-tunnel --bench datapath
//! ```
//!
//! One iteration is a batch of 64 frames, flushed once, in datagrams of 1,452
//! bytes (what is left of 1,500 under IPv6 and UDP); `seal` and `open` are one
//! datagram around one frame, and `seal in groups` a run of 44 full datagrams, by
//! each AEAD library; the lanes use the default one. Rates are inner frames and
//! inner bytes.

use causeway_tunnel::aead::{Cipher, Library};
use causeway_tunnel::bundle::Bundle;
use causeway_tunnel::lane::{RunLimits, RxLane, TxLane};
use causeway_tunnel::sa::{Limits, SaKeys};
use causeway_tunnel::unbundle::{self, Item};
use causeway_tunnel::wire::{ESP_HEADER, MAX_DATAGRAM_SIZE, NextHeader};
use causeway_tunnel::{InboundSa, OutboundSa, Spi, esp};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use std::time::{Duration, Instant};

const FRAME_SIZES: [usize; 3] = [64, 512, 1_514];
const BATCH: usize = 64;
const DATAGRAM: usize = 1_452;
const RUN: RunLimits = RunLimits {
    max_segments: 44,
    max_bytes: 65_507,
};
const ENDLESS: Limits = Limits {
    datagrams: u64::MAX,
    lifetime: Duration::MAX,
};

fn spi() -> Spi {
    Spi::new(0x1000, 1)
}

fn keys() -> SaKeys {
    SaKeys::new(Cipher::Aes256Gcm, &[0x5a; 36]).expect("36 bytes")
}

fn tx_lane(now: Instant) -> TxLane {
    TxLane::new(spi(), &keys(), ENDLESS, now, DATAGRAM, RUN)
}

/// Frames and their lengths, for both kinds of throughput.
fn throughput(frames: usize, size: usize) -> Throughput {
    Throughput::ElementsAndBytes {
        elements: frames as u64,
        bytes: (frames * size) as u64,
    }
}

/// Only the copy into datagrams, unsealed.
fn bundle(c: &mut Criterion) {
    let mut group = c.benchmark_group("bundle");
    for size in FRAME_SIZES {
        let (frame, mut datagram) = (vec![7; size], vec![0; DATAGRAM]);
        group.throughput(throughput(BATCH, size));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| pack_batch(&mut datagram, black_box(&frame)));
        });
    }
    group.finish();
}

/// Packs one batch over and over into the same datagram. Returns how many it filled.
fn pack_batch(datagram: &mut [u8], frame: &[u8]) -> usize {
    let (mut bundle, mut filled) = (Bundle::default(), 0);
    for _ in 0..BATCH {
        if !bundle.can_begin(DATAGRAM) {
            filled += close(&mut bundle, datagram);
        }
        let mut taken = bundle.begin(datagram, frame);
        while taken < frame.len() {
            filled += close(&mut bundle, datagram);
            taken += bundle.resume(datagram, &frame[taken..]);
        }
    }
    filled + close(&mut bundle, datagram)
}

fn close(bundle: &mut Bundle, datagram: &mut [u8]) -> usize {
    black_box(std::mem::take(bundle).finish(datagram));
    1
}

fn seal(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal");
    for (library, size) in libraries_and_sizes() {
        let keys = keys().with_library(library);
        let mut sa = OutboundSa::new(spi(), &keys, ENDLESS, Instant::now());
        let mut datagram = vec![7; MAX_DATAGRAM_SIZE];
        group.throughput(throughput(1, size));
        group.bench_function(BenchmarkId::new(library.name(), size), |b| {
            b.iter(|| {
                esp::seal(
                    &mut sa,
                    black_box(&mut datagram),
                    size,
                    NextHeader::Ethernet,
                )
            });
        });
    }
    group.finish();
}

/// Datagrams filled and sealed one by one, which is what a lane does, or so many filled and then so many sealed. The libraries
/// take one at a time, so what differs is which code and which data are in the first cache.
fn seal_in_groups(c: &mut Criterion) {
    let mut group = c.benchmark_group("seal in groups");
    let payload = esp::payload_capacity(DATAGRAM);
    let frames = vec![7; RUN.max_segments * payload];
    for (library, together) in Library::ALL
        .into_iter()
        .flat_map(|library| [1, 2, 4, 11, RUN.max_segments].map(|n| (library, n)))
    {
        let keys = keys().with_library(library);
        let mut sa = OutboundSa::new(spi(), &keys, ENDLESS, Instant::now());
        let mut run = vec![0; RUN.max_segments * DATAGRAM];
        group.throughput(throughput(RUN.max_segments, payload));
        group.bench_function(BenchmarkId::new(library.name(), together), |b| {
            b.iter(|| {
                let sources = frames.chunks(together * payload);
                for (run, source) in run.chunks_mut(together * DATAGRAM).zip(sources) {
                    let datagrams = run.chunks_mut(DATAGRAM);
                    for (datagram, source) in datagrams.zip(source.chunks(payload)) {
                        datagram[ESP_HEADER..][..payload].copy_from_slice(source);
                    }
                    for datagram in run.chunks_mut(DATAGRAM) {
                        let sealed = esp::seal(&mut sa, datagram, payload, NextHeader::Bundle);
                        assert_eq!(sealed, Ok(DATAGRAM));
                    }
                }
                black_box(&run);
            });
        });
    }
    group.finish();
}

fn open(c: &mut Criterion) {
    let mut group = c.benchmark_group("open");
    let now = Instant::now();
    for (library, size) in libraries_and_sizes() {
        let keys = keys().with_library(library);
        let mut tx = OutboundSa::new(spi(), &keys, ENDLESS, now);
        let mut rx = InboundSa::new(spi(), &keys, ENDLESS, now);
        let mut next = || {
            let mut datagram = vec![7; esp::sealed_len(size)];
            esp::seal(&mut tx, &mut datagram, size, NextHeader::Ethernet).expect("endless");
            datagram
        };
        group.throughput(throughput(1, size));
        group.bench_function(BenchmarkId::new(library.name(), size), |b| {
            b.iter_batched_ref(
                &mut next,
                |datagram| assert!(esp::open(&mut rx, datagram, now).is_ok()),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

fn libraries_and_sizes() -> impl Iterator<Item = (Library, usize)> {
    let sizes = |library| FRAME_SIZES.map(|size| (library, size));
    Library::ALL.into_iter().flat_map(sizes)
}

/// Only taking a full bundle apart, in the clear; the frames are whole.
fn unbundle(c: &mut Criterion) {
    let mut group = c.benchmark_group("unbundle");
    for size in FRAME_SIZES {
        let mut datagram = vec![0; MAX_DATAGRAM_SIZE];
        let mut bundle = Bundle::default();
        let count = (MAX_DATAGRAM_SIZE - 36) / (size + 2);
        for _ in 0..count {
            bundle.begin(&mut datagram, &vec![7; size]);
        }
        let end = ESP_HEADER + bundle.finish(&mut datagram);
        group.throughput(throughput(count, size));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter(|| {
                let payload = black_box(&mut datagram[ESP_HEADER..end]);
                let (_, mut frames) = unbundle::split(payload).expect("packed well");
                while let Ok(Some(Item::Frame(frame))) = unbundle::next(&mut frames) {
                    black_box(frame);
                }
            });
        });
    }
    group.finish();
}

/// A batch pushed and flushed: one copy, packing, sealing.
fn tx(c: &mut Criterion) {
    let mut group = c.benchmark_group("tx lane");
    let now = Instant::now();
    for size in FRAME_SIZES {
        let (mut lane, frame) = (tx_lane(now), vec![7; size]);
        group.throughput(throughput(BATCH, size));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            let mut send = |run: causeway_tunnel::lane::Run<'_>| {
                black_box(run.bytes);
            };
            b.iter(|| {
                for _ in 0..BATCH {
                    lane.push(black_box(&frame), now, &mut send)
                        .expect("endless");
                }
                lane.flush(&mut send);
            });
        });
    }
    group.finish();
}

/// The datagrams of a batch received in order: opening, unpacking, joining.
fn rx(c: &mut Criterion) {
    let mut group = c.benchmark_group("rx lane");
    let now = Instant::now();
    for size in FRAME_SIZES {
        let (mut tx, frame) = (tx_lane(now), vec![7; size]);
        let mut rx = RxLane::new(spi(), &keys(), ENDLESS, now);
        let mut batch = || {
            let mut datagrams: Vec<Vec<u8>> = Vec::new();
            let mut send = |run: causeway_tunnel::lane::Run<'_>| {
                datagrams.extend(run.datagrams().map(<[u8]>::to_vec));
            };
            for _ in 0..BATCH {
                tx.push(&frame, now, &mut send).expect("endless");
            }
            tx.flush(&mut send);
            datagrams
        };
        group.throughput(throughput(BATCH, size));
        group.bench_function(BenchmarkId::from_parameter(size), |b| {
            b.iter_batched_ref(
                &mut batch,
                |datagrams| {
                    for datagram in datagrams {
                        let received = rx.receive(datagram, now, &mut |frame| {
                            black_box(&frame);
                        });
                        assert!(received.is_ok());
                    }
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(
    datapath,
    bundle,
    seal,
    seal_in_groups,
    open,
    unbundle,
    tx,
    rx
);
criterion_main!(datapath);
