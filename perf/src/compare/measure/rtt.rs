//! Round trips by ping, a thousand a second.

use std::time::Duration;

use crate::{
    error::{Error, Result},
    rig::{Rig, VM},
};

/// Pings per second.
const RATE: f64 = 1_000.0;

/// Pings at least.
const ENOUGH: usize = 20;

/// Pings and their answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RoundTrips {
    sent: usize,
    /// In seconds, rising.
    answers: Vec<f64>,
}

/// Pings from dc to vm for about `time`.
///
/// # Errors
///
/// ping does not run; interruption.
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
    parse(&text).ok_or_else(|| Error::Failed("ping does not say how many it sent".into()))
}

impl RoundTrips {
    /// The part of the pings that was not answered.
    pub(crate) fn lost_ratio(&self) -> f64 {
        (self.sent - self.answers.len()) as f64 / self.sent.max(1) as f64
    }

    /// So long took this part of the pings at most, in seconds; an answer that did not come took for ever.
    ///
    /// # Errors
    ///
    /// Why there is no such time: too many answers are missing.
    pub(crate) fn percentile(&self, part: f64) -> std::result::Result<f64, String> {
        let rank = ((self.sent as f64 * part).ceil() as usize).max(1);
        let time = self.answers.get(rank - 1).copied();
        time.ok_or_else(|| {
            let missing = self.sent - self.answers.len();
            format!("{missing} of {} pings without an answer", self.sent)
        })
    }
}

/// What ping wrote.
fn parse(text: &str) -> Option<RoundTrips> {
    let (head, _) = text.split_once(" packets transmitted")?;
    let sent = head.rsplit(char::is_whitespace).next()?.parse().ok()?;
    let mut answers: Vec<_> = text.lines().filter_map(time_of).collect();
    answers.sort_by(f64::total_cmp);
    answers.truncate(sent);
    Some(RoundTrips { sent, answers })
}

/// Seconds of a line `64 bytes from …: icmp_seq=1 ttl=64 time=0.112 ms`.
pub(crate) fn time_of(line: &str) -> Option<f64> {
    let (_, time) = line.split_once(" time=")?;
    let milliseconds: f64 = time.strip_suffix(" ms")?.trim().parse().ok()?;
    Some(milliseconds / 1e3)
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

    /// ping's text about so many pings, of which the first were answered, the slowest first.
    fn pings(sent: u32, answered: u32) -> RoundTrips {
        let line = |i| format!("64 bytes from 10.77.0.2: icmp_seq=1 ttl=64 time={i} ms\n");
        let text: String = (1..=answered).rev().map(line).collect();
        let text = format!("PING\n{text}\n{sent} packets transmitted, {answered} received\nrtt\n");
        parse(&text).expect("it says how many")
    }

    #[test]
    fn percentiles_by_rank() {
        let times = pings(100, 100);
        assert_eq!(times.percentile(0.5), Ok(0.05));
        assert_eq!(times.percentile(0.99), Ok(0.099));
        assert_eq!(times.lost_ratio(), 0.0);
        assert_eq!(parse("PING\n"), None);
    }

    #[test]
    fn an_answer_that_did_not_come_took_for_ever() {
        assert_eq!(pings(200, 198).percentile(0.99), Ok(0.198));
        let times = pings(200, 150);
        assert_eq!(times.lost_ratio(), 0.25);
        assert_eq!(times.percentile(0.5), Ok(0.1));
        let why = times.percentile(0.99).expect_err("too many are missing");
        assert_eq!(why, "50 of 200 pings without an answer");
        assert!(pings(200, 0).percentile(0.5).is_err());
    }
}
