//! One size between two ports: trials, searches, and what the harness reaches by itself.

use std::time::Duration;

use super::{
    options::Common,
    search::{Jury, Verdict, largest},
};
use crate::{
    error::Result,
    progress::Progress,
    traffic::{
        Stream,
        bare::BareVeth,
        generator::Limit,
        trial::{Load, Ports, Tester, Trial},
    },
};

/// Trials on the bare veth are no longer than this, and its search no finer.
const CEILING_TRIAL: Duration = Duration::from_secs(1);
const CEILING_RESOLUTION: f64 = 0.05;
const CEILING_SETTLE: Duration = Duration::from_millis(200);

/// How many times the longest burst for the device is tried on the bare veth.
const BARE_BURST: f64 = 10.0;

/// A size of frames under test.
pub(super) struct Bench<'a> {
    pub(super) options: &'a Common,
    pub(super) stream: Stream,
    /// What the harness carries by itself, in frames a second.
    pub(super) ceiling: Option<f64>,
    /// Trials up to now, and those that lost too much.
    pub(super) trials: u32,
    pub(super) failed_trials: u32,
    /// The last of those.
    pub(super) last_failed: Option<Trial>,
    /// There is no device between the ports: the harness by itself.
    bare: bool,
    ports: &'a Ports,
    progress: &'a Progress,
    tester: Tester,
}

/// A load that passed, and how.
pub(super) struct Best {
    pub(super) trial: Trial,
    /// Nothing larger could be tried.
    pub(super) at_max: bool,
}

impl<'a> Bench<'a> {
    /// Measures the ceiling, opens the ports and warms up.
    pub(super) fn new(
        options: &'a Common,
        ports: &'a Ports,
        stream: Stream,
        progress: &'a Progress,
    ) -> Result<Self> {
        let ceiling = if options.no_ceiling {
            None
        } else {
            on_bare_veth(options, (ports, progress), &stream, |bench| {
                Ok(bench.ceiling()?.map(|best| best.trial.delivered()))
            })?
        };
        let tester = Tester::open(ports, &stream, options.generator, options.settle)?;
        let mut bench = Self {
            options,
            stream,
            ceiling,
            trials: 0,
            failed_trials: 0,
            last_failed: None,
            bare: false,
            ports,
            progress,
            tester,
        };
        if !options.warm_up.is_zero() {
            let rate = bench
                .max_rate()
                .or(ceiling)
                .map_or(10_000.0, |rate| rate / 2.0);
            bench.tester.trial(Load::of(Some(rate), options.warm_up))?;
        }
        Ok(bench)
    }

    /// The rate of 100 %, if it was given. It is the device's: the harness shows all it can.
    pub(super) fn max_rate(&self) -> Option<f64> {
        if self.bare {
            return None;
        }
        self.options.max_rate?.frames_per_s(&self.stream.sizes)
    }

    /// One trial, counted.
    pub(super) fn trial(&mut self, load: Load) -> Result<Trial> {
        self.progress.say(self.describe(load));
        let trial = self.tester.trial(load)?;
        self.trials += 1;
        if !self.passes(&trial) {
            self.failed_trials += 1;
            self.last_failed = Some(trial.clone());
        }
        Ok(trial)
    }

    /// What a trial is about.
    fn describe(&self, load: Load) -> String {
        let what = match (load.rate, load.limit.frames) {
            (Some(rate), _) => format!("{rate:.0} frames/s"),
            (None, Some(frames)) => format!("a burst of {frames} frames"),
            (None, None) => "as fast as it can".into(),
        };
        let place = if self.bare { " over a bare veth" } else { "" };
        let (size, number) = (self.stream.sizes, self.trials + 1);
        format!("frames of {size} bytes{place}, trial {number}: {what}")
    }

    /// A trial of the options' length.
    pub(super) fn timed(&mut self, rate: Option<f64>) -> Result<Trial> {
        self.trial(Load::of(rate, self.options.trial_seconds))
    }

    /// All trials at a rate as one.
    pub(super) fn repeated(&mut self, rate: f64) -> Result<Trial> {
        let mut all = self.timed(Some(rate))?;
        for _ in 1..self.options.trials.unwrap_or(1) {
            all = all.and(&self.timed(Some(rate))?);
        }
        Ok(all)
    }

    /// The rate of 100 %: as given, or what the generator reaches.
    pub(super) fn full_rate(&mut self) -> Result<f64> {
        match self.max_rate() {
            Some(rate) => Ok(rate),
            None => Ok(self.timed(None)?.offered()),
        }
    }

