//! How far a long test is, and how long it will take: on standard error.
//!
//! A bar where a person looks, a line now and then where the output goes to a file.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines of a log.
const QUIET: Duration = Duration::from_secs(15);

/// The progress of one test, in steps of roughly equal length.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    said: Instant,
}

impl Progress {
    /// Of a test with `steps` steps.
    pub(crate) fn new(steps: u64) -> Self {
        let style = "{elapsed_precise} [{bar:30}] {pos}/{len}, {eta} left: {wide_msg}";
        let style = ProgressStyle::with_template(style).expect("a template of indicatif");
        let bar = ProgressBar::new(steps).with_style(style);
        let now = Instant::now();
        Self {
            bar,
            started: now,
            said: now.checked_sub(QUIET).unwrap_or(now),
        }
    }

    /// Says what begins now.
    pub(crate) fn say(&mut self, what: impl Into<String>) {
        let what = what.into();
        if self.bar.is_hidden() && self.said.elapsed() >= QUIET {
            self.said = Instant::now();
            let (at, of) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let elapsed = self.started.elapsed().as_secs();
            // Not the bar's own estimate: between two long steps that grows without bound.
            let left = (elapsed * of.saturating_sub(at)).checked_div(at);
            let left = left.map_or_else(String::new, |s| format!(", {s} s left"));
            eprintln!("{elapsed} s, {at}/{of}{left}: {what}");
        }
        self.bar.set_message(what);
    }

    /// A line that stays.
    pub(crate) fn note(&self, line: impl AsRef<str>) {
        if self.bar.is_hidden() {
            eprintln!("{}", line.as_ref());
        } else {
            self.bar.println(line);
        }
    }

    /// A step is done.
    pub(crate) fn step(&mut self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
