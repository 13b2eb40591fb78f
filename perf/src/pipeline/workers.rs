//! Threads that measure at the same time, each on a core of its own.

use std::{
    num::NonZero,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use crate::datapath::{Sample, Series};
use crate::{
    cores,
    error::{Error, Result},
    interrupt,
};

/// The cores, one for each worker.
pub(super) struct Workers(Vec<usize>);

impl Workers {
    /// # Errors
    ///
    /// [`Error::CannotRun`] if this process may use fewer cores; [`Error::Interrupted`].
    pub(super) fn new(count: NonZero<usize>) -> Result<Self> {
        let mut cores = cores::allowed();
        if cores.len() < count.get() {
            return Err(Error::CannotRun(format!(
                "{count} workers need as many cores, and this process may use {}: ask for at most that many --workers",
                cores.len()
            )));
        }
        cores.truncate(count.get());
        cores::warn_if_busy(&cores)?;
        Ok(Self(cores))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    /// The first of them alone.
    pub(super) fn first(&self) -> Self {
        Self(self.0[..1].to_vec())
    }

    /// Has every worker repeat `step` on its series for about this long, all from the same moment on.
    /// Returns the time that one worker takes for a frame: that of all together, times their number.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`]; [`Error::CannotRun`] if a thread may not have its core.
    pub(super) fn ns_per_frame<S: Series>(
        &self,
        series: &mut [S],
        time: Duration,
        step: fn(&mut S) -> Sample,
    ) -> Result<f64> {
        let start = Barrier::new(self.count());
        let samples: Result<Vec<Sample>> = thread::scope(|scope| {
            let start = &start;
            let work = |(core, series): (&usize, _)| {
                let core = *core;
                scope.spawn(move || {
                    let pinned = cores::pin(core);
                    start.wait();
                    pinned.map(|()| repeat(series, time, step))
                })
            };
            let threads: Vec<_> = self.0.iter().zip(series).map(work).collect();
            let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join();
            let joined = threads.into_iter().map(join);
            joined
                .map(|sample| sample.expect("a worker does not panic"))
                .collect()
        });
        interrupt::check()?;
        let rate = |s: Sample| s.frames as f64 / s.time.as_nanos() as f64;
        let together: f64 = samples?.into_iter().map(rate).sum();
        Ok(self.count() as f64 / together)
    }
}

fn repeat<S>(series: &mut S, time: Duration, step: fn(&mut S) -> Sample) -> Sample {
    let start = Instant::now();
    let mut total = step(series);
    // What is not timed (sealing what is opened) may take as long again, but no more.
    while total.time < time && start.elapsed() < 4 * time && !interrupt::raised() {
        total += step(series);
    }
    total
}
