//! OpenVPN 2.6, point to point: TLS with pinned certificates, tap, AES-256-GCM over UDP.

use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::Program,
    },
    error::{Error, Result},
    rig::{Side, tool::Tool},
};

const OPENVPN: Program = Program::debian("openvpn", "openvpn");
const OPENSSL: Program = Program::debian("openssl", "openssl");

/// OpenVPN.
pub(crate) struct OpenVpn;

impl Peer for OpenVpn {
    fn name(&self) -> &'static str {
        "openvpn"
    }

    fn about(&self) -> &'static str {
        "OpenVPN, dev tap, AES-256-GCM over UDP"
    }

    fn encrypted(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Program] {
        &[OPENVPN, OPENSSL]
    }

    fn port(&self) -> Option<&'static str> {
        Some("tap0")
    }

    fn prepare(&mut self, on: &Setup<'_>) -> Result {
        let prints = [fingerprint(on, Side::A)?, fingerprint(on, Side::B)?];
        for side in Side::BOTH {
            let text = configuration(on, side, &prints[side.other() as usize]);
            let name = format!("openvpn.{}.conf", side.letter());
            on.rig.scratch().write(&name, &text)?;
        }
        Ok(())
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let name = format!("openvpn.{}.conf", side.letter());
        let file = on.rig.scratch().path(name);
        let gateway = on.rig.gateway(side);
        let openvpn = on.programs.path(&OPENVPN)?;
        gateway.spawn(openvpn, ["--config".as_ref(), file.as_os_str()])?;
        gateway.bridge("tap0")
    }
}

/// Makes a side's key and certificate; the fingerprint.
fn fingerprint(on: &Setup<'_>, side: Side) -> Result<String> {
    let openssl = on.programs.path(&OPENSSL)?;
    let (key, certificate) = (path(on, side, "key"), path(on, side, "crt"));
    Tool::new(&openssl)
        .args(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30".split(' '),
        )
        .args([
            "-subj",
            "/CN=gateway",
            "-keyout",
            &key,
            "-out",
            &certificate,
        ])
        .run()?;
    let text = Tool::new(&openssl)
        .args([
            "x509",
            "-in",
            &certificate,
            "-noout",
            "-fingerprint",
            "-sha256",
        ])
        .run()?;
    let print = text
        .trim()
        .split_once('=')
        .map(|(_, print)| print.to_owned());
    print.ok_or_else(|| Error::Failed("openssl says no fingerprint".into()))
}

fn path(on: &Setup<'_>, side: Side, ending: &str) -> String {
    let path = on
        .rig
        .scratch()
        .path(format!("openvpn.{}.{ending}", side.letter()));
    path.display().to_string()
}

fn configuration(on: &Setup<'_>, side: Side, fingerprint: &str) -> String {
    let role = match side {
        Side::A => "tls-client",
        Side::B => "tls-server\ndh none",
    };
    format!(
        "dev tap0
dev-type tap
proto udp
local {}
remote {}
port 1194
{role}
cert {}
key {}
peer-fingerprint {fingerprint}
data-ciphers AES-256-GCM
cipher AES-256-GCM
tun-mtu 1500
mssfix 0
txqueuelen 1000
keepalive 2 10
connect-retry 1 5
verb 3
",
        side.wan(),
        side.other().wan(),
        path(on, side, "crt"),
        path(on, side, "key"),
    )
}
