//! Where the frames of a run went: from counter to counter along their way, to the frame.

use std::fmt;

use causeway::status::{PeerStatus, Status, WorkerStatus};

use crate::{
    compare::{
        peer::{Peer, Setup},
        peers::causeway as ends,
    },
    error::Result,
    interrupt,
    rig::Side,
    traffic::{Link, live::Sent},
};

/// causeway reads the kernel's counters four times a second.
const STATUS_AGE: std::time::Duration = std::time::Duration::from_millis(350);

/// Reasons of causeway that are about frames coming from the tunnel; those from the LAN drop before `tx_frames`.
const AFTER_TX: [&str; 14] = [
    "uplink_full",
    "malformed_datagram",
    "unknown_spi",
    "replayed",
    "too_old",
    "bad_tag",
    "unknown_payload",
    "malformed_bundle",
    "incomplete",
    "spoofed_source",
    "split_horizon",
    "link_local",
    "lan_mtu",
    "lan_full",
];

/// A counter on the way, in the order of the way, and what was lost on the way to it by counters of losses.
#[derive(Clone, Debug, PartialEq)]
struct Station {
    name: &'static str,
    frames: i128,
    losses: Vec<(String, i128)>,
}

/// The counters along the way, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Counters(Vec<Station>);

impl Counters {
    /// Reads them all. Nothing may be under way.
    ///
    /// # Errors
    ///
    /// A gateway does not answer.
    pub(crate) fn read(peer: Option<&dyn Peer>, on: &Setup<'_>) -> Result<Self> {
        let Some(peer) = peer else {
            return Ok(Self(Vec::new()));
        };
        if peer.counts_frames() {
            interrupt::sleep(STATUS_AGE)?;
            let (site, cloud) = (ends::status(on, Side::A)?, ends::status(on, Side::B)?);
            return Ok(Self(of_causeway(&site, &cloud)));
        }
        of_interfaces(peer, on).map(Self)
    }
}

/// The kernel's counters of the interfaces that a frame passes. A drop on reception is counted behind `rx`; that of a veth
/// is its other end's drop on transmission as well, and not counted again.
fn of_interfaces(peer: &dyn Peer, on: &Setup<'_>) -> Result<Vec<Station>> {
    let info =
        |side, interface: &str| Link::new(on.rig.gateway(side).netns().name(), interface).info();
    let station = |name, frames: u64, losses: &[(&str, u64)]| Station {
        name,
        frames: frames.into(),
        losses: losses
            .iter()
            .map(|(name, n)| ((*name).into(), (*n).into()))
            .collect(),
    };
    let (lan_a, lan_b) = (info(Side::A, "lan")?, info(Side::B, "lan")?);
    let behind_lan = ("dropped behind gwA's lan", lan_a.rx_dropped);
    let mut way = vec![station("gwA lan rx", lan_a.rx_frames, &[])];
    let mut last = vec![("dropped into gwB's lan", lan_b.tx_dropped)];
    if let Some(port) = peer.port() {
        let (port_a, port_b) = (info(Side::A, port)?, info(Side::B, port)?);
        let lost = [
            behind_lan,
            ("dropped into gwA's tunnel port", port_a.tx_dropped),
        ];
        way.push(station("gwA tunnel port tx", port_a.tx_frames, &lost));
        let mut lost = vec![
            (
                "dropped at gwA's UDP socket",
                udp(on, Side::A, "SndbufErrors")?,
            ),
            (
                "dropped at gwB's UDP socket",
                udp(on, Side::B, "RcvbufErrors")?,
            ),
        ];
        if !port_b.is_veth {
            lost.push(("dropped at gwB's tunnel port", port_b.rx_dropped));
        }
        way.push(station("gwB tunnel port rx", port_b.rx_frames, &lost));
    } else {
        last.insert(0, behind_lan);
    }
    way.push(station("gwB lan tx", lan_b.tx_frames, &last));
    Ok(way)
}

/// A counter of a gateway's UDP sockets, whose datagrams hold a frame each with most peers.
fn udp(on: &Setup<'_>, side: Side, name: &str) -> Result<u64> {
    let tool = on.rig.gateway(side).netns().tool("cat");
    let text = tool.arg("/proc/net/snmp").run()?;
    Ok(snmp(&text, "Udp:", name).unwrap_or(0))
}

/// A value of /proc/net/snmp: a line of names, and a line of values below it.
fn snmp(text: &str, protocol: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(protocol));
    let (names, values) = (lines.next()?, lines.next()?);
    let mut pairs = names.split_whitespace().zip(values.split_whitespace());
    let (_, value) = pairs.find(|(n, _)| *n == name)?;
    value.parse().ok()
}

