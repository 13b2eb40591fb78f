//! Where a value lies on an axis, and which values are written beside it.

use super::round::{in_steps, is_power_of_ten, round_numbers, round_step, tidy};
use crate::report::quantity::{Quantity, digits};

/// An axis from `low` to `high`.
#[derive(Debug)]
pub(in crate::report) struct Axis {
    /// What it measures, with the unit.
    pub(super) title: String,
    /// The values that are written, and what is written.
    pub(super) ticks: Vec<(f64, String)>,
    kind: Kind,
    low: f64,
    high: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Log,
    /// How many nines a share has: 0.9, 0.99, 0.999 are equally far apart.
    Nines,
}

impl Kind {
    fn map(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.max(f64::MIN_POSITIVE).log10(),
            Self::Nines => -(1.0 - value).max(1e-12).log10(),
        }
    }
}

impl Axis {
    /// From zero to a round number that is not less than any of the values.
    pub(in crate::report) fn linear(what: &str, quantity: &Quantity, values: &[f64]) -> Self {
        let largest = values.iter().copied().fold(0.0, f64::max);
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let unit = quantity.unit(largest);
        let step = round_step(largest / unit.size / 4.0);
        let count = (largest / unit.size / step * (1.0 - 1e-9)).ceil() as usize;
        let tick = |n: usize| (n as f64 * step * unit.size, in_steps(n as f64 * step, step));
        Self {
            title: titled(what, &unit.name),
            ticks: (0..=count).map(tick).collect(),
            kind: Kind::Linear,
            low: 0.0,
            high: count as f64 * step * unit.size,
        }
    }

    /// Between round numbers around the values, which must be above zero to be on it.
    pub(in crate::report) fn log(what: &str, quantity: &Quantity, values: &[f64]) -> Self {
        let (least, largest) = bounds(values);
        let below = |limit: f64| round_numbers().rev().find(|v| *v <= limit * 1.001);
        let above = |limit: f64| round_numbers().find(|v| *v >= limit * 0.999);
        let low = below(least).unwrap_or(least);
        let high = above(largest).filter(|h| *h > low).unwrap_or(low * 10.0);
        let decades = (high / low).log10();
        let wanted = |v: &f64| decades < 3.5 || is_power_of_ten(*v);
        let inside = round_numbers().filter(|v| (low * 0.999..=high * 1.001).contains(v));
        let mut axis = Self {
            title: what.into(),
            ticks: inside
                .filter(wanted)
                .map(|v| (v, tick_text(quantity, v)))
                .collect(),
            kind: Kind::Log,
            low,
            high,
        };
        axis.thin(0.14);
        axis
    }

    /// Logarithmic, with just these values written: frame sizes, numbers of stations.
    pub(in crate::report) fn steps(title: &str, values: &[f64]) -> Self {
        let mut steps: Vec<_> = values.iter().copied().filter(|v| *v > 0.0).collect();
        steps.sort_by(f64::total_cmp);
        steps.dedup();
        let (least, largest) = bounds(&steps);
        // A margin, so that the first and the last are not on the frame.
        let margin = (largest / least).powf(0.05).max(1.1);
        let mut axis = Self {
            title: title.into(),
            ticks: steps.into_iter().map(|v| (v, digits(v))).collect(),
            kind: Kind::Log,
            low: least / margin,
            high: largest * margin,
        };
        axis.thin(0.12);
        axis
    }

    /// Of shares up to `largest`, by their nines.
    pub(in crate::report) fn nines(title: &str, largest: f64) -> Self {
        let all = [0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999_999];
        let end = all.into_iter().find(|v| *v >= largest).unwrap_or(all[7]);
        let end = end.max(0.99);
        let upto = all.into_iter().filter(|v| (0.5..=end).contains(v));
        Self {
            title: title.into(),
            ticks: upto
                .map(|v| (v, format!("{}\u{a0}%", tidy(v * 100.0))))
                .collect(),
            kind: Kind::Nines,
            low: 0.0,
            high: end,
        }
    }

    /// How far along the axis: 0 is its beginning, 1 its end. None off the axis.
    pub(super) fn place(&self, value: f64) -> Option<f64> {
        if self.kind == Kind::Log && value <= 0.0 {
            return None;
        }
        let [low, high, at] = [self.low, self.high, value].map(|v| self.kind.map(v));
        let place = (at - low) / (high - low);
        (-0.001..=1.001).contains(&place).then_some(place)
    }

    /// As [`Axis::place`], a value beyond the end at the end.
    pub(super) fn clamped(&self, value: f64) -> f64 {
        self.place(value.clamp(self.low, self.high)).unwrap_or(0.0)
    }

