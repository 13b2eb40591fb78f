//! One line of a report.

use serde::Serialize;

use super::bench::Bench;
use crate::traffic::{latency::Summary, trial::Trial};

/// Part of its own ceiling above which a figure may be the harness's.
pub(super) const NEAR: f64 = 0.8;

/// A flat record; what a test has nothing to say of is absent.
#[derive(Default, Serialize)]
pub(super) struct Figure {
    pub(super) test: &'static str,
    pub(super) generator: &'static str,
    pub(super) tx: String,
    pub(super) rx: String,
    pub(super) frame_bytes: u64,
    pub(super) frame_sizes: String,
    pub(super) flows: u16,
    /// Of the rate of 100 %: frame-loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offered_share: Option<f64>,
    pub(super) offered_frames_per_s: f64,
    pub(super) frames_per_s: f64,
    pub(super) gbit_per_s: f64,
    pub(super) loss_ratio: f64,
    /// What counts as passed.
    pub(super) accepted_loss_ratio: f64,
    /// Trials of this figure, the search included.
    pub(super) trials: u32,
    /// Those of them that lost more than is accepted.
    pub(super) failed_trials: u32,
    pub(super) trial_s: f64,
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    /// Dropped by the sending port: never offered to what is tested.
    pub(super) refused: u64,
    /// Of the lost, those that the harness lost itself.
    pub(super) dropped_at_sink: u64,
    /// The generator sent as fast as it was to.
    pub(super) kept_schedule: bool,
    /// The largest load that could be tried passed: the limit is not what was tested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at_max: Option<bool>,
    #[serde(flatten)]
    pub(super) order: Option<Order>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) burst_frames: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) burst_frames_min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) burst_frames_max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ceiling_burst_frames: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ceiling_frames_per_s: Option<f64>,
    /// Above 80 % of the ceiling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) near_ceiling: Option<bool>,
    #[serde(flatten)]
    pub(super) latency: Option<Summary>,
    /// The same load over a bare veth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ceiling_latency_p50_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ceiling_latency_p99_s: Option<f64>,
}

/// What only a sink knows that looks at each frame.
#[derive(Serialize)]
pub(super) struct Order {
    reordered: u64,
    duplicated: u64,
    corrupted: u64,
}

impl Figure {
    /// Of a trial (none: no load passed), as this bench ran it.
    pub(super) fn new(test: &'static str, bench: &Bench<'_>, trial: Option<&Trial>) -> Self {
        let sizes = bench.stream.sizes;
        let mut figure = Self {
            test,
            generator: bench.options.generator.name(),
            tx: bench.options.tx.to_string(),
            rx: bench.options.rx.to_string(),
            frame_bytes: sizes.mean().round() as u64,
            frame_sizes: sizes.to_string(),
            flows: bench.stream.flows,
            accepted_loss_ratio: bench.options.loss,
            trials: bench.trials,
            failed_trials: bench.failed_trials,
            trial_s: bench.options.trial_seconds.as_secs_f64(),
            ceiling_frames_per_s: bench.ceiling,
            kept_schedule: true,
            ..Self::default()
        };
        match (trial, &bench.last_failed) {
            (Some(trial), _) => figure.take(trial, sizes.mean()),
            // The last attempt shows what is wrong; the figure itself is 0.
            (None, Some(failed)) => {
                figure.take(failed, sizes.mean());
                (figure.frames_per_s, figure.gbit_per_s) = (0.0, 0.0);
            }
            (None, None) => {}
        }
        figure.near_ceiling = bench.ceiling.map(|c| figure.frames_per_s > c * NEAR);
        figure
    }

    fn take(&mut self, trial: &Trial, mean_bytes: f64) {
        self.offered_frames_per_s = trial.offered();
        self.frames_per_s = trial.delivered();
        self.gbit_per_s = self.frames_per_s * mean_bytes * 8.0 / 1e9;
        self.loss_ratio = trial.loss_ratio();
        self.sent = trial.sent;
        self.received = trial.received;
        self.lost = trial.lost();
        self.refused = trial.refused;
        self.dropped_at_sink = trial.dropped_at_sink;
        self.kept_schedule = trial.kept_schedule;
        self.order = trial.seen.as_ref().map(|seen| Order {
            reordered: seen.counts.reordered,
            duplicated: seen.counts.duplicated,
            corrupted: seen.counts.corrupted,
        });
    }

    /// The ceiling as a cell: with a mark where the figure is near it.
    pub(super) fn ceiling_cell(&self) -> String {
        match (self.ceiling_frames_per_s, self.near_ceiling) {
            (None, _) => "-".into(),
            (Some(ceiling), Some(true)) => format!("{ceiling:.0} !"),
            (Some(ceiling), _) => format!("{ceiling:.0}"),
        }
    }
}
