//! The subcommand `sink`.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use clap::Args;
use serde::Serialize;

use super::{
    Link,
    account::{Account, Counts},
    counter::FrameCounter,
    latency::{Summary, text},
    preflight,
    sink::Sink,
};
use crate::{
    cores,
    error::Result,
    interrupt,
    output::{JsonOption, Output, Table},
    seconds::seconds,
    sizes::FCS,
};

/// How often to look whether it is over.
const TICK: Duration = Duration::from_millis(10);

/// What to receive where.
#[derive(Args)]
pub(crate) struct Options {
    /// Interface that receives
    #[arg(long, value_name = "[NETNS:]IF")]
    link: Link,
    /// End after this many seconds [default: until Ctrl-C]
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Only count, at the driver: several times faster, but without loss, order and latency
    #[arg(long)]
    count_only: bool,
    /// Core that looks at the frames [default: the second]
    #[arg(long, value_name = "N")]
    cpu: Option<usize>,
    #[command(flatten)]
    json: JsonOption,
}

/// What came, by a sink that only counts.
#[derive(Serialize)]
struct Counted {
    test: &'static str,
    link: String,
    count_only: bool,
    received: u64,
    elapsed_s: f64,
    frames_per_s: f64,
    gbit_per_s: f64,
}

/// What came, frame by frame.
#[derive(Serialize)]
struct Record {
    #[serde(flatten)]
    counted: Counted,
    flows: usize,
    #[serde(flatten)]
    counts: Counts,
    /// Frames for which the sink's sockets had no room: they are among the lost.
    dropped_at_sink: u64,
    #[serde(flatten)]
    latency: Summary,
}

/// From the first frame to the last that came: to a hundredth of a second.
#[derive(Default)]
struct Span(Option<(Instant, Instant)>);

impl Span {
    fn grows(&mut self) {
        let now = Instant::now();
        let begin = now.checked_sub(TICK).unwrap_or(now);
        self.0.get_or_insert((begin, now)).1 = now;
    }

    fn seconds(&self) -> f64 {
        self.0
            .map_or(0.0, |(first, last)| (last - first).as_secs_f64())
    }
}

/// Receives and reports.
///
/// # Errors
///
/// One line that says what is wrong.
pub(crate) fn run(options: &Options) -> Result {
    preflight::root()?;
    options.link.info()?;
    let [_, cpu] = cores::choose([None, options.cpu])
        .or_else(|_| cores::choose([options.cpu]).map(|[cpu]| [cpu, cpu]))?;
    let output = options.json.open()?;
    cores::warn_if_busy(&[cpu])?;
    if options.count_only {
        count(options, output)
    } else {
        account(options, cpu, output)
    }
}

/// Says that frames are welcome from now on.
fn ready(options: &Options) {
    let until = options.seconds.map_or_else(
        || "until Ctrl-C".to_owned(),
        |time| format!("for {} s, or until Ctrl-C", time.as_secs_f64()),
    );
    eprintln!("receiving at {} {until}", options.link);
}

/// Waits for the end; asks `received` in between.
fn watch(options: &Options, mut received: impl FnMut() -> Result<u64>) -> Result<Span> {
    let end = options.seconds.map(|time| Instant::now() + time);
    let (mut span, mut before) = (Span::default(), 0);
    while !interrupt::raised() && end.is_none_or(|end| Instant::now() < end) {
        thread::sleep(TICK);
        let now = received()?;
        if now > before {
            span.grows();
        }
        before = now;
    }
    Ok(span)
}

fn counted(options: &Options, received: u64, bytes: u64, span: &Span) -> Counted {
    let seconds = span.seconds();
    let rate = |n: u64| {
        if received == 0 {
            0.0
        } else {
            n as f64 / seconds
        }
    };
    Counted {
        test: "sink",
        link: options.link.to_string(),
        count_only: options.count_only,
        received,
        elapsed_s: seconds,
        frames_per_s: rate(received),
        gbit_per_s: rate(bytes) * 8.0 / 1e9,
    }
}

fn count(options: &Options, mut output: Output) -> Result {
    let counter = FrameCounter::attach(&options.link)?;
    ready(options);
    let span = watch(options, || Ok(counter.counts()?.frames))?;
    let counts = counter.counts()?;
    let bytes = counts.bytes + counts.frames * FCS as u64;
    let record = counted(options, counts.frames, bytes, &span);
    output.print(rates(&record))?;
    output.push(&record);
    output.finish()
}

fn account(options: &Options, cpu: usize, mut output: Output) -> Result {
    let mut sink = Sink::open(&options.link)?;
    ready(options);
    let account = Mutex::new(Account::new());
    let stop = AtomicBool::new(false);
    let look = || account.lock().unwrap_or_else(PoisonError::into_inner);
    let span = thread::scope(|scope| {
        scope.spawn(|| {
            cores::pin(cpu)?;
            sink.drain(&account, &stop);
            Result::Ok(())
        });
        let span = watch(options, || Ok(look().counts().received));
        stop.store(true, Ordering::Relaxed);
        span
    })?;
    let mut account = look();
    let counts = account.counts();
    let record = Record {
        counted: counted(options, counts.received, counts.bytes, &span),
        flows: account.flows(),
        counts,
        dropped_at_sink: sink.dropped()?,
        latency: account.latency().summary(),
    };
    output.print(rates(&record.counted))?;
    output.print(verdicts(&record))?;
    output.print(latencies(&record.latency))?;
    output.push(&record);
    output.finish()
}

fn rates(record: &Counted) -> Table {
    let mut table = Table::new(&["interface", "received", "seconds", "frames/s", "Gb/s"]);
    table.row(vec![
        record.link.clone(),
        record.received.to_string(),
        format!("{:.2}", record.elapsed_s),
        format!("{:.0}", record.frames_per_s),
        format!("{:.3}", record.gbit_per_s),
    ]);
    table
}

fn verdicts(record: &Record) -> Table {
    let headings = [
        "flows",
        "lost",
        "reordered",
        "duplicated",
        "corrupted",
        "too late",
        "dropped at sink",
    ];
    let mut table = Table::new(&headings);
    let c = &record.counts;
    let counts = [
        record.flows as u64,
        c.lost,
        c.reordered,
        c.duplicated,
        c.corrupted,
        c.too_late,
        record.dropped_at_sink,
    ];
    table.row(counts.map(|count| count.to_string()).to_vec());
    table
}

fn latencies(latency: &Summary) -> Table {
    let mut table = Table::new(&["latency", "p50", "p90", "p99", "p99.9", "max", "negative"]);
    table.row(vec![
        String::new(),
        text(latency.latency_p50_s),
        text(latency.latency_p90_s),
        text(latency.latency_p99_s),
        text(latency.latency_p999_s),
        text(latency.latency_max_s),
        latency.latency_negative.to_string(),
    ]);
    table
}
