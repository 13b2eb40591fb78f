//! The machine: kernel, rights, memory and clock, by the text of /proc and /sys.

use std::time::SystemTime;

use super::check::{Check, failing, ok, unknown};
use crate::preflight;

/// The oldest kernel that causeway is meant for (README).
const OLDEST: [u32; 2] = [5, 18];

/// The kernel, by its release (uname -r) and the text of /proc/uptime.
pub fn kernel(release: &str, uptime: &str) -> Check {
    const NAME: &str = "kernel";
    let numbers = release.split(['.', '-', '+']).map_while(|n| n.parse().ok());
    let numbers: Vec<u32> = numbers.take(3).collect();
    let &[major, minor, ref rest @ ..] = &numbers[..] else {
        return unknown(
            NAME,
            format!("{release} is no version that could be compared"),
        );
    };
    let patch = rest.first().copied().unwrap_or(0);
    let days = uptime.split('.').next().and_then(|s| s.parse::<u64>().ok());
    let up = days.map_or(String::new(), |s| format!(", up {} days", s / 86_400));
    // Completion of AF_XDP transmits in copy mode panics since "xsk: support generic batch xmit in copy mode"'s
    // forerunner, which was taken back into 6.16.12.
    let panics = (major, minor) == (6, 17) || (major, minor) == (6, 16) && patch >= 12;
    if [major, minor] < OLDEST {
        failing(
            NAME,
            format!("{release}: too old"),
            format!("Linux {}.{} or newer", OLDEST[0], OLDEST[1]),
        )
    } else if panics {
        failing(
            NAME,
            format!("{release}{up}: it panics when AF_XDP transmits in copy mode"),
            "another kernel than 6.16.12 and later of 6.16, and 6.17: such as 6.12 or 6.18",
        )
    } else {
        ok(NAME, format!("{release}{up}"))
    }
}

/// BTF of the kernel, by whether /sys/kernel/btf/vmlinux is there. The programs do without; tools that look
/// into a running kernel do not.
pub fn btf(there: bool) -> Check {
    ok(
        "BTF",
        if there {
            "there"
        } else {
            "none: not needed by causeway, but bpftool and bpftrace show less"
        },
    )
}

/// Rights, by the text of /proc/self/status.
pub fn capabilities(status: &str) -> Check {
    const NAME: &str = "rights";
    match preflight::missing_capabilities(status)[..] {
        [] => ok(NAME, "CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF"),
        ref missing => failing(
            NAME,
            format!("missing {}", missing.join(", ")),
            "run as root, or with systemd's AmbientCapabilities (scripts/causeway@.service)",
        ),
    }
}

/// Locked memory, by the texts of /proc/self/limits and /proc/self/status.
pub fn locked_memory(limits: &str, status: &str) -> Check {
    const NAME: &str = "locked memory";
    /// CAP_SYS_RESOURCE lifts the limit, CAP_IPC_LOCK passes it by.
    const LIFTING: u64 = 1 << 24 | 1 << 14;
    /// What a port with four workers takes.
    const PLENTY: u64 = 256 << 20;
    let line = limits
        .lines()
        .find_map(|l| l.strip_prefix("Max locked memory"));
    let limit = line.and_then(|l| l.split_whitespace().next()).unwrap_or("");
    let effective = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    let effective = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok());
    if effective.unwrap_or(0) & LIFTING != 0 {
        return ok(NAME, "the limit is lifted at the start");
    }
    match limit.parse::<u64>() {
        _ if limit == "unlimited" => ok(NAME, "unlimited"),
        Ok(bytes) if bytes >= PLENTY => ok(NAME, format!("{} MiB", bytes >> 20)),
        Ok(bytes) => failing(
            NAME,
            format!(
                "{} KiB at most, and AF_XDP frame memory is locked",
                bytes >> 10
            ),
            "CAP_IPC_LOCK, LimitMEMLOCK=infinity in the systemd unit, or `ulimit -l unlimited`",
        ),
        Err(_) => unknown(NAME, "/proc/self/limits does not say"),
    }
}

/// Huge pages, by the text of /proc/meminfo.
pub fn huge_pages(meminfo: &str) -> Check {
    const NAME: &str = "huge pages";
    let number = |name: &str| {
        let line = meminfo.lines().find_map(|l| l.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    match (number("HugePages_Free:"), number("HugePages_Total:")) {
        (Some(free), Some(total)) if total > 0 => ok(NAME, format!("{free} of {total} are free")),
        _ => ok(
            NAME,
            "none reserved: frame memory is in ordinary pages (vm.nr_hugepages reserves some)",
        ),
    }
}

/// The clock. Nothing but the logs depends on it.
pub fn clock(now: SystemTime) -> Check {
    match preflight::clock_warning(now) {
        None => ok("clock", "set"),
        Some(warning) => failing("clock", warning, "`timedatectl set-ntp true`"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::check::Verdict, *};

    fn is_ok(check: &Check) -> bool {
        matches!(check.verdict, Verdict::Ok { .. })
    }

    #[test]
    fn kernels_that_are_old_or_panic_are_named() {
        for (release, good) in [
            ("6.18.44-fc-v657", true),
            ("6.12.0", true),
            ("6.16.11-arch1", true),
            ("6.16.12", false),
            ("6.17.0-5-generic", false),
            ("5.18", true),
            ("5.15.0-91-generic", false),
            ("7.0-rc1", true),
        ] {
            assert_eq!(is_ok(&kernel(release, "864000.12 1.0")), good, "{release}");
        }
        let text = format!("{:?}", kernel("6.17.3", "864000.12 1.0"));
        assert!(
            text.contains("up 10 days") && text.contains("6.18"),
            "{text}"
        );
        assert!(matches!(
            kernel("custom", "").verdict,
            Verdict::Unknown { .. }
        ));
    }

    #[test]
    fn rights_and_locked_memory_by_the_text_of_proc() {
        let status = |bits: u64| format!("CapEff:\t{bits:016x}\n");
        let limits = |limit: &str| format!("Max locked memory         {limit}   {limit}   bytes\n");
        assert!(is_ok(&capabilities(&status(u64::MAX))));
        assert!(!is_ok(&capabilities(&status(0))));
        for (limit, bits, good) in [
            ("65536", 1 << 14, true),
            ("65536", 1 << 24, true),
            ("65536", 0, false),
            ("1073741824", 0, true),
            ("unlimited", 0, true),
            ("", 0, false),
        ] {
            assert_eq!(
                is_ok(&locked_memory(&limits(limit), &status(bits))),
                good,
                "{limit}"
            );
        }
    }

    #[test]
    fn memory_and_clock() {
        let seen = |check: Check| format!("{check:?}");
        let pages = "HugePages_Total:       8\nHugePages_Free:        5\n";
        assert!(seen(huge_pages(pages)).contains("5 of 8"));
        assert!(
            seen(huge_pages("HugePages_Total: 0\nHugePages_Free: 0")).contains("none reserved")
        );
        assert!(!is_ok(&clock(SystemTime::UNIX_EPOCH)));
        assert!(is_ok(&clock(
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
        )));
        assert!(is_ok(&btf(false)));
    }
}
