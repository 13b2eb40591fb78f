//! The measurements of a round that work with test frames.

use std::time::Duration;

use super::{
    Round,
    attempt::{self, Kind},
    cpu,
};
use crate::{
    compare::{
        figures::{Figure, Samples},
        measure::{
            account::{self, Ledger},
            frames::Bench,
            rtt,
            search::{self, Range},
        },
        peer::{Peer, Setup},
        plan::Measure,
    },
    error::{Error, Result},
    rig::Rig,
    sizes::FrameSizes,
    traffic::live::{LiveGenerator, MOST_FRAMES_PER_S},
};

/// Above what arrives at saturation the search for a rate begins by this factor: some deliver less when they get too much.
const ABOVE_SATURATION: f64 = 1.5;

impl Round<'_> {
    /// All that test frames are for.
    pub(super) fn by_frames(
        &mut self,
        name: &str,
        peer: Option<&dyn Peer>,
        on: &Setup<'_>,
        samples: &mut Samples,
    ) -> Result {
        let rig = on.rig;
        let sizes = self.plan.sizes.clone();
        let mut loaded = attempt::plain(&LOADED);
        loaded.push((Figure::RttLoad, sizes.first().copied()));
        loaded.retain(|_| self.does(Measure::Rtt));
        let mut all: Kind = sizes.iter().flat_map(|s| self.frame_figures(*s)).collect();
        all.extend(&loaded);
        let mut bench = None;
        self.attempt(rig, samples, &all, |_, _| {
            bench = Some(Bench::open(rig)?);
            Ok(())
        })?;
        let Some(bench) = bench else { return Ok(()) };
        let mut load = None;
        for size in sizes {
            let kind = self.frame_figures(size);
            self.attempt(rig, samples, &kind, |round, samples| {
                let rate = round.frames(name, peer, on, &bench, size, samples)?;
                load = load.or(rate);
                Ok(())
            })?;
        }
        if loaded.is_empty() {
            return Ok(());
        }
        self.progress
            .say(format!("{name}: round trips beside half load"));
        self.attempt(rig, samples, &loaded, |round, samples| {
            let (size, rate) = load.ok_or_else(|| {
                Error::Failed("no rate is known of which half would be a load".into())
            })?;
            round.loaded(rig, &bench, size, rate / 2.0, samples)
        })
    }

    /// Saturation and the searches for one size; the rate of which half is a load.
    pub(super) fn frames(
        &mut self,
        name: &str,
        peer: Option<&dyn Peer>,
        on: &Setup<'_>,
        bench: &Bench<'_>,
        sizes: FrameSizes,
        samples: &mut Samples,
    ) -> Result<Option<(FrameSizes, f64)>> {
        self.progress
            .say(format!("{name}: frames of {sizes} bytes"));
        let mut generator = bench.generator(sizes)?;
        let time = self.plan.time;
        generator.saturate(time.min(Duration::from_millis(100)))?;
        let mut ledgers = Vec::new();
        let run = self.pace.steady(|| {
            let (run, ledger) = account::followed(bench, peer, on, sizes, || {
                let run = bench.saturate(&mut generator, time)?;
                Ok((run.sent, run))
            })?;
            ledgers.push(ledger);
            Ok(run)
        })?;
        if self.does(Measure::Frames) {
            for ledger in &ledgers {
                self.progress
                    .note(format!("{name}, {sizes} bytes: {ledger}"));
            }
            // Also those of trials that were repeated.
            let unaccounted: u64 = ledgers.iter().map(Ledger::unaccounted).sum();
            samples.add(Figure::Saturation, Some(sizes), run.per_s());
            samples.add(Figure::Offered, Some(sizes), run.offered_per_s);
            samples.add(Figure::Unaccounted, Some(sizes), unaccounted as f64);
            if let Some(peer) = peer.filter(|_| run.frames > 0) {
                let millions = run.frames as f64 / 1e6;
                cpu::add(
                    samples,
                    cpu::PER_MILLION,
                    Some(sizes),
                    peer,
                    run.usage,
                    millions,
                );
            }
        }
        let mut rate = run.per_s();
        if self.does(Measure::Loss) && self.plan.loss_sizes.contains(&sizes) {
            self.progress
                .say(format!("{name}: rates for frames of {sizes} bytes"));
            let found = self.search(bench, &mut generator, sizes, rate, samples)?;
            rate = found.unwrap_or(rate);
        }
        Ok((rate > 0.0).then_some((sizes, rate)))
    }

    /// The highest rates with little loss; the one with a hundredth.
    fn search(
        &self,
        bench: &Bench<'_>,
        generator: &mut LiveGenerator,
        sizes: FrameSizes,
        saturation: f64,
        samples: &mut Samples,
    ) -> Result<Option<f64>> {
        let mut range = Range {
            top: saturation * ABOVE_SATURATION,
            most: MOST_FRAMES_PER_S,
            steps: self.plan.steps,
        };
        let mut result = None;
        for (figure, limit) in [(Figure::Loss1Percent, 0.01), (Figure::Loss01Percent, 0.001)] {
            let found = match range.top > 0.0 {
                true => search::highest(limit, range, |rate| {
                    bench.trial(generator, rate, self.plan.trial)
                })?,
                false => None,
            };
            samples.add(
                figure,
                Some(sizes),
                found.map_or(0.0, |trial| trial.delivered_per_s()),
            );
            // What loses too much for the one loses too much for the other.
            range.top = found.map_or(0.0, |trial| trial.offered_per_s());
            range.most = range.top;
            result = result.or(found.map(|trial| trial.delivered_per_s()));
        }
        Ok(result)
    }

    pub(super) fn loaded(
        &mut self,
        rig: &Rig,
        bench: &Bench<'_>,
        sizes: FrameSizes,
        rate: f64,
        samples: &mut Samples,
    ) -> Result {
        let mut generator = bench.generator(sizes)?;
        let time = self.plan.time;
        let (times, sent_per_s) = self.pace.steady(|| {
            let work = || rtt::round_trips(rig, time);
            bench.beside(&mut generator, rate, time, work)
        })?;
        add_round_trips(samples, LOADED, &times);
        samples.add(Figure::RttLoad, Some(sizes), sent_per_s);
        Ok(())
    }
}

/// Median, 99th percentile, and lost part.
type RoundTripFigures = [Figure; 3];

pub(super) const IDLE: RoundTripFigures =
    [Figure::RttIdleP50, Figure::RttIdleP99, Figure::RttIdleLost];

pub(super) const LOADED: RoundTripFigures =
    [Figure::RttLoadP50, Figure::RttLoadP99, Figure::RttLoadLost];

pub(super) fn add_round_trips(
    samples: &mut Samples,
    [p50, p99, lost]: RoundTripFigures,
    times: &rtt::RoundTrips,
) {
    for (figure, part) in [(p50, 0.5), (p99, 0.99)] {
        match times.percentile(part) {
            Ok(time) => samples.add(figure, None, time),
            Err(why) => samples.add_nothing(figure, None, why),
        }
    }
    samples.add(lost, None, times.lost_ratio());
}
