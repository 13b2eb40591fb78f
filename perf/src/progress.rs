//! How far a long test is, and how long it will take: on standard error.
//!
//! A bar where a person looks, a line now and then where the output goes to a file.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// Time between two lines of a log.
const QUIET: Duration = Duration::from_secs(15);

/// Time between two looks of a bar at the clock: it moves while a step takes minutes.
const TICK: Duration = Duration::from_secs(1);

/// The progress of one test.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    said: Cell<Option<Instant>>,
}

impl Progress {
    /// Of a test with `steps` steps of roughly equal length.
    pub(crate) fn new(steps: u64) -> Self {
        Self::with_style(
            steps,
            "{elapsed_precise} [{bar:30}] {pos}/{len}, {eta} left: {wide_msg}",
        )
    }

    /// Of a test that takes this long.
    pub(crate) fn timed(time: Duration) -> Self {
        let style = "{elapsed_precise} [{bar:30}] {percent} %: {wide_msg}";
        Self::with_style(time.as_secs().max(1), style)
    }

    fn with_style(steps: u64, style: &str) -> Self {
        let style = ProgressStyle::with_template(style).expect("a template of indicatif");
        let bar = ProgressBar::new(steps).with_style(style);
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self {
            bar,
            started: Instant::now(),
            said: Cell::new(None),
        }
    }

    /// Says what begins now.
    pub(crate) fn say(&self, what: impl Into<String>) {
        let what = what.into();
        let lately = |then: Instant| then.elapsed() < QUIET;
        if self.bar.is_hidden() && !self.said.get().is_some_and(lately) {
            self.said.set(Some(Instant::now()));
            let (at, of) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let elapsed = self.started.elapsed().as_secs();
            // Not the bar's own estimate: between two long steps that grows without bound.
            let left = (elapsed * of.saturating_sub(at)).checked_div(at);
            let left = left.map_or_else(String::new, |s| format!(", {s} s left"));
            eprintln!("{elapsed} s, {at}/{of}{left}: {what}");
        }
        self.bar.set_message(what);
    }

    /// A test that takes a known time has come so far. Its lines tell that by themselves.
    pub(crate) fn reached(&self, elapsed: Duration) {
        let end = self.bar.length().unwrap_or(0);
        let at = elapsed.as_secs().min(end);
        self.bar.set_position(at);
        self.bar.set_message(left(Duration::from_secs(end - at)));
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
    pub(crate) fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// What is left, for people.
pub(crate) fn left(time: Duration) -> String {
    format!("{} left", humantime::format_duration(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes() {
        let progress = Progress::timed(Duration::from_secs(7_320));
        progress.reached(Duration::from_millis(60_900));
        assert_eq!(progress.bar.position(), 60);
        assert_eq!(progress.bar.message(), "2h 1m left");
        progress.reached(Duration::MAX);
        assert_eq!(progress.bar.position(), 7_320);
    }
}
