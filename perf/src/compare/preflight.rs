//! What a comparison needs of the machine, found out before anything is built.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::{
    process::geteuid,
    thread::{CpuSet, sched_getaffinity, sched_setaffinity},
};

use super::measure::cpu::Ticks;
use crate::{
    error::{Error, Result},
    interrupt,
    rig::Cpus,
};

/// Programs that the rig and the measurements run, and the Debian packages they are in.
const TOOLS: [(&str, &str); 9] = [
    ("ip", "iproute2"),
    ("ethtool", "ethtool"),
    ("sysctl", "procps"),
    ("taskset", "util-linux"),
    ("chrt", "util-linux"),
    ("unshare", "util-linux"),
    ("nice", "coreutils"),
    ("ping", "iputils-ping"),
    ("iperf3", "iperf3"),
];

/// How long the machine is watched for other work.
const WATCH: Duration = Duration::from_secs(1);

/// CPUs' worth of other work that is worth a warning, and that spoils the figures.
const BUSY: [f64; 2] = [0.1, 0.5];

/// Root and tools.
///
/// # Errors
///
/// [`Error::CannotRun`] with what to do.
pub(crate) fn requirements() -> Result {
    if !geteuid().is_root() {
        return Err(Error::CannotRun(
            "the comparison builds network namespaces: run it as root (sudo)".into(),
        ));
    }
    let missing = TOOLS.iter().filter(|(tool, _)| find(tool).is_none());
    let (tools, mut packages): (Vec<_>, Vec<_>) = missing.copied().unzip();
    packages.dedup();
    if tools.is_empty() {
        return Ok(());
    }
    Err(Error::CannotRun(format!(
        "the comparison needs {}: apt-get install {}",
        tools.join(", "),
        packages.join(" ")
    )))
}

/// Where a program of the system is.
fn find(tool: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join(tool))
        .find(|path| path.is_file())
}

/// The CPUs to use: two that we may.
///
/// # Errors
///
/// There are not two, or not those.
pub(crate) fn choose(wanted: Option<Cpus>) -> Result<Cpus> {
    let allowed = sched_getaffinity(None).map_err(Error::failed("sched_getaffinity"))?;
    let allowed: Vec<_> = (0..CpuSet::MAX_CPU)
        .filter(|cpu| allowed.is_set(*cpu))
        .collect();
    select(wanted, &allowed)
}

fn select(wanted: Option<Cpus>, allowed: &[usize]) -> Result<Cpus> {
    match (wanted, allowed) {
        (Some(cpus), _) => {
            let others = [cpus.hosts, cpus.gateways]
                .into_iter()
                .filter(|cpu| !allowed.contains(cpu));
            match others.collect::<Vec<_>>().as_slice() {
                [] => Ok(cpus),
                others => Err(Error::Usage(format!(
                    "--cpus: we may not use {others:?}, only {allowed:?}"
                ))),
            }
        }
        (None, &[hosts, gateways, ..]) => Ok(Cpus { hosts, gateways }),
        (None, _) => Err(Error::CannotRun(
            "the comparison needs 2 CPUs, one for the hosts and one for the gateways: \
             use a larger machine, or taskset less"
                .into(),
        )),
    }
}

/// From now on we run on the hosts' CPU, and so does what we start, unless it is put elsewhere.
///
/// # Errors
///
/// The kernel refuses.
pub(crate) fn settle(cpus: Cpus) -> Result {
    let mut set = CpuSet::new();
    set.set(cpus.hosts);
    sched_setaffinity(None, &set).map_err(Error::failed("sched_setaffinity"))
}

