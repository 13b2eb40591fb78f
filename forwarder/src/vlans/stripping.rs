//! VLAN tags that a device takes out of frames before anybody sees them.
//!
//! XDP and AF_XDP get the bytes of the frame, and a tag that stands beside them is none of those: a tagged
//! frame would pass for an untagged one, into another VLAN. So the LAN port leaves tags in while we run.

use std::{fmt, fs, path::Path};

use tracing::{info, warn};

use crate::{device::Device, device::name_of, sys::ethtool};

/// How it stands at the LAN port.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Tags were left in.
    Off,
    /// They were taken out; we have turned it off.
    TurnedOff,
    /// They are taken out, and the driver wants it so.
    Fixed(String),
    /// The other end of a veth hands them over beside the frame.
    Peer(String),
}

/// VLAN stripping at the LAN port. Dropping it leaves the port as it was found.
#[derive(Debug)]
pub struct Stripping {
    device: String,
    index: u32,
    state: State,
}

impl Stripping {
    /// Turns it off at the LAN port, if it is on.
    pub fn turn_off(lan: &Device) -> Self {
        let state = look(lan);
        let name = lan.name.clone();
        match &state {
            State::Off => {}
            State::TurnedOff => {
                info!("lan port {name}: VLAN stripping turned off, until causeway stops")
            }
            State::Fixed(_) | State::Peer(_) => {
                warn!("{}", warning(&name, &state).unwrap_or_default())
            }
        }
        Self {
            device: name,
            index: lan.index,
            state,
        }
    }

    /// What an operator should do, if tags are lost.
    pub fn warning(&self) -> Option<String> {
        warning(&self.device, &self.state)
    }

    /// Turns it on again if we have turned it off.
    pub fn restore(&mut self) {
        if self.state != State::TurnedOff {
            return;
        }
        self.state = State::Off;
        // It may have another name by now, or be gone.
        if let Some(name) = name_of(self.index)
            && let Err(e) = ethtool::set_strips_vlan(&name, true)
        {
            warn!(
                "lan port {name}: cannot turn VLAN stripping on again: {e}; ethtool -K {name} rxvlan on"
            );
        }
    }
}

impl fmt::Display for Stripping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.state {
            State::Off => "off",
            State::TurnedOff => "off, by causeway until it stops",
            State::Fixed(_) => "on",
            State::Peer(_) => "at the other end of the veth",
        })
    }
}

impl Drop for Stripping {
    fn drop(&mut self) {
        self.restore();
    }
}

fn look(lan: &Device) -> State {
    let stripping = match ethtool::flags(&lan.name).map(|flags| flags.rx_vlan) {
        Ok(true) => ethtool::set_strips_vlan(&lan.name, false).map(|()| State::TurnedOff),
        Ok(false) => Ok(State::Off),
        // It has no such setting, as a tap has none.
        Err(_) => Ok(State::Off),
    };
    let state = stripping.unwrap_or_else(|e| State::Fixed(e.to_string()));
    match other_end(lan) {
        Some(peer) if ethtool::sends_vlan_beside(&peer).unwrap_or(false) => {
            if state == State::TurnedOff {
                // It changes nothing there: the sender decides.
                let _ = ethtool::set_strips_vlan(&lan.name, true);
            }
            State::Peer(peer)
        }
        _ => state,
    }
}

/// The other end of a veth, if it is in this network namespace.
fn other_end(lan: &Device) -> Option<String> {
    let link = |name: &str| {
        let path = Path::new("/sys/class/net").join(name).join("iflink");
        fs::read_to_string(path).ok()?.trim().parse::<u32>().ok()
    };
    let peer = name_of(link(&lan.name).filter(|index| *index != lan.index)?)?;
    // Both say so of each other: not an index that means another device in another namespace.
    (lan.is_virtual && link(&peer) == Some(lan.index)).then_some(peer)
}

fn warning(device: &str, state: &State) -> Option<String> {
    match state {
        State::Off | State::TurnedOff => None,
        State::Fixed(why) => Some(format!(
            "lan port {device} strips VLAN tags and cannot be told not to ({why}): tagged frames pass for untagged ones here; use an access port, or a NIC whose rxvlan is not fixed (ethtool -k {device})"
        )),
        State::Peer(peer) => Some(format!(
            "lan port {device}: VLAN tags that come from {peer} are not seen here; ethtool -K {peer} txvlan off tx-vlan-stag-hw-insert off"
        )),
    }
}
