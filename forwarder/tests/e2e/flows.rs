//! Many UDP flows from one host to another: see flows.py.

use crate::{lab::Lab, running::Running};

/// What arrived of one flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// The longest time without one, in seconds.
    pub(crate) longest: f64,
    /// Times without one that were longer than a second.
    pub(crate) gaps: u64,
    /// How long before the end the last one to arrive was sent, in seconds.
    pub(crate) late: f64,
}

/// What arrived.
#[derive(Debug)]
pub(crate) struct Flows {
    pub(crate) reordered: u64,
    pub(crate) duplicated: u64,
    pub(crate) flows: Vec<Flow>,
}

/// From which host to which, at which address.
pub(crate) const TO_VM: [&str; 3] = ["dc", "vm1", "10.77.0.50"];
pub(crate) const TO_DC: [&str; 3] = ["vm1", "dc", "10.77.0.1"];

impl Flows {
    /// Starts to send; see flows.py for the options.
    pub(crate) fn start(lab: &Lab, way: [&str; 3], options: &[&str]) -> Running {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/flows.py");
        // Each socket is made in its namespace: any namespace will do for the program.
        let command = [&["python3", script, lab.name()], &way[..], options].concat();
        lab.spawn("path", &command)
    }

    /// Sends and receives.
    pub(crate) fn run(lab: &Lab, way: [&str; 3], options: &[&str]) -> Self {
        Self::parse(&Self::start(lab, way, options).output())
    }

    pub(crate) fn parse(report: &str) -> Self {
        let after = |line: &str, word: &str| -> f64 {
            let mut words = line.split(' ').skip_while(|w| *w != word);
            words.nth(1).unwrap().parse().unwrap()
        };
        let flow = |line: &str| Flow {
            sent: after(line, "sent") as u64,
            received: after(line, "received") as u64,
            longest: after(line, "longest"),
            gaps: after(line, "gaps") as u64,
            late: after(line, "late"),
        };
        let (total, flows) = report.split_once('\n').unwrap();
        Self {
            reordered: after(total, "reordered") as u64,
            duplicated: after(total, "duplicated") as u64,
            flows: flows.lines().map(flow).collect(),
        }
    }

    /// All arrived, once, and in the order of each flow.
    #[track_caller]
    pub(crate) fn assert_all_arrived_in_order(&self) {
        let whole = self.flows.iter().all(|flow| flow.received == flow.sent);
        assert!(whole && !self.flows.is_empty(), "{self:?}");
        self.assert_in_order();
    }

    /// What arrived came once and in the order of each flow.
    #[track_caller]
    pub(crate) fn assert_in_order(&self) {
        assert_eq!((self.reordered, self.duplicated), (0, 0), "{self:?}");
    }
}
