//! Scheduling of the calling thread.

use std::io;

use rustix::thread::{CpuSet, sched_setaffinity};

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

/// Keeps the calling thread to these cores.
///
/// # Errors
///
/// EINVAL if it may run on none of them.
pub fn keep_to(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores.iter().filter(|core| **core < CpuSet::MAX_CPU) {
        set.set(core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_stays_where_it_is_kept() {
        let thread = std::thread::spawn(|| {
            let core = core_affinity::get_core_ids().unwrap()[0].id;
            keep_to(&[core, usize::MAX]).unwrap();
            let cores = core_affinity::get_core_ids().unwrap();
            assert_eq!(cores.iter().map(|c| c.id).collect::<Vec<_>>(), [core]);
            let error = keep_to(&[]).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        });
        thread.join().unwrap();
    }

    #[test]
    fn priorities_that_are_none_are_refused() {
        for wrong in [0, 100] {
            let error = set_fifo(wrong).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    }
}
