//! RFC 2544, section 26.1: "the fastest rate at which the count of test frames transmitted by the DUT is equal to the
//! number of test frames sent to it".

use clap::Args;

use super::{Method, bench::Bench, figure::Figure, options::Common};
use crate::{error::Result, output::Table};

/// The search.
#[derive(Args)]
pub(super) struct Throughput {
    #[command(flatten)]
    common: Common,
}

impl Method for Throughput {
    fn common(&self) -> &Common {
        &self.common
    }

    fn measure(&self, bench: &mut Bench<'_>) -> Result<Vec<Figure>> {
        let best = bench.throughput()?;
        let trial = best.as_ref().map(|best| &best.trial);
        let figure = Figure::new("rfc2544_throughput", bench, trial);
        Ok(vec![Figure {
            at_max: best.map(|best| best.at_max),
            ..figure
        }])
    }

    fn table(figures: &[Figure]) -> Table {
        let mut table = Table::new(&[
            "bytes", "frames/s", "Gb/s", "loss", "trials", "failed", "lost", "at sink", "ceiling",
            "limit",
        ]);
        for f in figures {
            let limit = match (f.kept_schedule, f.at_max) {
                (false, _) => "generator ~",
                (true, Some(true)) => "rate of 100 %",
                (true, Some(false)) => "device",
                (true, None) => "nothing passed",
            };
            table.row(vec![
                f.frame_sizes.clone(),
                format!("{:.0}", f.frames_per_s),
                format!("{:.3}", f.gbit_per_s),
                format!("{:.4} %", f.loss_ratio * 100.0),
                f.trials.to_string(),
                f.failed_trials.to_string(),
                f.lost.to_string(),
                f.dropped_at_sink.to_string(),
                f.ceiling_cell(),
                limit.into(),
            ]);
        }
        table
    }
}
