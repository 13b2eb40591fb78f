//! Rules of the uplink's device that bring each lane's datagrams to the queue of the worker that it is for.
//!
//! Where there are none, the device spreads datagrams by a hash, and a worker that gets another's hands them over:
//! right, but a copy dearer. So a device that refuses is left in peace.

use std::{collections::BTreeMap, fmt};

use tracing::{debug, info, warn};

use crate::sys::ethtool::{self, UdpFlow};

/// Which queue each flow is to come to.
pub type Placement = BTreeMap<UdpFlow, u32>;

/// The rules in the device. Dropping it removes them.
#[derive(Debug)]
pub struct FlowRules {
    device: String,
    /// With one queue there is nothing to choose.
    queues: u32,
    /// By flow: the queue, and the rule's place in the device.
    rules: BTreeMap<UdpFlow, (u32, u32)>,
    /// Why there are no more.
    refused: Option<String>,
}

impl FlowRules {
    /// None yet, for a device with so many queues.
    pub fn new(device: &str, queues: u32) -> Self {
        Self {
            device: device.into(),
            queues,
            rules: BTreeMap::new(),
            refused: None,
        }
    }

    /// Whether there is anything to place.
    pub fn wanted(&self) -> bool {
        self.queues > 1 && (self.refused.is_none() || !self.rules.is_empty())
    }

    /// Removes rules that are not in the `placement`, and adds those that lack.
    pub fn set(&mut self, placement: &Placement) {
        self.rules.retain(|flow, (queue, place)| {
            let stays = placement.get(flow) == Some(queue);
            if !stays {
                remove(&self.device, *place);
            }
            stays
        });
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
        let device = &self.device;
        match ethtool::insert_rule(device, &flow, queue) {
            Ok(place) => {
                debug!("uplink {device}: rule {place} brings {flow:?} to queue {queue}");
                self.rules.insert(flow, (queue, place));
            }
            Err(e) => {
                info!(
                    "uplink {device} takes no flow rule ({e}): what comes to another worker's queue is handed over"
                );
                self.refused = Some(e.to_string());
            }
        }
    }
}

fn remove(device: &str, place: u32) {
    if let Err(e) = ethtool::remove_rule(device, place)
        && e.raw_os_error() != Some(libc::ENODEV)
    {
        warn!(
            "uplink {device}: cannot remove flow rule {place}: {e}; ethtool -N {device} delete {place}"
        );
    }
}

impl fmt::Display for FlowRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.rules.len();
        match &self.refused {
            _ if self.queues <= 1 => f.write_str("none, the device has one queue"),
            Some(why) => write!(f, "{count}, and no more: {why}"),
            None => write!(f, "{count}"),
        }
    }
}

impl Drop for FlowRules {
    fn drop(&mut self) {
        self.set(&Placement::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_refuses_is_asked_once() {
        let flow = |to| UdpFlow {
            to,
            from: None,
            ipv6: false,
        };
        let mut rules = FlowRules::new("lo", 2);
        assert!(rules.wanted());
        rules.set(&[(flow(1), 0), (flow(2), 1)].into());
        assert!(!rules.wanted());
        assert!(rules.to_string().starts_with("0, and no more: "), "{rules}");
        let one_queue = FlowRules::new("lo", 1);
        assert!(!one_queue.wanted());
        assert_eq!(one_queue.to_string(), "none, the device has one queue");
    }
}
