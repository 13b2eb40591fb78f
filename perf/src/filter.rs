//! What the XDP program of the lan port costs for each verdict, by the kernel's own test-run.
//!
//! The flood of a promiscuous port is paid for here: each frame that is not for causeway costs one
//! [`Verdict::Foreign`](causeway_ebpf::Verdict::Foreign). Every round measures every verdict with every
//! size of the station table, each with frames of its own, so that what disturbs the machine disturbs
//! all of them alike; the figures are medians of the rounds.

mod cases;
mod program;

use std::{fs, time::Duration};

use causeway_ebpf::MAX_STATIONS;
use clap::{Args, value_parser};
use serde::Serialize;

use self::{
    cases::Case,
    program::{Program, role_name},
};
use crate::{
    cores,
    error::Result,
    output::{JsonOption, Output, Spread, Table},
    progress::Progress,
    seconds::up_to_an_hour,
};

/// Rounds that count; one before them warms up.
const ROUNDS: u32 = 7;

/// Different frames in a round that run once each; the next round has others.
const ONCE: u32 = 256;

/// Runs of one frame while warming up.
const WARM_UP: u32 = 1_000;

/// What to measure.
#[derive(Args)]
pub(crate) struct Options {
    /// Stations in the table: each number is measured by itself
    #[arg(long, value_name = "N", num_args = 1.., default_values_t = [1, 1_000, MAX_STATIONS],
        value_parser = value_parser!(u32).range(1..=i64::from(MAX_STATIONS)))]
    stations: Vec<u32>,
    /// Different frames in a round that run again and again; the kernel takes tens of milliseconds
    /// to get ready for each
    #[arg(long, value_name = "N", default_value = "4", value_parser = value_parser!(u32).range(1..=256))]
    frames: u32,
    /// Seconds of measurement for each line of the report
    #[arg(long, value_name = "S", default_value = "0.2", value_parser = up_to_an_hour)]
    seconds: Duration,
    #[command(flatten)]
    json: JsonOption,
}

/// One verdict of one program, and what its rounds gave.
struct Measured {
    case: Case,
    frames: u32,
    /// Runs of each of the frames that together take about as long as they may.
    repeat: u32,
    /// Nanoseconds per frame: each frame again and again, and each once.
    rounds: Vec<(f64, f64)>,
}

impl Measured {
    fn warm_up(case: Case, program: &mut Program, options: &Options) -> Result<Self> {
        let ns = program.ns_per_frame(&case, 0..1, WARM_UP)?;
        let frames = options.frames;
        let time = options.seconds / (ROUNDS * frames);
        let repeat = time.as_nanos() as f64 / ns.max(1.0);
        Ok(Self {
            case,
            frames,
            repeat: repeat.clamp(f64::from(WARM_UP), 1e9) as u32,
            rounds: Vec::new(),
        })
    }

    fn round(&mut self, program: &mut Program, round: u32) -> Result {
        let from = round * ONCE;
        // First each once: afterwards some are in the caches.
        let once = program.ns_per_frame(&self.case, from..from + ONCE, 1)?;
        let again = program.ns_per_frame(&self.case, from..from + self.frames, self.repeat)?;
        self.rounds.push((again, once));
        Ok(())
    }

    fn figure(&self, program: &Program, jit: Option<bool>) -> Figure {
        let again = Spread::of(self.rounds.iter().map(|(again, _)| *again));
        let once = Spread::of(self.rounds.iter().map(|(_, once)| *once));
        Figure {
            test: "filter",
            verdict: self.case.verdict.label(),
            role: role_name(program.role()),
            stations: program.stations(),
            ns_per_frame: again.median,
            ns_per_frame_min: again.min,
            ns_per_frame_max: again.max,
            once_ns: once.median,
            once_ns_min: once.min,
            once_ns_max: once.max,
            rounds: self.rounds.len(),
            frames: self.frames * ROUNDS,
            once_frames: ONCE * ROUNDS,
            repeat: self.repeat,
            jit,
        }
    }
}

/// One line of the report.
#[derive(Serialize)]
struct Figure {
    test: &'static str,
    verdict: &'static str,
    role: &'static str,
    stations: u32,
    /// Each frame [`repeat`](Self::repeat) times on end: its station is in the cache.
    ns_per_frame: f64,
    ns_per_frame_min: f64,
    ns_per_frame_max: f64,
    /// Each frame once, behind a system call, with the kernel's reading of the clock.
    once_ns: f64,
    once_ns_min: f64,
    once_ns_max: f64,
    rounds: usize,
    /// Different ones, over all rounds, and runs of each on end.
    frames: u32,
    repeat: u32,
    /// Different ones that ran once each.
    once_frames: u32,
    /// Whether the kernel compiles BPF; unknown where it does not say.
    jit: Option<bool>,
}

/// Measures and reports.
///
/// # Errors
///
/// One line that says what is wrong: [`CannotRun`](crate::error::Error::CannotRun) without the
/// rights to load BPF programs.
pub(crate) fn run(options: &Options) -> Result {
    let mut output = options.json.open()?;
    // It runs on any of them.
    cores::warn_if_busy(&cores::allowed())?;
    let mut programs = Vec::new();
    for &stations in &options.stations {
        for role in cases::ROLES {
            programs.push((Program::load(role, stations)?, Vec::new()));
        }
    }
    measure(&mut programs, options)?;
    report(&mut output, &programs)?;
    output.finish()
}

fn measure(programs: &mut [(Program, Vec<Measured>)], options: &Options) -> Result {
    let progress = Progress::new(u64::from(ROUNDS + 1) * programs.len() as u64);
    for round in 0..=ROUNDS {
        for (program, measured) in &mut *programs {
            progress.say(format!(
                "{} stations, round {round} of {ROUNDS}",
                program.stations()
            ));
            if round == 0 {
                let cases = cases::of(program.role());
                let warmed = cases.map(|case| Measured::warm_up(case, program, options));
                *measured = warmed.collect::<Result<_>>()?;
            } else {
                for measured in measured {
                    measured.round(program, round)?;
                }
            }
            progress.step();
        }
    }
    Ok(())
}

fn report(output: &mut Output, programs: &[(Program, Vec<Measured>)]) -> Result {
    let jit = fs::read_to_string("/proc/sys/net/core/bpf_jit_enable").ok();
    let jit = jit.map(|text| text.trim() != "0");
    let mut table = Table::new(&[
        "verdict", "role", "stations", "ns/frame", "min-max", "ns once", "min-max",
    ]);
    for (program, measured) in programs {
        for f in measured.iter().map(|m| m.figure(program, jit)) {
            table.row(vec![
                f.verdict.into(),
                f.role.into(),
                f.stations.to_string(),
                format!("{:.1}", f.ns_per_frame),
                format!("{:.1}-{:.1}", f.ns_per_frame_min, f.ns_per_frame_max),
                format!("{:.0}", f.once_ns),
                format!("{:.0}-{:.0}", f.once_ns_min, f.once_ns_max),
            ]);
            output.push(&f);
        }
    }
    output.print(table)
}
