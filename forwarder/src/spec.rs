//! The small languages of the command line and the configuration file: peers, stations,
//! lists of cores, periods of time.

mod allow;

use std::{fmt, str::FromStr, time::Duration};

use causeway_tunnel::identity::PublicKey;
use serde::Deserialize;

pub use self::allow::AllowSpec;
use crate::stations::StationKey;

/// A value that could not be read; the text says what is wrong and what is wanted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SpecError(String);

impl SpecError {
    /// An error with this text.
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

fn wrong<T>(text: impl Into<String>) -> Result<T, SpecError> {
    Err(SpecError(text.into()))
}

/// A peer: `NAME=PUBKEY[@HOST:PORT]`. With an address we dial it, without we wait for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PeerSpec {
    /// What stations, logs and metrics call it.
    pub name: String,
    /// Its pinned public key.
    pub key: PublicKey,
    /// `HOST:PORT` to dial.
    pub address: Option<String>,
}

impl FromStr for PeerSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let Some((name, rest)) = text.split_once('=') else {
            return wrong(format!("peer '{text}' is not NAME=PUBKEY[@HOST:PORT]"));
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if name.is_empty() || name.len() > 63 || !name.bytes().all(plain) {
            return wrong(format!(
                "peer name '{name}' must be 1 to 63 letters, digits, '-', '_' or '.'"
            ));
        }
        let (key, address) = match rest.split_once('@') {
            Some((key, address)) => (key, Some(checked_host_port(name, address)?)),
            None => (rest, None),
        };
        let key = key
            .parse()
            .map_err(|e| SpecError(format!("public key of peer {name}: {e}")))?;
        Ok(Self {
            name: name.into(),
            key,
            address,
        })
    }
}

fn checked_host_port(name: &str, address: &str) -> Result<String, SpecError> {
    let port = address
        .rsplit_once(':')
        .filter(|(host, _)| !host.is_empty());
    match port.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(1..)) => Ok(address.into()),
        _ => wrong(format!(
            "address '{address}' of peer {name} is not HOST:PORT (IPv6: [ADDR]:PORT)"
        )),
    }
}

/// A station behind a peer: `[VLAN/]MAC=PEER`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct StationSpec {
    /// VLAN and address.
    pub station: StationName,
    /// Name of the peer it lives behind.
    pub peer: String,
}

impl FromStr for StationSpec {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        match text.split_once('=') {
            Some((station, peer)) if !peer.is_empty() => Ok(Self {
                station: station.parse()?,
                peer: peer.into(),
            }),
            _ => wrong(format!(
                "station '{text}' is not [VLAN/]MAC=PEER, such as 00:50:56:01:02:03=cloud1 or 100/00:50:56:01:02:03=cloud1"
            )),
        }
    }
}

/// A station as people write it: `MAC` untagged, `VLAN/MAC` in a VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct StationName(pub StationKey);

impl FromStr for StationName {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (vlan, mac) = match text.split_once('/') {
            Some((vlan, mac)) => (vlan.parse().unwrap_or(u16::MAX), mac),
            None => (0, text),
        };
        if vlan > 4_094 {
            return wrong(format!(
                "VLAN of station '{text}' is not a number from 0 to 4094"
            ));
        }
        Ok(Self(StationKey::new(vlan, parse_station_mac(mac)?)))
    }
}

impl fmt::Display for StationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StationKey { vlan, mac } = self.0;
        if vlan != 0 {
            write!(f, "{vlan}/")?;
        }
        write!(f, "{}", MacName(mac))
    }
}

/// A MAC address, written with colons.
pub struct MacName(pub [u8; 6]);

impl fmt::Display for MacName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Six octets in hexadecimal, separated by `:` or `-`.
///
/// # Errors
///
/// A text that says what is wanted.
pub fn parse_mac(text: &str) -> Result<[u8; 6], SpecError> {
    let mut octets = text.split([':', '-']);
    let mac: [Option<u8>; 6] = std::array::from_fn(|_| {
        let octet = octets
            .next()
            .filter(|o| o.len() == 2 && !o.starts_with('+'))?;
        u8::from_str_radix(octet, 16).ok()
    });
    match mac {
        [Some(a), Some(b), Some(c), Some(d), Some(e), Some(f)] if octets.next().is_none() => {
            Ok([a, b, c, d, e, f])
        }
        _ => wrong(format!(
            "'{text}' is not a MAC address such as 00:50:56:01:02:03"
        )),
    }
}

