//! causeway's own counters along the way.

use causeway::status::{PeerStatus, Status, WorkerStatus};
use causeway_tunnel::DropReason;

use super::Station;

/// Those of the lost datagrams that the receiving socket had no room for.
pub(in crate::compare::measure) const OVERFLOW: &str = "wan_rx_overflow";

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
        R::BadFrameLength | R::VlanNotAllowed | R::FloodPolicy | R::FloodLimit | R::LinkLocal => {
            [Frames, Frames]
        }
        R::KeyWorn => [Frames, Datagrams],
        R::NoStation
        | R::NoListener
        | R::SourceNotOurs
        | R::NoSession
        | R::NoPath
        | R::AnsweredNearby
        | R::NeighbourAtHome
        | R::AskedLately => [Frames, Nothing],
        R::UplinkFull => [Datagrams, Nothing],
        R::MalformedDatagram
        | R::UnknownSpi
        | R::Replayed
        | R::TooOld
        | R::BadTag
        | R::UnknownPayload
        | R::MalformedBundle
        | R::HandoverFull => [Nothing, Datagrams],
        R::Incomplete
        | R::SpoofedSource
        | R::SplitHorizon
        | R::CongestionMarked
        | R::LanMtu
        | R::LanFull => [Nothing, Frames],
    }
}

/// causeway's own counters.
pub(super) fn stations(site: &Status, cloud: &Status) -> Vec<Station> {
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
        let stations = stations(&site, &cloud);
        let total = |of: &[(String, i128)]| of.iter().map(|(_, n)| n).sum::<i128>();
        let station = |name| stations.iter().find(|s| s.name == name).expect("a station");
        // What the site got from the cloud, and the cloud from its LAN, went the other way.
        assert_eq!(total(&station("site tx_frames").losses), 14);
        let tunnel = station("cloud rx_frames");
        assert_eq!(total(&tunnel.losses), 1_100);
        assert_eq!(total(&tunnel.datagrams), 901);
        let names: Vec<_> = tunnel
            .datagrams
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert!(names.contains(&"cloud drop bad_tag") && names.contains(&"site drop uplink_full"));
    }
}
