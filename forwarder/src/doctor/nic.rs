//! The LAN port's device: XDP, queues, offloads, MTU.

use super::{
    check::{Check, failing, ok, unknown},
    netdev::{self, XdpFeatures},
};
use crate::{
    config::MAX_WORKERS,
    device::Device,
    preflight,
    sys::ethtool::{Channels, Feature, Flags},
};

/// The largest MTU whose frames, with two VLAN tags, cross the tunnel.
const LARGEST_MTU: u32 = 9_194;

/// What hosts have unless they are told otherwise.
const ETHERNET_MTU: u32 = 1_500;

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

/// The number of receive queues, each a worker's, beside what the device could have.
pub fn queues(device: &Device, channels: Option<Channels>) -> Check {
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
    let of = match channels {
        Some(Channels { most, .. }) if most > device.queues => format!(" of {most} possible"),
        _ => String::new(),
    };
    ok(NAME, format!("{}{of}, each a worker's", device.queues))
}

/// What the device does to frames before XDP sees them.
#[derive(Clone, Debug, Default)]
pub struct Offloads {
    /// LRO and VLAN tags; `None`: the driver does not tell.
    pub flags: Option<Flags>,
    /// `rx-gro-hw`, where the kernel knows it.
    pub merging: Option<Feature>,
    /// Where XDP is generic, the devices below this one (of a VLAN, a macvlan) that merge frames, by GRO or LRO.
    pub merging_below: Vec<String>,
    /// Whether an XDP program is there already.
    pub attached: bool,
    /// Whether VLAN tags matter here.
    pub tagged: bool,
}

/// Whether frames reach XDP as they were sent. Generic receive offload (GRO) of the kernel does not matter: in the driver
/// it comes after XDP, and with generic XDP the kernel leaves it out (`netif_elide_gro`, include/linux/netdevice.h); but
/// not at a device below. Merging in the device matters: drivers and kernel end it when XDP comes, or refuse XDP where
/// it is fixed.
pub fn offloads(device: &Device, offloads: &Offloads) -> Check {
    const NAME: &str = "offloads";
    let name = &device.name;
    let Some(flags) = offloads.flags else {
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
    if let Some((why, mend)) = preflight::merging(name, &offloads.merging_below) {
        return failing(NAME, why, format!("`{mend}`"));
    }
    let merges = match offloads.merging {
        Some(Feature {
            on: true,
            fixed: true,
        }) => {
            return failing(
                NAME,
                "the device merges frames (rx-gro-hw) and cannot be told not to, so its driver refuses XDP",
                "at the host, for this network adapter: QEMU guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off,guest_csum=off (libvirt: <guest tso4='off' tso6='off' ecn='off' ufo='off' csum='off'/> in <driver>)",
            );
        }
        Some(Feature { on: true, .. }) if offloads.attached => {
            return failing(
                NAME,
                "the device merges frames (rx-gro-hw) before XDP sees them",
                format!("`ethtool -K {name} rx-gro-hw off`"),
            );
        }
        Some(Feature { on: true, .. }) => "rx-gro-hw, which ends when XDP comes",
        _ => "no merging in the device",
    };
    // A virtual device has the tag in the frame or beside it as its other end sent it.
    let strips = flags.rx_vlan && !device.is_virtual;
    if strips && offloads.tagged {
        return failing(
            NAME,
            "the NIC strips VLAN tags before XDP sees them: frames count as untagged",
            format!("`ethtool -K {name} rxvlan off`"),
        );
    }
    let strips = match strips {
        true => "VLAN tags are stripped (of no matter while no frame is tagged)",
        false => "VLAN tags stay",
    };
    ok(NAME, format!("no LRO; {merges}; {strips}"))
}

/// The MTU of the LAN port.
pub fn mtu(device: &Device) -> Check {
    const NAME: &str = "MTU";
    let (name, mtu) = (&device.name, device.mtu);
    if mtu > LARGEST_MTU {
        return failing(
            NAME,
            format!("{mtu}: more than crosses"),
            format!("`ip link set {name} mtu {LARGEST_MTU}`"),
        );
    }
    if mtu < ETHERNET_MTU {
        return unknown(
            NAME,
            format!(
                "{mtu}: right only if every host of this LAN has that or less; where any has the usual {ETHERNET_MTU}, its full frames are lost here: `ip link set {name} mtu {ETHERNET_MTU}`"
            ),
        );
    }
    ok(NAME, format!("{mtu}; the LAN's hosts should have no more"))
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
                "connect the network adapter of {} (a VM: \"Connected\" in its settings; a veth: its other end up; a tap: start its VM; a bridge: a port with a link in it)",
                device.name
            ),
        ),
        _ => unknown(NAME, "the driver does not tell"),
    }
}

#[cfg(test)]
pub(super) mod tests;
