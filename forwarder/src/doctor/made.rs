//! LAN ports that causeway makes when it runs: what is asked from before, and what is different about them.

use super::{
    check::{Check, failing, ok},
    tree::Tree,
};
use crate::{device::Device, lan_port::LanSpec};

/// The device that probes leave by. Before causeway has made its port in a bridge that is the bridge itself, which has
/// the same LAN before it; a tap has nobody there before causeway and the VM run.
///
/// # Errors
///
/// One line that says what to do.
pub fn find_device(lan: &LanSpec) -> Result<Device, String> {
    let found = Device::find(&lan.interface());
    match (lan, found) {
        (_, Ok(device)) => Ok(device),
        (LanSpec::Interface(_), Err(e)) => Err(e.to_string()),
        (LanSpec::Bridge(bridge), Err(_)) => {
            let device = Device::find(bridge).map_err(|e| e.to_string())?;
            match is_bridge(&Tree::of_this_machine(), bridge) {
                true => Ok(device),
                false => Err(format!(
                    "{bridge} is no Linux bridge: give --lan {bridge}, which takes it as it is"
                )),
            }
        }
        (LanSpec::Tap(_), Err(e)) => Err(format!(
            "{e}; causeway makes the tap of --lan {lan} when it runs, and behind it is the VM's card, no switch: start both, then examine it with --target and the VM's address"
        )),
    }
}

fn is_bridge(tree: &Tree, name: &str) -> bool {
    tree.has(format!("sys/class/net/{name}/bridge"))
}

/// XDP at a bridge, where the port that causeway has in it is what counts; `None`: the device is no bridge.
pub fn xdp(tree: &Tree, device: &Device, asked: &LanSpec) -> Option<Check> {
    const NAME: &str = "XDP";
    let name = &device.name;
    let spec = LanSpec::Bridge(name.clone());
    let made = spec.interface();
    if !is_bridge(tree, name) {
        None
    } else if tree.has(format!("sys/class/net/{made}")) {
        Some(ok(
            NAME,
            format!("{made}, causeway's port in {name}, has it in the driver"),
        ))
    } else if *asked == spec {
        Some(ok(
            NAME,
            format!(
                "the port that causeway will make in {name} has it in the driver; until then {name} itself is asked from"
            ),
        ))
    } else {
        Some(failing(
            NAME,
            format!(
                "a bridge has none in its driver: at {name} it runs in generic mode, which is slow"
            ),
            format!("`lan = \"{spec}\"` (`--lan {spec}`): causeway makes a port in it"),
        ))
    }
}

/// What else may be behind silence at a port in a bridge: to the switch outside its own address is foreign.
pub fn behind_silence(tree: &Tree, device: &Device, asked: &LanSpec) -> String {
    match asked {
        LanSpec::Bridge(bridge) if device.name != *bridge => format!(
            "; or a switch outside bridge {bridge} keeps back all addresses but one: `causeway doctor --lan {bridge}` asks it from that"
        ),
        _ if tree.has(format!("sys/class/net/{}/tun_flags", device.name)) => {
            "; behind a tap there is its VM alone: is it running, and does the target's address live there?"
                .into()
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{check::Verdict, tree::TestTree},
        *,
    };

    #[test]
    fn a_bridge_is_examined_for_the_port_in_it() {
        let device = |name: &str| Device {
            name: name.into(),
            ..super::super::nic::tests::device()
        };
        let test = TestTree::new(&[
            ("sys/class/net/br0/bridge/bridge_id", "8000.0277\n"),
            ("sys/class/net/ens1/mtu", "1500\n"),
            ("sys/class/net/tap0/tun_flags", "0x1002\n"),
        ]);
        let tree = test.tree();
        let [bridge, plain] = ["bridge:br0", "br0"].map(|spec| spec.parse::<LanSpec>().unwrap());
        assert_eq!(xdp(&tree, &device("ens1"), &plain), None);
        let check = |spec| xdp(&tree, &device("br0"), spec).unwrap().verdict;
        assert!(
            matches!(check(&bridge), Verdict::Ok { seen } if seen.contains("will make in br0"))
        );
        assert!(
            matches!(check(&plain), Verdict::Failing { mend, .. } if mend.contains("--lan bridge:br0"))
        );
        test.add(&[("sys/class/net/cw-br0/mtu", "1500\n")]);
        assert!(
            matches!(check(&plain), Verdict::Ok { seen } if seen.starts_with("cw-br0, causeway's port"))
        );
        for (name, spec, word) in [
            ("cw-br0", &bridge, "--lan br0"),
            ("br0", &bridge, ""),
            ("tap0", &plain, "behind a tap"),
        ] {
            let hint = behind_silence(&tree, &device(name), spec);
            assert!(
                hint.contains(word) && hint.is_empty() == word.is_empty(),
                "{hint}"
            );
        }
    }
}
