//! SoftEther: a bridge in gateway A, a server in gateway B, TLS over TCP between them. Each has its own view of the
//! folders that it insists on, in a mount namespace.

use std::time::Duration;

use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::Program,
    },
    error::{Error, Result},
    interrupt,
    rig::Side,
};

const SERVER: Program = Program::debian(
    "/usr/libexec/softether/vpnserver/vpnserver",
    "softether-vpnserver",
);
const BRIDGE: Program = Program::debian(
    "/usr/libexec/softether/vpnbridge/vpnbridge",
    "softether-vpnbridge",
);
const COMMAND: Program = Program::debian("vpncmd", "softether-vpncmd");

/// The cipher of its TLS.
const CIPHER: &str = "AES256-GCM-SHA384";

/// SoftEther with eight TCP connections.
pub(crate) struct SoftEther;

impl Peer for SoftEther {
    fn name(&self) -> &'static str {
        "softether"
    }

    fn about(&self) -> &'static str {
        "SoftEther, TLS over TCP, AES-256-GCM"
    }

    fn encrypted(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Program] {
        &[SERVER, BRIDGE, COMMAND]
    }

    fn port(&self) -> Option<&'static str> {
        Some("tap_soft")
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let folder = on
            .rig
            .scratch()
            .path(format!("softether.{}", side.letter()));
        let again = folder.exists();
        launch(on, side, &folder.display().to_string())?;
        if !again {
            configure(on, side)?;
        }
        on.rig.gateway(side).bridge("tap_soft")?;
        if !again {
            if side == Side::A {
                cascade(on)?;
            }
            // What is not saved does not survive a kill.
            command(on, side, &["/CMD", "Flush"])?;
        }
        Ok(())
    }
}

fn launch(on: &Setup<'_>, side: Side, folder: &str) -> Result {
    let program = match side {
        Side::A => BRIDGE.name,
        Side::B => SERVER.name,
    };
    let script = r#"set -e
for kind in lib log run; do
    mkdir -p "$0/$kind" "/var/$kind/softether"
    mount --bind "$0/$kind" "/var/$kind/softether"
done
exec "$1" execsvc"#;
    let arguments = ["-m", "sh", "-c", script, folder, program];
    on.rig.gateway(side).spawn("unshare", arguments)
}

fn configure(on: &Setup<'_>, side: Side) -> Result {
    let mut tries = 0;
    while let Err(error) = command(on, side, &["/CMD", "About"]) {
        tries += 1;
        if tries == 40 {
            return Err(error);
        }
        interrupt::sleep(Duration::from_millis(250))?;
    }
    if side == Side::A {
        return command(
            on,
            side,
            &["/CMD", "BridgeCreate", "BRIDGE", "/DEVICE:soft", "/TAP:yes"],
        );
    }
    command(on, side, &["/CMD", "ServerCipherSet", CIPHER])?;
    command(
        on,
        side,
        &["/CMD", "HubCreate", "L2", "/PASSWORD:comparison"],
    )?;
    let hub = |words: &[&str]| command(on, side, &[&["/ADMINHUB:L2", "/CMD"], words].concat());
    hub(&[
        "UserCreate",
        "u",
        "/GROUP:none",
        "/REALNAME:none",
        "/NOTE:none",
    ])?;
    hub(&["UserPasswordSet", "u", "/PASSWORD:comparison"])?;
    command(
        on,
        side,
        &["/CMD", "BridgeCreate", "L2", "/DEVICE:soft", "/TAP:yes"],
    )
}

/// The connection of the bridge to the server.
fn cascade(on: &Setup<'_>) -> Result {
    let server = format!("/SERVER:{}:5555", Side::B.wan());
    let bridge = |words: &[&str]| {
        command(
            on,
            Side::A,
            &[&["/ADMINHUB:BRIDGE", "/CMD"], words].concat(),
        )
    };
    bridge(&["CascadeCreate", "c", &server, "/HUB:L2", "/USERNAME:u"])?;
    bridge(&[
        "CascadePasswordSet",
        "c",
        "/PASSWORD:comparison",
        "/TYPE:standard",
    ])?;
    bridge(&[
        "CascadeDetailSet",
        "c",
        "/MAX:8",
        "/INTERVAL:1",
        "/TTL:0",
        "/HALF:no",
        "/NOQOS:no",
    ])?;
    bridge(&["CascadeOnline", "c"])
}

fn command(on: &Setup<'_>, side: Side, words: &[&str]) -> Result {
    let tool = on
        .rig
        .gateway(side)
        .netns()
        .tool(on.programs.path(&COMMAND)?);
    let tool = tool.args(["/SERVER", "localhost:5555"]).args(words);
    tool.run_within(Duration::from_secs(20))
        .map(drop)
        .map_err(|error| match error {
            Error::Interrupted => error,
            other => Error::Failed(format!("SoftEther: {other}")),
        })
}
