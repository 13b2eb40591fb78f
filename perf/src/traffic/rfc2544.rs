//! The tests of RFC 2544, sections 26.1 to 26.4, by a tester that owns both ports (section 6).
//!
//! For each size: what the harness reaches by itself, over a bare veth; then the same between the two ports.

mod back_to_back;
mod bench;
mod figure;
mod frame_loss;
mod latency;
mod options;
mod search;
mod throughput;

use clap::{Args, Subcommand};

use self::{bench::Bench, figure::Figure, options::Common};
use super::{preflight, trial::Ports};
use crate::{
    cores,
    error::Result,
    output::{Output, Table},
    progress::Progress,
    rig::leftovers::remove_leftovers,
    sizes::FrameSizes,
};

/// Which test.
#[derive(Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    test: Test,
}

#[derive(Subcommand)]
enum Test {
    /// The highest rate at which no frame is lost (section 26.1).
    Throughput(throughput::Throughput),
    /// How long frames take, at the throughput or at a rate (section 26.2).
    Latency(latency::Latency),
    /// How many frames are lost at 100 %, 90 %, ... of a rate (section 26.3).
    FrameLoss(frame_loss::FrameLoss),
    /// The longest burst of which no frame is lost (section 26.4).
    BackToBack(back_to_back::BackToBack),
}

/// What the four tests differ in.
trait Method {
    /// Options that all have.
    fn common(&self) -> &Common;

    /// Refuses what only this test cannot.
    fn check(&self) -> Result {
        Ok(())
    }

    /// The figures of one size.
    fn measure(&self, bench: &mut Bench<'_>) -> Result<Vec<Figure>>;

    /// The figures of all sizes, for people.
    fn table(figures: &[Figure]) -> Table;
}

/// Runs the test and reports.
///
/// # Errors
///
/// One line that says what is wrong.
pub(crate) fn run(options: &Options) -> Result {
    match &options.test {
        Test::Throughput(test) => run_test(test),
        Test::Latency(test) => run_test(test),
        Test::FrameLoss(test) => run_test(test),
        Test::BackToBack(test) => run_test(test),
    }
}

fn run_test<M: Method>(test: &M) -> Result {
    preflight::root()?;
    let common = test.common();
    test.check()?;
    let sizes = checked_sizes(common)?;
    let [cpu, rx_cpu] = cores::choose([common.cpu, common.rx_cpu])?;
    let mut output = common.json.open()?;
    cores::warn_if_busy(&[cpu, rx_cpu])?;
    remove_leftovers();
    let ports = Ports {
        tx: common.tx.clone(),
        rx: common.rx.clone(),
        cpu,
        rx_cpu,
    };
    let mut figures = Vec::new();
    let measured = measure(test, &ports, &sizes, &mut figures);
    if !figures.is_empty() {
        report::<M>(&figures, &mut output)?;
        // What was measured before an interruption is valid.
        output.finish()?;
    }
    measured
}

fn measure<M: Method>(
    test: &M,
    ports: &Ports,
    sizes: &[FrameSizes],
    figures: &mut Vec<Figure>,
) -> Result {
    let common = test.common();
    let progress = Progress::new(sizes.len() as u64);
    for size in sizes {
        let stream = common.stream.stream(&common.tx.info()?, *size);
        let mut bench = Bench::new(common, ports, stream, &progress)?;
        let measured = test.measure(&mut bench)?;
        for f in &measured {
            progress.note(format!(
                "{} bytes: {:.0} frames/s, {} of {} lost",
                f.frame_sizes, f.frames_per_s, f.lost, f.sent
            ));
        }
        figures.extend(measured);
        progress.step();
    }
    Ok(())
}

/// The sizes, all of which fit both ports at a possible rate.
fn checked_sizes(common: &Common) -> Result<Vec<FrameSizes>> {
    let (tx, rx) = (common.tx.info()?, common.rx.info()?);
    preflight::two_ports(&common.tx, &common.rx)?;
    let smallest = common.stream.stream(&tx, FrameSizes::Imix).smallest();
    let sizes = common.sizes(smallest);
    for size in &sizes {
        let stream = common.stream.stream(&tx, *size);
        stream.fits(&common.tx, &tx)?;
        stream.fits(&common.rx, &rx)?;
        if let Some(rate) = common.max_rate.and_then(|rate| rate.frames_per_s(size)) {
            preflight::rate(&common.tx, rate, size)?;
        }
    }
    Ok(sizes)
}

fn report<M: Method>(figures: &[Figure], output: &mut Output) -> Result {
    output.print(M::table(figures))?;
    if figures.iter().any(|f| f.near_ceiling == Some(true)) {
        output.print("! above 80 % of what the harness itself reaches over a bare veth: this may be its limit")?;
    }
    if figures.iter().any(|f| !f.kept_schedule) {
        output.print("~ the generator was too slow for the rate that it was to send at")?;
    }
    let sum = |of: fn(&Figure) -> u64| figures.iter().map(of).sum::<u64>();
    let (lost, at_sink) = (sum(|f| f.lost), sum(|f| f.dropped_at_sink));
    if lost > 0 {
        output.print(format!(
            "of {lost} lost frames {at_sink} were lost at the sink, in the harness itself; {} did not come out of what was tested",
            lost.saturating_sub(at_sink)
        ))?;
    }
    for figure in figures {
        output.push(figure);
    }
    Ok(())
}
