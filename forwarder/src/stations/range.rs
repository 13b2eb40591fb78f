//! Ranges of stations: what a site is willing to learn from a cloud.

use std::{fmt, str::FromStr};

use causeway_tunnel::message::AllowedRange;

use super::StationKey;
use crate::spec::{MacName, SpecError, parse_mac};

/// Ranges that one peer may have in the configuration.
pub const MAX_RANGES: usize = 64;

/// Ranges that are taken from a peer: translated VLANs take a range to pieces.
pub const MAX_WIRE_RANGES: usize = 1_024;

/// Largest VLAN identifier (IEEE 802.1Q: 4,095 is reserved).
const LAST_VLAN: u16 = 4_094;

/// Bits of a MAC address.
const MAC_BITS: u8 = 48;

/// Addresses with a common start, in VLANs that follow each other.
///
/// Written `[VLANS/]MAC[/BITS]`, where VLANS is `7`, `100-199` or `*`; without it untagged, without BITS one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StationRange {
    first_vlan: u16,
    last_vlan: u16,
    /// The common bits; the others are zero.
    prefix: u64,
    bits: u8,
}

impl StationRange {
    /// A range; `None` if there is none such: more than 48 bits, or VLANs that are none.
    pub fn new(vlans: (u16, u16), mac: [u8; 6], bits: u8) -> Option<Self> {
        let (first_vlan, last_vlan) = vlans;
        let is_range = bits <= MAC_BITS && first_vlan <= last_vlan && last_vlan <= LAST_VLAN;
        is_range.then(|| Self {
            first_vlan,
            last_vlan,
            prefix: number(mac) & mask(bits),
            bits,
        })
    }

    /// Whether the station is in the range.
    pub fn covers(&self, station: StationKey) -> bool {
        (self.first_vlan..=self.last_vlan).contains(&station.vlan)
            && number(station.mac) & mask(self.bits) == self.prefix
    }

    /// Whether a station can be in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let common = mask(self.bits.min(other.bits));
        self.first_vlan <= other.last_vlan
            && other.first_vlan <= self.last_vlan
            && self.prefix & common == other.prefix & common
    }

    /// The same addresses without a tag, if the range has the VLAN `native` and not the untagged.
    pub fn untagged(&self, native: u16) -> Option<Self> {
        let vlans = self.first_vlan..=self.last_vlan;
        (vlans.contains(&native) && !vlans.contains(&0)).then_some(Self {
            first_vlan: 0,
            last_vlan: 0,
            ..*self
        })
    }

    /// The ranges that this one is with other names of its VLANs; those without a name are left out.
    pub fn renamed(&self, name: impl Fn(u16) -> Option<u16>) -> Vec<Self> {
        let mut names: Vec<_> = (self.first_vlan..=self.last_vlan)
            .filter_map(name)
            .collect();
        names.sort_unstable();
        names.dedup();
        let runs = names.chunk_by(|a, b| a + 1 == *b);
        let range = |run: &[u16]| Self {
            first_vlan: run[0],
            last_vlan: run[run.len() - 1],
            ..*self
        };
        runs.map(range).collect()
    }

    fn mac(&self) -> [u8; 6] {
        let [_, _, mac @ ..] = self.prefix.to_be_bytes();
        mac
    }
}