fn parse_station_mac(text: &str) -> Result<[u8; 6], SpecError> {
    match parse_mac(text)? {
        [first, ..] if first & 1 != 0 => wrong(format!(
            "'{text}' is a group address: a station has a unicast MAC address"
        )),
        [0, 0, 0, 0, 0, 0] => wrong("00:00:00:00:00:00 is no station"),
        mac => Ok(mac),
    }
}

/// A list of cores: `0`, `1,3`, `2-5`, `0,2-3`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct CpuList(pub Vec<usize>);

impl FromStr for CpuList {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            match (first.trim().parse::<usize>(), last.trim().parse::<usize>()) {
                (Ok(first), Ok(last)) if first <= last && last < 4_096 => cpus.extend(first..=last),
                _ => return wrong(format!("'{text}' is not a list of cores such as 0,2-3")),
            }
        }
        Ok(Self(cpus))
    }
}

/// A period of time: a whole number with `ms`, `s`, `m` or `h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let millis = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return wrong(format!("'{text}' is not a time such as 200ms, 120s or 5m")),
        };
        let total = number
            .parse::<u64>()
            .ok()
            .and_then(|n| n.checked_mul(millis));
        match total {
            Some(millis) => Ok(Self(Duration::from_millis(millis))),
            None => wrong(format!("'{text}' is not a time such as 200ms, 120s or 5m")),
        }
    }
}

/// A text in the configuration file is read as one on the command line.
macro_rules! try_from_string {
    ($($type:ty),+) => { $(
        impl TryFrom<String> for $type {
            type Error = SpecError;

            fn try_from(text: String) -> Result<Self, SpecError> {
                text.parse()
            }
        }
    )+ };
}

pub(crate) use try_from_string;

try_from_string!(
    AllowSpec,
    PeerSpec,
    StationSpec,
    StationName,
    CpuList,
    Period
);

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    #[test]
    fn peers() {
        let peer: PeerSpec = format!("cloud1={KEY}@gw.example.net:24500")
            .parse()
            .unwrap();
        assert_eq!(peer.name, "cloud1");
        assert_eq!(peer.key.to_string(), KEY);
        assert_eq!(peer.address.as_deref(), Some("gw.example.net:24500"));
        let peer: PeerSpec = format!("site={KEY}").parse().unwrap();
        assert_eq!(peer.address, None);
        let peer: PeerSpec = format!("c={KEY}@[fd00::1]:1").parse().unwrap();
        assert_eq!(peer.address.as_deref(), Some("[fd00::1]:1"));
        for bad in [
            String::new(),
            "cloud1".into(),
            format!("={KEY}"),
            format!("a b={KEY}"),
            "cloud1=short=".into(),
            format!("c={KEY}@"),
            format!("c={KEY}@host"),
            format!("c={KEY}@host:0"),
            format!("c={KEY}@host:65536"),
            format!("c={KEY}@:1"),
        ] {
            assert!(bad.parse::<PeerSpec>().is_err(), "{bad}");
        }
    }

    #[test]
    fn stations_print_as_they_are_written() {
        for text in [
            "00:50:56:01:02:0f",
            "100/00:50:56:01:02:0f",
            "4094/02:00:00:00:00:01",
        ] {
            let name: StationName = text.parse().unwrap();
            assert_eq!(name.to_string(), text);
        }
        let dashes: StationName = "0/00-50-56-01-02-0F".parse().unwrap();
        assert_eq!(dashes.to_string(), "00:50:56:01:02:0f");
        for bad in [
            "",
            "00:50:56:01:02",
            "00:50:56:01:02:03:04",
            "0:50:56:1:2:3",
            "4095/00:50:56:01:02:03",
            "x/00:50:56:01:02:03",
            "01:50:56:01:02:03",
            "00:00:00:00:00:00",
            "+0:50:56:01:02:03",
        ] {
            assert!(bad.parse::<StationName>().is_err(), "{bad}");
        }
        assert!("00:50:56:01:02:03".parse::<StationSpec>().is_err());
        assert!("00:50:56:01:02:03=".parse::<StationSpec>().is_err());
        assert_eq!(
            "00:50:56:01:02:03=c".parse::<StationSpec>().unwrap().peer,
            "c"
        );
    }

    #[test]
    fn cores_and_periods() {
        assert_eq!("0,2-4".parse(), Ok(CpuList(vec![0, 2, 3, 4])));
        for bad in ["", "a", "3-1", "1,", "0-99999"] {
            assert!(bad.parse::<CpuList>().is_err(), "{bad}");
        }
        assert_eq!("120s".parse(), Ok(Period(Duration::from_secs(120))));
        assert_eq!("250ms".parse(), Ok(Period(Duration::from_millis(250))));
        for bad in [
            "",
            "5",
            "s",
            "1.5s",
            "-1s",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }
}
