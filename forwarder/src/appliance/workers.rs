//! The workers: how many there are, and what each gets to work with.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::placement::{self, Placement};
use crate::{
    config::{Config, MAX_WORKERS},
    device::Device,
    lan_port::LanPort,
    options::AutoOnOff,
    snoop::Snoop,
    sys::xsk::XskPort,
    uplink::Uplink,
    wan_to_lan::LearntPath,
    worker::{Mailbox, Punt, WorkerConfig, WorkerHandle},
};

/// One worker for each queue: frames of a queue without a worker would be lost.
pub(super) fn number(config: &Config, lan: &Device) -> Result<u8, String> {
    let (name, queues) = (&lan.name, lan.queues);
    match config.workers {
        Some(workers) if u32::from(workers) != queues => Err(format!(
            "--workers {workers} and interface {name} with {queues} queue(s) do not fit: give it as many queues (ethtool -L {name} combined {workers}), or leave --workers out"
        )),
        _ if queues > u32::from(MAX_WORKERS) => Err(format!(
            "interface {name} has {queues} queues and at most {MAX_WORKERS} workers are possible: ethtool -L {name} combined {MAX_WORKERS}"
        )),
        _ => Ok(queues as u8),
    }
}

/// Starts the workers, each with the port and the uplink of its number.
pub(super) fn spawn(
    config: &Config,
    placement: &Placement,
    lan: &Device,
    lan_port: &LanPort,
    (ports, uplinks): (Vec<XskPort>, Vec<Uplink>),
    punts: Vec<Punt>,
    learnt: &mpsc::UnboundedSender<LearntPath>,
) -> Result<Vec<WorkerHandle>, String> {
    let finish_checksums = match config.finish_checksums {
        AutoOnOff::Auto => lan.is_virtual && !lan_port.finishes_checksums(),
        AutoOnOff::On => true,
        AutoOnOff::Off => false,
    };
    let stations = Arc::new(config.stations.clone());
    let groups = Arc::new(config.groups.clone());
    let cannot = |e: std::io::Error| placement::explain(config, &e);
    let mailboxes = Mailbox::for_workers(ports.len()).map_err(cannot)?;
    let mut workers = Vec::new();
    let opened = ports.into_iter().zip(uplinks).zip(mailboxes).zip(punts);
    for (index, (((port, uplink), mailbox), punt)) in opened.enumerate() {
        let worker = WorkerHandle::spawn(WorkerConfig {
            index: index as u8,
            port,
            uplink,
            mailbox,
            cores: placement.cores(index).to_vec(),
            batch: config.batch,
            idle: config.idle,
            fifo: config.sched_fifo,
            flood: config.flood,
            groups: Arc::clone(&groups),
            finish_checksums,
            clamp_mss: config.clamp_mss,
            marking: config.marking,
            lane_keepalive: config.lane_keepalive,
            peers: config.peers.len(),
            vlans: config.vlans.clone(),
            stations: Arc::clone(&stations),
            snoop: Snoop::new(punt, config.arp_suppress).with_gateways(
                &config.gateways,
                lan.mac,
                (config.batch, lan.max_frame()),
            ),
            learnt: learnt.clone(),
        });
        workers.push(worker.map_err(cannot)?);
    }
    Ok(workers)
}
