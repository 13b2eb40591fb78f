//! The kernel's routes, by the texts of /proc.

use std::net::Ipv4Addr;

/// `RTF_REJECT` (include/uapi/linux/route.h, ipv6_route.h): it leads nowhere.
const REJECT: u32 = 0x200;

/// A route that leads somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'a> {
    /// The interface that it leads to.
    pub interface: &'a str,
    /// The router, of IPv4.
    pub gateway: Option<Ipv4Addr>,
    /// Of several the least is taken.
    pub metric: u32,
    /// Whether it is for all that no other is for.
    pub is_default: bool,
}

/// Those over IPv4, by the text of /proc/net/route (`fib_route_seq_show`, net/ipv4/fib_trie.c): interface, destination,
/// gateway, flags, two counters, metric, mask, and more.
pub fn ipv4(text: &str) -> impl Iterator<Item = Route<'_>> {
    text.lines().skip(1).filter_map(|line| {
        let mut words = line.split_whitespace();
        let [interface, destination, gateway, flags, _, _, metric, mask] =
            std::array::from_fn(|_| words.next().unwrap_or_default());
        // The kernel prints an address as a number of its own byte order.
        let gateway = Ipv4Addr::from(hexadecimal(gateway)?.to_ne_bytes());
        // Of what leads nowhere only some has the flag; all of it has no interface.
        let leads = interface != "*" && hexadecimal(flags)? & REJECT == 0;
        leads.then_some(Route {
            interface,
            gateway: (!gateway.is_unspecified()).then_some(gateway),
            // Printed with a sign that it does not have.
            metric: metric.parse::<i64>().ok()? as u32,
            is_default: hexadecimal(destination)? == 0 && hexadecimal(mask)? == 0,
        })
    })
}

/// Those over IPv6, by the text of /proc/net/ipv6_route (`ipv6_route_native_seq_show`, net/ipv6/ip6_fib.c): destination and its
/// length, source and its length, gateway, metric, two counters, flags, interface; all numbers hexadecimal.
pub fn ipv6(text: &str) -> impl Iterator<Item = Route<'_>> {
    text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let [destination, length, _, _, _, metric, _, _, flags, interface] =
            std::array::from_fn(|_| words.next().unwrap_or_default());
        let leads = !interface.is_empty() && hexadecimal(flags)? & REJECT == 0;
        leads.then_some(Route {
            interface,
            gateway: None,
            metric: hexadecimal(metric)?,
            is_default: length == "00" && destination.bytes().all(|b| b == b'0'),
        })
    })
}

fn hexadecimal(number: &str) -> Option<u32> {
    u32::from_str_radix(number, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_over_ipv4() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
            lan\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            wan\t00000000\t016433C6\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
            far\t00000000\t016433C6\t0003\t0\t0\t-2\t00000000\t0\t0\t0\n\
            lo\t00000000\t00000000\t0201\t0\t0\t9\t00000000\t0\t0\t0\n\
            *\t00000000\t00000000\t0001\t0\t0\t9\t00000000\t0\t0\t0\ncut\t00000000\n\n";
        let of = |interface, gateway, metric, is_default| Route {
            interface,
            gateway,
            metric,
            is_default,
        };
        let gateway = Some(Ipv4Addr::new(198, 51, 100, 1));
        let routes: Vec<_> = ipv4(text).collect();
        assert_eq!(
            routes,
            [
                of("lan", None, 0, false),
                of("wan", gateway, 100, true),
                of("far", gateway, u32::MAX - 1, true)
            ]
        );
        assert_eq!(ipv4("").count(), 0);
    }

    #[test]
    fn routes_over_ipv6() {
        let (any, gateway) = ("0".repeat(32), "20010db8000000510000000000000001");
        let line = |length, metric, flags, name| {
            format!("{any} {length} {any} 00 {gateway} {metric} 00000001 00000000 {flags} {name}\n")
        };
        let text = [
            line("00", "00000400", "00000003", "wan"),
            line("40", "00000100", "00000001", "lan"),
            line("00", "ffffffff", "00200200", "lo"),
            line("00", "00000400", "00000003", ""),
        ]
        .concat();
        let routes = ipv6(&text).map(|r| (r.interface, r.metric, r.is_default));
        let routes: Vec<_> = routes.collect();
        assert_eq!(routes, [("wan", 0x400, true), ("lan", 0x100, false)]);
        assert_eq!(ipv6("").count(), 0);
    }
}
