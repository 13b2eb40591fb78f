//! The counters that a frame passes: causeway's own, or those of the kernel's interfaces.

mod causeway;

pub(super) use self::causeway::OVERFLOW;
use crate::{
    compare::{
        peer::{Peer, Setup},
        peers::causeway as ends,
    },
    error::Result,
    rig::Side,
    traffic::Link,
};

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
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counters(pub(super) Vec<Station>);

impl Counters {
    /// Reads them all. causeway's of the kernel's counters are up to 250 ms old.
    ///
    /// # Errors
    ///
    /// A gateway does not answer.
    pub(crate) fn read(peer: Option<&dyn Peer>, on: &Setup<'_>) -> Result<Self> {
        let Some(peer) = peer else {
            return Ok(Self(Vec::new()));
        };
        if peer.counts_frames() {
            let (site, cloud) = (ends::status(on, Side::A)?, ends::status(on, Side::B)?);
            return Ok(Self(causeway::stations(&site, &cloud)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_snmp() {
        let text = "Ip: A B\nIp: 1 2\nUdp: InDatagrams RcvbufErrors\nUdp: 5 3\n";
        assert_eq!(snmp(text, "Udp:", "RcvbufErrors"), Some(3));
        assert_eq!(snmp(text, "Udp:", "Nonesuch"), None);
    }
}
