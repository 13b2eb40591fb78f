//! Ctrl-C and SIGTERM end a test in an orderly way: it stops at its next step and takes down what it built.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use signal_hook::{consts::TERM_SIGNALS, flag};

use crate::error::{Error, Result};

static FLAG: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on the first such signal is only remembered.
pub(crate) fn install() {
    let raised = FLAG.get_or_init(Arc::default);
    for signal in TERM_SIGNALS {
        flag::register(*signal, Arc::clone(raised)).expect("these signals can be caught");
    }
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
