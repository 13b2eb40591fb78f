//! What the kernel says of a network device (Documentation/ABI/testing/sysfs-class-net).

use std::{collections::HashSet, fs, path::PathBuf};

use rustix::net::{AddressFamily, SocketType};

use crate::{
    spec::{CpuList, parse_mac},
    sys::ethtool,
};

/// A network device as found at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its MTU: bytes behind the Ethernet header.
    pub mtu: u32,
    /// Number of receive queues.
    pub queues: u32,
    /// Whether it has no hardware (veth, tap, bridge): its senders may leave checksums unfinished.
    pub is_virtual: bool,
    /// Whether it is up, administratively.
    pub is_up: bool,
    /// The NUMA node that it is attached to, where the kernel knows.
    pub numa_node: Option<usize>,
    /// What [`tx_dropped`] said then.
    pub tx_dropped: u64,
}

/// Why a device cannot be used; the text says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct DeviceError(String);

impl Device {
    /// Looks a device up by name.
    ///
    /// # Errors
    ///
    /// There is none of that name, or it is no Ethernet device.
    pub fn find(name: &str) -> Result<Self, DeviceError> {
        let dir = PathBuf::from("/sys/class/net").join(name);
        let odd = name.is_empty()
            || name.len() > 15
            || name.contains(['/', ' '])
            || name.starts_with('.');
        if odd || !dir.exists() {
            return Err(DeviceError(format!(
                "there is no interface {name} here; there are: {}",
                names().join(", ")
            )));
        }
        let read = |file: &str| {
            fs::read_to_string(dir.join(file))
                .map(|text| text.trim().to_owned())
                .map_err(|e| DeviceError(format!("cannot read {file} of interface {name}: {e}")))
        };
        let number = |file: &str| {
            read(file)?
                .parse()
                .map_err(|_| DeviceError(format!("{file} of interface {name} is no number")))
        };
        let flags = read("flags")?;
        let flags = u32::from_str_radix(flags.trim_start_matches("0x"), 16).unwrap_or(0);
        Ok(Self {
            name: name.into(),
            index: number("ifindex")?,
            mac: parse_mac(&read("address")?).map_err(|_| {
                DeviceError(format!(
                    "interface {name} is no Ethernet device: it has no MAC address"
                ))
            })?,
            mtu: number("mtu")?,
            queues: count_queues(&dir),
            is_virtual: !dir.join("device").exists(),
            is_up: flags & libc::IFF_UP as u32 != 0,
            // -1: there is only one, or nobody said.
            numa_node: read("device/numa_node").ok().and_then(|n| n.parse().ok()),
            tx_dropped: tx_dropped(name).unwrap_or(0),
        })
    }

    /// Frames that it has dropped since then instead of sending them.
    pub fn dropped_since(&self) -> u64 {
        tx_dropped(&self.name).map_or(0, |now| now.saturating_sub(self.tx_dropped))
    }

    /// The name of its driver, if it has hardware.
    pub fn driver(&self) -> Option<String> {
        let link = PathBuf::from("/sys/class/net").join(&self.name);
        let target = fs::read_link(link.join("device/driver")).ok()?;
        Some(target.file_name()?.to_string_lossy().into_owned())
    }

    /// Names of the devices below it (of a VLAN, a macvlan) that merge frames, by GRO or LRO: what comes up is too long to
    /// cross, where XDP at this one is generic and so comes later.
    pub fn merging_below(&self) -> Vec<String> {
        let below = with_lower(self.index);
        let below = below.into_iter().filter(|index| *index != self.index);
        let merges = |name: &String| {
            ethtool::gro(name).unwrap_or(false) || ethtool::flags(name).is_ok_and(|f| f.lro)
        };
        let mut names: Vec<_> = below.filter_map(name_of).filter(merges).collect();
        names.sort();
        names
    }

    /// Longest frame with this MTU: Ethernet header and two VLAN tags in front.
    pub fn max_frame(&self) -> usize {
        self.mtu as usize + 14 + 2 * 4
    }
}

/// The name of the device with this index, if there is one.
pub fn name_of(index: u32) -> Option<String> {
    // Any socket does: the answer is of its network namespace.
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None).ok()?;
    rustix::net::netdevice::index_to_name(socket, index).ok()
}

