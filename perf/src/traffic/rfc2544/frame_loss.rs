//! RFC 2544, section 26.3: loss at 100 %, 90 %, ... of a rate, until two rates lose nothing.

use clap::Args;

use super::{Method, bench::Bench, figure::Figure, options::Common};
use crate::{error::Result, output::Table};

/// The rates.
#[derive(Args)]
pub(super) struct FrameLoss {
    #[command(flatten)]
    common: Common,
    /// From one rate to the next, in percent of the first; RFC 2544 allows 10 at most
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=10))]
    step: u32,
}

impl Method for FrameLoss {
    fn common(&self) -> &Common {
        &self.common
    }

    fn measure(&self, bench: &mut Bench<'_>) -> Result<Vec<Figure>> {
        let full = bench.full_rate()?;
        let mut figures = Vec::new();
        let mut without_loss = 0;
        for percent in (1..=100).rev().step_by(self.step as usize) {
            let share = f64::from(percent) / 100.0;
            let trial = bench.repeated(full * share)?;
            without_loss = if trial.lost() == 0 {
                without_loss + 1
            } else {
                0
            };
            figures.push(Figure {
                offered_share: Some(share),
                ..Figure::new("rfc2544_frame_loss", bench, Some(&trial))
            });
            if without_loss == 2 {
                break;
            }
        }
        Ok(figures)
    }

    fn table(figures: &[Figure]) -> Table {
        let mut table = Table::new(&[
            "bytes",
            "rate",
            "offered/s",
            "frames/s",
            "Gb/s",
            "sent",
            "lost",
            "loss",
            "at sink",
            "ceiling",
        ]);
        for f in figures {
            let mark = if f.kept_schedule { "" } else { " ~" };
            table.row(vec![
                f.frame_sizes.clone(),
                format!("{:.0} %{mark}", f.offered_share.unwrap_or(1.0) * 100.0),
                format!("{:.0}", f.offered_frames_per_s),
                format!("{:.0}", f.frames_per_s),
                format!("{:.3}", f.gbit_per_s),
                f.sent.to_string(),
                f.lost.to_string(),
                format!("{:.3} %", f.loss_ratio * 100.0),
                f.dropped_at_sink.to_string(),
                f.ceiling_cell(),
            ]);
        }
        table
    }
}
