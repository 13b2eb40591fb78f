//! TCP by iperf3, both its ends on the hosts' CPU.

use std::{
    process::Stdio,
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::cpu::Usage;
use crate::{
    error::{Error, Result},
    interrupt,
    rig::{
        Rig, VM,
        tool::{Background, Tool},
    },
};

/// How long the server may take to listen.
const PATIENCE: Duration = Duration::from_secs(3);

/// Time that iperf3 may take beside the test itself.
const EXTRA: Duration = Duration::from_secs(15);

/// The server, in vm.
pub(crate) struct Server<'a> {
    rig: &'a Rig,
    _process: Background,
}

/// Which way the bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From dc to vm.
    Out,
    /// From vm to dc.
    Back,
}

/// One test.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    /// As received.
    pub(crate) bits_per_s: f64,
    /// As received.
    pub(crate) bytes: f64,
    /// Of the gateways' CPU meanwhile.
    pub(crate) usage: Usage,
}

impl<'a> Server<'a> {
    /// Starts it.
    ///
    /// # Errors
    ///
    /// iperf3 does not start.
    pub(crate) fn start(rig: &'a Rig) -> Result<Self> {
        let tool = rig.vm().tool_on(rig.cpus().hosts, "iperf3").arg("-s");
        let null = Stdio::null;
        let process = Background(tool.spawn(null(), null(), null())?);
        Ok(Self {
            rig,
            _process: process,
        })
    }

    /// Sends for about `time` over so many connections.
    ///
    /// # Errors
    ///
    /// iperf3 says why not.
    pub(crate) fn transfer(
        &self,
        streams: u8,
        direction: Direction,
        time: Duration,
    ) -> Result<Transfer> {
        let end = Instant::now() + PATIENCE;
        loop {
            let before = Usage::now(self.rig.cpus().gateways)?;
            let text = self
                .client(streams, direction, time)
                .answer_within(time + EXTRA)?;
            let usage = Usage::now(self.rig.cpus().gateways)? - before;
            match parse(&text) {
                Ok((bits_per_s, bytes)) => {
                    return Ok(Transfer {
                        bits_per_s,
                        bytes,
                        usage,
                    });
                }
                Err(why) if Instant::now() > end => {
                    return Err(Error::Failed(format!("iperf3: {why}")));
                }
                Err(_) => interrupt::sleep(Duration::from_millis(100))?,
            }
        }
    }

    fn client(&self, streams: u8, direction: Direction, time: Duration) -> Tool {
        let tool = self.rig.dc().tool_on(self.rig.cpus().hosts, "iperf3");
        let seconds = time.as_secs_f64().ceil().max(1.0).to_string();
        let tool = tool.args([
            "-c",
            VM,
            "--json",
            "--connect-timeout",
            "3000",
            "-t",
            &seconds,
        ]);
        let tool = tool.args(["-P", &streams.to_string()]);
        match direction {
            Direction::Out => tool,
            Direction::Back => tool.arg("-R"),
        }
    }
}

#[derive(Deserialize)]
struct Report {
    error: Option<String>,
    #[serde(default)]
    end: End,
}

#[derive(Default, Deserialize)]
struct End {
    sum_received: Option<Sum>,
}

#[derive(Deserialize)]
struct Sum {
    bytes: f64,
    bits_per_second: f64,
}

/// Bits per second and bytes, or what went wrong.
fn parse(text: &str) -> std::result::Result<(f64, f64), String> {
    let report: Report =
        serde_json::from_str(text).map_err(|e| format!("its answer is no report: {e}"))?;
    match (report.error, report.end.sum_received) {
        (Some(error), _) => Err(error),
        (None, Some(sum)) => Ok((sum.bits_per_second, sum.bytes)),
        (None, None) => Err("its report has no sum_received".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports() {
        let good = r#"{"start":{},"end":{"sum_sent":{"bytes":9,"bits_per_second":72.0},
            "sum_received":{"start":0,"bytes":8,"bits_per_second":64.5}}}"#;
        assert_eq!(parse(good), Ok((64.5, 8.0)));
        let bad =
            r#"{"start":{},"end":{},"error":"unable to connect to server: Connection refused"}"#;
        assert!(parse(bad).is_err_and(|e| e.contains("refused")));
        assert!(parse("").is_err());
        assert!(parse("{}").is_err());
    }
}
