//! What a CPU does, by /proc/stat: ticks of what runs when the clock interrupt comes. Time of niced processes is not
//! counted: that is the loops that keep the CPU from halting. Nor is what the hypervisor took.

use std::{fs, ops::Sub};

use crate::error::{Error, Result};

/// CPU time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Usage {
    /// In programs.
    pub(crate) user: f64,
    /// In system calls and kernel threads.
    pub(crate) system: f64,
    /// In interrupts and the kernel's deferred work for them: network above all.
    pub(crate) softirq: f64,
}

impl Usage {
    /// Of one CPU, since the machine started.
    ///
    /// # Errors
    ///
    /// There is no such CPU.
    pub(crate) fn now(cpu: usize) -> Result<Self> {
        let text = fs::read_to_string("/proc/stat").map_err(Error::failed("/proc/stat"))?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        parse(&text, &format!("cpu{cpu}"), ticks)
            .ok_or_else(|| Error::Failed(format!("/proc/stat has no cpu{cpu}")))
    }

    /// All of it.
    pub(crate) fn total(&self) -> f64 {
        self.user + self.system + self.softirq
    }
}

impl Sub for Usage {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            user: self.user - before.user,
            system: self.system - before.system,
            softirq: self.softirq - before.softirq,
        }
    }
}

/// Ticks of the machine: how busy it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticks {
    /// Of all work, the niced too.
    pub(crate) busy: u64,
    /// Of the niced: what runs only where nothing else wants to is among it.
    pub(crate) nice: u64,
    /// All.
    pub(crate) all: u64,
}

impl Ticks {
    /// Since the machine started.
    pub(crate) fn now() -> Option<Self> {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let fields = fields(&text, "cpu")?;
        let idle = fields.get(3)? + fields.get(4)?;
        let all = fields.iter().take(8).sum::<u64>();
        Some(Self {
            busy: all - idle,
            nice: *fields.get(1)?,
            all,
        })
    }
}

/// user, nice, system, idle, iowait, irq, softirq, steal, …: see proc(5).
fn fields(text: &str, name: &str) -> Option<Vec<u64>> {
    let mut lines = text.lines().map(str::split_whitespace);
    let mut line = lines.find_map(|mut words| (words.next()? == name).then_some(words))?;
    let fields: Option<Vec<_>> = line.by_ref().map(|word| word.parse().ok()).collect();
    fields.filter(|fields| fields.len() >= 8)
}

fn parse(text: &str, name: &str, ticks: f64) -> Option<Usage> {
    let fields = fields(text, name)?;
    let seconds = |ticks_of: u64| ticks_of as f64 / ticks;
    Some(Usage {
        user: seconds(fields[0]),
        system: seconds(fields[2]),
        softirq: seconds(fields[5] + fields[6]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_one_cpu() {
        let text = "cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\ncpu1 100 50 200 9 9 30 70 5 0 0\nintr 1\n";
        let usage = parse(text, "cpu1", 100.0).expect("a line");
        let expected = Usage {
            user: 1.0,
            system: 2.0,
            softirq: 1.0,
        };
        assert_eq!(usage, expected);
        assert_eq!(usage.total(), 4.0);
        assert_eq!(parse(text, "cpu2", 100.0), None);
        assert_eq!(parse("cpu0 1 2 x", "cpu0", 100.0), None);
    }

    #[test]
    fn this_machine() {
        let usage = Usage::now(0).expect("a first CPU");
        assert!(usage.total() > 0.0);
        let ticks = Ticks::now().expect("/proc/stat");
        assert!(ticks.nice <= ticks.busy && ticks.busy <= ticks.all && ticks.all > 0);
    }
}
