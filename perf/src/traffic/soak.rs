//! The subcommand `soak`: a load for hours, with a bounded budget of errors.

mod budget;
mod record;
mod watch;

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use causeway::spec::Period;
use clap::Args;

use self::{
    budget::Budget,
    record::Record,
    watch::{Watch, not_kept},
};
use super::{
    Link, Stream,
    account::Account,
    generate::KEPT,
    generator::{Generated, Generator, Limit, Remote},
    latency::Latency,
    options::{StreamOptions, ratio},
    preflight,
    rate::Rate,
    sink::Sink,
};
use crate::{
    cores,
    error::{Error, Result},
    interrupt,
    output::JsonOption,
    progress::Progress,
    seconds::{hours, or_none, seconds},
    sizes::FrameSizes,
};

/// What to send for how long, and what may go wrong.
#[derive(Args)]
pub(crate) struct Options {
    /// Interface of the tester that sends
    #[arg(long, value_name = "[NETNS:]IF")]
    tx: Link,
    /// Interface of the tester that receives
    #[arg(long, value_name = "[NETNS:]IF")]
    rx: Link,
    #[command(flatten)]
    stream: StreamOptions,
    /// Size of each frame with FCS, or imix
    #[arg(long, value_name = "N", default_value = "imix")]
    frame_bytes: FrameSizes,
    /// Frames or bits a second
    #[arg(long, value_name = "RATE")]
    rate: Rate,
    /// How long, in hours
    #[arg(long, value_name = "H", value_parser = hours, required_unless_present = "seconds", conflicts_with = "seconds")]
    hours: Option<Duration>,
    /// How long, in seconds
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<Duration>,
    /// Part of the frames due that may be lost, such as 0.000001 or 0.01%
    #[arg(long, value_name = "RATIO", default_value = "0", value_parser = ratio)]
    max_loss: f64,
    /// Frames that may be reordered
    #[arg(long, value_name = "N", default_value = "0")]
    max_reordered: u64,
    /// Frames that may come more than once
    #[arg(long, value_name = "N", default_value = "0")]
    max_duplicated: u64,
    /// Frames that may be corrupted; each is lost, too
    #[arg(long, value_name = "N", default_value = "0")]
    max_corrupted: u64,
    /// Longest p99 of the latency of a period, such as 5ms
    #[arg(long, value_name = "TIME")]
    max_p99: Option<Period>,
    /// Length of a period, at whose end a line tells how it goes
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    period: Duration,
    /// How long a frame may be on its way before it counts as lost
    #[arg(long, value_name = "S", default_value = "2", value_parser = or_none)]
    settle: Duration,
    /// Core that sends [default: the first]
    #[arg(long, value_name = "N")]
    cpu: Option<usize>,
    /// Core that receives [default: the second]
    #[arg(long, value_name = "N")]
    rx_cpu: Option<usize>,
    #[command(flatten)]
    json: JsonOption,
}

/// A soak that is possible.
struct Plan {
    stream: Stream,
    rate: f64,
    time: Duration,
    budget: Budget,
    cpu: usize,
    rx_cpu: usize,
}

/// How it ended.
struct Outcome {
    generated: Generated,
    refused: u64,
    dropped_at_sink: u64,
    account: Account,
    latency: Latency,
    excess: Option<String>,
}

/// Runs until it is over, or too much has gone wrong.
///
/// # Errors
///
/// [`Error::Failed`] names the budget that was exceeded, or says that too little was sent; else one line that says what is wrong.
pub(crate) fn run(options: &Options) -> Result {
    preflight::root()?;
    let plan = plan(options)?;
    let mut output = options.json.open()?;
    cores::warn_if_busy(&[plan.cpu, plan.rx_cpu])?;
    let outcome = soak(options, &plan)?;
    let interrupted = interrupt::raised();
    let record = Record::new(options, &plan, &outcome, interrupted);
    output.print(record.table())?;
    output.push(&record);
    output.finish()?;
    match outcome.excess {
        Some(excess) => Err(Error::Failed(format!("the soak failed: {excess}"))),
        None if interrupted => Err(Error::Interrupted),
        None => Ok(()),
    }
}

