//! Ethernet II with up to two VLAN tags.

use crate::{maps::StationKey, packet::Packet};

/// Ethertype of IPv4 (RFC 894).
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// Ethertype of ARP (RFC 826).
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// Ethertype of IPv6 (RFC 2464).
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Tag protocol identifier of IEEE 802.1Q, a customer VLAN tag.
pub const TPID_CUSTOMER: u16 = 0x8100;
/// Tag protocol identifier of IEEE 802.1ad, a service VLAN tag.
pub const TPID_SERVICE: u16 = 0x88a8;

/// Bytes of an Ethernet header without tags: two addresses and an ethertype.
pub const HEADER_LEN: usize = 14;
/// Bytes of one VLAN tag: its TPID and its control information.
pub const TAG_LEN: usize = 4;
/// Tags that are looked through for the ethertype; a third one counts as an ethertype.
pub const MAX_TAGS: usize = 2;

/// The VLAN identifier in a tag's control information (the rest is priority and DEI).
const VID_MASK: u16 = 0x0fff;

/// Where a frame goes to, comes from, and what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Destination address.
    pub destination: [u8; 6],
    /// Source address.
    pub source: [u8; 6],
    /// VID of the outermost tag that has one: a priority tag (VID 0, IEEE 802.1Q section 6.9) names no VLAN, and the tag behind
    /// it does. 0 if there is none.
    pub vlan: u16,
    /// Ethertype (or IEEE 802.3 length) behind up to [`MAX_TAGS`] tags.
    pub ethertype: u16,
    /// Bytes of this header with its tags: 14, 18 or 22. The payload starts there.
    pub len: usize,
}

impl EthernetHeader {
    /// Parses the header of `packet`, or `None` if the frame ends before its header does.
    #[inline(always)]
    pub fn parse<P: Packet + ?Sized>(packet: &P) -> Option<Self> {
        let mut header = Self {
            destination: packet.load(0)?,
            source: packet.load(6)?,
            vlan: 0,
            ethertype: packet.load_u16(12)?,
            len: HEADER_LEN,
        };
        if is_tag(header.ethertype) {
            header.vlan = packet.load_u16(14)? & VID_MASK;
            header.ethertype = packet.load_u16(16)?;
            header.len = HEADER_LEN + TAG_LEN;
            if is_tag(header.ethertype) {
                if header.vlan == 0 {
                    header.vlan = packet.load_u16(18)? & VID_MASK;
                }
                header.ethertype = packet.load_u16(20)?;
                header.len = HEADER_LEN + MAX_TAGS * TAG_LEN;
            }
        }
        Some(header)
    }

    /// The station that sent the frame.
    #[inline(always)]
    pub const fn source_station(&self) -> StationKey {
        StationKey::new(self.vlan, self.source)
    }

    /// The station that the frame is for. Only meaningful if it is not a [group](is_group).
    #[inline(always)]
    pub const fn destination_station(&self) -> StationKey {
        StationKey::new(self.vlan, self.destination)
    }
}

#[inline(always)]
const fn is_tag(ethertype: u16) -> bool {
    matches!(ethertype, TPID_CUSTOMER | TPID_SERVICE)
}

/// Whether `mac` is a group address: multicast or broadcast (IEEE 802: the I/G bit).
#[inline(always)]
pub const fn is_group(mac: &[u8; 6]) -> bool {
    mac[0] & 1 == 1
}

/// Whether frames to `mac` belong to one link and must never cross to another.
///
/// These are the reserved addresses of IEEE 802.1Q table 8-1, 01:80:C2:00:00:00 to 0F (STP,
/// pause, LACP, LLDP, 802.1X, …), and the two by which Cisco switches do the same: CDP and
/// VTP (01:00:0C:CC:CC:CC) and the per-VLAN spanning tree (01:00:0C:CC:CC:CD).
#[inline(always)]
pub const fn is_link_local(mac: &[u8; 6]) -> bool {
    match mac {
        [0x01, 0x80, 0xc2, 0x00, 0x00, last] => *last <= 0x0f,
        [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc | 0xcd] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{EthernetHeader, is_link_local};

    const ADDRESSES: [u8; 12] = [1, 2, 3, 4, 5, 6, 0xa, 0xb, 0xc, 0xd, 0xe, 0xf];

    fn parse(behind_addresses: &[u8]) -> Option<EthernetHeader> {
        EthernetHeader::parse(&[&ADDRESSES[..], behind_addresses].concat()[..])
    }

    #[test]
    fn finds_vlan_ethertype_and_length() {
        let table: &[(&[u8], u16, u16, usize)] = &[
            (&[0x08, 0x00], 0, 0x0800, 14),
            (&[0x81, 0x00, 0xe0, 0x00, 0x08, 0x06], 0, 0x0806, 18),
            (&[0x81, 0x00, 0xff, 0xff, 0x86, 0xdd], 4095, 0x86dd, 18),
            (
                &[0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x00, 0x0a, 0x08, 0x06],
                100,
                0x0806,
                22,
            ),
            (
                &[0x81, 0x00, 0xe0, 0x00, 0x81, 0x00, 0x20, 0x0a, 0x08, 0x06],
                10,
                0x0806,
                22,
            ),
        ];
        for &(bytes, vlan, ethertype, len) in table {
            let header = parse(bytes).expect("long enough");
            assert_eq!(
                (header.vlan, header.ethertype, header.len),
                (vlan, ethertype, len)
            );
            assert_eq!(header.destination, [1, 2, 3, 4, 5, 6]);
            assert_eq!(header.source, [0xa, 0xb, 0xc, 0xd, 0xe, 0xf]);
            assert_eq!(parse(&bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn a_third_tag_is_an_ethertype() {
        let tag = [0x81, 0x00, 0x00, 0x07];
        let header = parse(&[&tag[..], &tag, &tag, &[8, 0]].concat()).expect("long enough");
        assert_eq!((header.vlan, header.ethertype, header.len), (7, 0x8100, 22));
    }

    #[test]
    fn link_local_ends_at_0f() {
        assert!(is_link_local(&[0x01, 0x80, 0xc2, 0, 0, 0x00]));
        assert!(is_link_local(&[0x01, 0x80, 0xc2, 0, 0, 0x0f]));
        assert!(!is_link_local(&[0x01, 0x80, 0xc2, 0, 0, 0x10]));
        assert!(!is_link_local(&[0x01, 0x80, 0xc2, 0, 1, 0x00]));
        assert!(is_link_local(&[0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd]));
        assert!(!is_link_local(&[0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xce]));
    }
}
