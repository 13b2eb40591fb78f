//! What attacker.py does and sees, and the books that have to account for it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    lab::{Lab, PATIENCE, within},
    running::Running,
};

pub(crate) const ATTACKER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/attacker.py");

/// What attacker.py says in the end.
#[derive(Debug, Deserialize)]
pub(crate) struct Attack {
    /// Datagrams by port.
    pub(crate) sent: BTreeMap<String, u64>,
    /// Bytes of the datagrams held back, by port.
    #[serde(default)]
    pub(crate) length: BTreeMap<String, u64>,
    /// Inventions by port and the counter that has to name them.
    #[serde(default)]
    pub(crate) shown: BTreeMap<String, u64>,
}

impl Attack {
    pub(crate) fn parse(output: &str) -> Self {
        serde_json::from_str(output.lines().last().unwrap()).unwrap()
    }

    pub(crate) fn run(lab: &Lab, arguments: &[&str]) -> Self {
        Self::parse(&lab.exec("path", &[&["python3", ATTACKER], arguments].concat()))
    }
}

/// What attacker.py saw on a LAN.
#[derive(Debug, Deserialize)]
pub(crate) struct Sights {
    pub(crate) strange: Vec<String>,
    pub(crate) twice: u64,
    pub(crate) numbers: Vec<u32>,
    pub(crate) lengths: BTreeMap<usize, u64>,
}

/// Watches what arrives at a host.
pub(crate) fn watch(lab: &Lab, host: &str) -> Running {
    let mut watching = lab.spawn(host, &["python3", ATTACKER, "watch"]);
    assert_eq!(watching.line(), "watching");
    watching
}

pub(crate) fn seen(watching: Running) -> Sights {
    serde_json::from_str(&watching.interrupt()).unwrap()
}

/// The counters of an end that the datagrams of an attack may change: drops by reason, what is no packet of a
/// session's at the QUIC socket, and what the kernel dropped at a full socket.
pub(crate) fn books(lab: &Lab, end: &str) -> BTreeMap<String, u64> {
    let status = lab.status(end);
    let mut books = status.drops;
    // The session's own packets are among these; what begins with `handshake` counts no datagrams.
    let no_packet = |name: &str| name.starts_with("quic_") && name != "quic_datagram";
    books.extend(status.quic.into_iter().filter(|(name, _)| no_packet(name)));
    let sockets = lab.exec(end, &["cat", "/proc/net/udp", "/proc/net/udp6"]);
    let drops = sockets
        .lines()
        .filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok());
    books.insert("kernel".into(), drops.sum());
    books
}

/// Waits until the books show as many datagrams as were sent; what was added, by counter.
#[track_caller]
pub(crate) fn account(
    lab: &Lab,
    end: &str,
    before: &BTreeMap<String, u64>,
    sent: u64,
) -> BTreeMap<String, u64> {
    let mut added = BTreeMap::new();
    let exact = within(PATIENCE, || {
        let after = books(lab, end);
        added = after
            .iter()
            .map(|(name, n)| (name.clone(), n - before[name]))
            .filter(|(_, n)| *n > 0)
            .collect();
        added.values().sum::<u64>() >= sent
    });
    assert!(
        exact && added.values().sum::<u64>() == sent,
        "{end}: {sent} sent, and counted {added:?}"
    );
    added
}

pub(crate) fn of(added: &BTreeMap<String, u64>, names: &[&str]) -> u64 {
    names.iter().filter_map(|name| added.get(*name)).sum()
}
