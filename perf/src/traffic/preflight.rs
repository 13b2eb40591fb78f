//! What is looked at before anything is touched: said at once, with what to do.

use std::{fs, time::Duration};

use super::{Link, rate::MOST_FRAMES};
use crate::{
    error::{Error, Result},
    interrupt,
    sizes::FrameSizes,
};

/// How long to look at what the cores do.
const LOOK: Duration = Duration::from_millis(100);

/// Part of a core's time that others may have before the figures suffer.
const BUSY: f64 = 0.25;

/// Only root may do what these tests do.
///
/// # Errors
///
/// [`Error::CannotRun`].
pub(crate) fn root() -> Result {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Error::CannotRun(
        "this test needs AF_XDP sockets and XDP programs: run it as root (sudo)".into(),
    ))
}

/// A core for each of `N` threads: those that were asked for, and the first others.
///
/// # Errors
///
/// [`Error::CannotRun`] if there are not so many, [`Error::Usage`] if there is no such core.
pub(crate) fn cores<const N: usize>(wanted: [Option<usize>; N]) -> Result<[usize; N]> {
    let allowed = core_affinity::get_core_ids().unwrap_or_default();
    let allowed: Vec<_> = allowed.into_iter().map(|core| core.id).collect();
    choose(&allowed, wanted)
}

fn choose<const N: usize>(allowed: &[usize], wanted: [Option<usize>; N]) -> Result<[usize; N]> {
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

/// Says so if others use these cores. Returns the largest part of one that they have.
///
/// # Errors
///
/// [`Error::Interrupted`].
pub(crate) fn busy(cores: &[usize]) -> Result<f64> {
    let look = || fs::read_to_string("/proc/stat").unwrap_or_default();
    let before = look();
    interrupt::sleep(LOOK)?;
    let after = look();
    let shares = cores
        .iter()
        .map(|core| (*core, busy_share(&before, &after, *core)));
    let Some((core, share)) = shares.max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Ok(0.0);
    };
    if share > BUSY {
        eprintln!(
            "causeway-perf: core {core} is {:.0} % busy with something else: figures suffer; end that, or choose cores with --cpu and --rx-cpu",
            share * 100.0
        );
    }
    Ok(share)
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

/// Whether a schedule, and the link as far as it tells its speed, can have this rate.
///
/// # Errors
///
/// [`Error::Usage`].
pub(crate) fn rate(link: &Link, frames_per_s: f64, sizes: &FrameSizes) -> Result {
    let most = link_speed(link).map_or(MOST_FRAMES, |bits| sizes.line_rate(bits));
    // Two crystals differ by 200 millionths at most (IEEE 802.3).
    if frames_per_s <= most * 1.0002 {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{frames_per_s:.0} frames/s of {sizes} bytes are more than {link} can send: at most {most:.0}"
    )))
}

/// Bits a second of a link with hardware, in this process's own namespace. A veth says 10 Gb/s for nothing.
fn link_speed(link: &Link) -> Option<f64> {
    let device = format!("/sys/class/net/{}", link.interface);
    let is_here = link.netns.is_none() && fs::exists(format!("{device}/device")).ok()?;
    let speed = fs::read_to_string(format!("{device}/speed")).ok()?;
    let megabits = speed.trim().parse::<f64>().ok()?;
    (is_here && megabits > 0.0).then_some(megabits * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_a_core() {
        let two = |allowed: &[usize], wanted| choose::<2>(allowed, wanted).ok();
        assert_eq!(two(&[0, 1], [None, None]), Some([0, 1]));
        assert_eq!(two(&[0, 1], [Some(1), None]), Some([1, 0]));
        assert_eq!(two(&[2, 5, 7], [None, Some(2)]), Some([5, 2]));
        assert_eq!(two(&[0, 1], [Some(1), Some(1)]), Some([1, 1]));
        let error = |allowed: &[usize], wanted| {
            let error = choose::<2>(allowed, wanted).expect_err("impossible");
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

    #[test]
    fn a_rate_above_all_wires_is_refused() {
        let link: Link = "nonesuch0".parse().expect("a name");
        assert!(rate(&link, 1e6, &FrameSizes::Imix).is_ok());
        assert!(rate(&link, 1e12, &FrameSizes::Imix).is_err());
    }
}