/// causeway's own counters.
fn of_causeway(site: &Status, cloud: &Status) -> Vec<Station> {
    let sum = |workers: &[WorkerStatus], name: &str| {
        let values = workers
            .iter()
            .filter_map(|worker| worker.counters.get(name));
        values.map(|value| i128::from(*value)).sum::<i128>()
    };
    let named = |status: &Status, name: &str| {
        (
            format!("{} {name}", status.role),
            sum(&status.workers, name),
        )
    };
    let drops = |status: &Status, after_tx: bool| {
        let drops = status.drops.iter();
        let drops = drops.filter(|(name, _)| AFTER_TX.contains(&name.as_str()) == after_tx);
        let role = &status.role;
        let drops = drops.map(|(name, n)| (format!("{role} drop {name}"), i128::from(*n)));
        drops.collect::<Vec<_>>()
    };
    let verdicts = |taken: bool| {
        let verdicts = site.verdicts.iter();
        let verdicts =
            verdicts.filter(|(name, _)| matches!(name.as_str(), "tunnel" | "flood") == taken);
        let verdicts = verdicts.map(|(name, n)| (format!("verdict {name}"), i128::from(*n)));
        verdicts.collect::<Vec<_>>()
    };
    let total = |of: &[(String, i128)]| of.iter().map(|(_, n)| n).sum::<i128>();
    let frames = |status: &Status, pick: fn(&PeerStatus) -> u64| {
        status
            .peers
            .iter()
            .map(|peer| i128::from(pick(peer)))
            .sum::<i128>()
    };
    let datagrams =
        sum(&site.workers, "wan_tx_datagrams") - sum(&cloud.workers, "wan_rx_datagrams");
    let mut tunnel = drops(cloud, true);
    tunnel.extend(drops(site, true));
    tunnel.push((DATAGRAMS.into(), datagrams));
    tunnel.push((OVERFLOW.into(), sum(&cloud.workers, OVERFLOW)));
    let station = |name, frames, losses| Station {
        name,
        frames,
        losses,
    };
    vec![
        station(
            "site XDP verdicts",
            total(&verdicts(true)) + total(&verdicts(false)),
            vec![],
        ),
        station(
            "site tunnel and flood verdicts",
            total(&verdicts(true)),
            verdicts(false),
        ),
        station(
            "site lan_rx_frames",
            sum(&site.workers, "lan_rx_frames"),
            vec![
                named(site, "xsk_rx_ring_full"),
                named(site, "xsk_rx_dropped"),
            ],
        ),
        station(
            "site tx_frames",
            frames(site, |peer| peer.tx_frames),
            drops(site, false),
        ),
        station(
            "cloud rx_frames",
            frames(cloud, |peer| peer.rx_frames),
            tunnel,
        ),
        station(
            "cloud lan_tx_frames",
            sum(&cloud.workers, "lan_tx_frames"),
            vec![named(cloud, "xsk_tx_invalid")],
        ),
    ]
}

/// Datagrams between two counters, each with an unknown number of frames.
const DATAGRAMS: &str = "lost datagrams";

/// Those of them that the receiving socket had no room for.
const OVERFLOW: &str = "wan_rx_overflow";

/// Where the frames of one run went.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    offered: i128,
    delivered: i128,
    losses: Vec<(String, i128)>,
    gaps: Vec<(&'static str, &'static str, i128)>,
}

impl Ledger {
    /// From what was sent and what arrived, and the counters before and after.
    pub(crate) fn new(sent: Sent, delivered: u64, before: &Counters, after: &Counters) -> Self {
        let mut ledger = Self {
            offered: i128::from(sent.frames + sent.refused),
            delivered: delivered.into(),
            losses: vec![("refused by dc's link".into(), sent.refused.into())],
            gaps: Vec::new(),
        };
        let (mut at, mut frames) = ("generator", i128::from(sent.frames));
        for (before, after) in before.0.iter().zip(&after.0) {
            let here = after.frames - before.frames;
            let losses = difference(&before.losses, &after.losses);
            ledger.pass(at, frames, after.name, here, losses);
            (at, frames) = (after.name, here);
        }
        ledger.pass(at, frames, "sink", delivered.into(), Vec::new());
        ledger.losses.retain(|(_, n)| *n != 0);
        ledger
    }

