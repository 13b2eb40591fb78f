//! Whom to ask: what the host knows of the LAN.

use std::net::Ipv4Addr;

use crate::spec::parse_mac;

use super::probe::Mac;

/// Gateways by an interface, by the text of /proc/net/route.
pub fn gateways(route: &str, interface: &str) -> Vec<Ipv4Addr> {
    let gateway = |line: &str| {
        let mut words = line.split_whitespace();
        let of = words.next()? == interface;
        // The kernel prints the address as a number of its own byte order.
        let gateway = u32::from_str_radix(words.nth(1)?, 16).ok()?;
        (of && gateway != 0).then(|| Ipv4Addr::from(gateway.to_ne_bytes()))
    };
    route.lines().skip(1).filter_map(gateway).collect()
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
