//! The cores that workers run on: which they are, how fast, how deep they sleep, and the clock that they read.

use super::{
    check::{Check, failing, ok, unknown},
    tree::Tree,
};
use crate::{appliance::placement, device::Device};

const CPU: &str = "sys/devices/system/cpu";

/// Wake-ups that take longer than this, in microseconds, are worth a word to who gives workers cores of their own:
/// they are of the order of a round trip in a LAN.
const LONG_WAKE: u64 = 50;

/// Where workers run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workers {
    /// How many they are: one for each queue of the LAN port.
    pub number: usize,
    /// Those of `--cpus`; none: they are not pinned.
    pub cpus: Vec<usize>,
    /// The cores that may be used; `None`: those of a process that runs already, which has them.
    pub usable: Option<Vec<usize>>,
}

impl Workers {
    /// The core of each worker, as `causeway run` pins it; none if it does not.
    pub fn cores(&self) -> Vec<usize> {
        let core = |worker| placement::core_of(&self.cpus, worker);
        (0..self.number).filter_map(core).collect()
    }
}

/// A list as the kernel writes it, or `none`.
pub(super) fn list(cores: &[usize]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for core in cores {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *core => *last = *core,
            _ => ranges.push((*core, *core)),
        }
    }
    let range = |(first, last): &(usize, usize)| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    match ranges.is_empty() {
        true => "none".into(),
        false => ranges.iter().map(range).collect::<Vec<_>>().join(","),
    }
}

/// Whether the workers get the cores that they should, near to the LAN port.
pub fn placement(tree: &Tree, workers: &Workers, lan: &Device) -> Check {
    const NAME: &str = "cores";
    if let Some(usable) = &workers.usable
        && let Err(why) = placement::check_cores(&workers.cpus, usable)
    {
        return failing(
            NAME,
            why,
            format!(
                "`--cpus` with some of {}; more are let by `taskset`, by AllowedCPUs= and CPUAffinity= of the systemd unit, by the container's cpuset",
                list(usable)
            ),
        );
    }
    let cores = workers.cores();
    let near = placement::near_cores(lan, workers.usable.as_deref());
    let used = if cores.is_empty() { &near } else { &cores };
    if let Some(why) = placement::numa_warning(lan, used) {
        return failing(NAME, why, "`--cpus` with cores of the node of the LAN port");
    }
    let isolated = tree.cores(format!("{CPU}/isolated"));
    let ticks = tree.cores(format!("{CPU}/nohz_full"));
    let run = match (&cores[..], &isolated[..]) {
        ([], []) if !near.is_empty() => {
            format!(
                "workers are not pinned to one each, but near to the LAN port, on {}",
                list(&near)
            )
        }
        ([], []) => "workers are not pinned".into(),
        ([], _) => format!(
            "workers are not pinned, and so never on those that are isolated: `--cpus {}` puts them there",
            list(&isolated)
        ),
        (cores, _) => format!("workers on {}", list(cores)),
    };
    let count = match &workers.usable {
        Some(usable) => format!("{} may be used; ", usable.len()),
        None => String::new(),
    };
    ok(
        NAME,
        format!(
            "{count}{run}; isolated: {}; without ticks (nohz_full): {}",
            list(&isolated),
            list(&ticks)
        ),
    )
}

/// The cores that matter: the workers' own, or else all that are there.
fn relevant(tree: &Tree, workers: &Workers) -> Vec<usize> {
    let mut cores = workers.cores();
    if cores.is_empty() {
        return tree.cores(format!("{CPU}/online"));
    }
    cores.sort_unstable();
    cores.dedup();
    cores
}

/// How the cores' frequency is governed.
pub fn frequency(tree: &Tree, workers: &Workers) -> Check {
    const NAME: &str = "core frequency";
    let setting = |core: usize, file: &str| tree.text(format!("{CPU}/cpu{core}/cpufreq/{file}"));
    // Drivers that choose by themselves mean something else by that name
    // (Documentation/admin-guide/pm/intel_pstate.rst, amd-pstate.rst).
    let slow = |core: &usize| {
        setting(*core, "scaling_governor") == "powersave"
            && !setting(*core, "scaling_driver").contains("pstate")
    };
    let cores = relevant(tree, workers);
    let slow: Vec<_> = cores.iter().copied().filter(slow).collect();
    if !slow.is_empty() {
        return failing(
            NAME,
            format!("powersave keeps cores {} at their lowest", list(&slow)),
            "`cpupower frequency-set -g performance`",
        );
    }
    let mut governors: Vec<_> = { cores.iter() }
        .map(|core| setting(*core, "scaling_governor"))
        .filter(|governor| !governor.is_empty())
        .collect();
    governors.sort();
    governors.dedup();
    match governors.is_empty() {
        true => ok(NAME, "left to the firmware or the hypervisor"),
        false => ok(NAME, format!("governor {}", governors.join(", "))),
    }
}

