//! A loop of the lowest priority on each CPU of the rig, so that a virtual CPU never halts.
//!
//! A halted virtual CPU takes the hypervisor to wake, which costs a peer that sleeps often more than one
//! that does not, and differently from minute to minute. The loops are SCHED_IDLE: anything else
//! displaces them at once. Their nice value of 19 has /proc/stat book their time as `nice`.

use std::process::Stdio;

use clap::Args;
use rustix::process::getppid;

use super::tool::{Background, Tool};
use crate::error::{Error, Result};

/// The loops; they end with this.
pub(crate) struct IdleLoops(Vec<Background>);

impl IdleLoops {
    /// Starts one on each of these CPUs.
    ///
    /// # Errors
    ///
    /// `chrt`, `nice` or `taskset` is missing.
    pub(crate) fn start(cpus: &[usize]) -> Result<Self> {
        let program = std::env::current_exe().map_err(Error::failed("where are we"))?;
        let mut loops = Self(Vec::new());
        for cpu in cpus {
            let child = Tool::new("chrt")
                .args(["--idle", "0", "nice", "-n", "19", "taskset", "-c"])
                .arg(cpu.to_string())
                .arg(&program)
                .arg("idle-loop")
                .arg(std::process::id().to_string())
                .spawn(Stdio::null(), Stdio::null(), Stdio::inherit())?;
            loops.0.push(Background(child));
        }
        Ok(loops)
    }
}

/// The hidden subcommand.
#[derive(Args)]
pub(crate) struct Options {
    /// Who started it
    parent: i32,
}

/// Spins between two looks for the parent: some tens of milliseconds.
const SPINS: u32 = 10_000_000;

/// The loop. Ends when whoever started it has, even if that was before it got the CPU for the first time.
pub(crate) fn run(options: &Options) {
    while getppid().is_some_and(|pid| pid.as_raw_pid() == options.parent) {
        for _ in 0..SPINS {
            std::hint::spin_loop();
        }
    }
}
