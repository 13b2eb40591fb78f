//! What the appliance runs on, and which of its settings mends what.

use clap::ValueEnum;

/// What the LAN port is plugged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, ValueEnum)]
pub enum Platform {
    /// VMware ESXi, standard or distributed switch
    Vsphere,
    /// Microsoft Hyper-V
    Hyperv,
    /// KVM with libvirt
    Libvirt,
    /// KVM with Proxmox VE
    Proxmox,
    /// OpenStack Neutron
    Openstack,
    /// KubeVirt
    Kubevirt,
    /// A virtual function of a NIC
    Sriov,
    /// A switch with ports to plug into
    Physical,
    /// Amazon VPC
    Aws,
    /// Azure virtual network
    Azure,
    /// Google Cloud VPC
    Gcp,
    /// Nobody knows: every platform's setting is named
    Unknown,
}

use Platform::*;

/// What is wrong at the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Frames for foreign addresses do not come in.
    Receive,
    /// Frames from foreign addresses do not get out.
    Send,
    /// Frames for addresses that the switch has not learnt do not come in.
    Flooding,
    /// Our own frames come back.
    Reflection,
    /// The port was shut when it showed a foreign address.
    Shut,
}

/// Those whose settings are named when nobody knows which it is.
const COMMON: [Platform; 8] = [
    Vsphere, Hyperv, Libvirt, Proxmox, Openstack, Kubevirt, Sriov, Physical,
];

const CLOUD: &str = "none: this network carries neither foreign MAC addresses nor broadcasts. The cloud end has to own the last hop to the moved VMs: a bridge, taps or a nested hypervisor of its own";
const HYPERV: &str = "Set-VMNetworkAdapter -VMName VM -MacAddressSpoofing On";
const PROXMOX: &str = "`macfilter: 0` in /etc/pve/firewall/VMID.fw, or the NIC without firewall=1";
const OPENSTACK: &str = "`openstack port set --no-security-group --disable-port-security PORT`, or allowed address pairs for each moved MAC (OVN also needs the address `unknown`)";
const KUBEVIRT: &str = "`\"macspoofchk\": false` in the NetworkAttachmentDefinition (bridge CNI)";

impl Platform {
    /// Its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Vsphere => "vsphere",
            Hyperv => "hyperv",
            Libvirt => "libvirt",
            Proxmox => "proxmox",
            Openstack => "openstack",
            Kubevirt => "kubevirt",
            Sriov => "sriov",
            Physical => "physical",
            Aws => "aws",
            Azure => "azure",
            Gcp => "gcp",
            Unknown => "unknown",
        }
    }

    /// The setting that mends a fault.
    pub fn mend(self, fault: Fault) -> String {
        if self != Unknown {
            return self.setting(fault).into();
        }
        let named = |p: Platform| format!("{}: {}", p.title(), p.setting(fault));
        match fault {
            // The same everywhere but on vSphere.
            Fault::Reflection | Fault::Shut => [Vsphere, Physical].map(named).join("; "),
            _ => COMMON.map(named).join("; "),
        }
    }

    fn title(self) -> &'static str {
        match self {
            Vsphere => "vSphere",
            Hyperv => "Hyper-V",
            Libvirt => "libvirt",
            Proxmox => "Proxmox",
            Openstack => "OpenStack",
            Kubevirt => "KubeVirt",
            Sriov => "SR-IOV",
            Physical => "physical switch",
            Aws => "AWS",
            Azure => "Azure",
            Gcp => "Google Cloud",
            Unknown => "unknown",
        }
    }

    fn setting(self, fault: Fault) -> &'static str {
        use Fault::*;
        match (self, fault) {
            (Aws | Azure | Gcp, _) => CLOUD,
            (Vsphere, Receive) => {
                "Promiscuous Mode = Accept at the port group (it overrides the vSwitch), or MAC learning with unicast flooding there (ESXi 6.7, distributed switch 6.6, and later)"
            }
            (Vsphere, Send) => {
                "Forged Transmits = Accept at the port group (it overrides the vSwitch)"
            }
            (Vsphere, Flooding) => {
                "unicast flooding on in the MAC learning policy of the port group (allowUnicastFlooding), or Promiscuous Mode = Accept"
            }
            (Vsphere, Reflection) => {
                "Net.ReversePathFwdCheckPromisc = 1 on every host, and then Promiscuous Mode at the port group to Reject and back to Accept"
            }
            (Hyperv, Receive | Send | Flooding) => HYPERV,
            (Proxmox, Receive | Send) => PROXMOX,
            (Openstack, Receive | Send | Flooding) => OPENSTACK,
            (Kubevirt, Receive | Send | Flooding) => KUBEVIRT,
            (Libvirt, Receive) => {
                "no nwfilter no-arp-spoofing or clean-traffic at the interface (<filterref>), with macvtap trustGuestRxFilters='yes' (or --promisc on and mode passthrough)"
            }
            (Libvirt, Send) => {
                "no nwfilter no-mac-spoofing, no-arp-spoofing or clean-traffic at the interface (<filterref>)"
            }
            (Libvirt | Proxmox, Flooding) => {
                "`bridge link set dev TAP flood on learning on` on the host"
            }
            (Sriov, Receive | Flooding) => {
                "`ip link set PF vf N trust on` on the host, so that the function may be promiscuous"
            }
            (Sriov, Send) => "`ip link set PF vf N spoofchk off` on the host",
            (Physical, Receive | Flooding) => {
                "unknown unicast is blocked at the port: `no switchport block unicast`; no dynamic ARP inspection there"
            }
            (Physical, Send) => {
                "port security: `no switchport port-security`, or a maximum above the number of moved VMs"
            }
            (Hyperv | Libvirt | Proxmox | Openstack | Kubevirt | Sriov | Physical, Reflection) => {
                "look for a loop: two uplinks of the switch in one LAN without spanning tree or a bond, or a port in hairpin mode"
            }
            (_, Shut) => {
                "port security at the physical switch shut the port (`show interfaces status err-disabled`): take it off there, or raise its maximum above the number of moved VMs, then `shutdown` and `no shutdown`"
            }
            (Unknown, _) => "",
        }
    }
}

