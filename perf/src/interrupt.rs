//! Ctrl-C, SIGTERM and a terminal that goes (SIGHUP) end a test in an orderly way: it stops at its next step and takes
//! down what it built.

use std::{
    fs,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGHUP, TERM_SIGNALS},
    flag,
};

use crate::error::{Error, Result};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on the first such signal is only remembered.
pub(crate) fn install() {
    let raised = FLAG.get_or_init(Arc::default);
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    // Who starts it under nohup wants it to outlive the terminal.
    let hangup = (!is_ignored(&status, SIGHUP)).then_some(&SIGHUP);
    for signal in TERM_SIGNALS.iter().chain(hangup) {
        flag::register(*signal, Arc::clone(raised)).expect("these signals can be caught");
    }
}

/// Whether a process with this /proc/PID/status ignores a signal (proc_pid_status(5)).
fn is_ignored(status: &str, signal: i32) -> bool {
    let mask = status.lines().find_map(|l| l.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}

/// Whether one has come.
pub(crate) fn raised() -> bool {
    FLAG.get().is_some_and(|flag| flag.load(Ordering::Relaxed))
}

/// To be asked between steps.
///
/// # Errors
///
/// [`Error::Interrupted`] if a signal has come.
pub(crate) fn check() -> Result {
    if raised() {
        Err(Error::Interrupted)
    } else {
        Ok(())
    }
}

/// Sleeps for `time`, less if a signal comes.
///
/// # Errors
///
/// As for [`check`].
pub(crate) fn sleep(time: Duration) -> Result {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(Duration::from_millis(50)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals() {
        let status = "Name:\tx\nSigBlk:\tffff\nSigIgn:\t0000000000001001\n";
        assert!(is_ignored(status, SIGHUP) && is_ignored(status, 13));
        assert!(!is_ignored(status, 2) && !is_ignored("", SIGHUP));
    }
}
