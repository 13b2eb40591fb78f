//! The interrupts of a device, by what drivers call them.

use super::super::tree::Tree;

/// An interrupt of a queue that receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interrupt {
    /// What the kernel calls it.
    pub(super) name: String,
    /// Where its cores are set.
    pub(super) file: String,
    /// The queue, if the name tells it.
    pub(super) queue: Option<usize>,
    /// The cores that it goes to, as far as is known.
    pub(super) cores: Vec<usize>,
}

/// The interrupts of a device's receive queues, in the order of queues.
pub(super) fn find(tree: &Tree, device: &str) -> Vec<Interrupt> {
    let folder = format!("sys/class/net/{device}/device");
    let mut found = channels(tree, &folder);
    if found.is_empty() {
        found = numbered(tree, device, &folder);
    }
    found.sort_by_key(|i| i.queue);
    found
}

/// Of Hyper-V's bus: a channel for each queue (Documentation/ABI/stable/sysfs-bus-vmbus).
fn channels(tree: &Tree, folder: &str) -> Vec<Interrupt> {
    let channels = format!("{folder}/channels");
    let channel = |number: &String| {
        let queue = tree.number(format!("{channels}/{number}/subchannel_id"))?;
        Some(Interrupt {
            name: format!("channel {number}"),
            file: format!("/{channels}/{number}/cpu"),
            queue: usize::try_from(queue).ok(),
            cores: tree.cores(format!("{channels}/{number}/cpu")),
        })
    };
    tree.names(&channels).iter().filter_map(channel).collect()
}

/// Of PCI and others, by the names in /proc/interrupts. A virtio device's are those of the PCI device above it.
fn numbered(tree: &Tree, device: &str, folder: &str) -> Vec<Interrupt> {
    let of = |folder: String| tree.names(folder);
    let mut numbers = of(format!("{folder}/msi_irqs"));
    if numbers.is_empty() {
        numbers = of(format!("{folder}/../msi_irqs"));
    }
    let bus = tree.link(folder).unwrap_or_default();
    let text = tree.text("proc/interrupts");
    let ours = |number: &str, name: &str| match numbers.is_empty() {
        // No message-signalled ones: a line of its own, with the device's name in its own.
        true => name
            .split(['-', ','])
            .any(|word| word == device || word == bus),
        false => numbers.iter().any(|n| n == number),
    };
    let interrupt = |line: &str| {
        let (number, rest) = line.trim_start().split_once(':')?;
        let name = rest.split_whitespace().last()?;
        let receives = receives(name, device, &bus);
        (ours(number, name) && receives.is_some()).then(|| Interrupt {
            name: format!("interrupt {number}, {name}"),
            file: format!("/proc/irq/{number}/smp_affinity_list"),
            queue: receives.flatten(),
            cores: cores(tree, number),
        })
    };
    text.lines().skip(1).filter_map(interrupt).collect()
}

/// Where it goes: of those that it may go to, the one that the kernel has chosen, if it says.
fn cores(tree: &Tree, number: &str) -> Vec<usize> {
    let file = |name: &str| tree.cores(format!("proc/irq/{number}/{name}"));
    match file("effective_affinity_list") {
        chosen if !chosen.is_empty() => chosen,
        _ => file("smp_affinity_list"),
    }
}

/// Whether a name is that of an interrupt by which a queue receives, and which queue.
///
/// Drivers choose the names: `ens1f0-TxRx-3`, `ice-ens1-TxRx-3`, `ens5-Tx-Rx-3`, `ens192-rxtx-3`, `eth0-rx-3`,
/// `virtio2-input.3`, `mlx5_comp3@pci:0000:3b:00.0`, `mana_q3@pci:…`, `gve-ntfy-blk3@pci:…`, `eth0-fp-3`, `eth0-3`.
pub(super) fn receives(name: &str, device: &str, bus: &str) -> Option<Option<usize>> {
    let whole = name.trim_end_matches(',');
    if whole == device || whole == bus {
        return Some(Some(0));
    }
    let name = whole.split('@').next().unwrap_or(whole);
    // The interface may be called what it likes.
    let rest = name.replacen(device, "", 1).to_ascii_lowercase();
    let start = rest.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (kind, number) = rest.split_at(start);
    let number = number.parse().ok();
    let tells_queue = ["rx", "input", "comp", "-fp-"]
        .iter()
        .any(|word| kind.contains(word));
    match kind {
        "-" => number.map(Some),
        _ if tells_queue => Some(number),
        // Queues, but not numbered as those that receive.
        _ if kind.ends_with("_q") || kind.ends_with("ntfy-blk") => Some(None),
        _ => None,
    }
}
