//! What is measured of a peer, and the values that rounds gave.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{output::Spread, sizes::FrameSizes};

/// What the harness by itself, over a bare veth, says about a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// No peer can have more.
    Most,
    /// No peer can have less.
    Least,
    /// Nothing.
    None,
}

/// Part of a figure's value that, if it is the harness's, makes the figure the harness's.
const LIMIT: f64 = 0.8;

macro_rules! figures {
    ($($(#[doc = $text:literal])+ $variant:ident = $name:literal, $unit:literal, $bound:ident;)+) => {
        /// One figure of a peer, in the order of the report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Figure {
            $($(#[doc = $text])+ $variant,)+
        }

        impl Figure {
            /// As results have it.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// Its unit.
            pub(crate) fn unit(self) -> &'static str {
                match self { $(Self::$variant => $unit,)+ }
            }

            /// What the harness's own value of it is.
            pub(crate) fn bound(self) -> Bound {
                match self { $(Self::$variant => Bound::$bound,)+ }
            }
        }
    };
}

figures! {
    /// TCP from dc to vm, one connection.
    Tcp1 = "tcp1_bits_per_s", "bit/s", Most;
    /// From vm to dc.
    Tcp1Reverse = "tcp1_reverse_bits_per_s", "bit/s", Most;
    /// Four connections.
    Tcp4 = "tcp4_bits_per_s", "bit/s", Most;
    /// From vm to dc.
    Tcp4Reverse = "tcp4_reverse_bits_per_s", "bit/s", Most;
    /// Frames delivered while the generator gives what it can.
    Saturation = "frames_per_s", "1/s", Most;
    /// Frames delivered at the highest rate that loses at most one in a hundred.
    Loss1Percent = "frames_per_s_loss_1pct", "1/s", Most;
    /// One in a thousand.
    Loss01Percent = "frames_per_s_loss_01pct", "1/s", Most;
    /// Frames of saturation runs whose whereabouts no counter tells.
    Unaccounted = "frames_unaccounted", "frames", None;
    /// Round trip without other traffic.
    RttIdleP50 = "rtt_idle_p50_s", "s", Least;
    /// Its 99th percentile.
    RttIdleP99 = "rtt_idle_p99_s", "s", Least;
    /// Round trip beside half of the load that the peer can take.
    RttLoadP50 = "rtt_load_p50_s", "s", Least;
    /// Its 99th percentile.
    RttLoadP99 = "rtt_load_p99_s", "s", Least;
    /// That load.
    RttLoad = "rtt_load_frames_per_s", "1/s", None;
    /// CPU time of the gateways' CPU for 10^9 bytes of TCP.
    CpuPerGb = "cpu_s_per_gb", "s/GB", None;
    /// Of it in programs.
    CpuPerGbUser = "cpu_user_s_per_gb", "s/GB", None;
    /// Of it in system calls.
    CpuPerGbSystem = "cpu_system_s_per_gb", "s/GB", None;
    /// Of it in the kernel's network work.
    CpuPerGbSoftirq = "cpu_softirq_s_per_gb", "s/GB", None;
    /// CPU time of the gateways' CPU for a million delivered frames, at saturation.
    CpuPerMillion = "cpu_s_per_million_frames", "s/10^6", None;
    /// Of it in programs.
    CpuPerMillionUser = "cpu_user_s_per_million_frames", "s/10^6", None;
    /// Of it in system calls.
    CpuPerMillionSystem = "cpu_system_s_per_million_frames", "s/10^6", None;
    /// Of it in the kernel's network work.
    CpuPerMillionSoftirq = "cpu_softirq_s_per_million_frames", "s/10^6", None;
    /// Memory of all processes in both gateways.
    Rss = "rss_bytes", "bytes", None;
    /// Whether a full-size packet passes that must not be cut: 1 or 0.
    Df = "df_1500_passes", "bool", None;
    /// Time until traffic flows after the far end was killed, from its new start.
    Recovery = "recovery_s", "s", None;
}

/// What one round gave.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// A number.
    Number(f64),
    /// None, and why.
    Nothing(String),
}

/// Of one peer: values by figure and frame size, one for each round.
#[derive(Default)]
pub(crate) struct Samples(BTreeMap<(Figure, Option<FrameSizes>), Vec<Value>>);

impl Samples {
    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more value.
    pub(crate) fn add(&mut self, figure: Figure, sizes: Option<FrameSizes>, value: f64) {
        let values = self.0.entry((figure, sizes)).or_default();
        values.push(Value::Number(value));
    }

    /// No value, and why.
    pub(crate) fn add_nothing(
        &mut self,
        figure: Figure,
        sizes: Option<FrameSizes>,
        why: impl Into<String>,
    ) {
        let values = self.0.entry((figure, sizes)).or_default();
        values.push(Value::Nothing(why.into()));
    }

    /// The numbers of a figure, if there are any.
    pub(crate) fn spread(&self, figure: Figure, sizes: Option<FrameSizes>) -> Option<Spread> {
        let values = self.0.get(&(figure, sizes))?;
        Summary::of(values).spread
    }

    /// Why a figure has no numbers, where it was tried.
    pub(crate) fn reason(&self, figure: Figure, sizes: Option<FrameSizes>) -> Option<&str> {
        let values = self.0.get(&(figure, sizes))?;
        values.iter().find_map(|value| match value {
            Value::Nothing(why) => Some(why.as_str()),
            Value::Number(_) => None,
        })
    }

    /// One record for each figure, held against what the harness by itself has.
    pub(crate) fn records<'a>(
        &'a self,
        peer: &'a str,
        encrypted: bool,
        ceiling: &'a Samples,
    ) -> impl Iterator<Item = Record<'a>> {
        self.0.iter().map(move |((figure, sizes), values)| {
            let summary = Summary::of(values);
            let ceiling = ceiling.spread(*figure, *sizes).map(|spread| spread.median);
            let ceiling = ceiling.filter(|_| figure.bound() != Bound::None);
            let median = summary.spread.map(|spread| spread.median);
            Record {
                test: "compare",
                peer,
                encrypted,
                figure: figure.name(),
                unit: figure.unit(),
                frame_bytes: sizes.map(|sizes| sizes.mean().round() as u64),
                frame_sizes: sizes.map(|sizes| sizes.to_string()),
                median,
                min: summary.spread.map(|spread| spread.min),
                max: summary.spread.map(|spread| spread.max),
                runs: values.len(),
                ceiling,
                limited_by_harness: is_limited(figure.bound(), median, ceiling),
                reason: self.reason(*figure, *sizes),
            }
        })
    }
}