/// Indexes of the device and of those below it: of a VLAN the one it is on, of a bond its members. Not of a
/// bridge, whose ports are LANs of their own.
pub fn with_lower(index: u32) -> HashSet<u32> {
    let mut found = HashSet::new();
    let mut open = vec![index];
    while let Some(index) = open.pop() {
        let Some(name) = name_of(index).filter(|_| found.insert(index)) else {
            continue;
        };
        let dir = PathBuf::from("/sys/class/net").join(name);
        if dir.join("bridge").exists() {
            continue;
        }
        let entries = fs::read_dir(dir).into_iter().flatten().flatten();
        let lower = entries.filter(|e| e.file_name().as_encoded_bytes().starts_with(b"lower_"));
        open.extend(lower.filter_map(|e| {
            let text = fs::read_to_string(e.path().join("ifindex")).ok()?;
            text.trim().parse::<u32>().ok()
        }));
    }
    found
}

/// Whether there is a device of this name. A plain `stat`: it works without a free descriptor.
pub fn exists(name: &str) -> bool {
    PathBuf::from("/sys/class/net").join(name).exists()
}

/// Frames that the device dropped instead of sending them, since it was made (`tx_dropped`,
/// Documentation/ABI/testing/sysfs-class-net-statistics); `None` if it is gone.
///
/// In copy mode the kernel tells AF_XDP that such a frame is done: here is the only trace of it.
pub fn tx_dropped(name: &str) -> Option<u64> {
    let path = PathBuf::from("/sys/class/net").join(name);
    let text = fs::read_to_string(path.join("statistics/tx_dropped")).ok()?;
    text.trim().parse().ok()
}

/// A setting of the device's NAPI, 0 if it is not there: `napi_defer_hard_irqs`, `gro_flush_timeout`.
pub fn napi_setting(name: &str, setting: &str) -> u64 {
    let path = PathBuf::from("/sys/class/net").join(name).join(setting);
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim().parse().unwrap_or(0)
}

/// The NUMA node of a core, where there is such a thing (Documentation/ABI/stable/sysfs-devices-node).
pub fn node_of_core(core: usize) -> Option<usize> {
    let entries = fs::read_dir(format!("/sys/devices/system/cpu/cpu{core}")).ok()?;
    let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
    names
        .filter_map(|name| name.strip_prefix("node")?.parse().ok())
        .next()
}

/// The cores of a NUMA node; none if there is no such node.
pub fn cores_of_node(node: usize) -> Vec<usize> {
    let path = format!("/sys/devices/system/node/node{node}/cpulist");
    let list = fs::read_to_string(path).ok();
    let list: Option<CpuList> = list.and_then(|list| list.trim().parse().ok());
    list.map(|list| list.0).unwrap_or_default()
}

/// The number of NUMA nodes; at least 1.
pub fn numa_nodes() -> usize {
    let entries = fs::read_dir("/sys/devices/system/node")
        .into_iter()
        .flatten();
    let names = entries.filter_map(|e| e.ok()?.file_name().into_string().ok());
    let nodes = names.filter(|n| {
        n.strip_prefix("node")
            .is_some_and(|n| n.parse::<u32>().is_ok())
    });
    nodes.count().max(1)
}

/// The largest MTU among devices that are up, but for loopback and `except`; 1500 if there is none.
pub fn largest_mtu(except: &str) -> u32 {
    names()
        .iter()
        .filter(|name| name.as_str() != except)
        .filter_map(|name| Device::find(name).ok())
        .filter(|device| device.is_up && device.mac != [0; 6])
        .map(|device| device.mtu)
        .max()
        .unwrap_or(1_500)
}

fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

fn count_queues(dir: &std::path::Path) -> u32 {
    let Ok(entries) = fs::read_dir(dir.join("queues")) else {
        return 1;
    };
    let receive = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("rx-"));
    receive.count().max(1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_found_and_nonsense_is_not() {
        let lo = Device::find("lo").unwrap();
        assert_eq!((lo.mac, lo.is_virtual), ([0; 6], true));
        assert!(lo.index > 0 && lo.queues > 0);
        for bad in [
            "",
            "..",
            "nope0",
            "../../etc",
            "a/b",
            "a-name-that-is-too-long",
        ] {
            let error = Device::find(bad).unwrap_err().to_string();
            assert!(error.contains("lo"), "{error}");
        }
    }
}
