//! Where the median of a second run is to be expected: the spread that is printed.
//!
//! The least and the greatest of three rounds do not tell that: of two runs of a steady machine two in five have a median
//! outside the other's range, and what changed between the runs is in neither. So it is estimated: from how the rounds scatter
//! (relative to their mean, and with what is known from all figures of the [`Kind`] and from all peers, since three rounds of
//! one say little of it), and from how the [`pace`](super::pace) changes between runs.

use std::collections::BTreeMap;

use super::figures::{Figure, Kind, Samples};
use crate::output::Spread;

/// The normal distribution has 95 % within so many standard deviations of its mean.
const Z: f64 = 1.96;

/// Variance of a median of three and more, as a multiple of that of the mean: 1.35 for three values, 1.57 for many.
const OF_MEDIAN: f64 = 1.5;

/// How figures scatter from round to round, and from run to run.
#[derive(Debug, Default)]
pub(crate) struct Scatter {
    /// Squared deviations of the logarithms from their mean, and degrees of freedom.
    within: BTreeMap<Kind, (f64, usize)>,
    /// Standard deviation of the logarithm of the pace between runs.
    between: f64,
}

impl Scatter {
    /// Of all peers, the harness by itself included, on a machine whose pace changes so much between runs.
    pub(crate) fn of<'a>(all: impl Iterator<Item = &'a Samples>, between: f64) -> Self {
        let mut within = BTreeMap::<_, (f64, usize)>::new();
        for (figure, values) in all.flat_map(Samples::numbers) {
            if let Some((squares, freedom)) = deviations(&values) {
                let sum = within.entry(figure.kind()).or_default();
                sum.0 += squares;
                sum.1 += freedom;
            }
        }
        Self { within, between }
    }

    /// The spread of a figure with these values, at least one: in 95 of 100 cases the median of another run is in it.
    /// Never less than what was measured.
    pub(crate) fn interval(&self, figure: Figure, values: &[f64]) -> (f64, f64) {
        let spread = Spread::of(values.iter().copied());
        let width = self.width(figure.kind(), values).exp();
        let (low, high) = (spread.median / width, spread.median * width);
        (low.min(spread.min), high.max(spread.max))
    }

    /// Half of it, in logarithms.
    fn width(&self, kind: Kind, values: &[f64]) -> f64 {
        if kind == Kind::Fixed {
            return 0.0;
        }
        let variance = |(squares, freedom): (f64, usize)| squares / freedom as f64;
        let pooled = self.within.get(&kind).copied();
        let (own, common) = (deviations(values), pooled.map_or(0.0, variance));
        let freedom = pooled.map_or(1, |(_, freedom)| freedom);
        let variance = own.map_or(0.0, variance).max(common);
        let of_median = if values.len() > 2 { OF_MEDIAN } else { 1.0 };
        // Of the difference of two medians: each has its error.
        let within = student(freedom).powi(2) * variance * 2.0 * of_median / values.len() as f64;
        let between = match kind {
            Kind::Timer => 0.0,
            _ => (Z * self.between).powi(2) * 2.0,
        };
        (within + between).sqrt()
    }
}

/// Squared deviations of the logarithms, and degrees of freedom; none for less than two values, or one that is not above 0.
fn deviations(values: &[f64]) -> Option<(f64, usize)> {
    if values.len() < 2 || values.iter().any(|value| *value <= 0.0) {
        return None;
    }
    let mean = values.iter().map(|v| v.ln()).sum::<f64>() / values.len() as f64;
    let squares = values.iter().map(|v| (v.ln() - mean).powi(2)).sum();
    Some((squares, values.len() - 1))
}

/// The 97.5 % point of Student's t by its expansion around the normal distribution's (Abramowitz and Stegun, 26.7.5).
fn student(freedom: usize) -> f64 {
    let n = freedom.max(2) as f64;
    Z + 2.372 / n + 2.823 / n.powi(2) + 2.556 / n.powi(3)
}

#[cfg(test)]
mod tests;
