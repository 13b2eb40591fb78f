//! The comparison for people: one line for each peer, the harness's own on top.

use std::fmt::Write as _;

use super::{
    figures::{Figure, Samples},
    plan::{Measure, Plan},
    records::Noise,
};
use crate::{output::Table, sizes::FrameSizes};

/// Marks a median that is the harness's limit.
const LIMITED: &str = " †";

/// One column: a figure, its frame size, and how a value is written.
struct Column {
    heading: String,
    figure: Figure,
    sizes: Option<FrameSizes>,
    scale: f64,
    digits: usize,
}

impl Column {
    fn new(heading: impl Into<String>, figure: Figure, scale: f64, digits: usize) -> Self {
        Self {
            heading: heading.into(),
            figure,
            sizes: None,
            scale,
            digits,
        }
    }

    fn of(self, sizes: FrameSizes) -> Self {
        Self {
            sizes: Some(sizes),
            ..self
        }
    }

    /// `median (low-high)`, with a mark if the harness is what was measured.
    fn cell(&self, samples: &Samples, ceiling: Option<&Samples>, noise: &Noise) -> String {
        let Some(spread) = samples.spread(self.figure, self.sizes) else {
            let reason = samples.reason(self.figure, self.sizes);
            return reason.unwrap_or("-").into();
        };
        if self.figure == Figure::Df {
            return if spread.min > 0.0 { "yes" } else { "no" }.into();
        }
        let text = |value: f64| format!("{:.*}", self.digits, value / self.scale);
        let mut cell = text(spread.median);
        let values = samples.of(self.figure, self.sizes);
        let (low, high) = noise.scatter.interval(self.figure, &values);
        if low < high {
            let _ = write!(cell, " ({}-{})", text(low), text(high));
        }
        if ceiling.is_some_and(|own| samples.is_limited(self.figure, self.sizes, own)) {
            cell += LIMITED;
        }
        cell
    }
}

/// Tables with a title each.
pub(crate) fn tables(
    plan: &Plan,
    ceiling: &Samples,
    peers: &[(&str, &Samples)],
    noise: &Noise,
) -> String {
    let mut text = String::new();
    for (title, columns) in columns(plan) {
        let headings = columns.iter().map(|column| column.heading.as_str());
        let headings: Vec<_> = [title].into_iter().chain(headings).collect();
        let mut table = Table::new(&headings);
        let mut row = |name: &str, samples: &Samples, own: Option<&Samples>| {
            let cells = columns
                .iter()
                .map(|column| column.cell(samples, own, noise));
            table.row([name.to_owned()].into_iter().chain(cells).collect());
        };
        row("harness alone", ceiling, None);
        for (name, samples) in peers {
            row(name, samples, Some(ceiling));
        }
        let _ = writeln!(text, "{table}\n");
    }
    text + "medians (where that of a second run is to be expected, 95 %); † within 20 % of what the harness alone has, or of what its generator offered: the harness's limit, or close to it"
}

fn columns(plan: &Plan) -> Vec<(&'static str, Vec<Column>)> {
    let does = |measure| plan.measures.contains(&measure);
    let mut tables = Vec::new();
    if does(Measure::Tcp) {
        tables.push(("TCP, Mb/s", tcp()));
    }
    if does(Measure::Frames) {
        let rates = frames(&plan.sizes, Figure::Saturation, "");
        let offered = frames(&plan.sizes, Figure::Offered, " offered");
        let columns = rates.into_iter().zip(offered).flat_map(<[Column; 2]>::from);
        tables.push(("1,000 frames/s at saturation", columns.collect()));
    }
    if does(Measure::Loss) {
        let mut columns = frames(&plan.loss_sizes, Figure::Loss1Percent, ", ≤ 1 %");
        columns.extend(frames(&plan.loss_sizes, Figure::Loss01Percent, ", ≤ 0.1 %"));
        tables.push(("1,000 frames/s with little loss", columns));
    }
    if does(Measure::Rtt) {
        tables.push(("round trip, µs", round_trips()));
    }
    if does(Measure::Endurance) {
        tables.push(("endurance", endurance()));
    }
    let cost = cost(plan);
    if !cost.is_empty() {
        tables.push(("cost, and conduct", cost));
    }
    tables
}

