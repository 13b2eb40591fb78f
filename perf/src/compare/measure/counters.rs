//! The counters that a frame passes: causeway's own, or those of the kernel's interfaces.

use causeway::status::{PeerStatus, Status, WorkerStatus};
use causeway_tunnel::DropReason;

use crate::{
    compare::{
        peer::{Peer, Setup},
        peers::causeway as ends,
    },
    error::Result,
    interrupt,
    rig::Side,
    traffic::Link,
};

/// causeway reads the kernel's counters four times a second.
const STATUS_AGE: std::time::Duration = std::time::Duration::from_millis(350);

/// What a drop counter of causeway counts of frames that go from the site to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Frames,
    /// Each with an unknown number of frames.
    Datagrams,
    /// Nothing of this direction.
    Nothing,
}

/// What a reason counts at the site (frames from the LAN, datagrams to the uplink), and at the cloud (datagrams from the
/// uplink, frames to the LAN). A new reason does not compile before it has its place here.
const fn counted(reason: DropReason) -> [Unit; 2] {
    use DropReason as R;
    use Unit::{Datagrams, Frames, Nothing};
    match reason {
        R::BadFrameLength => [Frames, Frames],
        R::KeyWorn => [Frames, Datagrams],
        R::NoStation | R::SourceNotOurs | R::NoSession | R::NoPath | R::FloodLimit => {
            [Frames, Nothing]
        }
        R::UplinkFull => [Datagrams, Nothing],
        R::MalformedDatagram
        | R::UnknownSpi
        | R::Replayed
        | R::TooOld
        | R::BadTag
        | R::UnknownPayload
        | R::MalformedBundle => [Nothing, Datagrams],
        R::Incomplete
        | R::SpoofedSource
        | R::SplitHorizon
        | R::LinkLocal
        | R::LanMtu
        | R::LanFull => [Nothing, Frames],
    }
}

/// A counter on the way, in the order of the way, and what was lost on the way to it by counters of losses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Station {
    pub(super) name: &'static str,
    pub(super) frames: i128,
    pub(super) losses: Vec<(String, i128)>,
    /// Datagrams lost on the way to it, each with an unknown number of frames.
    pub(super) datagrams: Vec<(String, i128)>,
}

/// The counters along the way, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Counters(pub(super) Vec<Station>);

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
        datagrams: Vec::new(),
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
    let drops = |status: &Status, end: usize, unit: Unit| {
        let reasons = DropReason::ALL.iter();
        let reasons = reasons.filter(|reason| counted(**reason)[end] == unit);
        let named = reasons.map(|reason| {
            let n = status.drops.get(reason.label()).copied().unwrap_or(0);
            (format!("{} drop {reason}", status.role), i128::from(n))
        });
        named.collect::<Vec<_>>()
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
    let lost = sum(&site.workers, "wan_tx_datagrams") - sum(&cloud.workers, "wan_rx_datagrams");
    let mut datagrams = vec![
        ("lost".into(), lost),
        (OVERFLOW.into(), sum(&cloud.workers, OVERFLOW)),
    ];
    datagrams.extend(drops(site, 0, Unit::Datagrams));
    datagrams.extend(drops(cloud, 1, Unit::Datagrams));
    let station = |name, frames, losses| Station {
        name,
        frames,
        losses,
        datagrams: Vec::new(),
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
            drops(site, 0, Unit::Frames),
        ),
        Station {
            name: "cloud rx_frames",
            frames: frames(cloud, |peer| peer.rx_frames),
            losses: drops(cloud, 1, Unit::Frames),
            datagrams,
        },
        station(
            "cloud lan_tx_frames",
            sum(&cloud.workers, "lan_tx_frames"),
            vec![named(cloud, "xsk_tx_invalid")],
        ),
    ]
}

/// Those of the lost datagrams that the receiving socket had no room for.
pub(super) const OVERFLOW: &str = "wan_rx_overflow";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_not_frames() {
        let mut site = Status {
            role: "site".into(),
            ..Status::default()
        };
        let mut cloud = Status {
            role: "cloud".into(),
            ..Status::default()
        };
        for reason in DropReason::ALL {
            site.drops.insert(reason.label().into(), 1);
            cloud.drops.insert(reason.label().into(), 100);
        }
        let stations = of_causeway(&site, &cloud);
        let total = |of: &[(String, i128)]| of.iter().map(|(_, n)| n).sum::<i128>();
        let station = |name| stations.iter().find(|s| s.name == name).expect("a station");
        // What the site got from the cloud, and the cloud from its LAN, went the other way.
        assert_eq!(total(&station("site tx_frames").losses), 7);
        let tunnel = station("cloud rx_frames");
        assert_eq!(total(&tunnel.losses), 700);
        assert_eq!(total(&tunnel.datagrams), 801);
        let names: Vec<_> = tunnel
            .datagrams
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert!(names.contains(&"cloud drop bad_tag") && names.contains(&"site drop uplink_full"));
    }

    #[test]
    fn lines_of_snmp() {
        let text = "Ip: A B\nIp: 1 2\nUdp: InDatagrams RcvbufErrors\nUdp: 5 3\n";
        assert_eq!(snmp(text, "Udp:", "RcvbufErrors"), Some(3));
        assert_eq!(snmp(text, "Udp:", "Nonesuch"), None);
    }
}
