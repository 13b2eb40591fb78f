//! What is told of a soak.

use serde::Serialize;

use super::{Options, Outcome, Plan};
use crate::{
    output::Table,
    traffic::{
        generate::KEPT,
        latency::{Summary, text},
    },
};

#[derive(Serialize)]
pub(super) struct Record {
    test: &'static str,
    tx: String,
    rx: String,
    frame_bytes: u64,
    frame_sizes: String,
    flows: u16,
    asked_frames_per_s: f64,
    asked_s: f64,
    elapsed_s: f64,
    frames_per_s: f64,
    gbit_per_s: f64,
    kept_schedule: bool,
    sent: u64,
    received: u64,
    lost: u64,
    loss_ratio: f64,
    refused: u64,
    /// Of the lost, those that the harness lost itself.
    dropped_at_sink: u64,
    reordered: u64,
    duplicated: u64,
    corrupted: u64,
    too_late: u64,
    allowed_lost: u64,
    allowed_reordered: u64,
    allowed_duplicated: u64,
    allowed_corrupted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_p99_s: Option<f64>,
    #[serde(flatten)]
    latency: Summary,
    /// It ran to its end within its budget.
    passed: bool,
    /// The budget that was exceeded, or what else ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl Record {
    pub(super) fn new(
        options: &Options,
        plan: &Plan,
        outcome: &Outcome,
        interrupted: bool,
    ) -> Self {
        let counts = outcome.account.counts();
        let seconds = outcome.generated.elapsed.as_secs_f64().max(1e-9);
        let sent = outcome.generated.frames.saturating_sub(outcome.refused);
        let lost = sent.saturating_sub(counts.received);
        let interruption = interrupted.then(|| "interrupted".to_owned());
        let failure = outcome.excess.clone().or(interruption);
        Self {
            test: "soak",
            tx: options.tx.to_string(),
            rx: options.rx.to_string(),
            frame_bytes: plan.stream.sizes.mean().round() as u64,
            frame_sizes: plan.stream.sizes.to_string(),
            flows: plan.stream.flows,
            asked_frames_per_s: plan.rate,
            asked_s: plan.time.as_secs_f64(),
            elapsed_s: seconds,
            frames_per_s: counts.received as f64 / seconds,
            gbit_per_s: counts.bytes as f64 * 8.0 / seconds / 1e9,
            kept_schedule: sent as f64 >= plan.rate * seconds * KEPT,
            sent,
            received: counts.received,
            lost,
            loss_ratio: lost as f64 / sent.max(1) as f64,
            refused: outcome.refused,
            dropped_at_sink: outcome.dropped_at_sink,
            reordered: counts.reordered,
            duplicated: counts.duplicated,
            corrupted: counts.corrupted,
            too_late: counts.too_late,
            allowed_lost: plan.budget.lost(plan.rate * seconds),
            allowed_reordered: plan.budget.reordered,
            allowed_duplicated: plan.budget.duplicated,
            allowed_corrupted: plan.budget.corrupted,
            allowed_p99_s: plan.budget.p99.map(|p99| p99.as_secs_f64()),
            latency: outcome.latency.summary(),
            passed: failure.is_none(),
            failure,
        }
    }

    /// For people: what happened beside what was allowed.
    pub(super) fn table(&self) -> Table {
        let mut table = Table::new(&["soak", "frames", "allowed"]);
        let mut row = |what: &str, count: String, allowed: String| {
            table.row(vec![what.into(), count, allowed]);
        };
        row("sent", self.sent.to_string(), String::new());
        row("received", self.received.to_string(), String::new());
        row(
            "refused by the sending port",
            self.refused.to_string(),
            String::new(),
        );
        row("lost", self.lost.to_string(), self.allowed_lost.to_string());
        row(
            "- at the sink",
            self.dropped_at_sink.to_string(),
            String::new(),
        );
        row(
            "reordered",
            self.reordered.to_string(),
            self.allowed_reordered.to_string(),
        );
        row(
            "duplicated",
            self.duplicated.to_string(),
            self.allowed_duplicated.to_string(),
        );
        row(
            "corrupted",
            self.corrupted.to_string(),
            self.allowed_corrupted.to_string(),
        );
        let allowed = self.allowed_p99_s.map_or(String::new(), |s| text(Some(s)));
        row("latency p99", text(self.latency.latency_p99_s), allowed);
        row(
            "latency max",
            text(self.latency.latency_max_s),
            String::new(),
        );
        row(
            "seconds",
            format!("{:.1}", self.elapsed_s),
            format!("{:.1}", self.asked_s),
        );
        let kept = if self.kept_schedule {
            ""
        } else {
            "not reached"
        };
        row("frames/s", format!("{:.0}", self.frames_per_s), kept.into());
        table
    }
}
