//! Pings from dc that go on while something happens.

use std::{fs, path::PathBuf};

use crate::{lab::Lab, running::Running};

pub(crate) struct Pings {
    ping: Running,
    report: PathBuf,
}

impl Pings {
    /// Fifty in a second, until [`Self::assert_all_answered`].
    pub(crate) fn start(lab: &Lab) -> Self {
        let report = lab.dir().join("pings");
        let to_file = "exec ping -n -i 0.02 10.77.0.50 >\"$0\"";
        let ping = lab.spawn("dc", &["sh", "-c", to_file, report.to_str().unwrap()]);
        Self { ping, report }
    }

    /// Ends them. Every one was answered, once; only the last may still have been under way.
    #[track_caller]
    pub(crate) fn assert_all_answered(self) {
        self.ping.interrupt();
        let report = fs::read_to_string(&self.report).unwrap();
        let number = |line: &str| {
            line.split_once("icmp_seq=")?
                .1
                .split(' ')
                .next()?
                .parse()
                .ok()
        };
        let answered: Vec<usize> = report.lines().filter_map(number).collect();
        let sent: usize = report
            .split_once(" packets transmitted")
            .and_then(|(before, _)| before.lines().last()?.parse().ok())
            .unwrap();
        let all: Vec<usize> = (1..=answered.len()).collect();
        assert!(
            answered == all && sent - answered.len() <= 1 && sent > 5,
            "{report}"
        );
    }
}

/// As many as are wanted, two hundred in a second.
pub(crate) struct Volley {
    ping: Running,
    count: usize,
}

impl Volley {
    /// Begins them.
    pub(crate) fn start(lab: &Lab, count: usize, address: &str) -> Self {
        let number = count.to_string();
        let ping = [
            "ping", "-q", "-i", "0.005", "-c", &number, "-W", "2", address,
        ];
        let ping = lab.spawn("dc", &ping);
        Self { ping, count }
    }

    /// Waits for the last of them. Every one was answered.
    #[track_caller]
    pub(crate) fn assert_all_answered(self) {
        let (report, count) = (self.ping.output(), self.count);
        let all = format!("{count} received, 0% packet loss");
        assert!(report.contains(&all), "{report}");
    }
}
