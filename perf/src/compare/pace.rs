//! The machine's pace. A virtual machine changes its clock and its neighbours: within a second, and from one minute to the
//! next. A fixed piece of work on both CPUs of the rig, before and after each trial, tells.
//!
//! A trial during which the pace changed, or during which the hypervisor took the CPUs away, is repeated. How much the pace
//! changes between runs nobody sees in one run: [`history`] remembers the others, and the spread that is printed has it.

mod history;
mod seen;
mod work;

use std::{fs, path::Path, thread};

pub(crate) use self::seen::Seen;
use self::{history::History, work::Work};
use crate::{
    error::{Error, Result},
    output::Spread,
    rig::Cpus,
};

/// Times that a disturbed trial is repeated.
const REPEATS: usize = 2;

/// Part of all trials that may be repetitions: on a machine that is never steady a run must end, too.
const REPEATED_PART: f64 = 0.25;

/// A trial is disturbed if the references before and after it differ by this part.
const CHANGE: f64 = 0.15;

/// Or if so much of the time of both CPUs was stolen.
const STOLEN: f64 = 0.03;

/// Below so many ticks of /proc/stat (10 ms each) it is no matter: they are counted in whole ones.
const STOLEN_TICKS: u64 = 3;

/// Watches the pace of one run.
pub(crate) struct Pace {
    cpus: Cpus,
    work: [Work; 2],
    /// Seconds of the reference work, in the order of time.
    references: Vec<f64>,
    trials: usize,
    repeated: usize,
}

impl Pace {
    /// Of these CPUs.
    ///
    /// # Errors
    ///
    /// No more files.
    pub(crate) fn watch(cpus: Cpus) -> Result<Self> {
        Ok(Self {
            cpus,
            work: [Work::new()?, Work::new()?],
            references: Vec::new(),
            trials: 0,
            repeated: 0,
        })
    }

    /// The CPUs that are watched.
    pub(crate) fn cpus(&self) -> Cpus {
        self.cpus
    }

    /// Does a trial, again if it was disturbed; the least disturbed one counts.
    ///
    /// # Errors
    ///
    /// The trial fails.
    pub(crate) fn steady<T>(&mut self, mut trial: impl FnMut() -> Result<T>) -> Result<T> {
        let mut best = None::<(f64, T)>;
        self.trials += 1;
        for attempt in 0..=REPEATS {
            let (before, stolen) = (self.reference()?, Ticks::now(self.cpus)?);
            let result = trial()?;
            let stolen = Ticks::now(self.cpus)?.since(stolen);
            let disturbance = disturbance(before, self.reference()?, stolen);
            if best.as_ref().is_none_or(|(least, _)| disturbance < *least) {
                best = Some((disturbance, result));
            }
            let allowed = (self.trials as f64 * REPEATED_PART).ceil() as usize;
            if disturbance < 1.0 || attempt == REPEATS || self.repeated >= allowed {
                break;
            }
            self.repeated += 1;
        }
        Ok(best.expect("there is at least one attempt").1)
    }

    /// The reference work on both CPUs at once: the geometric mean of their seconds.
    fn reference(&mut self) -> Result<f64> {
        let Cpus { hosts, gateways } = self.cpus;
        let [one, other] = &mut self.work;
        let times = thread::scope(|scope| {
            let far = scope.spawn(|| other.on(gateways));
            // On a thread of its own, too: it pins itself.
            let near = scope.spawn(|| one.on(hosts));
            [near, far].map(|thread| match thread.join() {
                Ok(time) => time,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        });
        let [near, far] = times;
        let time = (near? * far?).sqrt();
        self.references.push(time);
        Ok(time)
    }

    /// What the run saw, beside the runs that `folder` remembers; and, if it is `to_keep`, to be remembered there.
    pub(crate) fn seen(&self, folder: &Path, to_keep: bool) -> Seen {
        if self.references.is_empty() {
            return Seen::default();
        }
        let history = History::load(folder);
        let seen = Seen::of(&self.references, history.runs());
        if to_keep {
            history.remember(Spread::of(self.references.iter().copied()).median);
        }
        Seen {
            trials: self.trials,
            repeated: self.repeated,
            ..seen
        }
    }
}

/// How the pace changed in the course of a run: the deviation of the medians of its thirds.
fn drift(references: &[f64]) -> f64 {
    let third = references.len().div_ceil(3).max(1);
    let thirds = references.chunks(third);
    let medians: Vec<_> = thirds
        .map(|c| Spread::of(c.iter().copied()).median)
        .collect();
    deviation(&medians)
}

/// Standard deviation of the logarithms.
fn deviation(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().map(|v| v.ln()).sum::<f64>() / count;
    let squares = values.iter().map(|v| (v.ln() - mean).powi(2)).sum::<f64>();
    (squares / (count - 1.0).max(1.0)).sqrt()
}

/// From 1 on it is too much.
fn disturbance(before: f64, after: f64, stolen: Ticks) -> f64 {
    let change = (after / before).ln().abs() / CHANGE.ln_1p();
    let part = stolen.stolen as f64 / stolen.all.max(1) as f64;
    let part = if stolen.stolen < STOLEN_TICKS {
        0.0
    } else {
        part
    };
    change.max(part / STOLEN)
}

/// Of both CPUs together, by /proc/stat (proc_stat(5)).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Ticks {
    /// That the hypervisor took.
    stolen: u64,
    all: u64,
}

impl Ticks {
    fn now(cpus: Cpus) -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").map_err(Error::failed("/proc/stat"))?;
        let of = |cpu| Self::parse(&text, cpu).unwrap_or_default();
        let (one, other) = (of(cpus.hosts), of(cpus.gateways));
        Ok(Self {
            stolen: one.stolen + other.stolen,
            all: one.all + other.all,
        })
    }

    fn parse(text: &str, cpu: usize) -> Option<Self> {
        let name = format!("cpu{cpu} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name))?;
        let ticks: Vec<u64> = line.split(' ').map_while(|t| t.parse().ok()).collect();
        Some(Self {
            stolen: *ticks.get(7)?,
            all: ticks.iter().take(8).sum(),
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            stolen: self.stolen.saturating_sub(before.stolen),
            all: self.all.saturating_sub(before.all),
        }
    }
}

#[cfg(test)]
mod tests;
