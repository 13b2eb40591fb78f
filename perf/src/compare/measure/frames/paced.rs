//! Frames at a rate: trials of a search, and a load beside other work.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::setpriority_process;

use super::{Bench, QUIET, WARM_UP, joined};
use crate::{
    compare::measure::search::Trial,
    error::{Error, Result},
    interrupt,
    traffic::live::LiveGenerator,
};

/// A load is that much longer than what it is for should take, and goes on in pieces of a second if that takes longer:
/// between two pieces there is a pause, which a load should not have.
const SPARE: Duration = Duration::from_millis(300);
const MORE: Duration = Duration::from_secs(1);

impl Bench<'_> {
    /// So many frames per second for about `time`.
    ///
    /// # Errors
    ///
    /// The kernel refuses; interruption.
    pub(crate) fn trial(
        &self,
        generator: &mut LiveGenerator,
        frames_per_s: f64,
        time: Duration,
    ) -> Result<Trial> {
        generator.paced(frames_per_s, time / 5)?;
        let before = self.drained(QUIET, None)?;
        let sent = generator.paced(frames_per_s, time)?;
        let offered = sent.frames + sent.refused;
        Ok(Trial {
            offered,
            delivered: self.drained(QUIET, Some(before + offered))? - before,
            seconds: sent.elapsed.as_secs_f64(),
        })
    }

    /// Does `work` beside a load of so many frames per second, which starts before and ends after it, and is to take
    /// about `time`; and the frames per second that were sent. The generator yields to all else on the hosts' CPU: it waits there for each frame's turn, and what is
    /// measured beside it should not wait for it.
    ///
    /// # Errors
    ///
    /// The kernel refuses; `work` fails.
    pub(crate) fn beside<T>(
        &self,
        generator: &mut LiveGenerator,
        frames_per_s: f64,
        time: Duration,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<(T, f64)> {
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let sender = scope.spawn(|| {
                setpriority_process(None, 19).map_err(Error::failed("setpriority"))?;
                load(
                    generator,
                    frames_per_s,
                    WARM_UP + time * 3 / 2 + SPARE,
                    &over,
                )
            });
            let result = interrupt::sleep(WARM_UP).and_then(|()| work());
            over.store(true, Ordering::Relaxed);
            let sent_per_s = joined(sender)?;
            Ok((result?, sent_per_s))
        })
    }
}

/// Sends for `time`, and on until it is over; frames per second from the first to the last, pauses between calls
/// included.
fn load(
    generator: &mut LiveGenerator,
    frames_per_s: f64,
    time: Duration,
    over: &AtomicBool,
) -> Result<f64> {
    let begin = Instant::now();
    let mut all = generator.paced(frames_per_s, time)?;
    // What the first call took beside sending is before its first frame, or after all.
    let beside = begin.elapsed().saturating_sub(all.elapsed);
    while !over.load(Ordering::Relaxed) {
        let more = generator.paced(frames_per_s, MORE)?;
        all.frames += more.frames;
        all.refused += more.refused;
        all.elapsed = begin.elapsed().saturating_sub(beside);
    }
    Ok(all.offered_per_s())
}
