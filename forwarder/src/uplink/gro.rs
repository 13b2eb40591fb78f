//! Generic receive offload (GRO) at the devices that datagrams arrive at.
//!
//! With it the kernel merges the datagrams of one burst of a peer below its UDP stack, and hands them up
//! as one (UDP_GRO, udp(7)). Without it each takes the whole way by itself, several times as dear as opening
//! it. Most devices have it on; a veth has not, and some have had it turned off.

use std::{collections::BTreeMap, fmt};

use tracing::{info, warn};

use crate::{device, sys::ethtool};

/// How GRO stands at a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroState {
    /// It was on.
    On,
    /// It was off; we have turned it on.
    TurnedOn,
    /// It is off, and was to be left alone.
    LeftOff,
    /// It is off, and could not be turned on; or could not be asked for.
    Refused(String),
}

impl fmt::Display for GroState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::TurnedOn => f.write_str("on, by causeway until it stops"),
            Self::LeftOff => f.write_str("off (--uplink-gro keep)"),
            Self::Refused(why) => write!(f, "not on: {why}"),
        }
    }
}

/// GRO at the devices of the uplink. Dropping it leaves them as they were found.
#[derive(Debug, Default)]
pub struct Gro {
    /// Whether it may be turned on.
    turn_on: bool,
    /// By index of the device, with its name when it was looked at.
    devices: BTreeMap<u32, (String, GroState)>,
}

impl Gro {
    /// None is known yet. Unless `turn_on`, they are looked at and left alone.
    pub fn new(turn_on: bool) -> Self {
        Self {
            turn_on,
            devices: BTreeMap::new(),
        }
    }

    /// Datagrams arrive at these devices too: turns GRO on where it is off, once for each device. If somebody
    /// turns it off again, it is theirs.
    pub fn add(&mut self, indexes: impl IntoIterator<Item = u32>) {
        for index in indexes {
            if self.devices.contains_key(&index) {
                continue;
            }
            let Some(name) = device::name_of(index) else {
                continue; // gone already
            };
            let state = self.look(&name);
            match &state {
                GroState::TurnedOn => {
                    info!("uplink {name}: GRO turned on, until causeway stops");
                }
                GroState::Refused(why) => warn!(
                    "uplink {name}: cannot turn GRO on ({why}): datagrams are received one at a time, which is slow"
                ),
                GroState::On | GroState::LeftOff => {}
            }
            self.devices.insert(index, (name, state));
        }
    }

    fn look(&self, name: &str) -> GroState {
        let outcome = match ethtool::gro(name) {
            Ok(true) => Ok(GroState::On),
            Ok(false) if !self.turn_on => Ok(GroState::LeftOff),
            Ok(false) => ethtool::set_gro(name, true).map(|()| GroState::TurnedOn),
            Err(e) => Err(e),
        };
        outcome.unwrap_or_else(|e| GroState::Refused(e.to_string()))
    }

    /// The devices by name, and how it stands there.
    pub fn states(&self) -> impl Iterator<Item = (&str, &GroState)> {
        self.devices.values().map(|(name, state)| (&**name, state))
    }

    /// Turns GRO off where we have turned it on.
    pub fn restore(&mut self) {
        for (index, (_, state)) in std::mem::take(&mut self.devices) {
            // It may have another name by now, or be gone.
            if state == GroState::TurnedOn
                && let Some(name) = device::name_of(index)
                && let Err(e) = ethtool::set_gro(&name, false)
            {
                warn!("uplink {name}: cannot turn GRO off again: {e}; ethtool -K {name} gro off");
            }
        }
    }
}

impl Drop for Gro {
    fn drop(&mut self) {
        self.restore();
    }
}