fn plan(options: &Options) -> Result<Plan> {
    let (tx, rx) = (options.tx.info()?, options.rx.info()?);
    preflight::two_ports(&options.tx, &options.rx)?;
    let stream = options.stream.stream(&tx, options.frame_bytes);
    stream.fits(&options.tx, &tx)?;
    stream.fits(&options.rx, &rx)?;
    let rate = options.rate.frames_per_s(&stream.sizes).ok_or_else(|| {
        Error::Usage(
            "a soak has a --rate that the device carries: `rfc2544 throughput` finds it".into(),
        )
    })?;
    preflight::rate(&options.tx, rate, &stream.sizes)?;
    let [cpu, rx_cpu] = cores::choose([options.cpu, options.rx_cpu])?;
    let time = options.hours.or(options.seconds).unwrap_or_default();
    Ok(Plan {
        budget: Budget {
            loss: options.max_loss,
            reordered: options.max_reordered,
            duplicated: options.max_duplicated,
            corrupted: options.max_corrupted,
            p99: options.max_p99.map(|period| period.0),
        },
        stream,
        rate,
        time,
        cpu,
        rx_cpu,
    })
}

fn soak(options: &Options, plan: &Plan) -> Result<Outcome> {
    let refused_before = options.tx.info()?.tx_dropped;
    let mut generator = Generator::open(&options.tx, &plan.stream)?;
    let mut sink = Sink::open(&options.rx)?;
    let account = Mutex::new(Account::of_trial(generator.next()));
    let remote = Remote::default();
    let mut watch = Watch {
        account: &account,
        remote: &remote,
        tx: &options.tx,
        refused_before,
        budget: plan.budget,
        rate: plan.rate,
        settle: options.settle,
        period: options.period,
        latency: Latency::new(),
        started: Instant::now(),
        time: plan.time,
        progress: Progress::timed(plan.time),
    };
    let (generated, excess) = watched(plan, &mut generator, &mut sink, &mut watch)?;
    let (_, p99_s) = watch.end_period();
    let due = plan.rate * generated.elapsed.as_secs_f64();
    let excess = match excess {
        None => watch.judge(generated.frames, due, p99_s)?,
        excess => excess,
    };
    let refused = watch.refused()?;
    // What the port refused was not sent.
    let sent = generated.frames.saturating_sub(refused) as f64;
    // A pause just before a signal is not made up for: interrupted it has failed anyway.
    let kept = sent >= due * KEPT || interrupt::raised();
    let excess = excess.or_else(|| (!kept).then(|| not_kept(sent, due)));
    let latency = watch.latency;
    Ok(Outcome {
        generated,
        refused,
        dropped_at_sink: sink.dropped()?,
        account: account.into_inner().unwrap_or_else(PoisonError::into_inner),
        latency,
        excess,
    })
}

/// Both ends at work, each on its core, until it is over.
fn watched(
    plan: &Plan,
    generator: &mut Generator,
    sink: &mut Sink,
    watch: &mut Watch<'_>,
) -> Result<(Generated, Option<String>)> {
    let (account, remote) = (watch.account, watch.remote);
    let sink_stops = AtomicBool::new(false);
    thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            cores::pin(plan.rx_cpu)?;
            sink.drain(account, &sink_stops);
            Result::Ok(())
        });
        let sender = scope.spawn(|| {
            cores::pin(plan.cpu)?;
            let limit = Limit {
                frames: None,
                time: Some(plan.time),
            };
            Result::Ok(generator.run(Some(plan.rate), limit, remote))
        });
        let watched = watch.run(|| sender.is_finished());
        if !matches!(watched, Ok(None)) {
            remote.stop.store(true, Ordering::Relaxed);
        }
        let generated = sender.join().expect("the generator does not panic");
        if let Ok(generated) = &generated {
            settle(watch, generated.frames);
        }
        sink_stops.store(true, Ordering::Relaxed);
        receiver.join().expect("the sink does not panic")?;
        Ok((generated?, watched?))
    })
}

/// Waits for what is still on its way.
fn settle(watch: &Watch<'_>, sent: u64) {
    let end = Instant::now() + watch.settle;
    while watch.counts().received < sent && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
}
