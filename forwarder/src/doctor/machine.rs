//! The checks that ask the machine and nobody else: devices, kernel, rights, memory, cores.

use std::{path::Path, time::SystemTime};

use super::{
    check::Check,
    cores::{self, Workers},
    host, interrupts, made, netdev,
    nic::{self, Offloads},
    options::{DoctorArgs, Wanted},
    rss::{self, Spread},
    tree::Tree,
    uplink::{self, Uplink},
};
use crate::{
    appliance::placement, device::Device, lan_port::LanSpec, status::Status, sys::ethtool,
};

/// All of them. `attached`: whether an XDP program is at the port.
pub fn checks(
    (args, wanted): (&DoctorArgs, &Wanted),
    lan: &Device,
    running: Option<&Status>,
    uplinks: &[Uplink],
    attached: bool,
) -> Vec<Check> {
    let tree = Tree::of_this_machine();
    let workers = workers(wanted, lan, running);
    let mut checks = of_lan_port(&tree, (args, wanted), lan, running, attached);
    checks.push(interrupts::of_lan(&tree, &lan.name, &workers));
    checks.extend(uplink::checks(&tree, uplinks, running, workers.number));
    checks.extend(of_kernel(&tree));
    checks.extend([
        cores::placement(&tree, &workers, lan),
        cores::frequency(&tree, &workers),
        cores::idle_states(&tree, &workers),
        cores::clock_source(&tree),
        host::clock(SystemTime::now()),
    ]);
    checks
}

/// Those of the appliance that runs; else those that one would have.
fn workers(wanted: &Wanted, lan: &Device, running: Option<&Status>) -> Workers {
    match running {
        Some(status) => Workers {
            number: status.workers.len(),
            cpus: status.workers.iter().filter_map(|w| w.cpu).collect(),
            usable: None,
        },
        None => Workers {
            number: match wanted.lan {
                // The device is the bridge as yet, or what an earlier causeway has left there.
                LanSpec::Bridge(_) => {
                    placement::queues_to_make(wanted.workers, &wanted.cpus).into()
                }
                _ => lan.queues as usize,
            },
            cpus: wanted.cpus.clone(),
            usable: Some(placement::usable_cores()),
        },
    }
}

fn of_lan_port(
    tree: &Tree,
    (args, wanted): (&DoctorArgs, &Wanted),
    lan: &Device,
    running: Option<&Status>,
    attached: bool,
) -> Vec<Check> {
    let name = &lan.name;
    let tagged = |status: &Status| status.stations.keys().any(|name| name.contains('/'));
    let features = netdev::xdp_features(lan.index);
    let generic = matches!(features, Ok(bits) if bits.0 & netdev::BASIC == 0);
    let offloads = Offloads {
        flags: ethtool::flags(name).ok(),
        merging: ethtool::feature(name, "rx-gro-hw").ok().flatten(),
        merging_below: if generic {
            lan.merging_below()
        } else {
            Vec::new()
        },
        attached,
        tagged: args.vlan.is_some() || running.is_some_and(tagged),
    };
    vec![
        nic::carrier(lan, &tree.text(format!("sys/class/net/{name}/carrier"))),
        made::xdp(tree, lan, &wanted.lan).unwrap_or_else(|| nic::xdp(lan, &features)),
        nic::queues(lan, ethtool::channels(name).ok()),
        rss::of_lan(lan, &Spread::of(name)),
        nic::offloads(lan, &offloads),
        nic::mtu(lan),
    ]
}

fn of_kernel(tree: &Tree) -> Vec<Check> {
    let (status, limits) = (tree.text("proc/self/status"), tree.text("proc/self/limits"));
    vec![
        host::kernel(
            &tree.text("proc/sys/kernel/osrelease"),
            &tree.text("proc/uptime"),
        ),
        host::btf(Path::new("/sys/kernel/btf/vmlinux").exists()),
        host::capabilities(&status),
        host::locked_memory(&limits, &status),
        host::huge_pages(&tree.text("proc/meminfo")),
    ]
}

#[cfg(test)]
mod tests {
    use super::{super::nic::tests::device, *};
    use crate::config::MAX_WORKERS;

    #[test]
    fn a_port_that_is_made_has_the_workers_that_are_asked_for() {
        let lan = device();
        let number = |lan_spec: &str, workers, cores| {
            let wanted = Wanted {
                lan: lan_spec.parse().unwrap(),
                peers: Vec::new(),
                control: "causeway".into(),
                workers,
                cpus: (0..cores).collect(),
                own: None,
            };
            super::workers(&wanted, &lan, None).number
        };
        let bridge = |workers, cores| number("bridge:br0", workers, cores);
        assert_eq!((bridge(None, 0), bridge(None, 3)), (1, 3));
        assert_eq!((bridge(Some(4), 0), bridge(Some(2), 3)), (4, 2));
        assert_eq!(bridge(None, 300), usize::from(MAX_WORKERS));
        assert_eq!(number("ens1", None, 0), 4, "its queues");
    }
}
