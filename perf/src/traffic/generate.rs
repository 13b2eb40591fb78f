//! The subcommand `generate`.

use std::time::Duration;

use clap::Args;
use serde::Serialize;

use super::{
    Link, Stream,
    generator::{Generator, Limit, Remote},
    live::LiveGenerator,
    options::{GeneratorKind, StreamOptions},
    preflight,
    rate::Rate,
};
use crate::{
    cores,
    error::{Error, Result},
    interrupt,
    output::{JsonOption, Table},
    seconds::seconds,
    sizes::FrameSizes,
};

/// A part of the asked rate that counts as having kept it.
pub(super) const KEPT: f64 = 0.99;

/// How long live frames are sent without a look at the clock.
const LIVE_SLICE: Duration = Duration::from_millis(500);

/// What to send where.
#[derive(Args)]
pub(crate) struct Options {
    /// Interface that sends
    #[arg(long, value_name = "[NETNS:]IF")]
    link: Link,
    #[command(flatten)]
    stream: StreamOptions,
    /// Size of each frame with FCS, or imix
    #[arg(long, value_name = "N", default_value = "64")]
    frame_bytes: FrameSizes,
    /// Frames or bits a second, such as 10kfps, 2Gbps or max
    #[arg(long, value_name = "RATE", default_value = "max")]
    rate: Rate,
    /// End after this many frames
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    frames: Option<u64>,
    /// End after this many seconds [default without --frames: until Ctrl-C]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// What makes the frames
    #[arg(long, value_enum, default_value = "af-xdp")]
    generator: GeneratorKind,
    /// Core that sends [default: the first]
    #[arg(long, value_name = "N")]
    cpu: Option<usize>,
    #[command(flatten)]
    json: JsonOption,
}

/// What was sent, whoever made it.
#[derive(Default)]
struct Sent {
    frames: u64,
    bytes: u64,
    refused: u64,
    waits: u64,
    elapsed: Duration,
    late: Option<Duration>,
}

#[derive(Serialize)]
struct Record {
    test: &'static str,
    generator: &'static str,
    link: String,
    frame_bytes: u64,
    frame_sizes: String,
    flows: u16,
    /// Absent for "max".
    #[serde(skip_serializing_if = "Option::is_none")]
    asked_frames_per_s: Option<f64>,
    /// Frames that the link took.
    sent: u64,
    /// Frames that the link dropped: its queue was full.
    refused: u64,
    /// How often a frame had to wait for room in the port.
    waits: u64,
    elapsed_s: f64,
    frames_per_s: f64,
    gbit_per_s: f64,
    kept_schedule: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    late_max_s: Option<f64>,
}

/// Sends and reports.
///
/// # Errors
///
/// One line that says what is wrong.
pub(crate) fn run(options: &Options) -> Result {
    preflight::root()?;
    let info = options.link.info()?;
    let stream = options.stream.stream(&info, options.frame_bytes);
    stream.fits(&options.link, &info)?;
    let rate = options.rate.frames_per_s(&stream.sizes);
    if let Some(rate) = rate {
        preflight::rate(&options.link, rate, &stream.sizes)?;
    }
    let [cpu] = cores::choose([options.cpu])?;
    let output = options.json.open()?;
    cores::warn_if_busy(&[cpu])?;
    cores::pin(cpu)?;
    let sent = match options.generator {
        GeneratorKind::AfXdp => af_xdp(options, &stream, rate, info.tx_dropped)?,
        GeneratorKind::Live => live(options, &stream, rate)?,
    };
    report(options, &record(options, &stream, rate, &sent), output)
}

fn af_xdp(options: &Options, stream: &Stream, rate: Option<f64>, dropped: u64) -> Result<Sent> {
    let mut generator = Generator::open(&options.link, stream)?;
    let limit = Limit {
        frames: options.frames,
        time: options.seconds,
    };
    let done = generator.run(rate, limit, &Remote::default());
    let refused = options.link.info()?.tx_dropped.saturating_sub(dropped);
    Ok(Sent {
        frames: done.frames.saturating_sub(refused),
        bytes: done
            .bytes
            .saturating_sub((refused as f64 * stream.sizes.mean()) as u64),
        refused,
        waits: done.waits,
        elapsed: done.elapsed,
        late: rate.map(|_| done.late),
    })
}

/// In slices, so that Ctrl-C ends it with what was sent up to then.
fn live(options: &Options, stream: &Stream, rate: Option<f64>) -> Result<Sent> {
    if options.frames.is_some() {
        return Err(Error::Usage(
            "live frames are sent in large batches: give --seconds, or use --generator af-xdp"
                .into(),
        ));
    }
    let mut generator = LiveGenerator::open(&options.link, stream)?;
    eprintln!(
        "live frames are numbered anew every {LIVE_SLICE:?}: count them with `sink --count-only`"
    );
    let mut left = options.seconds.unwrap_or(Duration::MAX);
    let mut sent = Sent::default();
    while !left.is_zero() && !interrupt::raised() {
        let slice = left.min(LIVE_SLICE);
        let part = match rate {
            Some(rate) => generator.paced(rate, slice),
            None => generator.saturate(slice),
        };
        match part {
            Ok(part) => {
                sent.frames += part.frames;
                sent.refused += part.refused;
                // Paced frames that it gave up before the slice's end are late, not fast.
                sent.elapsed += match rate {
                    Some(_) => part.elapsed.max(slice),
                    None => part.elapsed,
                };
            }
            Err(_) if interrupt::raised() => {
                eprintln!("causeway-perf: the frames of the last {LIVE_SLICE:?} are not counted");
                break;
            }
            Err(error) => return Err(error),
        }
        left = left.saturating_sub(slice);
    }
    sent.bytes = (sent.frames as f64 * stream.sizes.mean()) as u64;
    Ok(sent)
}

fn record(options: &Options, stream: &Stream, rate: Option<f64>, sent: &Sent) -> Record {
    let seconds = sent.elapsed.as_secs_f64().max(1e-9);
    let frames_per_s = sent.frames as f64 / seconds;
    Record {
        test: "generate",
        generator: options.generator.name(),
        link: options.link.to_string(),
        frame_bytes: stream.sizes.mean().round() as u64,
        frame_sizes: stream.sizes.to_string(),
        flows: stream.flows,
        asked_frames_per_s: rate,
        sent: sent.frames,
        refused: sent.refused,
        waits: sent.waits,
        elapsed_s: seconds,
        frames_per_s,
        gbit_per_s: sent.bytes as f64 * 8.0 / seconds / 1e9,
        kept_schedule: rate.is_none_or(|rate| frames_per_s >= rate * KEPT),
        late_max_s: sent.late.map(|late| late.as_secs_f64()),
    }
}

fn report(options: &Options, record: &Record, mut output: crate::output::Output) -> Result {
    let mut table = Table::new(&[
        "interface",
        "bytes",
        "sent",
        "refused",
        "waits",
        "seconds",
        "frames/s",
        "Gb/s",
    ]);
    table.row(vec![
        record.link.clone(),
        record.frame_sizes.clone(),
        record.sent.to_string(),
        record.refused.to_string(),
        record.waits.to_string(),
        format!("{:.2}", record.elapsed_s),
        format!("{:.0}", record.frames_per_s),
        format!("{:.3}", record.gbit_per_s),
    ]);
    output.print(table)?;
    if !record.kept_schedule {
        output.print(format!(
            "the schedule of {} was not kept: this machine or {} is too slow for it",
            options.rate, record.link
        ))?;
    }
    output.push(record);
    output.finish()
}
