//! What must be right about the machine before anything is opened.

use std::time::SystemTime;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Capabilities that `causeway run` needs (include/uapi/linux/capability.h).
const NEEDED: [(u32, &str); 3] = [(12, "CAP_NET_ADMIN"), (13, "CAP_NET_RAW"), (39, "CAP_BPF")];

/// CAP_SYS_ADMIN stands for CAP_BPF as well (kernel/bpf/syscall.c, bpf_capable).
const SYS_ADMIN: u32 = 21;

/// A clock that shows less than this (1 January 2024) has not been set.
const CLOCK_FLOOR: u64 = 1_704_067_200;

/// The capabilities that are missing, by the text of /proc/self/status.
pub fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let effective = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0);
    let has = |bit: u32| effective & (1 << bit) != 0;
    NEEDED
        .into_iter()
        .filter(|(bit, name)| !(has(*bit) || *name == "CAP_BPF" && has(SYS_ADMIN)))
        .map(|(_, name)| name)
        .collect()
}

/// Checks the process's capabilities.
///
/// # Errors
///
/// One line that names those missing and how to give them.
pub fn check_capabilities() -> Result<(), String> {
    let status = std::fs::read_to_string("/proc/self/status")
        .map_err(|e| format!("cannot read /proc/self/status: {e}"))?;
    match missing_capabilities(&status)[..] {
        [] => Ok(()),
        ref missing => Err(format!(
            "missing {}: run as root, or give the capabilities with systemd (AmbientCapabilities=CAP_NET_ADMIN CAP_NET_RAW CAP_BPF CAP_PERFMON CAP_IPC_LOCK)",
            missing.join(", ")
        )),
    }
}

/// A warning if the clock has not been set.
pub fn clock_warning(now: SystemTime) -> Option<String> {
    let seconds = now
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    (seconds < CLOCK_FLOOR).then(|| {
        "the system clock is not set (before 2024): the tunnel works, but times in logs are wrong; set it, e.g. timedatectl set-ntp true".into()
    })
}

/// A warning if workers run on cores that are far from a device: each frame then crosses between nodes.
///
/// `device` is its name and NUMA node; `cores` are those that workers are kept to, each with its node; none:
/// they run on any.
pub fn numa_warning(
    (name, node): (&str, Option<usize>),
    cores: &[(usize, Option<usize>)],
    nodes: usize,
) -> Option<String> {
    let node = node.filter(|_| nodes > 1)?;
    if cores.is_empty() {
        return Some(format!(
            "interface {name} is on NUMA node {node} of {nodes} and the workers are on any: give --cpus cores of that node (/sys/devices/system/node/node{node}/cpulist)"
        ));
    }
    let far: Vec<_> = cores
        .iter()
        .filter(|(_, of)| of.is_some_and(|of| of != node))
        .map(|(core, _)| core.to_string())
        .collect();
    (!far.is_empty()).then(|| {
        format!(
            "interface {name} is on NUMA node {node} and these cores of the workers are not: {}; see /sys/devices/system/node/node{node}/cpulist",
            far.join(", ")
        )
    })
}

/// A warning if `--busy-poll` is set and the device goes on to interrupt, by its two settings.
pub fn busy_poll_warning(
    name: &str,
    defer_hard_irqs: u64,
    gro_flush_timeout: u64,
) -> Option<String> {
    (defer_hard_irqs == 0 || gro_flush_timeout == 0).then(|| {
        format!(
            "--busy-poll: interface {name} interrupts still; echo 2 > /sys/class/net/{name}/napi_defer_hard_irqs; echo 200000 > /sys/class/net/{name}/gro_flush_timeout"
        )
    })
}

/// What is wrong, and the mend, if XDP at the LAN port is generic and the devices below it, those named, merge frames.
pub fn merging(lan: &str, below: &[String]) -> Option<(String, String)> {
    let merge = match below.len() {
        0 => return None,
        1 => "merges",
        _ => "merge",
    };
    let names = below.join(" and ");
    let off = below.iter();
    let off = off.map(|name| format!("ethtool -K {name} gro off lro off"));
    Some((
        format!(
            "{names}, below {lan}, {merge} frames (GRO, LRO) before XDP at {lan} sees them, and most of TCP is then too long to cross"
        ),
        off.collect::<Vec<_>>().join("; "),
    ))
}

/// Lifts the limit on locked memory, which AF_XDP frame memory counts against.
pub fn lift_memlock() {
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    // Without CAP_SYS_RESOURCE this fails; the limit may still do, and opening the port says if not.
    let _ = setrlimit(Resource::Memlock, unlimited);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn capabilities_by_the_text_of_proc() {
        let of = |bits: u64| missing_capabilities(&format!("Name:\tx\nCapEff:\t{bits:016x}\n"));
        assert_eq!(of(0), ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"]);
        assert_eq!(of(1 << 12 | 1 << 13), ["CAP_BPF"]);
        assert!(of(1 << 12 | 1 << 13 | 1 << 39).is_empty());
        assert!(of(1 << 12 | 1 << 13 | 1 << 21).is_empty());
        assert_eq!(missing_capabilities("").len(), 3);
    }

    #[test]
    fn cores_of_another_node_are_named() {
        let nic = ("ens1", Some(1));
        let cores = [(2, Some(0)), (3, Some(1)), (4, Some(0)), (5, None)];
        let warning = numa_warning(nic, &cores, 2).unwrap();
        assert!(warning.contains("are not: 2, 4;"), "{warning}");
        assert_eq!(numa_warning(nic, &cores[1..2], 2), None);
        assert!(numa_warning(nic, &[], 2).unwrap().contains("--cpus"));
        assert_eq!(numa_warning(nic, &[], 1), None, "one node is near to all");
        assert_eq!(numa_warning(("ens1", None), &cores, 2), None);
    }

    #[test]
    fn busy_polling_wants_two_settings() {
        assert_eq!(busy_poll_warning("ens1", 2, 200_000), None);
        for (irqs, timeout) in [(0, 200_000), (2, 0), (0, 0)] {
            let warning = busy_poll_warning("ens1", irqs, timeout).unwrap();
            assert!(warning.contains("napi_defer_hard_irqs"), "{warning}");
        }
    }

    #[test]
    fn who_merges_frames_below_the_port_is_named_with_the_mend() {
        assert_eq!(merging("mv0", &[]), None);
        let one = merging("mv0", &["ens1".into()]).unwrap();
        assert!(one.0.starts_with("ens1, below mv0, merges frames"));
        let (why, mend) = merging("mv0", &["ens1".into(), "ens2".into()]).unwrap();
        assert!(why.starts_with("ens1 and ens2, below mv0, merge frames"));
        let both = "ethtool -K ens1 gro off lro off; ethtool -K ens2 gro off lro off";
        assert_eq!(mend, both);
    }

    #[test]
    fn an_unset_clock_is_noticed() {
        assert!(clock_warning(SystemTime::UNIX_EPOCH).is_some());
        assert!(clock_warning(SystemTime::UNIX_EPOCH + Duration::from_secs(CLOCK_FLOOR)).is_none());
    }
}
