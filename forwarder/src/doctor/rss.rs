//! How a NIC spreads what it receives over its queues (RSS).

use std::io;

use super::check::{Check, failing, ok, unknown};
use crate::{
    device::Device,
    sys::ethtool::{self, Rss},
};

/// What a device and its driver say.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    /// The table; `None`: there is none, or the driver does not tell.
    pub rss: Option<Rss>,
    /// Whether the ports of UDP take part in the hash, over IPv4 and IPv6; `None`: the driver does not tell.
    pub udp_ports: [Option<bool>; 2],
}

impl Spread {
    /// Asks the kernel.
    pub fn of(device: &str) -> Self {
        let answer = |answer: io::Result<Rss>| answer.ok().filter(|rss| !rss.table.is_empty());
        Self {
            rss: answer(ethtool::rss(device)),
            udp_ports: [false, true].map(|ipv6| ethtool::hashes_udp_ports(device, ipv6).ok()),
        }
    }
}

/// The LAN port: each of its queues gets something.
pub fn of_lan(device: &Device, spread: &Spread) -> Check {
    check("RSS", device, spread).unwrap_or_else(|seen| ok("RSS", seen))
}

/// An uplink, by which as many lanes of each peer come in as there are workers, told apart by their ports alone.
pub fn of_uplink(device: &Device, spread: &Spread, lanes: usize) -> Check {
    const NAME: &str = "uplink RSS";
    let seen = match check(NAME, device, spread) {
        Ok(check) => return check,
        Err(seen) => seen,
    };
    if device.queues <= 1 || lanes <= 1 || spread.rss.is_none() {
        return ok(NAME, seen);
    }
    let flows = ["udp4", "udp6"];
    let without = flows.iter().zip(spread.udp_ports);
    let without: Vec<_> = without.filter(|(_, ports)| *ports == Some(false)).collect();
    if without.is_empty() {
        return match spread.udp_ports {
            [None, None] => unknown(
                NAME,
                format!(
                    "{seen}; whether UDP's ports take part in the hash the driver does not tell: without them all {lanes} lanes of a peer come in at one queue (`ethtool -n {} rx-flow-hash udp4`)",
                    device.name
                ),
            ),
            _ => ok(NAME, format!("{seen}, UDP by its ports too")),
        };
    }
    let names: Vec<_> = without.iter().map(|(flow, _)| **flow).collect();
    let mend = names
        .iter()
        .map(|flow| format!("`ethtool -N {} rx-flow-hash {flow} sdfn`", device.name));
    failing(
        NAME,
        format!(
            "{}: the hash of {} leaves out the ports, so all {lanes} lanes of a peer come in at one of {} queues",
            device.name,
            names.join(" and "),
            device.queues
        ),
        mend.collect::<Vec<_>>().join(" and "),
    )
}

/// A check that ends here, or what was seen of a device whose queues are all in use.
fn check(check: &'static str, device: &Device, spread: &Spread) -> Result<Check, String> {
    let (name, queues) = (&device.name, device.queues);
    if queues <= 1 {
        return Err(format!("{name} has one queue: nothing to spread"));
    }
    let Some(rss) = &spread.rss else {
        return without_table(check, device);
    };
    if rss.is_constant {
        return Ok(failing(
            check,
            format!(
                "{name}: the key of the hash is all zeros, so everything comes in at one queue"
            ),
            format!(
                "`ethtool -X {name} hkey` with random bytes, as many as `ethtool -x {name}` shows, joined by colons"
            ),
        ));
    }
    let idle = (0..queues).filter(|queue| !rss.table.contains(queue));
    let idle: Vec<_> = idle.map(|queue| queue as usize).collect();
    if !idle.is_empty() {
        return Ok(failing(
            check,
            format!(
                "{name}: of {queues} queues nothing comes in at {}, and their workers are idle",
                super::cores::list(&idle)
            ),
            format!("`ethtool -X {name} equal {queues}`"),
        ));
    }
    Err(format!(
        "{name}: a table of {} entries reaches all {queues} queues",
        rss.table.len()
    ))
}

fn without_table(check: &'static str, device: &Device) -> Result<Check, String> {
    let (name, queues) = (&device.name, device.queues);
    match (device.is_virtual, device.driver().as_deref()) {
        (true, _) => Err(format!(
            "{name} has no table: who sends to a virtual device chooses among its {queues} queues"
        )),
        (false, Some("virtio_net")) => Err(format!(
            "{name} has no table: the host chooses among its {queues} queues"
        )),
        (false, _) => Ok(unknown(
            check,
            format!(
                "{name} has {queues} queues, and its driver does not tell how they are chosen: `ethtool -S {name}` counts what comes in at each"
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::check::{Verdict, asked::mend},
        *,
    };

    fn device(queues: u32) -> Device {
        Device {
            queues,
            is_virtual: false,
            ..super::super::nic::tests::device()
        }
    }

    fn table(queues: u32) -> Option<Rss> {
        Some(Rss {
            table: (0..128).map(|entry| entry % queues).collect(),
            is_constant: false,
        })
    }

    fn is_ok(check: &Check) -> bool {
        matches!(check.verdict, Verdict::Ok { .. })
    }

    #[test]
    fn queues_that_get_nothing_are_named() {
        let lan = |queues, rss| {
            of_lan(
                &device(queues),
                &Spread {
                    rss,
                    ..Spread::default()
                },
            )
        };
        assert!(is_ok(&lan(4, table(4))) && is_ok(&lan(1, None)));
        let idle = lan(4, table(2));
        assert_eq!(mend(&idle), Some("`ethtool -X ens1 equal 4`"));
        assert!(format!("{idle:?}").contains("comes in at 2-3"), "{idle:?}");
        let constant = Some(Rss {
            is_constant: true,
            ..table(4).unwrap()
        });
        assert!(mend(&lan(4, constant)).unwrap().contains("hkey"));
        assert!(matches!(lan(4, None).verdict, Verdict::Unknown { .. }));
        let veth = Device {
            is_virtual: true,
            ..device(4)
        };
        assert!(is_ok(&of_lan(&veth, &Spread::default())));
    }

    #[test]
    fn lanes_are_told_apart_by_their_ports() {
        let uplink = |lanes, udp_ports| {
            let spread = Spread {
                rss: table(4),
                udp_ports,
            };
            of_uplink(&device(4), &spread, lanes)
        };
        assert!(is_ok(&uplink(4, [Some(true), Some(true)])));
        assert!(is_ok(&uplink(4, [Some(true), None])));
        assert!(is_ok(&uplink(1, [Some(false), Some(false)])), "one lane");
        assert_eq!(
            mend(&uplink(4, [Some(false), Some(true)])),
            Some("`ethtool -N ens1 rx-flow-hash udp4 sdfn`")
        );
        let both = uplink(4, [Some(false), Some(false)]);
        assert!(mend(&both).unwrap().contains("udp6"), "{both:?}");
        assert!(matches!(
            uplink(4, [None, None]).verdict,
            Verdict::Unknown { .. }
        ));
    }
}
