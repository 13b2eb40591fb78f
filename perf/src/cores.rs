//! Which CPU a thread runs on, and whether others use it.

use std::{fs, time::Duration};

use crate::{
    error::{Error, Result},
    interrupt,
};

/// How long to look at what the cores do.
const LOOK: Duration = Duration::from_millis(100);

/// Part of a core's time that others may have before the figures suffer.
const BUSY: f64 = 0.25;

/// The cores that this thread may use.
pub(crate) fn allowed() -> Vec<usize> {
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    allowed.into_iter().map(|core| core.id).collect()
}

/// A core for each of `N` threads: those that were asked for, and the first others.
///
/// # Errors
///
/// [`Error::CannotRun`] if there are not so many, [`Error::Usage`] if there is no such core.
pub(crate) fn choose<const N: usize>(wanted: [Option<usize>; N]) -> Result<[usize; N]> {
    choose_of(&allowed(), wanted)
}

fn choose_of<const N: usize>(allowed: &[usize], wanted: [Option<usize>; N]) -> Result<[usize; N]> {
    if allowed.len() < N {
        return Err(Error::CannotRun(format!(
            "too few cores: this test needs {N}, one for each of its threads, and may use {}",
            allowed.len()
        )));
    }
    if let Some(core) = wanted.iter().flatten().find(|core| !allowed.contains(core)) {
        return Err(Error::Usage(format!(
            "there is no core {core} for this process: {allowed:?} are (see taskset)"
        )));
    }
    let mut others = allowed
        .iter()
        .filter(|core| !wanted.contains(&Some(**core)));
    Ok(wanted.map(|core| {
        core.or_else(|| others.next().copied())
            .unwrap_or(allowed[0])
    }))
}

/// From now on the calling thread runs on this core alone.
///
/// # Errors
///
/// [`Error::CannotRun`] if the kernel refuses.
pub(crate) fn pin(core: usize) -> Result {
    if core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Ok(());
    }
    Err(Error::CannotRun(format!(
        "cannot run on core {core}: see taskset"
    )))
}

/// Says so if others use these cores.
///
/// # Errors
///
/// [`Error::Interrupted`].
pub(crate) fn warn_if_busy(cores: &[usize]) -> Result {
    let look = || fs::read_to_string("/proc/stat").unwrap_or_default();
    let before = look();
    interrupt::sleep(LOOK)?;
    let after = look();
    let shares = cores
        .iter()
        .map(|core| (*core, busy_share(&before, &after, *core)));
    let Some((core, share)) = shares.max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Ok(());
    };
    if share > BUSY {
        eprintln!(
            "causeway-perf: core {core} is {:.0} % busy with something else: figures suffer; end that, or use other cores (--cpu where there is one, else taskset)",
            share * 100.0
        );
    }
    Ok(())
}

/// Part of its time that a core was busy between two states of /proc/stat (proc(5)).
fn busy_share(before: &str, after: &str, core: usize) -> f64 {
    let times = |text: &str| -> Option<(u64, u64)> {
        let name = format!("cpu{core} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&name))?;
        let ticks: Vec<u64> = line.split(' ').filter_map(|t| t.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; then guests, which are in user already.
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some((idle, ticks.iter().take(8).sum()))
    };
    let (Some((idle0, all0)), Some((idle1, all1))) = (times(before), times(after)) else {
        return 0.0;
    };
    let all = all1.saturating_sub(all0).max(1) as f64;
    1.0 - (idle1.saturating_sub(idle0) as f64 / all).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_a_core() {
        let two = |allowed: &[usize], wanted| choose_of::<2>(allowed, wanted).ok();
        assert_eq!(two(&[0, 1], [None, None]), Some([0, 1]));
        assert_eq!(two(&[0, 1], [Some(1), None]), Some([1, 0]));
        assert_eq!(two(&[2, 5, 7], [None, Some(2)]), Some([5, 2]));
        assert_eq!(two(&[0, 1], [Some(1), Some(1)]), Some([1, 1]));
        let error = |allowed: &[usize], wanted| {
            let error = choose_of::<2>(allowed, wanted).expect_err("impossible");
            error.to_string()
        };
        assert!(error(&[0], [None, None]).contains("too few cores"));
        assert!(error(&[0, 1], [Some(9), None]).contains("no core 9"));
    }

    #[test]
    fn busy_is_what_is_not_idle() {
        let before = "cpu  9 9 9 9\ncpu1 0 0 0 0 0 0 0 0 0 0\ncpu10 1 1 1 1 1 1 1 1 0 0\n";
        let after = "cpu  9 9 9 9\ncpu1 10 0 10 60 15 0 5 0 10 0\n";
        assert!((busy_share(before, after, 1) - 0.25).abs() < 1e-9);
        assert_eq!(busy_share(before, after, 7), 0.0);
    }
}
