//! Which core a worker runs on, and where its memory lies.

use std::{io, slice, thread};

use core_affinity::CoreId;
use tracing::{info, warn};

use crate::{
    config::{Config, MAX_WORKERS},
    device::{self, Device},
    preflight,
    sys::{
        sched,
        xsk::{XskConfig, XskError, XskPort},
    },
};

/// Where workers run, and so where their memory is: on the cores of `--cpus`, else on those near to the LAN port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Placement {
    pinned: Vec<usize>,
    near: Vec<usize>,
}

impl Placement {
    /// As the configuration wants it, for this LAN port.
    pub(crate) fn new(config: &Config, lan: &Device) -> Self {
        Self {
            pinned: config.cpus.clone(),
            near: near_cores(lan, Some(&usable_cores())),
        }
    }

    /// The cores of a worker; none: those that the process may use.
    pub(crate) fn cores(&self, worker: usize) -> &[usize] {
        in_turn(&self.pinned, worker).map_or(&self.near, slice::from_ref)
    }

    /// Those of all workers.
    fn all(&self) -> &[usize] {
        match self.pinned.is_empty() {
            true => &self.near,
            false => &self.pinned,
        }
    }
}

/// The cores of the NUMA node that the device is on, where there are several nodes, and if they are `usable`.
pub(crate) fn near_cores(device: &Device, usable: Option<&[usize]>) -> Vec<usize> {
    let nodes = device::numa_nodes();
    near(device.numa_node, nodes, device::cores_of_node, usable)
}

fn near(
    node: Option<usize>,
    nodes: usize,
    cores_of_node: impl Fn(usize) -> Vec<usize>,
    usable: Option<&[usize]>,
) -> Vec<usize> {
    let cores = node.filter(|_| nodes > 1).map(cores_of_node);
    let cores = cores.unwrap_or_default().into_iter();
    let is_usable = |core: &usize| usable.is_none_or(|usable| usable.contains(core));
    cores.filter(is_usable).collect()
}

/// Keeps the calling thread to these cores; none: it runs where it likes.
///
/// # Errors
///
/// What the kernel answers: they are not there any more, or not ours.
pub(crate) fn keep_to(cores: &[usize]) -> io::Result<()> {
    match *cores {
        [] => Ok(()),
        // It tells whether, and not why not.
        [id] if core_affinity::set_for_current(CoreId { id }) => Ok(()),
        _ => sched::keep_to(cores),
    }
}

/// The core of a worker that is pinned: those of `--cpus` in turn.
pub(crate) fn core_of(cores: &[usize], worker: usize) -> Option<usize> {
    in_turn(cores, worker).copied()
}

fn in_turn(cores: &[usize], worker: usize) -> Option<&usize> {
    cores.get(worker % cores.len().max(1))
}

/// A warning if workers on these cores are far from the device; none: they run on any.
pub(crate) fn numa_warning(device: &Device, cores: &[usize]) -> Option<String> {
    let cores = cores.iter().map(|c| (*c, device::node_of_core(*c)));
    let of = (device.name.as_str(), device.numa_node);
    preflight::numa_warning(of, &cores.collect::<Vec<_>>(), device::numa_nodes())
}

/// How many queues a port has that we make, and so how many workers there are: as `--workers` says, else one for each of
/// `--cpus`.
pub(crate) fn queues_to_make(workers: Option<u8>, cores: &[usize]) -> u8 {
    workers.unwrap_or(cores.len().clamp(1, MAX_WORKERS.into()) as u8)
}

/// The cores that this process may use.
pub(crate) fn usable_cores() -> Vec<usize> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    cores.iter().map(|core| core.id).collect()
}

/// Whether all cores of `--cpus` may be used.
///
/// # Errors
///
/// One line that names one which may not, and those that may.
pub(crate) fn check_cores(cores: &[usize], usable: &[usize]) -> Result<(), String> {
    match cores.iter().find(|core| !usable.contains(core)) {
        Some(core) => Err(format!(
            "--cpus names core {core}, and we may use {usable:?}"
        )),
        None => Ok(()),
    }
}

/// Opens a port from a thread on the core of its worker: the frame memory is populated at once, and so on the
/// NUMA node of who opens it.
pub(super) fn open_port(placement: &Placement, port: &XskConfig) -> Result<XskPort, XskError> {
    let cores = placement.cores(port.queue as usize);
    let open = || {
        // Where that cannot be, the worker says so in a moment, and runs.
        let _ = keep_to(cores);
        XskPort::open(port)
    };
    let failed = |source: io::Error| XskError::Socket {
        interface: port.interface.clone(),
        queue: port.queue,
        source,
        hint: "",
    };
    let opened = thread::scope(|scope| {
        let opener = thread::Builder::new().spawn_scoped(scope, open)?;
        let panicked = |_| io::Error::other("the thread that opens it panicked");
        opener.join().map_err(panicked)
    });
    opened.map_err(failed)?
}

/// Says what is not as it should be for the speed of a device's ports, of which this is the first.
pub(super) fn advise(config: &Config, placement: &Placement, device: &Device, first: &XskPort) {
    let name = &device.name;
    if let Some(why) = first.ordinary_pages() {
        info!("{name}: frame memory is in ordinary pages, not huge ones ({why})");
    }
    if let Some(warning) = numa_warning(device, placement.all()) {
        warn!("{warning}");
    }
    if config.tuning.busy_poll.is_some() {
        let setting = |which| device::napi_setting(name, which);
        let settings = (
            setting("napi_defer_hard_irqs"),
            setting("gro_flush_timeout"),
        );
        if let Some(warning) = preflight::busy_poll_warning(name, settings.0, settings.1) {
            warn!("{warning}");
        }
    }
}

/// Why the worker threads could not be started.
pub(super) fn explain(config: &Config, error: &io::Error) -> String {
    match (config.sched_fifo, error.raw_os_error()) {
        (Some(priority), Some(libc::EPERM)) => format!(
            "cannot run workers under SCHED_FIFO with --sched-fifo {priority}: {error}; run as root or with CAP_SYS_NICE, or leave it out"
        ),
        _ => format!("cannot start a worker thread: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_pinned_in_turn_or_kept_near() {
        let placement = |pinned: &[usize], near: &[usize]| Placement {
            pinned: pinned.to_vec(),
            near: near.to_vec(),
        };
        let pinned = placement(&[4, 6], &[0, 1]);
        assert_eq!([0, 1, 2].map(|w| pinned.cores(w)), [[4], [6], [4]]);
        assert_eq!(placement(&[], &[2, 3]).cores(7), [2, 3]);
        assert!(placement(&[], &[]).cores(0).is_empty());
    }

    #[test]
    fn near_cores_are_those_of_the_devices_node() {
        let of = |node: usize| vec![2 * node, 2 * node + 1];
        assert_eq!(near(Some(1), 2, of, None), [2, 3]);
        assert_eq!(near(Some(1), 2, of, Some(&[0, 3])), [3]);
        assert!(near(Some(1), 2, of, Some(&[0])).is_empty());
        assert!(near(Some(0), 1, of, None).is_empty(), "all are near");
        assert!(near(None, 2, of, None).is_empty(), "nobody knows");
    }
}
