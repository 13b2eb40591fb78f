//! Round trips by ping, a thousand a second.

use std::time::Duration;

use crate::{
    error::{Error, Result},
    rig::{Rig, VM},
};

/// Pings per second.
const RATE: f64 = 1_000.0;

/// Answers without which there is no percentile.
const ENOUGH: usize = 20;

/// Percentiles in seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RoundTrips {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

/// Pings from dc to vm for about `time`.
///
/// # Errors
///
/// There are hardly any answers.
pub(crate) fn round_trips(rig: &Rig, time: Duration) -> Result<RoundTrips> {
    let count = (time.as_secs_f64() * RATE).ceil().max(ENOUGH as f64);
    let tool = rig.dc().tool_on(rig.cpus().hosts, "ping");
    let interval = (1.0 / RATE).to_string();
    let tool = tool.args([
        "-n",
        "-i",
        &interval,
        "-W",
        "1",
        "-c",
        &count.to_string(),
        VM,
    ]);
    let text = tool.answer_within(time * 5 + Duration::from_secs(10))?;
    percentiles(text.lines().filter_map(time_of))
        .ok_or_else(|| Error::Failed(format!("of {count} pings hardly any was answered")))
}

/// Seconds of a line `64 bytes from …: icmp_seq=1 ttl=64 time=0.112 ms`.
pub(crate) fn time_of(line: &str) -> Option<f64> {
    let (_, time) = line.split_once(" time=")?;
    let milliseconds: f64 = time.strip_suffix(" ms")?.trim().parse().ok()?;
    Some(milliseconds / 1e3)
}

fn percentiles(times: impl Iterator<Item = f64>) -> Option<RoundTrips> {
    let mut times: Vec<_> = times.collect();
    if times.len() < ENOUGH {
        return None;
    }
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times[((times.len() as f64 * part).ceil() as usize).max(1) - 1];
    Some(RoundTrips {
        p50: at(0.5),
        p99: at(0.99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_ping() {
        let line = "64 bytes from 10.77.0.2: icmp_seq=7 ttl=64 time=0.112 ms";
        assert_eq!(time_of(line), Some(0.000_112));
        for line in [
            "PING 10.77.0.2 (10.77.0.2) 56(84) bytes of data.",
            "",
            "rtt min/avg",
        ] {
            assert_eq!(time_of(line), None, "{line}");
        }
    }

    #[test]
    fn percentiles_by_rank() {
        let of = |count: u32| percentiles((1..=count).rev().map(f64::from));
        let expected = RoundTrips {
            p50: 50.0,
            p99: 99.0,
        };
        assert_eq!(of(100), Some(expected));
        assert_eq!(of(19), None);
    }
}
