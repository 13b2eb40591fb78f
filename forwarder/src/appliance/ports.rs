//! AF_XDP ports on the queues of a device: those of the LAN port, and of the uplink.

use super::placement::{self, Placement};
use crate::{
    config::Config,
    device::Device,
    sys::xsk::{MAX_FRAME, XskConfig, XskPort},
    xdp::XdpError,
};

/// What a port on this queue is like.
pub(super) fn xsk_config(config: &Config, device: &Device, queue: u32) -> XskConfig {
    XskConfig {
        interface: device.name.clone(),
        queue,
        ring_size: config.ring_size,
        max_frame: device.max_frame().min(MAX_FRAME),
        tuning: config.tuning,
    }
}

/// A port for each of the first workers, on the queue of its number. `give` tells the program of each; it gives it nothing
/// yet.
pub(super) fn open(
    config: &Config,
    placement: &Placement,
    device: &Device,
    queues: u32,
    mut give: impl FnMut(u32, &XskPort) -> Result<(), XdpError>,
) -> Result<Vec<XskPort>, String> {
    let mut ports = Vec::new();
    for queue in 0..queues {
        let what = xsk_config(config, device, queue);
        let port = placement::open_port(placement, &what).map_err(|e| e.to_string())?;
        give(queue, &port).map_err(|e| e.to_string())?;
        ports.push(port);
    }
    placement::advise(config, placement, device, &ports[0]);
    Ok(ports)
}