    /// The longest burst to try: as given, or what the generator sends in `seconds`. The harness by itself has to show
    /// that it could much more, and need not show how much.
    pub(super) fn longest_burst(&mut self, given: Option<u64>, seconds: f64) -> Result<f64> {
        match given {
            Some(frames) if self.bare => Ok(frames as f64 * BARE_BURST),
            Some(frames) => Ok(frames as f64),
            None => Ok(self.full_rate()? * seconds),
        }
    }

    /// The highest rate without too much loss (RFC 2544, section 26.1).
    pub(super) fn throughput(&mut self) -> Result<Option<Best>> {
        let (trials, time) = (self.options.trials.unwrap_or(1), self.options.trial_seconds);
        self.search_rate(trials, time, self.options.resolution)
    }

    /// The longest burst without too much loss (section 26.4), of at most `most` frames.
    pub(super) fn burst(&mut self, most: f64) -> Result<Option<Best>> {
        let mut best = None;
        let retries = self.options.retries;
        largest(most, self.options.resolution, |frames| {
            let load = Load {
                rate: None,
                limit: Limit {
                    frames: Some(frames.round().max(1.0) as u64),
                    time: None,
                },
            };
            self.tried(load, Jury { trials: 1, retries }, frames >= most, &mut best)
        })?;
        Ok(best)
    }

    /// Runs `work` on a bench like this one over a bare veth.
    pub(super) fn without_device<T>(
        &self,
        work: impl FnOnce(&mut Bench<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        if self.options.no_ceiling {
            return Ok(None);
        }
        on_bare_veth(
            self.options,
            (self.ports, self.progress),
            &self.stream,
            work,
        )
        .map(Some)
    }

    fn ceiling(&mut self) -> Result<Option<Best>> {
        let time = self.options.trial_seconds.min(CEILING_TRIAL);
        self.search_rate(1, time, self.options.resolution.max(CEILING_RESOLUTION))
    }

    fn search_rate(
        &mut self,
        trials: u32,
        time: Duration,
        resolution: f64,
    ) -> Result<Option<Best>> {
        let mut best = None;
        let retries = self.options.retries;
        // Without a limit of its own, first as fast as the generator can; it says how fast that is.
        let max = match self.max_rate() {
            Some(rate) => rate,
            None => {
                let load = Load::of(None, time);
                let first = self.trial(load)?;
                let mut jury = Jury { trials, retries };
                match jury.hear(self.passes(&first)) {
                    Verdict::Passed => {
                        let trial = first;
                        return Ok(Some(Best {
                            trial,
                            at_max: true,
                        }));
                    }
                    // The others at that rate are paced, and so more even.
                    _ => first.offered(),
                }
            }
        };
        largest(max, resolution, |rate| {
            let load = Load::of(Some(rate), time);
            self.tried(load, Jury { trials, retries }, rate >= max, &mut best)
        })?;
        Ok(best)
    }

    /// Tries a load until the jury has its verdict; keeps the best trial of those that passed.
    fn tried(
        &mut self,
        load: Load,
        mut jury: Jury,
        at_max: bool,
        best: &mut Option<Best>,
    ) -> Result<bool> {
        loop {
            let trial = self.trial(load)?;
            match jury.hear(self.passes(&trial)) {
                Verdict::Failed => return Ok(false),
                Verdict::Undecided => {}
                Verdict::Passed => {
                    *best = Some(Best { trial, at_max });
                    return Ok(true);
                }
            }
        }
    }

    fn passes(&self, trial: &Trial) -> bool {
        trial.loss_ratio() <= self.options.loss
    }
}

fn on_bare_veth<T>(
    options: &Common,
    (ports, progress): (&Ports, &Progress),
    stream: &Stream,
    work: impl FnOnce(&mut Bench<'_>) -> Result<T>,
) -> Result<T> {
    let veth = BareVeth::new(stream.sizes.largest())?;
    let [tx, rx] = veth.ends();
    let ports = Ports {
        tx,
        rx,
        ..ports.clone()
    };
    let tester = Tester::open(&ports, stream, options.generator, CEILING_SETTLE)?;
    let mut bench = Bench {
        options,
        stream: stream.clone(),
        ceiling: None,
        trials: 0,
        failed_trials: 0,
        last_failed: None,
        bare: true,
        ports: &ports,
        progress,
        tester,
    };
    work(&mut bench)
}
