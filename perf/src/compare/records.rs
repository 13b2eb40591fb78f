//! Figures as results: a flat record for each, beside what the harness has by itself.

use serde::Serialize;

use super::{
    figures::{Bound, Figure, Samples, Summary},
    interval::Scatter,
    pace::Seen,
    versions::Tools,
};
use crate::sizes::FrameSizes;

/// Part of a figure's value that, if it is the harness's, makes the figure the harness's.
const LIMIT: f64 = 0.8;

impl Samples {
    /// One record for each figure, held against what the harness by itself has.
    pub(crate) fn records<'a>(
        &'a self,
        about: About<'a>,
        tools: &'a Tools,
        ceiling: &'a Samples,
        noise: &'a Noise,
    ) -> impl Iterator<Item = Record<'a>> {
        self.0.iter().map(move |((figure, sizes), values)| {
            let summary = Summary::of(values);
            let interval = summary.spread.map(|_| {
                let values = self.of(*figure, *sizes);
                noise.scatter.interval(*figure, &values)
            });
            let ceiling = ceiling.spread(*figure, *sizes).map(|spread| spread.median);
            let ceiling = ceiling.filter(|_| figure.bound() != Bound::None);
            let median = summary.spread.map(|spread| spread.median);
            Record {
                test: "compare",
                peer: about.peer,
                encrypted: about.encrypted,
                version: about.version,
                tool: tools.of(*figure),
                figure: figure.name(),
                unit: figure.unit(),
                frame_bytes: sizes.map(|sizes| sizes.mean().round() as u64),
                frame_sizes: sizes.map(|sizes| sizes.to_string()),
                median,
                min: summary.spread.map(|spread| spread.min),
                max: summary.spread.map(|spread| spread.max),
                low: interval.map(|(low, _)| low),
                high: interval.map(|(_, high)| high),
                pace: noise.seen.pace.map(|pace| pace.median),
                runs: values.len(),
                ceiling,
                limited_by_harness: is_limited(
                    figure.bound(),
                    median,
                    self.limit(*figure, *sizes, ceiling),
                ),
                reason: self.reason(*figure, *sizes),
            }
        })
    }
}

impl Samples {
    /// Whether a figure's median says more about the harness than about the peer.
    pub(crate) fn is_limited(
        &self,
        figure: Figure,
        sizes: Option<FrameSizes>,
        ceiling: &Samples,
    ) -> bool {
        let median = |of: &Samples| of.spread(figure, sizes).map(|spread| spread.median);
        let limit = self.limit(figure, sizes, median(ceiling));
        is_limited(figure.bound(), median(self), limit)
    }

    /// What the harness can do: what it can over a bare veth, and for frames what its generator gave to this very peer.
    fn limit(
        &self,
        figure: Figure,
        sizes: Option<FrameSizes>,
        ceiling: Option<f64>,
    ) -> Option<f64> {
        let offered = self.spread(Figure::Offered, sizes).map(|s| s.median);
        let offered = offered.filter(|_| figure.is_frame_rate());
        match (ceiling, offered) {
            (Some(ceiling), Some(offered)) => Some(ceiling.min(offered)),
            (ceiling, offered) => ceiling.or(offered),
        }
    }
}

/// Whether a median says more about the harness than about the peer.
fn is_limited(bound: Bound, median: Option<f64>, ceiling: Option<f64>) -> bool {
    match (median, ceiling) {
        (Some(median), Some(ceiling)) => match bound {
            Bound::Most => median > LIMIT * ceiling,
            Bound::Least => ceiling > LIMIT * median,
            Bound::None => false,
        },
        _ => false,
    }
}

/// What is known of the noise of a run.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    /// From round to round, and to another run.
    pub(crate) scatter: Scatter,
    /// The machine's pace.
    pub(crate) seen: Seen,
}

/// Whose records they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    /// The peer.
    pub(crate) peer: &'a str,
    /// Whether it encrypts.
    pub(crate) encrypted: bool,
    /// Of its programs, if they told.
    pub(crate) version: Option<&'a str>,
}

