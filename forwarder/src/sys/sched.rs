//! Scheduling of the calling thread.

use std::io;

/// Gives the calling thread the policy SCHED_FIFO (sched(7)) with this priority, 1 to 99. Threads that it
/// starts do not inherit it.
///
/// # Errors
///
/// EPERM without CAP_SYS_NICE, or above RLIMIT_RTPRIO; EINVAL for another priority.
pub fn set_fifo(priority: u8) -> io::Result<()> {
    let parameters = libc::sched_param {
        sched_priority: priority.into(),
    };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the kernel only reads the parameters; 0 is the calling thread.
    let rc = unsafe { libc::sched_setscheduler(0, policy, &parameters) };
    match rc {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn priorities_that_are_none_are_refused() {
        for wrong in [0, 100] {
            let error = set_fifo(wrong).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    }
}
