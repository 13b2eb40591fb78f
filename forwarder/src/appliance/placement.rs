//! Which core a worker runs on, and where its memory lies.

use std::{io, thread};

use core_affinity::CoreId;
use tracing::{info, warn};

use crate::{
    config::{Config, MAX_WORKERS},
    device::{self, Device},
    preflight,
    sys::xsk::{XskConfig, XskError, XskPort},
};

/// The core of a worker: those of `--cpus` in turn.
pub(crate) fn core_of(cores: &[usize], worker: usize) -> Option<usize> {
    cores.get(worker % cores.len().max(1)).copied()
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
pub(super) fn open_port(config: &Config, port: &XskConfig) -> Result<XskPort, XskError> {
    let core = core_of(&config.cpus, port.queue as usize);
    let open = || {
        if let Some(id) = core {
            core_affinity::set_for_current(CoreId { id });
        }
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
pub(super) fn advise(config: &Config, device: &Device, first: &XskPort) {
    let name = &device.name;
    if let Some(why) = first.ordinary_pages() {
        info!("{name}: frame memory is in ordinary pages, not huge ones ({why})");
    }
    let cores = config.cpus.iter();
    let cores: Vec<_> = cores.map(|c| (*c, device::node_of_core(*c))).collect();
    let node = (name.as_str(), device.numa_node);
    if let Some(warning) = preflight::numa_warning(node, &cores, device::numa_nodes()) {
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
