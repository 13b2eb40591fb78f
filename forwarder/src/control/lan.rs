//! The LAN port's device: what becomes of it while we run.

use std::{collections::HashSet, net::IpAddr};

use tracing::{info, warn};

use super::Control;
use crate::{
    device::{self, Device},
    spec::MacName,
    worker::Command,
};

impl Control {
    /// Has the LAN port's device receive for the stations that are away now. Who changes them calls this; so does
    /// the look at the LAN port, every second.
    pub(super) fn filter_for_stations(&mut self) {
        if self.parts.rx_filter.is_list() {
            self.parts.rx_filter.follow(self.stations.away_macs());
        }
    }

    /// The LAN port may go, or be given another MAC address.
    pub(super) fn look_at_lan(&mut self) -> Result<(), String> {
        self.parts.lan_port.look()?;
        self.filter_for_stations();
        let name = &self.parts.lan.name;
        let gone = format!("interface {name} is gone");
        let device = match Device::find(name) {
            Ok(device) if device.index == self.parts.lan.index => device,
            Ok(_) => return Err(gone),
            Err(_) if !device::exists(name) => return Err(gone),
            // What cannot be read now (out of descriptors, say) can be at the next look.
            Err(_) => return Ok(()),
        };
        if device.mac != self.parts.lan.mac {
            info!(
                "interface {name} has a new MAC address, {}",
                MacName(device.mac)
            );
            let program = &mut self.parts.program;
            program.set_mac(device.mac).map_err(|e| e.to_string())?;
            self.parts.segment.set_own_mac(device.mac);
            self.tell_all(|| Command::OwnMac(device.mac));
            self.parts.lan = device;
        }
        Ok(())
    }

    pub(super) fn set_own_addresses(&mut self, addresses: HashSet<IpAddr>) {
        if let Err(e) = self
            .parts
            .program
            .set_own_addresses(addresses.iter().copied())
        {
            warn!("own addresses of the LAN port: {e}");
        }
        self.own_addresses = addresses;
    }
}
