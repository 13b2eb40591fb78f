//! Rules of the uplink's device that bring each lane's datagrams to the queue of the worker that it is for.
//!
//! Where there are none, the device spreads datagrams by a hash, and a worker that gets another's hands them over:
//! right, but a copy dearer. So a device that refuses is left in peace.
//!
//! Rules outlive a process that is killed. There is no mark on them, so those of an earlier process are known by what they
//! say: they are of our form and for a port that is ours now, or from a peer's address to a port that nobody has.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use tracing::{debug, info, warn};

use crate::sys::ethtool::{self, Rule, UdpFlow};

/// Which queue each flow is to come to.
pub type Placement = BTreeMap<UdpFlow, u32>;

/// Senders whose stale rules are looked for at most: as many as there can be peers. A listening end learns from where
/// its peers send, and a peer can say a new address each time.
const SENDERS: usize = 256;

/// What has rules: a device.
pub trait HasRules {
    /// Puts a rule in, and gives its place.
    ///
    /// # Errors
    ///
    /// What the driver answers.
    fn insert(&mut self, flow: &UdpFlow, queue: u32) -> io::Result<u32>;

    /// Takes the rule at this place out.
    ///
    /// # Errors
    ///
    /// What the driver answers.
    fn remove(&mut self, place: u32) -> io::Result<()>;

    /// All rules of our form, whoever made them.
    ///
    /// # Errors
    ///
    /// What the driver answers.
    fn rules(&mut self) -> io::Result<Vec<Rule>>;

    /// Whether somebody on this host receives at this port.
    fn is_port_taken(&self, port: u16) -> bool;
}

/// A device by its name.
#[derive(Debug)]
pub struct Nic(String);

impl HasRules for Nic {
    fn insert(&mut self, flow: &UdpFlow, queue: u32) -> io::Result<u32> {
        ethtool::insert_rule(&self.0, flow, queue)
    }

    fn remove(&mut self, place: u32) -> io::Result<()> {
        ethtool::remove_rule(&self.0, place)
    }

    fn rules(&mut self) -> io::Result<Vec<Rule>> {
        ethtool::rules(&self.0)
    }

    fn is_port_taken(&self, port: u16) -> bool {
        let any: [IpAddr; 2] = [Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
        let free = |ip| match UdpSocket::bind((ip, port)) {
            Ok(_) => true,
            // A host without IPv6.
            Err(e) => matches!(
                e.raw_os_error(),
                Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL)
            ),
        };
        !any.into_iter().all(free)
    }
}

/// The rules in the device. Dropping it removes them.
#[derive(Debug)]
pub struct FlowRules<D: HasRules = Nic> {
    name: String,
    device: D,
    /// With one queue there is nothing to choose.
    queues: u32,
    /// By flow: the queue, and the rule's place in the device.
    rules: BTreeMap<UdpFlow, (u32, u32)>,
    /// For which ports of ours, and from where, rules of earlier processes were looked for.
    swept: (BTreeSet<u16>, BTreeSet<SocketAddr>),
    /// Why there are no more.
    refused: Option<String>,
    /// That is, for want of room: there may be some again.
    full: bool,
    /// Whether the log has it: once is enough.
    told: bool,
}

impl FlowRules {
    /// None yet, for a device with so many queues.
    pub fn new(device: &str, queues: u32) -> Self {
        Self::of(device, Nic(device.into()), queues)
    }
}

impl<D: HasRules> FlowRules<D> {
    fn of(name: &str, device: D, queues: u32) -> Self {
        Self {
            name: name.into(),
            device,
            queues,
            rules: BTreeMap::new(),
            swept: Default::default(),
            refused: None,
            full: false,
            told: false,
        }
    }

    /// Whether there is anything to place.
    pub fn wanted(&self) -> bool {
        self.queues > 1 && (self.refused.is_none() || !self.rules.is_empty())
    }

    /// Removes rules that are not in the `placement`, and adds those that lack.
    pub fn set(&mut self, placement: &Placement) {
        let mut gone = Vec::new();
        self.rules.retain(|flow, (queue, place)| {
            let stays = placement.get(flow) == Some(queue);
            gone.extend((!stays).then_some(*place));
            stays
        });
        if !gone.is_empty() && std::mem::take(&mut self.full) {
            self.refused = None;
        }
        gone.into_iter().for_each(|place| self.remove(place));
        if self.refused.is_none() {
            self.sweep(placement);
        }
        for (flow, queue) in placement {
            if self.refused.is_some() {
                return;
            }
            if !self.rules.contains_key(flow) {
                self.insert(*flow, *queue);
            }
        }
    }

    fn insert(&mut self, flow: UdpFlow, queue: u32) {
        let name = &self.name;
        match self.device.insert(&flow, queue) {
            Ok(place) => {
                debug!("uplink {name}: rule {place} brings {flow:?} to queue {queue}");
                self.rules.insert(flow, (queue, place));
            }
            Err(e) => {
                let what = "what comes to another worker's queue is handed over";
                match std::mem::replace(&mut self.told, true) {
                    false => info!("uplink {name} takes no flow rule ({e}): {what}"),
                    true => debug!("uplink {name} takes no flow rule ({e}) again"),
                }
                self.refused = Some(e.to_string());
                self.full = e.raw_os_error() == Some(libc::ENOSPC);
            }
        }
    }

    /// Removes what an earlier process has left, the first time that these flows are wanted.
    fn sweep(&mut self, placement: &Placement) {
        let (ports, senders) = &mut self.swept;
        let mut news = false;
        for flow in placement.keys() {
            news |= ports.insert(flow.to);
            if let Some(from) = flow.from
                && senders.len() < SENDERS
            {
                news |= senders.insert(from);
            }
        }
        if !news {
            return;
        }
        let found = match self.device.rules() {
            Ok(found) => found,
            Err(e) => {
                return debug!("uplink {}: its flow rules cannot be listed: {e}", self.name);
            }
        };
        let (ports, senders) = &self.swept;
        let ours: BTreeSet<u32> = self.rules.values().map(|(_, place)| *place).collect();
        let is_stale = |rule: &Rule| {
            let (from, to) = (rule.flow.from, rule.flow.to);
            ports.contains(&to)
                || from.is_some_and(|from| senders.contains(&from))
                    && !self.device.is_port_taken(to)
        };
        let stale: Vec<_> = found
            .into_iter()
            .filter(|rule| !ours.contains(&rule.place) && is_stale(rule))
            .collect();
        if !stale.is_empty() {
            let (name, count) = (&self.name, stale.len());
            info!("uplink {name}: {count} flow rules of an earlier process are removed");
        }
        for rule in stale {
            self.remove(rule.place);
        }
    }

    fn remove(&mut self, place: u32) {
        if let Err(e) = self.device.remove(place)
            && e.raw_os_error() != Some(libc::ENODEV)
        {
            let name = &self.name;
            warn!(
                "uplink {name}: cannot remove flow rule {place}: {e}; ethtool -N {name} delete {place}"
            );
        }
    }
}

impl<D: HasRules> fmt::Display for FlowRules<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.rules.len();
        match &self.refused {
            _ if self.queues <= 1 => f.write_str("none, the device has one queue"),
            Some(why) => write!(f, "{count}, and no more: {why}"),
            None => write!(f, "{count}"),
        }
    }
}

impl<D: HasRules> Drop for FlowRules<D> {
    fn drop(&mut self) {
        self.set(&Placement::new());
    }
}

#[cfg(test)]
mod tests;
