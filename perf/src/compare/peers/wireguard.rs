//! WireGuard in user space carrying VXLAN. The two MTUs are those one finds in the field: 1,420 and 1,500, so outer
//! packets are fragments.

use std::fs;

use super::kernel::vxlan;
use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::{Program, Source},
    },
    error::Result,
    interrupt,
    rig::{Side, tool::Tool},
};

const WG: Program = Program::debian("wg", "wireguard-tools");
const WIREGUARD_GO: Program = Program::debian("wireguard-go", "wireguard-go");
const BORINGTUN_CLI: Program = Program {
    name: "boringtun-cli",
    source: Source::Crate("boringtun-cli", "0.7.1"),
};

/// One of the two programs.
pub(crate) struct WireGuard {
    name: &'static str,
    about: &'static str,
    needs: &'static [Program],
    arguments: &'static [&'static str],
}

/// Go.
pub(crate) const GO: WireGuard = WireGuard {
    name: "wireguard-go",
    about: "VXLAN over wireguard-go",
    needs: &[WIREGUARD_GO, WG],
    arguments: &["-f"],
};

/// Rust.
pub(crate) const BORINGTUN: WireGuard = WireGuard {
    name: "boringtun",
    about: "VXLAN over boringtun",
    needs: &[BORINGTUN_CLI, WG],
    arguments: &["-f", "--disable-drop-privileges"],
};

impl Peer for WireGuard {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn encrypted(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Program] {
        self.needs
    }

    fn port(&self) -> Option<&'static str> {
        Some("vx0")
    }

    fn prepare(&mut self, on: &Setup<'_>) -> Result {
        let wg = on.programs.path(&WG)?;
        let pair = || -> Result<_> {
            let script = r#"key=$("$0" genkey) && echo "$key" && echo "$key" | "$0" pubkey"#;
            let text = Tool::new("sh").args(["-c", script]).arg(&wg).run()?;
            let (private, public) = text.trim().split_once('\n').unwrap_or_default();
            Ok((private.to_owned(), public.to_owned()))
        };
        let pairs = [pair()?, pair()?];
        for side in Side::BOTH {
            let (private, public) = (&pairs[side as usize].0, &pairs[side.other() as usize].1);
            let remote = side.other().wan();
            let text = format!(
                "[Interface]\nPrivateKey={private}\nListenPort=51820\n[Peer]\nPublicKey={public}\n\
                 AllowedIPs=10.99.0.0/24\nEndpoint={remote}:51820\nPersistentKeepalive=1\n"
            );
            on.rig.scratch().write(&configuration(side), &text)?;
        }
        Ok(())
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let gateway = on.rig.gateway(side);
        // Sockets of all namespaces share one folder: the name must be unique on the machine.
        let interface = interface(side);
        remove_socket(&interface);
        let program = on.programs.path(&self.needs[0])?;
        let boring = ["WG_SUDO=1".as_ref(), program.as_os_str()];
        let arguments = self.arguments.iter().map(AsRef::as_ref);
        gateway.spawn(
            "env",
            boring
                .into_iter()
                .chain(arguments)
                .chain([interface.as_ref()]),
        )?;
        gateway.await_link(&interface)?;
        let wg = on.programs.path(&WG)?;
        let file = on.rig.scratch().path(configuration(side));
        let configure = || {
            gateway
                .netns()
                .tool(&wg)
                .args(["setconf", &interface])
                .arg(&file)
                .run()
        };
        let mut tries = 0;
        while let Err(error) = configure() {
            tries += 1;
            if tries == 250 {
                return Err(error);
            }
            interrupt::sleep(std::time::Duration::from_millis(20))?;
        }
        let address = |side: Side| format!("10.99.0.{}", side.number());
        gateway.ip([
            "addr",
            "add",
            &format!("{}/24", address(side)),
            "dev",
            &interface,
        ])?;
        gateway.ip([
            "link",
            "set",
            &interface,
            "mtu",
            "1420",
            "txqueuelen",
            "1000",
            "up",
        ])?;
        vxlan(on, side, &address(side), &address(side.other()))
    }

    fn stop(&mut self) {
        Side::BOTH
            .map(interface)
            .iter()
            .for_each(|name| remove_socket(name));
    }
}

fn remove_socket(interface: &str) {
    let _ = fs::remove_file(format!("/var/run/wireguard/{interface}.sock"));
}

fn interface(side: Side) -> String {
    format!("wg{}{}", side.letter(), std::process::id())
}

fn configuration(side: Side) -> String {
    format!("wg.{}.conf", side.letter())
}