/// One result.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    test: &'static str,
    peer: &'a str,
    encrypted: bool,
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool: Option<&'a str>,
    figure: &'static str,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_sizes: Option<String>,
    median: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
    pace: Option<f64>,
    /// Rounds, those without a number included.
    runs: usize,
    ceiling: Option<f64>,
    limited_by_harness: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// What is said of a peer that was not measured, or not in full.
#[derive(Debug, Serialize)]
pub(crate) struct Remark<'a> {
    test: &'static str,
    peer: &'a str,
    encrypted: bool,
    figure: &'static str,
    reason: &'a str,
}

impl<'a> Remark<'a> {
    /// It was not measured, because of `reason`.
    pub(crate) fn absent(peer: &'a str, encrypted: bool, reason: &'a str) -> Self {
        Self {
            test: "compare",
            peer,
            encrypted,
            figure: "absent",
            reason,
        }
    }

    /// Something of it failed: `reason` says what, and in which round.
    pub(crate) fn incomplete(peer: &'a str, encrypted: bool, reason: &'a str) -> Self {
        Self {
            figure: "incomplete",
            ..Self::absent(peer, encrypted, reason)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const SIZES: Option<FrameSizes> = Some(FrameSizes::Fixed(64));

    #[test]
    fn records_are_medians_beside_the_ceiling() {
        let (mut ceiling, mut samples) = (Samples::default(), Samples::default());
        ceiling.add(Figure::Saturation, SIZES, 100.0);
        for value in [70.0, 90.0, 81.0] {
            samples.add(Figure::Saturation, SIZES, value);
        }
        samples.add_nothing(Figure::Recovery, None, "never in 60 s");
        let (tools, version) = (Tools::default(), Some("p 1.2"));
        let noise = Noise::default();
        let about = About {
            peer: "p",
            encrypted: true,
            version,
        };
        let records: Vec<_> = samples.records(about, &tools, &ceiling, &noise).collect();
        let mut json = serde_json::to_value(&records).expect("JSON");
        let bound = json[0]["low"].take().as_f64().expect("a number");
        assert!(bound < 70.0, "{bound}");
        let bound = json[0]["high"].take().as_f64().expect("a number");
        assert!(bound > 90.0, "{bound}");
        assert_eq!(
            json[0],
            serde_json::json!({
                "test": "compare", "peer": "p", "encrypted": true, "version": "p 1.2", "figure": "frames_per_s", "unit": "1/s",
                "frame_bytes": 64, "frame_sizes": "64", "median": 81.0, "min": 70.0, "max": 90.0,
                "low": null, "high": null, "pace": null,
                "runs": 3, "ceiling": 100.0, "limited_by_harness": true,
            })
        );
        assert_eq!(json[1]["median"], serde_json::Value::Null);
        assert_eq!(json[1]["reason"], "never in 60 s");
    }

    #[test]
    fn what_was_offered_is_a_limit_too() {
        let (mut ceiling, mut samples) = (Samples::default(), Samples::default());
        ceiling.add(Figure::Saturation, SIZES, 700.0);
        samples.add(Figure::Saturation, SIZES, 90.0);
        assert!(!samples.is_limited(Figure::Saturation, SIZES, &ceiling));
        samples.add(Figure::Offered, SIZES, 200.0);
        assert!(!samples.is_limited(Figure::Saturation, SIZES, &ceiling));
        samples.add(Figure::Offered, SIZES, 20.0); // median 110
        samples.add(Figure::Loss1Percent, SIZES, 89.0);
        assert!(samples.is_limited(Figure::Saturation, SIZES, &ceiling));
        assert!(samples.is_limited(Figure::Loss1Percent, SIZES, &ceiling));
        assert!(!samples.is_limited(Figure::Offered, SIZES, &ceiling));
    }

    #[test]
    fn limits_of_the_harness() {
        let limited = |bound, median| is_limited(bound, Some(median), Some(100.0));
        assert!(limited(Bound::Most, 81.0) && !limited(Bound::Most, 80.0));
        assert!(limited(Bound::Least, 124.0) && !limited(Bound::Least, 126.0));
        assert!(!is_limited(Bound::Most, Some(1.0), None));
    }
}
