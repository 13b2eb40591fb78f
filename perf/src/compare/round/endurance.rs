//! A peer saturated for minutes.

use super::{Round, attempt};
use crate::{
    compare::{
        figures::{Figure, Samples},
        measure::{account, endurance, frames::Bench},
        peer::{Peer, Setup},
    },
    error::Result,
};

/// All of it.
const FIGURES: [Figure; 7] = [
    Figure::EnduranceTime,
    Figure::EnduranceRate,
    Figure::EnduranceUnaccounted,
    Figure::EnduranceSilence,
    Figure::EnduranceRss,
    Figure::EnduranceGrowth,
    Figure::EnduranceAfter,
];

impl Round<'_> {
    /// Frames of the first size for so long, followed to the last.
    pub(super) fn endurance(
        &mut self,
        name: &str,
        peer: &dyn Peer,
        on: &Setup<'_>,
        samples: &mut Samples,
    ) -> Result {
        let Some(&sizes) = self.plan.sizes.first() else {
            return Ok(());
        };
        let kind = attempt::plain(&FIGURES);
        self.attempt(on.rig, samples, &kind, |round, samples| {
            let bench = Bench::open(on.rig)?;
            let mut generator = bench.generator(sizes)?;
            let time = round.plan.endurance;
            let progress = &*round.progress;
            let (run, ledger) = account::followed(&bench, Some(peer), on, sizes, || {
                let run = endurance::saturate(&bench, on.rig, &mut generator, time, |passed| {
                    let (passed, time) = (passed.as_secs(), time.as_secs());
                    progress.say(format!("{name}: saturated for {passed} of {time} s"));
                })?;
                Ok((run.sent, run))
            })?;
            round
                .progress
                .note(format!("{name}, endurance, {sizes} bytes: {ledger}"));
            let after = endurance::slow_load(&bench, &mut generator)?;
            for (figure, value) in FIGURES.into_iter().zip([
                run.seconds,
                run.frames as f64 / run.seconds,
                ledger.unaccounted() as f64,
                run.silence,
                run.memory.first(),
                run.memory.growth(),
                after,
            ]) {
                samples.add(figure, None, value);
            }
            Ok(())
        })
    }
}
