//! Each kind of measurement by itself: one that fails does not take the others with it.

use std::time::Duration;

use super::Round;
use crate::{
    compare::{
        figures::{Figure, Samples},
        measure::reach,
        plan::Measure,
    },
    error::{Error, Result},
    rig::Rig,
    sizes::FrameSizes,
};

/// How long traffic may take to flow again after a measurement that failed.
const AGAIN: Duration = Duration::from_secs(5);

/// Figures of one kind of measurement.
pub(super) type Kind = Vec<(Figure, Option<FrameSizes>)>;

pub(super) const TCP: [Figure; 5] = [
    Figure::Tcp1,
    Figure::Tcp1Reverse,
    Figure::Tcp4,
    Figure::Tcp4Reverse,
    Figure::CpuPerGb,
];

/// Figures without a frame size.
pub(super) fn plain(figures: &[Figure]) -> Kind {
    figures.iter().map(|figure| (*figure, None)).collect()
}

impl Round<'_> {
    /// Does `work`, which measures `kind`. If it fails, the figures that it did not get to have the reason instead, and so
    /// has the peer.
    ///
    /// # Errors
    ///
    /// [`Error::Interrupted`] only.
    pub(super) fn attempt(
        &mut self,
        rig: &Rig,
        samples: &mut Samples,
        kind: &Kind,
        work: impl FnOnce(&mut Self, &mut Samples) -> Result,
    ) -> Result {
        let tries = |samples: &Samples| -> Vec<_> {
            let all = kind.iter();
            all.map(|(figure, sizes)| samples.tries(*figure, *sizes))
                .collect()
        };
        let before = tries(samples);
        let Err(error) = self.still_flows(rig).and_then(|()| work(self, samples)) else {
            return Ok(());
        };
        if matches!(error, Error::Interrupted) {
            return Err(error);
        }
        let after = tries(samples);
        for ((figure, sizes), _) in kind
            .iter()
            .zip(before.iter().zip(&after))
            .filter(|(_, (before, after))| before == after)
        {
            samples.add_nothing(*figure, *sizes, error.to_string());
        }
        let what = kind.first().map_or("", |(figure, _)| figure.name());
        self.troubles.push(format!("{what}: {error}"));
        Ok(())
    }

    /// After a failure, whether there is anything left to measure.
    fn still_flows(&self, rig: &Rig) -> Result {
        if self.troubles.is_empty() || reach::flows_within(rig, AGAIN)? {
            return Ok(());
        }
        Err(Error::Failed(
            "no ping passes any more, after a measurement that failed".into(),
        ))
    }

    /// Figures of test frames of one size.
    pub(super) fn frame_figures(&self, sizes: FrameSizes) -> Kind {
        let mut figures = Vec::new();
        if self.does(Measure::Frames) {
            figures.extend([
                Figure::Saturation,
                Figure::Offered,
                Figure::Unaccounted,
                Figure::CpuPerMillion,
            ]);
        }
        if self.does(Measure::Loss) && self.plan.loss_sizes.contains(&sizes) {
            figures.extend([Figure::Loss1Percent, Figure::Loss01Percent]);
        }
        let with_size = figures.into_iter().map(|figure| (figure, Some(sizes)));
        with_size.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        compare::{pace::Pace, plan::Plan, preflight, programs::Programs},
        progress::Progress,
    };

    #[test]
    fn a_failure_costs_its_own_figures_only() {
        let cpus = preflight::choose(None).expect("two CPUs");
        let rig = Rig::bare(cpus).expect("a veth");
        let mut round = Round {
            plan: &Plan::quick(Vec::new()),
            cpus,
            programs: &Programs::new("/nonesuch".into(), "/nonesuch".into()),
            number: 0,
            progress: &mut Progress::new(1),
            pace: &mut Pace::watch(cpus).expect("pipes"),
            troubles: Vec::new(),
        };
        let mut samples = Samples::default();
        let kind = plain(&[Figure::Tcp1, Figure::Tcp4]);
        let half = |_: &mut Round<'_>, samples: &mut Samples| {
            samples.add(Figure::Tcp1, None, 1.0);
            Err(Error::Failed("it broke".into()))
        };
        let done = round.attempt(&rig, &mut samples, &kind, half);
        done.expect("no interruption");
        assert!(samples.spread(Figure::Tcp1, None).is_some());
        assert_eq!(samples.reason(Figure::Tcp4, None), Some("it broke"));
        let rss = plain(&[Figure::Rss]);
        let whole = |_: &mut Round<'_>, samples: &mut Samples| {
            samples.add(Figure::Rss, None, 1.0);
            Ok(())
        };
        let done = round.attempt(&rig, &mut samples, &rss, whole);
        done.expect("no interruption");
        assert_eq!(round.troubles, ["tcp1_bits_per_s: it broke"]);
        // A peer that carries nothing any more is not measured any further.
        let down = "link set eth0 down".split(' ');
        rig.vm().ip(down).expect("it goes down");
        let done = round.attempt(&rig, &mut samples, &rss, whole);
        done.expect("no interruption");
        assert_eq!(samples.tries(Figure::Rss, None), 2);
        let why = samples.reason(Figure::Rss, None).expect("a reason");
        assert!(why.contains("no ping passes any more"), "{why}");
    }
}