/// The rounds of one figure.
struct Summary {
    spread: Option<Spread>,
}

impl Summary {
    /// Of the rounds with a number. Where most have none, the figure has none.
    fn of(values: &[Value]) -> Self {
        let numbers: Vec<_> = values
            .iter()
            .filter_map(|value| match value {
                Value::Number(number) => Some(*number),
                Value::Nothing(_) => None,
            })
            .collect();
        let enough = !numbers.is_empty() && numbers.len() * 2 > values.len();
        Self {
            spread: enough.then(|| Spread::of(numbers)),
        }
    }
}

/// Whether a median says more about the harness than about the peer.
pub(crate) fn is_limited(bound: Bound, median: Option<f64>, ceiling: Option<f64>) -> bool {
    match (median, ceiling) {
        (Some(median), Some(ceiling)) => match bound {
            Bound::Most => median > LIMIT * ceiling,
            Bound::Least => ceiling > LIMIT * median,
            Bound::None => false,
        },
        _ => false,
    }
}

/// One result.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    test: &'static str,
    peer: &'a str,
    encrypted: bool,
    figure: &'static str,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_sizes: Option<String>,
    median: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    /// Rounds, those without a number included.
    runs: usize,
    ceiling: Option<f64>,
    limited_by_harness: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

/// What is said of a peer that was not measured.
#[derive(Debug, Serialize)]
pub(crate) struct Absent<'a> {
    test: &'static str,
    peer: &'a str,
    encrypted: bool,
    figure: &'static str,
    reason: &'a str,
}

impl<'a> Absent<'a> {
    /// Because of `reason`.
    pub(crate) fn new(peer: &'a str, encrypted: bool, reason: &'a str) -> Self {
        Self {
            test: "compare",
            peer,
            encrypted,
            figure: "absent",
            reason,
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
        let records: Vec<_> = samples.records("p", true, &ceiling).collect();
        let json = serde_json::to_value(&records).expect("JSON");
        assert_eq!(
            json[0],
            serde_json::json!({
                "test": "compare", "peer": "p", "encrypted": true, "figure": "frames_per_s", "unit": "1/s",
                "frame_bytes": 64, "frame_sizes": "64", "median": 81.0, "min": 70.0, "max": 90.0,
                "runs": 3, "ceiling": 100.0, "limited_by_harness": true,
            })
        );
        assert_eq!(json[1]["median"], serde_json::Value::Null);
        assert_eq!(json[1]["reason"], "never in 60 s");
    }

    #[test]
    fn limits_of_the_harness() {
        let limited = |bound, median| is_limited(bound, Some(median), Some(100.0));
        assert!(limited(Bound::Most, 81.0) && !limited(Bound::Most, 80.0));
        assert!(limited(Bound::Least, 124.0) && !limited(Bound::Least, 126.0));
        assert!(!is_limited(Bound::Most, Some(1.0), None));
    }

    #[test]
    fn rounds_without_a_number() {
        let mut samples = Samples::default();
        samples.add(Figure::Recovery, None, 1.0);
        samples.add_nothing(Figure::Recovery, None, "never");
        assert_eq!(samples.spread(Figure::Recovery, None), None);
        samples.add(Figure::Recovery, None, 2.0);
        assert!(samples.spread(Figure::Recovery, None).is_some());
    }
}
