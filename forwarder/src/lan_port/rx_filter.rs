//! What the LAN port's device receives beside what is for its own address.

use std::{collections::BTreeSet, fmt, io};

use tracing::warn;

use crate::{
    spec::MacName,
    sys::{membership::Memberships, sockopt::Promiscuous},
};

/// Addresses that a device is asked to filter at most: no known one has filters for more, and the kernel looks
/// through all for each new one.
const MOST: usize = 4_096;

/// `--rx-filter`, and `--promisc off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RxFilterKind {
    /// Everything is received.
    Promiscuous,
    /// What is for stations that are away, and multicast.
    UnicastList,
    /// What the device receives by itself.
    Nothing,
}

/// What is received by our doing, for as long as this lives.
#[derive(Debug)]
pub enum RxFilter {
    /// Nothing more.
    Nothing,
    /// Everything.
    Promiscuous(#[doc(hidden)] Promiscuous),
    /// What is for these addresses, and multicast.
    List(UnicastList),
}

/// Addresses that the device receives for us.
#[derive(Debug)]
pub struct UnicastList {
    ifindex: u32,
    memberships: Memberships,
    macs: BTreeSet<[u8; 6]>,
}

impl RxFilter {
    /// Has the device receive what is wanted. Of a list the addresses come with [`Self::follow`].
    ///
    /// # Errors
    ///
    /// EPERM without CAP_NET_RAW; ENODEV if the device is gone.
    pub fn open(kind: RxFilterKind, ifindex: u32) -> io::Result<Self> {
        Ok(match kind {
            RxFilterKind::Nothing => Self::Nothing,
            RxFilterKind::Promiscuous => Self::Promiscuous(Promiscuous::enable(ifindex)?),
            RxFilterKind::UnicastList => {
                let memberships = Memberships::new(ifindex)?;
                memberships.all_multicast()?;
                Self::List(UnicastList {
                    ifindex,
                    memberships,
                    macs: BTreeSet::new(),
                })
            }
        })
    }

    /// Has a list be this one. What the device cannot take makes it promiscuous, for good and with a warning.
    pub fn follow(&mut self, macs: impl IntoIterator<Item = [u8; 6]>) {
        let Self::List(list) = self else {
            return;
        };
        let Err(why) = list.become_these(macs.into_iter().collect()) else {
            return;
        };
        match Promiscuous::enable(list.ifindex) {
            Ok(promiscuous) => {
                warn!("--rx-filter unicast-list: {why}: the LAN port is promiscuous instead");
                *self = Self::Promiscuous(promiscuous);
            }
            Err(e) => warn!(
                "--rx-filter unicast-list: {why}, and the LAN port cannot be promiscuous: {e}"
            ),
        }
    }

    /// Whether it is a list, which follows the stations.
    pub fn is_list(&self) -> bool {
        matches!(self, Self::List(_))
    }

    /// Whether everything is received.
    pub fn is_promiscuous(&self) -> bool {
        matches!(self, Self::Promiscuous(_))
    }
}

impl UnicastList {
    fn become_these(&mut self, wanted: BTreeSet<[u8; 6]>) -> Result<(), String> {
        if wanted.len() > MOST {
            return Err(format!(
                "{} addresses are more than the {MOST} that a device is asked for",
                wanted.len()
            ));
        }
        // First what goes: there may be no room for what comes.
        for mac in self.macs.difference(&wanted) {
            // It may be gone with the device.
            let _ = self.memberships.remove_unicast(*mac);
        }
        self.macs.retain(|mac| wanted.contains(mac));
        for mac in wanted {
            if self.macs.contains(&mac) {
                continue;
            }
            let added = self.memberships.add_unicast(mac);
            added.map_err(|e| format!("the device takes no filter for {}: {e}", MacName(mac)))?;
            self.macs.insert(mac);
        }
        Ok(())
    }
}

impl fmt::Display for RxFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("off"),
            Self::Promiscuous(_) => f.write_str("promiscuous"),
            Self::List(list) => write!(f, "{} unicast addresses and multicast", list.macs.len()),
        }
    }
}
