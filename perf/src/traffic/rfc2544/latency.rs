//! RFC 2544, section 26.2: latency at the throughput rate. Every frame is timed, not one of a trial.

use clap::Args;

use super::{Method, bench::Bench, figure::Figure, options::Common};
use crate::{
    error::{Error, Result},
    output::Table,
    traffic::{
        latency::{self, text},
        options::GeneratorKind,
        preflight,
        rate::Rate,
        trial::Load,
    },
};

/// The measurement.
#[derive(Args)]
pub(super) struct Latency {
    #[command(flatten)]
    common: Common,
    /// Rate to measure at [default: the throughput, which is searched first]
    #[arg(long, value_name = "RATE")]
    rate: Option<Rate>,
}

impl Method for Latency {
    fn common(&self) -> &Common {
        &self.common
    }

    fn check(&self) -> Result {
        if self.common.generator == GeneratorKind::Live {
            return Err(Error::Usage(
                "live frames are counted, not timed: measure latency with --generator af-xdp"
                    .into(),
            ));
        }
        if self.rate == Some(Rate::Max) {
            return Err(Error::Usage(
                "latency at more than a device carries is that of its queues: give --rate a number"
                    .into(),
            ));
        }
        let rate = self.rate.filter(|rate| matches!(rate, Rate::Frames(_)));
        match rate.and_then(|r| r.frames_per_s(&crate::sizes::RFC2544[0])) {
            Some(rate) => preflight::rate(&self.common.tx, rate, &crate::sizes::RFC2544[0]),
            None => Ok(()),
        }
    }

    fn measure(&self, bench: &mut Bench<'_>) -> Result<Vec<Figure>> {
        let asked = self
            .rate
            .and_then(|rate| rate.frames_per_s(&bench.stream.sizes));
        let rate = match asked {
            Some(rate) => Some(rate),
            None => bench.throughput()?.map(|best| best.trial.offered()),
        };
        let Some(rate) = rate else {
            return Ok(vec![Figure::new("rfc2544_latency", bench, None)]);
        };
        let trial = bench.repeated(rate)?;
        let time = self.common.trial_seconds;
        let own = bench.without_device(|bare| {
            let trial = bare.trial(Load::of(Some(rate), time))?;
            Ok(trial.seen.map(|seen| seen.latency))
        })?;
        let own = own.flatten();
        let quantile = |part| own.as_ref().and_then(|own| own.quantile(part));
        Ok(vec![Figure {
            latency: trial.seen.as_ref().map(|seen| seen.latency.summary()),
            ceiling_latency_p50_s: quantile(0.5),
            ceiling_latency_p99_s: quantile(0.99),
            ..Figure::new("rfc2544_latency", bench, Some(&trial))
        }])
    }

    fn table(figures: &[Figure]) -> Table {
        let mut table = Table::new(&[
            "bytes", "frames/s", "lost", "p50", "p90", "p99", "p99.9", "max", "bare p50",
            "bare p99", "ceiling",
        ]);
        for f in figures {
            let quantile =
                |of: fn(&latency::Summary) -> Option<f64>| text(f.latency.as_ref().and_then(of));
            table.row(vec![
                f.frame_sizes.clone(),
                format!("{:.0}", f.frames_per_s),
                f.lost.to_string(),
                quantile(|l| l.latency_p50_s),
                quantile(|l| l.latency_p90_s),
                quantile(|l| l.latency_p99_s),
                quantile(|l| l.latency_p999_s),
                quantile(|l| l.latency_max_s),
                text(f.ceiling_latency_p50_s),
                text(f.ceiling_latency_p99_s),
                f.ceiling_cell(),
            ]);
        }
        table
    }
}
