//! tinc 1.0 as a switch.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::Program,
    },
    error::{Error, Result},
    rig::{Side, tool::Tool},
};

const TINCD: Program = Program::debian("tincd", "tinc");

/// tinc in switch mode, AES-256-CBC with SHA-256: it has no GCM.
pub(crate) struct Tinc;

impl Peer for Tinc {
    fn name(&self) -> &'static str {
        "tinc"
    }

    fn about(&self) -> &'static str {
        "tinc 1.0 in switch mode, AES-256-CBC"
    }

    fn encrypted(&self) -> bool {
        true
    }

    fn needs(&self) -> &'static [Program] {
        &[TINCD]
    }

    fn port(&self) -> Option<&'static str> {
        Some("tap0")
    }

    fn prepare(&mut self, on: &Setup<'_>) -> Result {
        let files = on.rig.scratch();
        let failed = || Error::failed("cannot prepare tinc");
        for side in Side::BOTH {
            let (me, other) = (side.letter(), side.other().letter());
            fs::create_dir_all(files.path(format!("tinc.{me}/hosts"))).map_err(failed())?;
            files.write(
                &format!("tinc.{me}/tinc.conf"),
                &format!(
                    "Name=gw{me}\nMode=switch\nDeviceType=tap\nInterface=tap0\nConnectTo=gw{other}\n\
                     PingInterval=2\nPingTimeout=2\nMaxTimeout=2\n"
                ),
            )?;
            let up = files.write(
                &format!("tinc.{me}/tinc-up"),
                "#!/bin/sh\nip link set $INTERFACE mtu 1500 txqueuelen 1000 master br0 up\n",
            )?;
            fs::set_permissions(up, fs::Permissions::from_mode(0o700)).map_err(failed())?;
            files.write(
                &format!("tinc.{me}/hosts/gw{me}"),
                &format!(
                    "Address={}\nCipher=aes-256-cbc\nDigest=sha256\n",
                    side.wan()
                ),
            )?;
            let tincd = Tool::new(on.programs.path(&TINCD)?).arg("-c");
            tincd
                .arg(files.path(format!("tinc.{me}")))
                .arg("-K2048")
                .run()?;
        }
        for side in Side::BOTH {
            let (me, other) = (side.letter(), side.other().letter());
            let from = files.path(format!("tinc.{me}/hosts/gw{me}"));
            let to = files.path(format!("tinc.{other}/hosts/gw{me}"));
            fs::copy(from, to).map_err(failed())?;
        }
        Ok(())
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let files = on.rig.scratch();
        let folder = files.path(format!("tinc.{}", side.letter()));
        let pid = files.path(format!("tinc.{}.pid", side.letter()));
        let _ = fs::remove_file(&pid); // of the process that was killed
        let gateway = on.rig.gateway(side);
        let pid = format!("--pidfile={}", pid.display());
        let folder = folder.display().to_string();
        gateway.spawn(
            on.programs.path(&TINCD)?,
            ["-c", &folder, "-D", "-d2", &pid],
        )?;
        gateway.await_link("tap0")
    }
}