    /// Its last value.
    pub(in crate::report) fn end(&self) -> f64 {
        self.high
    }

    /// Whether a value lies on the axis, which may have been made without it.
    pub(super) fn holds(&self, value: f64) -> bool {
        self.place(value).is_some()
    }

    /// Leaves out what would be written over its neighbour; the last stays.
    fn thin(&mut self, gap: f64) {
        let ticks = std::mem::take(&mut self.ticks);
        let place = |tick: &(f64, String)| self.place(tick.0).unwrap_or(0.0);
        let last = ticks.last().map_or(0.0, place);
        let mut kept: Vec<(f64, String)> = Vec::new();
        let count = ticks.len();
        for (n, tick) in ticks.into_iter().enumerate() {
            let at = place(&tick);
            let free = kept.last().is_none_or(|before| at - place(before) >= gap);
            if n + 1 == count || (free && last - at >= gap) {
                kept.push(tick);
            }
        }
        self.ticks = kept;
    }
}

/// A round number with its own unit.
fn tick_text(quantity: &Quantity, value: f64) -> String {
    let unit = quantity.unit(value);
    digits(tidy(value / unit.size)) + &unit.suffix()
}

/// What is measured, and in what.
fn titled(what: &str, unit: &str) -> String {
    match (what, unit) {
        ("", _) => unit.into(),
        (_, "") => what.into(),
        _ => format!("{what}, {unit}"),
    }
}

/// The least and the largest of the values above zero, and something drawable without any.
fn bounds(values: &[f64]) -> (f64, f64) {
    let positive = || values.iter().copied().filter(|v| *v > 0.0);
    let least = positive().fold(f64::INFINITY, f64::min);
    if least.is_finite() {
        (least, positive().fold(least, f64::max))
    } else {
        (1.0, 10.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, text)| text.as_str()).collect()
    }

    #[test]
    fn linear_axes_end_at_round_numbers() {
        let axis = Axis::linear("rate", &Quantity::FramesPerSecond, &[62_000.0, 285_000.0]);
        assert_eq!(axis.title, "rate, k frames/s");
        assert_eq!(written(&axis), ["0", "100", "200", "300"]);
        assert_eq!(axis.place(150_000.0), Some(0.5));
        let small = Axis::linear("", &Quantity::Other("x".into()), &[0.3]);
        assert_eq!(written(&small), ["0.0", "0.1", "0.2", "0.3"]);
        assert_eq!(small.title, "x");
        for values in [&[][..], &[0.0], &[-1.0], &[1e29]] {
            let axis = Axis::linear("", &Quantity::Seconds, values);
            assert!((2..9).contains(&axis.ticks.len()), "{axis:?}");
        }
    }

    #[test]
    fn logarithmic_axes_hold_what_they_were_made_for() {
        let axis = Axis::log("time", &Quantity::Seconds, &[56e-6, 482e-6]);
        assert_eq!(
            written(&axis),
            ["50\u{a0}µs", "100\u{a0}µs", "200\u{a0}µs", "500\u{a0}µs"]
        );
        assert!(!axis.holds(0.0) && axis.holds(100e-6) && !axis.holds(1.0));
        for values in [&[][..], &[1.0], &[-5.0, 0.0], &[1e-29, 1e29]] {
            let axis = Axis::log("", &Quantity::Seconds, values);
            assert!((1..9).contains(&axis.ticks.len()), "{axis:?}");
            assert!(values.iter().all(|v| *v <= 0.0 || axis.holds(*v)));
        }
    }

    #[test]
    fn steps_are_written_where_there_is_room() {
        let sizes = [64.0, 128.0, 256.0, 512.0, 1_024.0, 1_280.0, 1_518.0];
        let axis = Axis::steps("bytes", &sizes);
        assert_eq!(written(&axis), ["64", "128", "256", "512", "1,518"]);
        assert!(
            Axis::steps("", &[64.0])
                .place(64.0)
                .is_some_and(|p| (p - 0.5).abs() < 0.01)
        );
        assert!(Axis::steps("", &[]).ticks.is_empty());
    }

    #[test]
    fn nines() {
        let axis = Axis::nines("", 0.9995);
        assert_eq!(
            written(&axis),
            ["50", "90", "99", "99.9", "99.99"].map(|n| format!("{n}\u{a0}%"))
        );
        assert_eq!(axis.place(0.99).map(|p| (p * 1e6).round()), Some(500_000.0));
        assert_eq!(axis.clamped(1.0), 1.0);
    }
}
