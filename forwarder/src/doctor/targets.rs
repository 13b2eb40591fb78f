//! Whom to ask: what the host knows of the LAN, and who is heard there.

use std::net::Ipv4Addr;

use crate::spec::parse_mac;

use super::{plan::MOST_TARGETS, probe::Mac, route_table};

/// Hosts that may be asked, and the VLAN in which each was seen (0: untagged), in the order of their first sight.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Senders {
    vlan: u16,
    here: Vec<Ipv4Addr>,
    elsewhere: Vec<(Ipv4Addr, u16)>,
}

impl Senders {
    /// Nobody as yet, of whom those in VLAN `vlan` are wanted.
    pub fn of(vlan: u16) -> Self {
        Self {
            vlan,
            ..Self::default()
        }
    }

    /// A host that was seen in this VLAN. More than [`MOST_TARGETS`] are not kept, nor as many of all other VLANs.
    pub fn note(&mut self, ip: Ipv4Addr, vlan: u16) {
        if ip.is_unspecified() {
            return;
        }
        if vlan == self.vlan {
            if !self.suffice() && !self.here.contains(&ip) {
                self.here.push(ip);
            }
        } else if self.elsewhere.len() < MOST_TARGETS && !self.elsewhere.contains(&(ip, vlan)) {
            self.elsewhere.push((ip, vlan));
        }
    }

    /// Whether there is nobody of the VLAN that is wanted.
    pub fn lack(&self) -> bool {
        self.here.is_empty()
    }

    /// Whether there are as many of it as are asked.
    pub fn suffice(&self) -> bool {
        self.here.len() >= MOST_TARGETS
    }

    /// Whom to ask: those of the VLAN that is wanted; only if there are none, those of others, so that it is found out in
    /// which the LAN is.
    pub fn targets(&self) -> Vec<Ipv4Addr> {
        match self.lack() {
            false => self.here.clone(),
            true => self.elsewhere.iter().map(|(ip, _)| *ip).collect(),
        }
    }

    /// The VLANs in which others were seen.
    pub fn other_vlans(&self) -> impl Iterator<Item = u16> {
        self.elsewhere.iter().map(|(_, vlan)| *vlan)
    }
}

/// Gateways by an interface, by the text of /proc/net/route.
pub fn gateways(route: &str, interface: &str) -> Vec<Ipv4Addr> {
    let by = route_table::ipv4(route).filter(|route| route.interface == interface);
    by.filter_map(|route| route.gateway).collect()
}

/// Neighbours at an interface that have answered, by the text of /proc/net/arp, with their addresses.
pub fn neighbours(arp: &str, interface: &str) -> Vec<(Ipv4Addr, Mac)> {
    /// `ATF_COM`: the entry is complete (include/uapi/linux/if_arp.h).
    const COMPLETE: u32 = 0x02;
    let neighbour = |line: &str| {
        let mut words = line.split_whitespace();
        let ip = words.next()?.parse().ok()?;
        let flags = words.nth(1)?.trim_start_matches("0x");
        let mac = parse_mac(words.next()?).ok()?;
        let of = words.nth(1)? == interface;
        let complete = u32::from_str_radix(flags, 16).ok()? & COMPLETE != 0;
        (of && complete).then_some((ip, Mac(mac)))
    };
    arp.lines().skip(1).filter_map(neighbour).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_other_vlans_are_asked_only_if_there_are_none_of_the_own() {
        let host = |n| Ipv4Addr::new(192, 0, 2, n);
        let mut senders = Senders::of(20);
        senders.note(Ipv4Addr::UNSPECIFIED, 20);
        for n in 30..40 {
            senders.note(host(n), 30);
            senders.note(host(n), 0);
        }
        assert!(senders.lack() && !senders.suffice());
        assert_eq!(senders.targets(), [host(30), host(30), host(31)]);
        assert_eq!(senders.other_vlans().collect::<Vec<_>>(), [30, 0, 30]);
        for n in [1, 1, 2] {
            senders.note(host(n), 20);
        }
        assert!(!senders.lack() && !senders.suffice());
        assert_eq!(senders.targets(), [host(1), host(2)]);
        senders.note(host(3), 20);
        senders.note(host(4), 20);
        assert!(senders.suffice());
        assert_eq!(senders.targets(), [host(1), host(2), host(3)]);
    }

    #[test]
    fn gateways_by_the_text_of_proc() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            lan\t00000000\t01004D0A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            lan\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            wan\t00000000\t016433C6\t0003\t0\t0\t0\t00000000\t0\t0\t0\ncut\n";
        assert_eq!(gateways(text, "lan"), [Ipv4Addr::new(10, 77, 0, 1)]);
        assert!(gateways("", "lan").is_empty());
    }

    #[test]
    fn neighbours_by_the_text_of_proc() {
        let text = "IP address       HW type     Flags       HW address            Mask     Device\n\
            10.77.0.1        0x1         0x2         02:77:00:00:00:01     *        lan\n\
            10.77.0.9        0x1         0x0         00:00:00:00:00:00     *        lan\n\
            198.51.100.1     0x1         0x2         02:77:00:00:00:fe     *        wan\nx\n";
        let dc = (Ipv4Addr::new(10, 77, 0, 1), Mac([0x02, 0x77, 0, 0, 0, 1]));
        assert_eq!(neighbours(text, "lan"), [dc]);
    }
}
