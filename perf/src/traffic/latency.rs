//! How long frames took: from when each was due to when the sink had it.

use hdrhistogram::Histogram;
use serde::Serialize;

/// The longest time that is told apart: 60 s.
const LONGEST_NS: u64 = 60_000_000_000;

/// Significant decimal digits.
const DIGITS: u8 = 3;

/// Latencies of many frames, in bounded memory.
#[derive(Clone)]
pub(crate) struct Latency {
    histogram: Histogram<u64>,
    negative: u64,
}

impl Latency {
    /// Of no frames yet.
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, DIGITS);
        Self {
            histogram: histogram.expect("bounds that hdrhistogram has"),
            negative: 0,
        }
    }

    /// One frame. That it came before it was due means that the two ends have different clocks.
    pub(crate) fn record(&mut self, due_ns: u64, came_ns: u64) {
        match came_ns.checked_sub(due_ns) {
            Some(nanos) => self.histogram.saturating_record(nanos.max(1)),
            None => self.negative += 1,
        }
    }

    /// Takes another one's frames in.
    pub(crate) fn merge(&mut self, other: &Self) {
        let added = self.histogram.add(&other.histogram);
        added.expect("histograms of the same bounds");
        self.negative += other.negative;
    }

    /// How many frames have a latency.
    pub(crate) fn len(&self) -> u64 {
        self.histogram.len()
    }

    /// Forgets all frames.
    pub(crate) fn clear(&mut self) {
        self.histogram.reset();
        self.negative = 0;
    }

    /// The time that this part of the frames did not exceed, in seconds; none without frames.
    pub(crate) fn quantile(&self, fraction: f64) -> Option<f64> {
        let nanos = || self.histogram.value_at_quantile(fraction) as f64;
        (!self.histogram.is_empty()).then(|| nanos() / 1e9)
    }

    /// The figures of a report.
    pub(crate) fn summary(&self) -> Summary {
        Summary {
            latency_p50_s: self.quantile(0.5),
            latency_p90_s: self.quantile(0.9),
            latency_p99_s: self.quantile(0.99),
            latency_p999_s: self.quantile(0.999),
            latency_max_s: self.quantile(1.0),
            latency_frames: self.histogram.len(),
            latency_negative: self.negative,
            latency_cdf: self.cdf(),
        }
    }

    fn cdf(&self) -> Vec<[f64; 2]> {
        let percents = (1..100).map(|percent| f64::from(percent) / 100.0);
        let fractions = percents.chain([0.999, 0.9999, 1.0]);
        let points = fractions.filter_map(|f| Some([self.quantile(f)?, f]));
        points.collect()
    }
}

/// Latency as a JSON record tells it. Without a frame the times are absent.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_p50_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_p90_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_p99_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_p999_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) latency_max_s: Option<f64>,
    /// Frames that these figures are of.
    pub(crate) latency_frames: u64,
    /// Frames that came before they were sent: the clocks of the two ends differ, and the rest of the
    /// figures means nothing either.
    pub(crate) latency_negative: u64,
    /// Points [seconds, part of the frames that took at most as long].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) latency_cdf: Vec<[f64; 2]>,
}

/// Seconds as people read them.
pub(crate) fn text(seconds: Option<f64>) -> String {
    match seconds {
        None => "-".into(),
        Some(s) if s >= 1.0 => format!("{s:.2} s"),
        Some(s) if s >= 1e-3 => format!("{:.2} ms", s * 1e3),
        Some(s) => format!("{:.1} us", s * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_have_three_digits() {
        let mut latency = Latency::new();
        for micros in 1..=1_000 {
            latency.record(5_000, 5_000 + micros * 1_000);
        }
        let summary = latency.summary();
        let near = |value: Option<f64>, wanted: f64| {
            let value = value.expect("frames");
            assert!((value / wanted - 1.0).abs() < 2e-3, "{value} {wanted}");
        };
        near(summary.latency_p50_s, 500e-6);
        near(summary.latency_p90_s, 900e-6);
        near(summary.latency_p99_s, 990e-6);
        near(summary.latency_p999_s, 999e-6);
        near(summary.latency_max_s, 1_000e-6);
        assert_eq!(summary.latency_cdf.len(), 102);
        assert!(
            summary
                .latency_cdf
                .is_sorted_by(|a, b| a[0] <= b[0] && a[1] < b[1])
        );
    }

    #[test]
    fn clocks_that_differ_are_told_and_a_minute_is_the_end() {
        let mut latency = Latency::new();
        latency.record(10, 9);
        assert_eq!(latency.summary().latency_negative, 1);
        assert_eq!(latency.quantile(0.5), None);
        latency.record(0, u64::MAX);
        let max = latency.quantile(1.0).expect("a frame");
        assert!((59.0..61.0).contains(&max), "{max}");
    }

    #[test]
    fn times_for_people() {
        let texts = [None, Some(12.3e-6), Some(4.5e-3), Some(2.0)].map(text);
        assert_eq!(texts, ["-", "12.3 us", "4.50 ms", "2.00 s"]);
    }
}
