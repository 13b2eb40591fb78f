//! fastd: tap and UDP, a system call or three for each frame.

use crate::{
    compare::{
        peer::{Peer, Setup},
        programs::Program,
    },
    error::{Error, Result},
    rig::{Side, tool::Tool},
};

const FASTD: Program = Program::debian("fastd", "fastd");

/// fastd with one of its methods.
pub(crate) struct Fastd {
    name: &'static str,
    about: &'static str,
    method: &'static str,
}

/// What tap and UDP cost by themselves.
pub(crate) const NULL: Fastd = Fastd {
    name: "fastd-null",
    about: "fastd without a cipher: what tap and UDP cost",
    method: "null",
};

/// Its GCM.
pub(crate) const GCM: Fastd = Fastd {
    name: "fastd-aes128-gcm",
    about: "fastd, its best GCM",
    method: "aes128-gcm",
};

/// The fastest of its default methods.
pub(crate) const UMAC: Fastd = Fastd {
    name: "fastd-salsa2012-umac",
    about: "fastd, its best default method",
    method: "salsa2012+umac",
};

impl Peer for Fastd {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn encrypted(&self) -> bool {
        self.method != "null"
    }

    fn needs(&self) -> &'static [Program] {
        &[FASTD]
    }

    fn port(&self) -> Option<&'static str> {
        Some("tap0")
    }

    fn prepare(&mut self, on: &Setup<'_>) -> Result {
        let fastd = on.programs.path(&FASTD)?;
        let parse = |text: &str| {
            let value = |word| {
                let line = text.lines().find(|line| line.starts_with(word))?;
                line.split_whitespace().last().map(str::to_owned)
            };
            value("Secret").zip(value("Public"))
        };
        let pair = || -> Result<_> {
            let text = Tool::new(&fastd).arg("--generate-key").run()?;
            parse(&text).ok_or_else(|| Error::Failed("fastd --generate-key says no keys".into()))
        };
        let pairs = [pair()?, pair()?];
        for side in Side::BOTH {
            let (secret, public) = (&pairs[side as usize].0, &pairs[side.other() as usize].1);
            let (here, there) = (side.wan(), side.other().wan());
            let method = self.method;
            let text = format!(
                r#"mode tap; interface "tap0"; mtu 1500; method "{method}"; bind {here}:10000; secret "{secret}"; log level info;
on up "ip link set dev $INTERFACE txqueuelen 1000 master br0 up";
peer "p" {{ key "{public}"; remote {there}:10000; }}
"#
            );
            on.rig.scratch().write(&configuration(side), &text)?;
        }
        Ok(())
    }

    fn start(&mut self, on: &Setup<'_>, side: Side) -> Result {
        let configuration = on.rig.scratch().path(configuration(side));
        let gateway = on.rig.gateway(side);
        let fastd = on.programs.path(&FASTD)?;
        gateway.spawn(fastd, ["-c".as_ref(), configuration.as_os_str()])?;
        gateway.await_link("tap0")
    }
}

fn configuration(side: Side) -> String {
    format!("fastd.{}.conf", side.letter())
}
