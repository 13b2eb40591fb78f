//! The LAN port's device: XDP, queues, offloads, MTU.

use super::{
    check::{Check, failing, ok, unknown},
    netdev::{self, XdpFeatures},
};
use crate::{config::MAX_WORKERS, device::Device, sys::ethtool::Flags};

/// The largest MTU whose frames, with two VLAN tags, cross the tunnel.
const LARGEST_MTU: u32 = 9_194;

/// What the driver can do for XDP, as the kernel tells it.
pub fn xdp(device: &Device, features: &Result<XdpFeatures, String>) -> Check {
    const NAME: &str = "XDP";
    let driver = device.driver();
    let driver = driver.as_deref().unwrap_or("virtual");
    match features {
        Err(why) => unknown(
            NAME,
            format!("{why}; `causeway run` says in which mode it runs"),
        ),
        Ok(XdpFeatures(bits)) if bits & netdev::BASIC == 0 => failing(
            NAME,
            format!("the driver ({driver}) has none: it runs in generic mode, which is slow"),
            "another kind of network adapter (vmxnet3, virtio, a virtual function), or a newer kernel",
        ),
        Ok(XdpFeatures(bits)) => {
            let copies = match bits & netdev::ZERO_COPY {
                0 => "copy mode",
                _ => "zero-copy",
            };
            let large = match bits & netdev::MULTI_BUFFER {
                0 => "an MTU of about 3,500",
                _ => "any MTU",
            };
            ok(
                NAME,
                format!("in the driver ({driver}), AF_XDP in {copies}, to {large}"),
            )
        }
    }
}

/// The number of receive queues, each a worker's.
pub fn queues(device: &Device) -> Check {
    const NAME: &str = "queues";
    if device.queues > u32::from(MAX_WORKERS) {
        return failing(
            NAME,
            format!(
                "{}, and at most {MAX_WORKERS} workers are possible",
                device.queues
            ),
            format!("`ethtool -L {} combined {MAX_WORKERS}`", device.name),
        );
    }
    ok(NAME, format!("{}, each a worker's", device.queues))
}

/// What the device does to frames before XDP sees them. `tagged`: whether VLAN tags matter here.
pub fn offloads(device: &Device, flags: Option<Flags>, tagged: bool) -> Check {
    const NAME: &str = "offloads";
    let name = &device.name;
    let Some(flags) = flags else {
        return unknown(
            NAME,
            format!("the driver does not tell: `ethtool -k {name}`"),
        );
    };
    if flags.lro {
        return failing(
            NAME,
            "LRO joins frames of several senders before XDP sees them",
            format!("`ethtool -K {name} lro off`"),
        );
    }
    // A virtual device has the tag in the frame or beside it as its other end sent it.
    if flags.rx_vlan && tagged && !device.is_virtual {
        return failing(
            NAME,
            "the NIC strips VLAN tags before XDP sees them: frames count as untagged",
            format!("`ethtool -K {name} rxvlan off`"),
        );
    }
    let strips = match flags.rx_vlan && !device.is_virtual {
        true => "VLAN tags are stripped (of no matter while no frame is tagged)",
        false => "VLAN tags stay",
    };
    ok(NAME, format!("no LRO; {strips}"))
}

/// The MTU of the LAN port, beside the largest of the others.
pub fn mtu(device: &Device, others: u32) -> Check {
    const NAME: &str = "MTU";
    if device.mtu > LARGEST_MTU {
        return failing(
            NAME,
            format!("{}: more than crosses", device.mtu),
            format!("`ip link set {} mtu {LARGEST_MTU}`", device.name),
        );
    }
    ok(
        NAME,
        format!(
            "{} here, {others} at the uplink: larger frames than it takes are cut",
            device.mtu
        ),
    )
}

/// Whether the cable is in, by the text of carrier.
pub fn carrier(device: &Device, text: &str) -> Check {
    const NAME: &str = "link";
    match text.trim() {
        "1" => ok(NAME, "up"),
        "0" => failing(
            NAME,
            "no carrier",
            format!(
                "connect the network adapter of {} (a VM: \"Connected\" in its settings; a veth: its other end up)",
                device.name
            ),
        ),
        _ => unknown(NAME, "the driver does not tell"),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::check::Verdict, *};

    fn device() -> Device {
        Device {
            name: "ens1".into(),
            index: 2,
            mac: [2, 0, 0, 0, 0, 1],
            mtu: 1_500,
            queues: 4,
            is_virtual: false,
            is_up: true,
            numa_node: None,
            tx_dropped: 0,
        }
    }

    fn mend(check: &Check) -> Option<&str> {
        match &check.verdict {
            Verdict::Failing { mend, .. } => Some(mend),
            _ => None,
        }
    }

    #[test]
    fn what_the_device_does_to_frames() {
        let flags = |lro, rx_vlan| Some(Flags { lro, rx_vlan });
        let check = |flags, tagged| offloads(&device(), flags, tagged);
        assert_eq!(
            mend(&check(flags(true, false), false)),
            Some("`ethtool -K ens1 lro off`")
        );
        assert_eq!(
            mend(&check(flags(false, true), true)),
            Some("`ethtool -K ens1 rxvlan off`")
        );
        assert_eq!(mend(&check(flags(false, true), false)), None);
        assert!(matches!(
            check(None, false).verdict,
            Verdict::Unknown { .. }
        ));
        let virtual_one = Device {
            is_virtual: true,
            ..device()
        };
        assert_eq!(
            mend(&offloads(&virtual_one, flags(false, true), true)),
            None
        );
    }

    #[test]
    fn what_the_driver_can() {
        let check = |bits| xdp(&device(), &Ok(XdpFeatures(bits)));
        assert!(mend(&check(0)).is_some());
        let seen = format!("{:?}", check(netdev::BASIC));
        assert!(
            seen.contains("copy mode") && seen.contains("3,500"),
            "{seen}"
        );
        let seen = format!(
            "{:?}",
            check(netdev::BASIC | netdev::ZERO_COPY | netdev::MULTI_BUFFER)
        );
        assert!(
            seen.contains("zero-copy") && seen.contains("any MTU"),
            "{seen}"
        );
        let old = xdp(&device(), &Err("x".into()));
        assert!(matches!(old.verdict, Verdict::Unknown { .. }));
    }

    #[test]
    fn sizes_and_the_cable() {
        assert_eq!(mend(&mtu(&device(), 1_500)), None);
        let jumbo = Device {
            mtu: 9_195,
            ..device()
        };
        assert_eq!(
            mend(&mtu(&jumbo, 1_500)),
            Some("`ip link set ens1 mtu 9194`")
        );
        assert!(
            mend(&queues(&Device {
                queues: 65,
                ..device()
            }))
            .is_some()
        );
        assert!(mend(&queues(&device())).is_none() && mend(&carrier(&device(), "1\n")).is_none());
        assert!(mend(&carrier(&device(), "0\n")).is_some());
    }
}