    fn pass(
        &mut self,
        from: &'static str,
        sent: i128,
        to: &'static str,
        came: i128,
        mut losses: Vec<(String, i128)>,
    ) {
        let mut take = |wanted: &str| {
            let at = losses.iter().position(|(name, _)| name == wanted);
            at.map_or(0, |at| losses.remove(at).1)
        };
        let (datagrams, overflow) = (take(DATAGRAMS), take(OVERFLOW));
        let missing = sent - came - losses.iter().map(|(_, n)| n).sum::<i128>();
        self.losses.append(&mut losses);
        if missing > 0 && datagrams > 0 {
            let name = format!(
                "in {datagrams} datagrams lost between {from} and {to} (of them {OVERFLOW} {overflow})"
            );
            self.losses.push((name, missing));
        } else if missing != 0 {
            self.gaps.push((from, to, missing));
        }
    }

    /// Frames that no counter tells of, or that are counted twice.
    pub(crate) fn unaccounted(&self) -> u64 {
        let gaps = self.gaps.iter().map(|(_, _, n)| n.unsigned_abs());
        gaps.sum::<u128>() as u64
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lost: i128 = self.losses.iter().map(|(_, n)| n).sum();
        let missing: i128 = self.gaps.iter().map(|(_, _, n)| n).sum();
        write!(
            f,
            "offered {} = delivered {} + named losses {lost} + unaccounted {missing}",
            self.offered, self.delivered
        )?;
        for (name, frames) in &self.losses {
            write!(f, "; {name} {frames}")?;
        }
        for (from, to, frames) in &self.gaps {
            write!(f, "; unaccounted between {from} and {to} {frames}")?;
        }
        Ok(())
    }
}

fn difference(before: &[(String, i128)], after: &[(String, i128)]) -> Vec<(String, i128)> {
    let old = |name: &str| {
        before
            .iter()
            .find(|(n, _)| n == name)
            .map_or(0, |(_, n)| *n)
    };
    let after = after.iter();
    after
        .map(|(name, n)| (name.clone(), n - old(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    type Row<'a> = (&'static str, i128, &'a [(&'a str, i128)]);

    fn counters(rows: &[Row<'_>]) -> Counters {
        let station = |(name, frames, losses): &Row<'_>| Station {
            name,
            frames: *frames,
            losses: losses.iter().map(|(n, l)| ((*n).into(), *l)).collect(),
        };
        Counters(rows.iter().map(station).collect())
    }

    fn sent(frames: u64, refused: u64) -> Sent {
        Sent {
            frames,
            refused,
            elapsed: Duration::from_secs(1),
        }
    }

    #[test]
    fn all_frames_found() {
        let before = counters(&[("in", 7, &[]), ("out", 5, &[("full", 2)])]);
        let after = counters(&[("in", 107, &[]), ("out", 85, &[("full", 22)])]);
        let ledger = Ledger::new(sent(100, 10), 80, &before, &after);
        assert_eq!(ledger.unaccounted(), 0);
        assert_eq!(
            ledger.to_string(),
            "offered 110 = delivered 80 + named losses 30 + unaccounted 0; refused by dc's link 10; full 20"
        );
    }

    #[test]
    fn missing_and_surplus_frames_are_located() {
        let before = counters(&[("in", 0, &[]), ("out", 0, &[])]);
        let after = counters(&[("in", 97, &[]), ("out", 98, &[])]);
        let ledger = Ledger::new(sent(100, 0), 98, &before, &after);
        assert_eq!(ledger.unaccounted(), 4);
        let text = ledger.to_string();
        assert!(text.contains("between generator and in 3"), "{text}");
        assert!(text.contains("between in and out -1"), "{text}");
    }

    #[test]
    fn frames_of_lost_datagrams_are_not_unaccounted() {
        let before = counters(&[
            ("in", 0, &[]),
            ("out", 0, &[("bad", 0), (DATAGRAMS, 0), (OVERFLOW, 0)]),
        ]);
        let after = counters(&[
            ("in", 100, &[]),
            ("out", 70, &[("bad", 2), (DATAGRAMS, 4), (OVERFLOW, 3)]),
        ]);
        let ledger = Ledger::new(sent(100, 0), 70, &before, &after);
        assert_eq!(ledger.unaccounted(), 0);
        let text = ledger.to_string();
        assert!(
            text.contains("in 4 datagrams lost between in and out (of them wan_rx_overflow 3) 28"),
            "{text}"
        );
    }

    #[test]
    fn lines_of_snmp() {
        let text = "Ip: A B\nIp: 1 2\nUdp: InDatagrams RcvbufErrors\nUdp: 5 3\n";
        assert_eq!(snmp(text, "Udp:", "RcvbufErrors"), Some(3));
        assert_eq!(snmp(text, "Udp:", "Nonesuch"), None);
    }
}