fn number([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// The first `bits` of 48.
fn mask(bits: u8) -> u64 {
    let free = u32::from(MAC_BITS - bits);
    (1_u64 << MAC_BITS) - (1_u64 << free)
}

impl From<StationRange> for AllowedRange {
    fn from(range: StationRange) -> Self {
        Self {
            first_vlan: range.first_vlan,
            last_vlan: range.last_vlan,
            mac: range.mac(),
            bits: range.bits,
        }
    }
}

/// A range as a peer names it: `Err` if it is none.
impl TryFrom<AllowedRange> for StationRange {
    type Error = ();

    fn try_from(range: AllowedRange) -> Result<Self, ()> {
        let vlans = (range.first_vlan, range.last_vlan);
        Self::new(vlans, range.mac, range.bits).ok_or(())
    }
}

impl FromStr for StationRange {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let (vlans, rest) = match text.split_once('/') {
            // A MAC address has colons or dashes in it five times, VLANs a dash at most.
            Some((first, rest)) if first.len() <= 9 && !first.contains(':') => {
                (parse_vlans(first), rest)
            }
            _ => (Some((0, 0)), text),
        };
        let (mac, bits) = match rest.split_once('/') {
            Some((mac, bits)) => (mac, bits.parse().ok()),
            None => (rest, Some(MAC_BITS)),
        };
        let wrong = |why: &str| SpecError::new(format!("range '{text}': {why}"));
        let vlans = vlans.ok_or_else(|| wrong("VLANs are 7, 100-199 or *, from 0 to 4094"))?;
        let mac = parse_mac(mac).map_err(|e| wrong(&e.to_string()))?;
        let bits = bits.filter(|bits| *bits <= MAC_BITS);
        let bits = bits.ok_or_else(|| wrong("the bits behind the / are a number from 0 to 48"))?;
        if number(mac) & !mask(bits) != 0 {
            return Err(wrong(&format!(
                "the address has more than its first {bits} bits: write zeros behind them"
            )));
        }
        Self::new(vlans, mac, bits)
            .ok_or_else(|| wrong("the last VLAN is below the first, or above 4094"))
    }
}

fn parse_vlans(text: &str) -> Option<(u16, u16)> {
    if text == "*" {
        return Some((0, LAST_VLAN));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}

impl fmt::Display for StationRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first_vlan, self.last_vlan) {
            (0, 0) => {}
            (0, LAST_VLAN) => write!(f, "*/")?,
            (first, last) if first == last => write!(f, "{first}/")?,
            (first, last) => write!(f, "{first}-{last}/")?,
        }
        write!(f, "{}/{}", MacName(self.mac()), self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &str) -> StationRange {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_print_as_they_are_written() {
        for text in [
            "00:50:56:00:00:00/24",
            "7/00:50:56:80:00:00/25",
            "100-199/00:00:00:00:00:00/0",
            "*/00:50:56:01:02:03/48",
        ] {
            assert_eq!(range(text).to_string(), text);
        }
        assert_eq!(
            range("0-4094/00-50-56-01-02-03").to_string(),
            "*/00:50:56:01:02:03/48"
        );
    }

    #[test]
    fn what_is_no_range_is_refused_with_a_reason() {
        for (bad, why) in [
            ("", "not a MAC address"),
            ("00:50:56/24", "not a MAC address"),
            ("00:50:56:00:00:00/49", "from 0 to 48"),
            ("00:50:56:00:00:00/x", "from 0 to 48"),
            ("00:50:56:00:00:01/24", "write zeros"),
            ("4095/00:50:56:00:00:00/24", "above 4094"),
            ("9-3/00:50:56:00:00:00/24", "below the first"),
            ("x/00:50:56:00:00:00/24", "VLANs are"),
            ("1-2-3/00:50:56:00:00:00/24", "VLANs are"),
        ] {
            let error = bad.parse::<StationRange>().unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn a_range_covers_what_begins_like_it() {
        let key = |vlan, last: [u8; 3]| {
            let [a, b, c] = last;
            StationKey::new(vlan, [0, 0x50, 0x56, a, b, c])
        };
        let some = range("100-199/00:50:56:80:00:00/25");
        assert!(some.covers(key(100, [0x80, 0, 0])) && some.covers(key(199, [0xff, 0xff, 0xff])));
        assert!(!some.covers(key(99, [0x80, 0, 0])) && !some.covers(key(100, [0x7f, 0xff, 0xff])));
        assert!(range("*/00:00:00:00:00:00/0").covers(key(4_094, [1, 2, 3])));
        let one = range("00:50:56:01:02:03");
        assert!(one.covers(key(0, [1, 2, 3])) && !one.covers(key(0, [1, 2, 4])));
        assert!(some.overlaps(&range("150/00:50:56:00:00:00/24")));
        assert!(!some.overlaps(&range("150/00:50:56:00:00:00/25")) && !some.overlaps(&one));
    }

    #[test]
    fn vlans_have_other_names_on_the_way() {
        let some = range("10-14/00:50:56:00:00:00/24");
        let name = |vlan| match vlan {
            11 => Some(111),
            13 => None,
            other => Some(other),
        };
        let names: Vec<_> = some.renamed(name).iter().map(ToString::to_string).collect();
        let wanted = ["10/", "12/", "14/", "111/"].map(|v| format!("{v}00:50:56:00:00:00/24"));
        assert_eq!(names, wanted);
        assert_eq!(some.renamed(Some), [some]);
        assert_eq!(some.untagged(12), Some(range("00:50:56:00:00:00/24")));
        assert_eq!(some.untagged(9), None);
    }

    #[test]
    fn what_a_peer_names_is_checked() {
        let wire = AllowedRange::from(range("7/00:50:56:00:00:00/24"));
        assert_eq!(
            StationRange::try_from(wire),
            Ok(range("7/00:50:56:00:00:00/24"))
        );
        for bad in [
            AllowedRange { bits: 49, ..wire },
            AllowedRange {
                last_vlan: 4_095,
                ..wire
            },
            AllowedRange {
                first_vlan: 8,
                ..wire
            },
        ] {
            assert!(StationRange::try_from(bad).is_err(), "{bad:?}");
        }
    }
}
