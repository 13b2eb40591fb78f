//! RFC 2544, section 26.4: the longest burst with the smallest gaps of which nothing is lost.

use clap::Args;

use super::{
    Method,
    bench::Bench,
    figure::{Figure, NEAR},
    options::Common,
};
use crate::{
    error::{Error, Result},
    output::{Spread, Table},
    traffic::{options::GeneratorKind, trial::Trial},
};

/// Searches for the longest burst, each by itself.
const SEARCHES: u32 = 5;

/// The longest burst lasts two seconds: what the RFC asks of the shortest trial.
const LONGEST_SECONDS: f64 = 2.0;

/// The search.
#[derive(Args)]
pub(super) struct BackToBack {
    #[command(flatten)]
    common: Common,
    /// The longest burst to try, in frames [default: what the generator sends in 2 seconds]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_burst: Option<u64>,
}

/// Longest bursts of several searches.
struct Bursts {
    spread: Spread,
    mean: f64,
    at_max: bool,
    longest: Trial,
}

impl Method for BackToBack {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result {
        if self.common.generator == GeneratorKind::Live {
            return Err(Error::Usage(
                "live frames are sent for a time, not by number: measure bursts with --generator af-xdp".into(),
            ));
        }
        if self.common.max_rate.is_some() {
            return Err(Error::Usage(
                "a burst has the smallest gaps that the generator can: leave --max-rate out, or give --max-burst".into(),
            ));
        }
        Ok(())
    }

    fn measure(&self, bench: &mut Bench<'_>) -> Result<Vec<Figure>> {
        let searches = self.common.trials.unwrap_or(SEARCHES);
        let bursts = self.bursts(bench, searches)?;
        let own = bench.without_device(|bare| self.bursts(bare, 1))?.flatten();
        let trial = bursts.as_ref().map(|bursts| &bursts.longest);
        let figure = Figure::new("rfc2544_back_to_back", bench, trial);
        Ok(vec![Figure {
            burst_frames: Some(bursts.as_ref().map_or(0.0, |b| b.mean)),
            burst_frames_min: bursts.as_ref().map(|b| b.spread.min),
            burst_frames_max: bursts.as_ref().map(|b| b.spread.max),
            at_max: bursts.as_ref().map(|b| b.at_max),
            near_ceiling: own
                .as_ref()
                .zip(bursts.as_ref())
                .map(|(own, b)| b.mean > own.mean * NEAR),
            ceiling_burst_frames: own.map(|own| own.mean),
            ..figure
        }])
    }

    fn table(figures: &[Figure]) -> Table {
        let mut table = Table::new(&[
            "bytes",
            "burst",
            "min-max",
            "frames/s in it",
            "trials",
            "limit",
            "burst over bare veth",
        ]);
        for f in figures {
            let frames = |n: Option<f64>| n.map_or("-".into(), |n| format!("{n:.0}"));
            let limit = match f.at_max {
                Some(true) => "longest tried",
                Some(false) => "device",
                None => "nothing passed",
            };
            table.row(vec![
                f.frame_sizes.clone(),
                frames(f.burst_frames),
                format!(
                    "{}-{}",
                    frames(f.burst_frames_min),
                    frames(f.burst_frames_max)
                ),
                format!("{:.0}", f.offered_frames_per_s),
                f.trials.to_string(),
                limit.into(),
                match f.near_ceiling {
                    Some(true) => frames(f.ceiling_burst_frames) + " !",
                    _ => frames(f.ceiling_burst_frames),
                },
            ]);
        }
        table
    }
}

impl BackToBack {
    fn bursts(&self, bench: &mut Bench<'_>, searches: u32) -> Result<Option<Bursts>> {
        let most = bench.longest_burst(self.max_burst, LONGEST_SECONDS)?;
        let mut lengths = Vec::new();
        let mut longest: Option<Trial> = None;
        let mut at_max = true;
        for _ in 0..searches {
            let Some(best) = bench.burst(most)? else {
                lengths.push(0.0);
                at_max = false;
                continue;
            };
            lengths.push(best.trial.sent as f64);
            at_max &= best.at_max;
            if longest.as_ref().is_none_or(|l| l.sent < best.trial.sent) {
                longest = Some(best.trial);
            }
        }
        let mean = lengths.iter().sum::<f64>() / lengths.len() as f64;
        Ok(longest.map(|longest| Bursts {
            spread: Spread::of(lengths),
            mean,
            at_max,
            longest,
        }))
    }
}
