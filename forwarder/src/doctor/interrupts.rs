//! Which cores a NIC interrupts, beside those that the workers get.

mod find;

use self::find::{Interrupt, find};
use super::{
    check::{Check, failing, ok, unknown},
    cores::{Workers, list},
    tree::Tree,
};

/// The LAN port's interrupts, beside its workers: queue N is worker N's.
pub fn of_lan(tree: &Tree, device: &str, workers: &Workers) -> Check {
    check(tree, "interrupts", device, &workers.cores())
}

/// An uplink's, whose lanes come in at any queue.
pub fn of_uplink(tree: &Tree, device: &str) -> Check {
    check(tree, "uplink interrupts", device, &[])
}

fn check(tree: &Tree, name: &'static str, device: &str, workers: &[usize]) -> Check {
    if !tree.has(format!("sys/class/net/{device}/device")) {
        return ok(
            name,
            format!(
                "{device} has none: what comes to a virtual device is handled on the core that sends it"
            ),
        );
    }
    let all = find(tree, device);
    let known: Vec<_> = all.iter().filter(|i| !i.cores.is_empty()).collect();
    if known.is_empty() {
        return unknown(
            name,
            format!(
                "none is known as one of {device}'s that receive: /proc/interrupts has them all, /proc/irq/N/smp_affinity_list where each goes"
            ),
        );
    }
    let balancer = Balancer::find(tree);
    if let Some((why, mend)) = known.iter().find_map(|i| in_the_way(i, workers)) {
        return failing(name, why, mend);
    }
    let online = tree.cores("sys/devices/system/cpu/online").len();
    if let Some(core) = all_on_one(&known).filter(|_| online > 1) {
        let why = format!("all {} of {device} go to core {core}", known.len());
        return match balancer {
            Some(_) => unknown(
                name,
                format!(
                    "{why} now; irqbalance runs and spreads them by load: look again while there is some"
                ),
            ),
            None => failing(
                name,
                format!("{why}: its queues share that core"),
                format!(
                    "irqbalance, or a core for each: `echo CORE > {}` and so on",
                    known[0].file
                ),
            ),
        };
    }
    if let Some(balancer) = &balancer
        && let free = balancer.may_use(tree, workers)
        && !free.is_empty()
    {
        return unknown(
            name,
            format!(
                "well placed now, but irqbalance runs and may move any to the workers' cores {0}: IRQBALANCE_BANNED_CPULIST={0} in /etc/default/irqbalance, or stop it",
                list(&free)
            ),
        );
    }
    let told = match balancer {
        Some(_) => "; irqbalance runs",
        None => "",
    };
    ok(name, format!("{device}: {}{told}", summary(&known)))
}

/// A queue's interrupt that goes to another worker's core displaces that worker. Its own worker waits for it anyway.
fn in_the_way(interrupt: &Interrupt, workers: &[usize]) -> Option<(String, String)> {
    let (&[core], queue) = (&interrupt.cores[..], interrupt.queue?) else {
        return None;
    };
    let own = *workers.get(queue)?;
    let whose = workers.iter().position(|of| *of == core)?;
    (core != own).then(|| {
        (
            format!(
                "{} (queue {queue}) goes to core {core}, which is worker {whose}'s; its own worker is on core {own}",
                interrupt.name
            ),
            format!("`echo {own} > {}`", interrupt.file),
        )
    })
}

fn all_on_one(all: &[&Interrupt]) -> Option<usize> {
    match &all[0].cores[..] {
        [core] if all.len() > 1 && all.iter().all(|i| i.cores == [*core]) => Some(*core),
        _ => None,
    }
}

/// "queue 0: core 2, queue 1: core 3", or for many only where they go.
fn summary(all: &[&Interrupt]) -> String {
    const FEW: usize = 8;
    if all.len() <= FEW {
        let one = |i: &&Interrupt| match i.queue {
            Some(queue) => format!("queue {queue}: core {}", list(&i.cores)),
            None => format!("{}: core {}", i.name, list(&i.cores)),
        };
        return all.iter().map(one).collect::<Vec<_>>().join(", ");
    }
    let mut cores: Vec<_> = all.iter().flat_map(|i| i.cores.iter().copied()).collect();
    cores.sort_unstable();
    cores.dedup();
    format!("{} on cores {}", all.len(), list(&cores))
}

/// irqbalance, which moves interrupts about.
struct Balancer {
    /// Cores that it was told to leave alone.
    banned: Vec<usize>,
}

impl Balancer {
    fn find(tree: &Tree) -> Option<Self> {
        let number = |name: &String| name.bytes().all(|b| b.is_ascii_digit());
        let is = |name: &String| tree.text(format!("proc/{name}/comm")) == "irqbalance";
        let processes = tree.names("proc");
        let process = processes.iter().filter(|n| number(n)).find(|n| is(n))?;
        let environment = tree.text(format!("proc/{process}/environ"));
        let banned = { environment.split('\0') }
            .find_map(|word| word.strip_prefix("IRQBALANCE_BANNED_CPULIST="))
            .and_then(|list| list.parse::<crate::spec::CpuList>().ok());
        Some(Self {
            banned: banned.map(|list| list.0).unwrap_or_default(),
        })
    }

    /// The workers' cores that it may move interrupts to. It leaves those alone that are isolated or have no
    /// ticks, unless it is told others (irqbalance(1)).
    fn may_use(&self, tree: &Tree, workers: &[usize]) -> Vec<usize> {
        let cpu = |file: &str| tree.cores(format!("sys/devices/system/cpu/{file}"));
        let left_alone = match self.banned.is_empty() {
            true => [cpu("isolated"), cpu("nohz_full")].concat(),
            false => self.banned.clone(),
        };
        let mut free: Vec<_> = { workers.iter().copied() }
            .filter(|core| !left_alone.contains(core))
            .collect();
        free.sort_unstable();
        free.dedup();
        free
    }
}

#[cfg(test)]
mod tests;