/// Drivers of virtual functions.
const VIRTUAL_FUNCTIONS: [&str; 5] = ["ixgbevf", "igbvf", "iavf", "i40evf", "hinic_vf"];

/// What the machine is, by its firmware's words (/sys/class/dmi/id: sys_vendor, product_name, chassis_asset_tag)
/// and the driver of the LAN port.
pub fn detect(vendor: &str, product: &str, asset_tag: &str, driver: Option<&str>) -> Platform {
    // A chassis tag that all of Azure's machines have (Microsoft's documentation of its agent).
    const AZURE: &str = "7783-7084-3265-9085-8269-3286-77";
    let is = |word: &str| vendor.contains(word) || product.contains(word);
    if is("Amazon EC2") {
        Aws
    } else if is("Google") {
        Gcp
    } else if asset_tag.trim() == AZURE {
        Azure
    } else if driver.is_some_and(|d| VIRTUAL_FUNCTIONS.contains(&d)) {
        Sriov
    } else if is("VMware") || driver == Some("vmxnet3") {
        Vsphere
    } else if is("Microsoft") && is("Virtual Machine") || driver == Some("hv_netvsc") {
        Hyperv
    } else if is("OpenStack") {
        Openstack
    } else if is("KubeVirt") {
        Kubevirt
    } else {
        // A KVM guest ("QEMU") may be libvirt's or Proxmox', on bare metal the vendor says nothing of a switch.
        Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_told_by_their_firmware() {
        for (vendor, product, tag, driver, expected) in [
            ("VMware, Inc.", "VMware7,1", "", Some("vmxnet3"), Vsphere),
            ("VMware, Inc.", "VMware7,1", "", Some("iavf"), Sriov),
            ("Microsoft Corporation", "Virtual Machine", "", None, Hyperv),
            (
                "Microsoft Corporation",
                "Virtual Machine",
                "7783-7084-3265-9085-8269-3286-77\n",
                None,
                Azure,
            ),
            ("Amazon EC2", "m5.large", "Amazon EC2", Some("ena"), Aws),
            ("Google", "Google Compute Engine", "", None, Gcp),
            (
                "OpenStack Foundation",
                "OpenStack Nova",
                "",
                None,
                Openstack,
            ),
            ("KubeVirt", "None", "", None, Kubevirt),
            (
                "QEMU",
                "Standard PC (Q35 + ICH9, 2009)",
                "",
                Some("virtio_net"),
                Unknown,
            ),
            ("", "", "", None, Unknown),
        ] {
            assert_eq!(
                detect(vendor, product, tag, driver),
                expected,
                "{vendor} {product}"
            );
        }
    }

    #[test]
    fn every_fault_has_a_setting_everywhere() {
        use Fault::*;
        for platform in Platform::value_variants() {
            for fault in [Receive, Send, Flooding, Reflection, Shut] {
                let mend = platform.mend(fault);
                assert!(
                    mend.len() > 20 && !mend.contains(": ;"),
                    "{platform:?} {fault:?}: {mend}"
                );
            }
        }
        let all = Unknown.mend(Send);
        for word in [
            "Forged Transmits",
            "MacAddressSpoofing",
            "no-mac-spoofing",
            "macfilter",
            "port-security",
            "macspoofchk",
            "spoofchk off",
        ] {
            assert!(all.contains(word), "{word}: {all}");
        }
    }
}
