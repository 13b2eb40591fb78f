//! What the figures were measured on, as far as it decides them.

use std::{fs, io, thread};

use serde::Serialize;

/// CPU flags that decide how fast AES-GCM is, on x86 and on ARM.
const FLAGS: [&str; 9] = [
    "aes",
    "vaes",
    "pclmulqdq",
    "vpclmulqdq",
    "avx",
    "avx2",
    "avx512f",
    "movbe",
    "pmull",
];

/// The lock file that this program was built with.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The machine.
#[derive(Serialize)]
pub(crate) struct Machine {
    cpu: String,
    cpus: usize,
    memory_bytes: u64,
    /// Whether it runs under a hypervisor that says so.
    is_virtual: bool,
}

impl Machine {
    /// The CPU's model.
    pub(crate) fn cpu(&self) -> &str {
        &self.cpu
    }
}

/// Versions of what does the work.
#[derive(Serialize)]
pub(crate) struct Versions {
    causeway: &'static str,
    ring: &'static str,
    aws_lc_rs: &'static str,
    /// `release` or `debug`.
    profile: &'static str,
}

/// Model, CPUs and memory, and the [`FLAGS`] that the CPU has.
///
/// # Errors
///
/// /proc is not mounted.
pub(crate) fn describe() -> io::Result<(Machine, Vec<String>)> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let meminfo = fs::read_to_string("/proc/meminfo")?;
    let all = field(&cpuinfo, &["flags", "Features"]);
    let has = |flag: &str| all.split(' ').any(|f| f == flag);
    let kilobytes = field(&meminfo, &["MemTotal"]);
    let kilobytes = kilobytes.trim_end_matches(" kB").parse().unwrap_or(0_u64);
    let machine = Machine {
        cpu: field(&cpuinfo, &["model name", "Model", "CPU part"]).into(),
        cpus: thread::available_parallelism().map_or(1, usize::from),
        memory_bytes: kilobytes * 1_024,
        is_virtual: has("hypervisor"),
    };
    let flags = FLAGS.into_iter().filter(|f| has(f)).map(Into::into);
    Ok((machine, flags.collect()))
}

/// Ticks per second of the time stamp counter, where it is known and steady. They are reference cycles:
/// the core's own clock may be higher or lower.
///
/// On x86 the kernel derives the BogoMIPS from it, two for each tick; elsewhere they mean something else.
pub(crate) fn reference_hz() -> Option<f64> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    tsc_hz(&fs::read_to_string("/proc/cpuinfo").ok()?)
}

fn tsc_hz(cpuinfo: &str) -> Option<f64> {
    let steady = field(cpuinfo, &["flags"])
        .split(' ')
        .any(|f| f == "constant_tsc");
    let bogomips: f64 = field(cpuinfo, &["bogomips"]).parse().ok()?;
    (steady && bogomips > 0.0).then_some(bogomips / 2.0 * 1e6)
}

/// The release of the running kernel.
///
/// # Errors
///
/// /proc is not mounted.
pub(crate) fn kernel() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/osrelease")?
        .trim()
        .into())
}

/// Versions by the lock file.
pub(crate) fn versions() -> Versions {
    Versions {
        causeway: env!("CARGO_PKG_VERSION"),
        ring: locked("ring").unwrap_or("unknown"),
        aws_lc_rs: locked("aws-lc-rs").unwrap_or("unknown"),
        profile: if cfg!(debug_assertions) {
            "debug"
        } else {
            "release"
        },
    }
}

/// The value of the first line `KEY : VALUE` with one of the keys, or "unknown".
fn field<'a>(text: &'a str, keys: &[&str]) -> &'a str {
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let mut values = lines.filter(|(key, _)| keys.contains(&key.trim()));
    values.next().map_or("unknown", |(_, value)| value.trim())
}

/// The version of a package in the lock file.
fn locked(package: &str) -> Option<&'static str> {
    let mut lines = LOCK.lines();
    lines.find(|line| *line == format!("name = \"{package}\""))?;
    let version = lines.next()?.strip_prefix("version = \"")?;
    version.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_names_versions() {
        let ring = versions().ring;
        assert!(
            ring.starts_with("0.") && ring.split('.').count() == 3,
            "{ring}"
        );
        assert_eq!(locked("no-such-package"), None);
    }

    #[test]
    fn reference_cycles_need_a_steady_counter() {
        let steady = "flags\t: tsc constant_tsc\nbogomips\t: 4600.00\n";
        assert_eq!(tsc_hz(steady), Some(2.3e9));
        assert_eq!(tsc_hz("flags\t: tsc\nbogomips\t: 4600.00\n"), None);
        assert_eq!(tsc_hz("flags\t: constant_tsc\n"), None);
    }

    #[test]
    fn fields_of_proc() {
        let text =
            "processor\t: 0\nmodel name\t: A CPU: fast\nflags\t\t: fpu aes\n\nflags\t: none\n";
        assert_eq!(field(text, &["model name"]), "A CPU: fast");
        assert_eq!(field(text, &["Features", "flags"]), "fpu aes");
        assert_eq!(field(text, &["flag"]), "unknown");
    }
}
