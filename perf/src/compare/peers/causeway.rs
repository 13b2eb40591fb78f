//! causeway itself: it takes `lan`, so there is no bridge.

use causeway::status::Status;

use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::{Program, Source},
    },
    error::{Error, Result},
    rig::{Side, text, tool::Tool},
};

const CAUSEWAY: Program = Program {
    name: "causeway",
    source: Source::Workspace,
};

/// The port where the cloud end listens.
const PORT: u16 = 24_500;

/// causeway with one of its ciphers and one of its uplinks.
pub(crate) struct Causeway {
    name: &'static str,
    about: &'static str,
    cipher: &'static str,
    uplink: &'static str,
    keys: [String; 2],
}

/// AES-256-GCM: the default.
pub(crate) const AES256: Causeway = Causeway {
    name: "causeway",
    about: "causeway, AES-256-GCM",
    cipher: "aes-256-gcm",
    uplink: "udp",
    keys: [String::new(), String::new()],
};

/// The same with AF_XDP on the uplink as well.
pub(crate) const XDP: Causeway = Causeway {
    name: "causeway-xdp",
    about: "causeway, AES-256-GCM, AF_XDP on the uplink too (copy mode)",
    cipher: "aes-256-gcm",
    uplink: "xdp",
    keys: [String::new(), String::new()],
};

/// AES-128-GCM.
pub(crate) const AES128: Causeway = Causeway {
    name: "causeway-aes128",
    about: "causeway, AES-128-GCM",
    cipher: "aes-128-gcm",
    uplink: "udp",
    keys: [String::new(), String::new()],
};

impl Peer for Causeway {
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
        &[CAUSEWAY]
    }

    fn counts_frames(&self) -> bool {
        true
    }

    fn prepare(&mut self, on: &Setup<'_>) -> Result {
        for side in Side::BOTH {
            on.rig.gateway(side).ip("link del br0".split(' '))?;
            let tool = Tool::new(on.programs.path(&CAUSEWAY)?).args(["keygen", "--out"]);
            let public = tool.arg(key(on, side)).run()?;
            self.keys[side as usize] = public.trim().into();
        }
        Ok(())
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let gateway = on.rig.gateway(side);
        let cpu = on.rig.cpus().gateways.to_string();
        let (key, public) = (key(on, side), &self.keys[side.other() as usize]);
        let address = format!("{}:{PORT}", Side::B.wan());
        let station = format!("{}=cloud", text(on.rig.macs()[1]));
        let peer = match side {
            Side::A => format!("cloud={public}@{address}"),
            Side::B => format!("site={public}"),
        };
        let role = match side {
            Side::A => ["--role", "site", "--station", &station],
            Side::B => ["--role", "cloud", "--listen", &address],
        };
        let common = ["run", "--lan", "lan", "--key", &key, "--peer", &peer];
        let terms = [
            "--cpus",
            &cpu,
            "--cipher",
            self.cipher,
            "--uplink",
            self.uplink,
        ];
        let arguments = common.into_iter().chain(role).chain(terms);
        gateway.spawn(on.programs.path(&CAUSEWAY)?, arguments)
    }
}

fn key(on: &Setup<'_>, side: Side) -> String {
    let path = on
        .rig
        .scratch()
        .path(format!("causeway.{}.key", side.letter()));
    path.display().to_string()
}

/// What one end says of itself.
///
/// # Errors
///
/// It does not answer.
pub(crate) fn status(on: &Setup<'_>, side: Side) -> Result<Status> {
    let tool = on
        .rig
        .gateway(side)
        .netns()
        .tool(on.programs.path(&CAUSEWAY)?);
    let text = tool.args(["status", "--json"]).run()?;
    serde_json::from_str(&text).map_err(Error::failed("causeway status --json"))
}
