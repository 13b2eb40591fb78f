//! What is known of the pace in the end.

use std::fmt;

use super::{deviation, drift};
use crate::output::Spread;

/// Standard deviation, as a part, that is taken for the change of pace between runs of which none is known yet.
pub(super) const UNKNOWN: f64 = 0.1;

/// Runs from which on their scatter is known.
const KNOWN: usize = 4;

/// The pace of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Seen {
    /// Its median, as a part of the fastest run that is known: 1 is that.
    pub(crate) pace: Option<Spread>,
    /// Earlier runs that are known.
    pub(crate) known: usize,
    /// Standard deviation of the pace between runs, of its logarithm.
    pub(crate) sigma: f64,
    /// Trials that were watched.
    pub(crate) trials: usize,
    /// Repetitions.
    pub(crate) repeated: usize,
}

impl Seen {
    /// Whether too few runs are known to tell how the pace changes between them.
    pub(crate) fn is_assumed(&self) -> bool {
        self.known + 1 < KNOWN
    }

    pub(super) fn of(references: &[f64], runs: &[f64]) -> Self {
        let own = Spread::of(references.iter().copied());
        let all: Vec<_> = runs.iter().copied().chain([own.median]).collect();
        let fastest = all.iter().copied().fold(f64::INFINITY, f64::min);
        let between = match all.len() >= KNOWN {
            true => deviation(&all),
            false => deviation(&all).max(UNKNOWN),
        };
        Self {
            pace: Some(Spread {
                median: fastest / own.median,
                min: fastest / own.max,
                max: fastest / own.min,
            }),
            known: runs.len(),
            // A run that saw the pace change has seen what may happen between two.
            sigma: between.max(drift(references)),
            trials: 0,
            repeated: 0,
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(pace) = self.pace else {
            return f.write_str("the machine's pace was not watched: no trial asked for it");
        };
        let percent = |part: f64| format!("{:.0}", part * 100.0);
        write!(
            f,
            "the machine's pace: {} % ({}-{}) of the fastest run known here, of {}; between runs it changes by ±{} %{}; \
             {} of {} trials were repeated, as it changed in them",
            percent(pace.median),
            percent(pace.min),
            percent(pace.max),
            self.known + 1,
            percent(self.sigma),
            if self.is_assumed() {
                " (assumed: too few runs are known)"
            } else {
                ""
            },
            self.repeated,
            self.trials
        )
    }
}