fn tcp() -> Vec<Column> {
    [
        ("1 stream", Figure::Tcp1),
        ("back", Figure::Tcp1Reverse),
        ("4 streams", Figure::Tcp4),
        ("back", Figure::Tcp4Reverse),
    ]
    .map(|(heading, figure)| Column::new(heading, figure, 1e6, 0))
    .into()
}

fn frames(sizes: &[FrameSizes], figure: Figure, suffix: &str) -> Vec<Column> {
    let column =
        |sizes: &FrameSizes| Column::new(format!("{sizes} B{suffix}"), figure, 1e3, 1).of(*sizes);
    sizes.iter().map(column).collect()
}

fn round_trips() -> Vec<Column> {
    [
        ("idle p50", Figure::RttIdleP50),
        ("idle p99", Figure::RttIdleP99),
        ("half load p50", Figure::RttLoadP50),
        ("half load p99", Figure::RttLoadP99),
    ]
    .map(|(heading, figure)| Column::new(heading, figure, 1e-6, 0))
    .into()
}

fn endurance() -> Vec<Column> {
    [
        ("s", Figure::EnduranceTime, 1.0, 0),
        ("1,000 frames/s", Figure::EnduranceRate, 1e3, 1),
        ("unaccounted", Figure::EnduranceUnaccounted, 1.0, 0),
        ("longest silence s", Figure::EnduranceSilence, 1.0, 2),
        ("memory MB", Figure::EnduranceRss, 1e6, 1),
        ("growth kB", Figure::EnduranceGrowth, 1e3, 0),
        ("arrive after it %", Figure::EnduranceAfter, 0.01, 2),
    ]
    .map(|(heading, figure, scale, digits)| Column::new(heading, figure, scale, digits))
    .into()
}

fn cost(plan: &Plan) -> Vec<Column> {
    let does = |measure| plan.measures.contains(&measure);
    let mut columns = Vec::new();
    if does(Measure::Tcp) {
        columns.push(Column::new("CPU s/GB", Figure::CpuPerGb, 1.0, 1));
    }
    if let Some(&smallest) = plan.sizes.iter().min().filter(|_| does(Measure::Frames)) {
        let heading = format!("CPU s/M frames, {smallest} B");
        columns.push(Column::new(heading, Figure::CpuPerMillion, 1.0, 2).of(smallest));
    }
    for (measure, heading, figure, scale, digits) in [
        (Measure::Memory, "memory MB", Figure::Rss, 1e6, 0),
        (Measure::Df, "1500 B with DF", Figure::Df, 1.0, 0),
        (
            Measure::Recovery,
            "traffic again after s",
            Figure::Recovery,
            1.0,
            2,
        ),
    ] {
        if does(measure) {
            columns.push(Column::new(heading, figure, scale, digits));
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_for_each_peer_below_the_ceiling() {
        let sizes = vec![FrameSizes::Fixed(64)];
        let mut plan = Plan::quick(sizes.clone());
        plan.measures = [Measure::Frames, Measure::Recovery, Measure::Df].into();
        let (mut ceiling, mut samples) = (Samples::default(), Samples::default());
        ceiling.add(Figure::Saturation, Some(sizes[0]), 1e6);
        for value in [8e5, 9e5, 9.5e5] {
            samples.add(Figure::Saturation, Some(sizes[0]), value);
        }
        samples.add(Figure::Offered, Some(sizes[0]), 2e6);
        samples.add(Figure::Df, None, 1.0);
        samples.add_nothing(Figure::Recovery, None, "never in 60 s");
        let noise = Noise::default();
        let text = tables(&plan, &ceiling, &[("some-peer", &samples)], &noise);
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[1].starts_with("harness alone") && lines[1].contains("1000.0"));
        assert!(
            lines[2].contains("900.0 (") && lines[2].contains(") †"),
            "{text}"
        );
        assert!(lines[2].ends_with("2000.0"), "{text}");
        let cost = lines.iter().rfind(|line| line.starts_with("some-peer"));
        assert!(
            cost.is_some_and(|line| line.ends_with("yes          never in 60 s")),
            "{text}"
        );
    }
}