/// How long the cores take to wake up, at most.
pub fn idle_states(tree: &Tree, workers: &Workers) -> Check {
    const NAME: &str = "idle states";
    let cores = relevant(tree, workers);
    let deepest = { cores.iter() }
        .filter_map(|core| deepest(tree, *core))
        .max();
    let Some((latency, name)) = deepest else {
        // A guest has none of its own unless it is given some; its `hlt` is an exit to the host.
        return match tree.text("proc/cpuinfo").contains("hypervisor") {
            true => ok(
                NAME,
                "none of this VM's own: how deep its cores sleep is the host's, and cannot be seen from here",
            ),
            false => ok(NAME, "none: idle cores do not sleep deeply"),
        };
    };
    if latency > LONG_WAKE && !workers.cpus.is_empty() {
        return failing(
            NAME,
            format!("waking up from {name} takes {latency} µs, on cores that are the workers' own"),
            format!(
                "`cpupower -c {} idle-set -D {LONG_WAKE}`, or `--idle spin`, which does not sleep",
                list(&cores)
            ),
        );
    }
    let word = match latency > LONG_WAKE {
        true => "; where that matters to a lone frame: `cpupower idle-set -D 20`",
        false => "",
    };
    ok(
        NAME,
        format!("the deepest is {name}, {latency} µs to wake up{word}"),
    )
}

/// The state that takes longest to wake up from, of those that the core may use, in microseconds, and its name
/// (Documentation/admin-guide/pm/cpuidle.rst).
fn deepest(tree: &Tree, core: usize) -> Option<(u64, String)> {
    let states = format!("{CPU}/cpu{core}/cpuidle");
    // `n/a`: no wake-up may take any time; 0: any may.
    let bound = tree.text(format!("{CPU}/cpu{core}/power/pm_qos_resume_latency_us"));
    let bound = match bound.parse() {
        Ok(0) => u64::MAX,
        Ok(most) => most,
        Err(_) if bound == "n/a" => 0,
        Err(_) => u64::MAX,
    };
    let state = |state: &String| {
        let folder = format!("{states}/{state}");
        let latency = tree.number(format!("{folder}/latency"))?;
        let disabled = tree.number(format!("{folder}/disable")).unwrap_or(0) != 0;
        (!disabled && latency <= bound).then(|| (latency, tree.text(format!("{folder}/name"))))
    };
    tree.names(&states).iter().filter_map(state).max()
}

/// What workers and kernel read the time from.
pub fn clock_source(tree: &Tree) -> Check {
    const NAME: &str = "clock source";
    /// Those that are read without a system call (arch/x86/include/asm/vdso/clocksource.h and others).
    const QUICK: [&str; 4] = [
        "tsc",
        "kvm-clock",
        "hyperv_clocksource_tsc_page",
        "arch_sys_counter",
    ];
    const SLOW: [&str; 6] = [
        "hpet",
        "acpi_pm",
        "jiffies",
        "refined-jiffies",
        "xen",
        "hyperv_clocksource_msr",
    ];
    const FOLDER: &str = "sys/devices/system/clocksource/clocksource0";
    let now = tree.text(format!("{FOLDER}/current_clocksource"));
    let available = tree.text(format!("{FOLDER}/available_clocksource"));
    if QUICK.contains(&now.as_str()) {
        return ok(NAME, now);
    }
    if !SLOW.contains(&now.as_str()) {
        let name = if now.is_empty() { "none" } else { &now };
        return unknown(
            NAME,
            format!("the kernel names {name}: nothing is known of it"),
        );
    }
    let better = { available.split_whitespace() }.find(|name| QUICK.contains(name));
    let mend = match better {
        Some(name) => format!("`echo {name} > /{FOLDER}/current_clocksource`"),
        None => "`dmesg | grep -i clocksource` says why the kernel does not trust the TSC; where it is sound, the kernel argument tsc=reliable; in a VM the host's settings".into(),
    };
    failing(
        NAME,
        format!(
            "{now}: a microsecond or more for each look at the clock, and workers look once a batch"
        ),
        mend,
    )
}

#[cfg(test)]
mod tests;
