//! The same as `causeway-perf pipeline`, with criterion's statistics and comparisons between runs.
//!
//! ```text
//! cargo bench -p causeway-perf --bench pipeline -- lan_to_wan/aes-256-gcm-ring
//! ```
//!
//! One iteration is one frame. Sizes are in memory, without FCS.

use std::time::Duration;

use causeway_perf::datapath::{Protection, Receiver, STATIONS, Sample, Sender, Series};
use causeway_tunnel::aead::{Cipher, Library};
use criterion::{Bencher, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const LENGTHS: [usize; 3] = [60, 508, 1_514];

const PROTECTIONS: [Protection; 5] = [
    Protection::Aead(Cipher::Aes256Gcm, Library::Ring),
    Protection::Aead(Cipher::Aes256Gcm, Library::AwsLc),
    Protection::Aead(Cipher::Aes128Gcm, Library::Ring),
    Protection::Aead(Cipher::Aes128Gcm, Library::AwsLc),
    Protection::None,
];

/// Runs whole steps until there were `iterations` frames: the time of so many.
fn frames<S: Series>(bencher: &mut Bencher<'_>, series: &mut S, step: fn(&mut S) -> Sample) {
    bencher.iter_custom(|iterations| {
        let mut total = Sample::default();
        while total.frames < iterations {
            total += step(series);
        }
        let share = iterations as f64 / total.frames as f64;
        Duration::from_secs_f64(total.time.as_secs_f64() * share)
    });
}

fn direction<S: Series>(c: &mut Criterion) {
    let mut group = c.benchmark_group(S::DIRECTION);
    for length in LENGTHS {
        group.throughput(Throughput::ElementsAndBytes {
            elements: 1,
            bytes: length as u64,
        });
        for protection in PROTECTIONS {
            let mut series = S::new(&[length], protection, STATIONS);
            let name = match protection {
                Protection::Aead(..) => {
                    format!("{}-{}", protection.cipher(), protection.library())
                }
                Protection::None => "none".into(),
            };
            let id = BenchmarkId::new(name, length);
            group.bench_function(id, |b| frames(b, &mut series, S::path));
        }
        let mut series = S::new(&[length], Protection::None, STATIONS);
        let id = BenchmarkId::new("memcpy", length);
        group.bench_function(id, |b| frames(b, &mut series, S::copy));
    }
    group.finish();
}

criterion_group!(pipeline, direction::<Sender>, direction::<Receiver>);
criterion_main!(pipeline);
