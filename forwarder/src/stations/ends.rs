//! The two stations of a frame, as tables number them.

use causeway_ebpf::ethernet::{
    EthernetHeader, HEADER_LEN, TPID_CUSTOMER, TPID_SERVICE, is_link_local,
};

use super::StationKey;

/// Where the 48 bits of a MAC address begin in eight bytes that end with two others.
const BEHIND: u32 = 16;

/// The bit that tells a group's address, the lowest of its first byte, in a station's number.
const GROUP: u64 = 1 << 40;

/// Who a frame is from and for: numbers as of [`StationKey`], which cost a load and a shift each where there is no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The station that sent it.
    pub source: u64,
    /// The station that it is for, if that is no group.
    pub destination: u64,
}

impl Ends {
    /// Parses the header of a frame, or `None` if the frame ends before its header does.
    #[inline(always)]
    pub fn parse(frame: &[u8]) -> Option<(Self, EthernetHeader)> {
        let head: &[u8; HEADER_LEN] = frame.first_chunk()?;
        // Each address with the two bytes behind it.
        let (Some(destination), Some(source)) = (head.first_chunk(), head.last_chunk()) else {
            return None;
        };
        let (destination, source) = (
            u64::from_be_bytes(*destination),
            u64::from_be_bytes(*source),
        );
        let ethertype = source as u16;
        if matches!(ethertype, TPID_CUSTOMER | TPID_SERVICE) {
            let header = EthernetHeader::parse(frame)?;
            return Some((Self::from(&header), header));
        }
        let ends = Self {
            source: source >> BEHIND,
            destination: destination >> BEHIND,
        };
        let header = EthernetHeader {
            destination: address(destination),
            source: address(source),
            vlan: 0,
            ethertype,
            len: HEADER_LEN,
        };
        Some((ends, header))
    }

    /// Whether it claims to be from a group.
    #[inline(always)]
    pub const fn from_group(self) -> bool {
        self.source & GROUP != 0
    }

    /// Whether it is for a group: broadcast or multicast.
    #[inline(always)]
    pub const fn to_group(self) -> bool {
        self.destination & GROUP != 0
    }

    /// Whether it is for a group that never leaves its link: no other address is of that kind.
    #[inline(always)]
    pub fn to_link(self) -> bool {
        self.to_group() && self.to_link_group()
    }

    /// Apart, as most frames are to one station.
    #[cold]
    fn to_link_group(self) -> bool {
        let [_, _, mac @ ..] = self.destination.to_be_bytes();
        is_link_local(&mac)
    }
}

/// The first six of eight bytes.
#[inline(always)]
const fn address(bytes: u64) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = bytes.to_be_bytes();
    [a, b, c, d, e, f]
}

impl From<&EthernetHeader> for Ends {
    #[inline(always)]
    fn from(header: &EthernetHeader) -> Self {
        let number = |station: StationKey| u64::from(station);
        Self {
            source: number(header.source_station()),
            destination: number(header.destination_station()),
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_ebpf::cases;

    use super::*;

    /// Frames of every kind, tagged or not, whole and cut.
    #[test]
    fn ends_are_those_of_the_header() {
        for case in cases::all() {
            for length in 0..case.frame.len().min(64) {
                let frame = &case.frame[..length];
                let header = EthernetHeader::parse(frame);
                let expected = header.map(|header| (Ends::from(&header), header));
                assert_eq!(Ends::parse(frame), expected, "{}", case.name);
                let Some((ends, header)) = expected else {
                    continue;
                };
                assert_eq!(ends.source, u64::from(header.source_station()));
                assert_eq!(ends.destination, u64::from(header.destination_station()));
                assert_eq!(ends.from_group(), header.source[0] & 1 == 1);
                assert_eq!(ends.to_group(), header.destination[0] & 1 == 1);
                assert_eq!(ends.to_link(), is_link_local(&header.destination));
            }
        }
    }
}