/// Looks for other work on the machine: whether there is none that would be seen in its pace.
///
/// # Errors
///
/// [`Error::CannotRun`] if there is much, unless `force`.
pub(crate) fn quiet(force: bool) -> Result<bool> {
    let before = (Ticks::now(), processes());
    interrupt::sleep(WATCH)?;
    let (Some(a), Some(b)) = (before.0, Ticks::now()) else {
        return Ok(true);
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let part = |ticks: u64| ticks as f64 / (b.all - a.all).max(1) as f64 * cpus;
    let busy = part(b.busy - a.busy);
    // That yields to us.
    let is_quiet = busy - part(b.nice - a.nice) < BUSY[0];
    if busy < BUSY[0] {
        return Ok(true);
    }
    let who = busiest(&before.1, &processes());
    let text = format!("the machine is busy: {busy:.1} of {cpus} CPUs with other work{who}");
    if busy > BUSY[1] && !force {
        return Err(Error::CannotRun(format!(
            "{text}: stop that, or measure nonsense with --force"
        )));
    }
    eprintln!("causeway-perf: {text}; the figures will spread");
    Ok(is_quiet)
}

/// Name and ticks by process.
fn processes() -> BTreeMap<u32, (String, u64)> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbered = folders.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let read = |pid: u32| {
        Some((
            pid,
            parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?,
        ))
    };
    numbered.filter_map(read).collect()
}

/// Name, and user and system ticks: see proc_pid_stat(5).
fn parse(stat: &str) -> Option<(String, u64)> {
    let (head, tail) = stat.rsplit_once(") ")?;
    let (_, name) = head.split_once('(')?;
    let mut fields = tail.split(' ').skip(11);
    let (user, system) = (
        fields.next()?.parse::<u64>().ok()?,
        fields.next()?.parse::<u64>().ok()?,
    );
    Some((name.into(), user + system))
}

/// ` (cc1, rustc)`: those that did most between two looks.
fn busiest(before: &BTreeMap<u32, (String, u64)>, after: &BTreeMap<u32, (String, u64)>) -> String {
    let used = |(pid, (name, ticks)): (&u32, &(String, u64))| {
        let old = before.get(pid).map_or(0, |(_, ticks)| *ticks);
        (ticks.saturating_sub(old), name.clone())
    };
    let mut used: Vec<_> = after
        .iter()
        .map(used)
        .filter(|(ticks, _)| *ticks > 0)
        .collect();
    used.sort_by(|a, b| b.cmp(a));
    let mut names: Vec<_> = used.into_iter().map(|(_, name)| name).take(3).collect();
    names.dedup();
    if names.is_empty() {
        String::new()
    } else {
        format!(" ({})", names.join(", "))
    }
}

/// Where causeway's binary should be: beside our own.
pub(crate) fn beside_us() -> PathBuf {
    let us = env::current_exe().unwrap_or_default();
    us.parent().unwrap_or(Path::new(".")).join("causeway")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cpus() {
        let cpus = |hosts, gateways| Cpus { hosts, gateways };
        assert_eq!(select(None, &[3, 5, 7]).ok(), Some(cpus(3, 5)));
        assert_eq!(select(Some(cpus(5, 3)), &[3, 5]).ok(), Some(cpus(5, 3)));
        let error = select(Some(cpus(0, 9)), &[0, 1]).expect_err("no CPU 9");
        assert!(
            matches!(&error, Error::Usage(text) if text.contains("[9], only [0, 1]")),
            "{error}"
        );
        let error = select(None, &[0]).expect_err("one CPU");
        assert!(
            matches!(&error, Error::CannotRun(text) if text.contains("2 CPUs")),
            "{error}"
        );
    }

    #[test]
    fn lines_of_proc() {
        let text = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 30 12 0 0 20 0 1 0 5 0 0";
        assert_eq!(parse(text), Some(("a (b) c".into(), 42)));
        assert_eq!(parse("7"), None);
    }

    #[test]
    fn the_busiest_are_named() {
        let of = |ticks: [u64; 2]| {
            BTreeMap::from([
                (1, ("init".into(), ticks[0])),
                (2, ("rustc".into(), ticks[1])),
            ])
        };
        assert_eq!(busiest(&of([5, 5]), &of([6, 99])), " (rustc, init)");
        assert_eq!(busiest(&of([5, 5]), &of([5, 5])), "");
    }
}
