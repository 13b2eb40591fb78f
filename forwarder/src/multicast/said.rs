//! What IGMP and MLD messages say: versions 1 to 3 (RFC 1112, 2236, 3376) and 1 to 2 (RFC 2710, 3810).
//!
//! Sources are not told apart: who wants a group from some sources wants it.

use causeway_ebpf::{
    ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader},
    packet::Packet as _,
};

/// One thing that a message says; groups by their MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// Who listens? There is a querier.
    Query,
    /// The sender listens to the group.
    Joined([u8; 6]),
    /// The sender does so no more; others may.
    Left([u8; 6]),
}

const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const IPV6_HEADER: usize = 40;

/// A message: where it begins, and how long its addresses are.
struct Message<'a> {
    bytes: &'a [u8],
    address: usize,
    /// Whether its sender has an address that a querier may have.
    may_query: bool,
}

/// Tells everything that a frame says of groups, as far as it goes; nothing if it is no sound message.
pub fn read(frame: &[u8], tell: &mut impl FnMut(Said)) {
    let Some(message) = find(frame) else { return };
    let bytes = message.bytes;
    let group = |at: usize| bytes.get(at..at + message.address).map(mac_of);
    // The address stands behind the checksum (IGMP), or behind that and a delay (MLD).
    let at = if message.address == 4 { 4 } else { 8 };
    match (bytes.first(), message.address) {
        (Some(0x11), 4) | (Some(130), 16) if message.may_query => tell(Said::Query),
        (Some(0x12 | 0x16), 4) | (Some(131), 16) => {
            group(at).into_iter().for_each(|g| tell(Said::Joined(g)))
        }
        (Some(0x17), 4) | (Some(132), 16) => {
            group(at).into_iter().for_each(|g| tell(Said::Left(g)))
        }
        (Some(0x22), 4) | (Some(143), 16) => records(&message, tell),
        _ => {}
    }
}

/// Whether the frame says who listens, rather than asks.
pub(super) fn is_report(frame: &[u8]) -> bool {
    find(frame).is_some_and(|message| {
        let kind = message.bytes.first().copied();
        matches!(
            (kind, message.address),
            (Some(0x12 | 0x16 | 0x17 | 0x22), 4) | (Some(131 | 132 | 143), 16)
        )
    })
}

/// The group records of a report of the newer version of either protocol: the same but for the addresses.
fn records(message: &Message<'_>, tell: &mut impl FnMut(Said)) {
    let (bytes, address) = (message.bytes, message.address);
    let Some(count) = bytes.load_u16(6) else {
        return;
    };
    let mut at = 8;
    for _ in 0..count {
        let Some([kind, words]) = bytes.load(at) else {
            return;
        };
        let Some(sources) = bytes.load_u16(at + 2) else {
            return;
        };
        let Some(group) = bytes.get(at + 4..at + 4 + address).map(mac_of) else {
            return;
        };
        match (kind, sources) {
            // Include nobody: that is to leave.
            (1 | 3, 0) => tell(Said::Left(group)),
            (1..=5, _) => tell(Said::Joined(group)),
            _ => {}
        }
        at += 4 + address * (1 + usize::from(sources)) + 4 * usize::from(words);
    }
}

fn find(frame: &[u8]) -> Option<Message<'_>> {
    let header = EthernetHeader::parse(frame)?;
    let packet = frame.get(header.len..)?;
    match header.ethertype {
        ETHERTYPE_IPV4 => find_igmp(packet),
        ETHERTYPE_IPV6 => find_mld(packet),
        _ => None,
    }
}

/// IGMP stays on its link: time to live 1.
fn find_igmp(packet: &[u8]) -> Option<Message<'_>> {
    let [first] = packet.load(0)?;
    let [ttl, protocol] = packet.load(8)?;
    let source: [u8; 4] = packet.load(12)?;
    let sound = ttl == 1 && protocol == IGMP;
    sound.then_some(Message {
        bytes: packet.get(4 * usize::from(first & 0x0f)..)?,
        address: 4,
        // A switch that asks on behalf of nobody is no querier (RFC 4541, 2.1.1).
        may_query: source != [0; 4],
    })
}

/// MLD has hop limit 1, and stands behind a hop-by-hop header (the router alert).
fn find_mld(packet: &[u8]) -> Option<Message<'_>> {
    let [mut next, limit] = packet.load(6)?;
    let source: [u8; 2] = packet.load(8)?;
    let mut at = IPV6_HEADER;
    if next == 0 {
        let [behind, words] = packet.load(at)?;
        next = behind;
        at += 8 * (1 + usize::from(words));
    }
    let sound = limit == 1 && next == ICMPV6;
    sound.then_some(Message {
        bytes: packet.get(at..)?,
        address: 16,
        may_query: source[0] == 0xfe && source[1] & 0xc0 == 0x80,
    })
}

/// The Ethernet address of a group (RFC 1112, 6.4; RFC 2464, 7).
pub(super) fn mac_of(address: &[u8]) -> [u8; 6] {
    match *address {
        [_, b, c, d] => [0x01, 0x00, 0x5e, b & 0x7f, c, d],
        [.., a, b, c, d] => [0x33, 0x33, a, b, c, d],
        _ => [0; 6],
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An IPv4 frame with the router alert option, as IGMP has it.
    pub(crate) fn igmp(source: [u8; 4], message: &[u8]) -> Vec<u8> {
        let header = [0x46, 0xc0, 0, 0, 0, 1, 0, 0, 1, 2, 0, 0];
        let to = [224, 0, 0, 22, 0x94, 4, 0, 0];
        let ethernet = [0x01, 0x00, 0x5e, 0, 0, 22, 2, 0, 0, 0, 0, 1, 8, 0];
        [&ethernet[..], &header, &source, &to, message].concat()
    }

    pub(crate) fn mld(source: [u8; 2], message: &[u8]) -> Vec<u8> {
        let ethernet = [0x33, 0x33, 0, 0, 0, 22, 2, 0, 0, 0, 0, 1, 0x86, 0xdd];
        let header = [0x60, 0, 0, 0, 0, 0, 0, 1, source[0], source[1]];
        let mut frame = [&ethernet[..], &header].concat();
        frame.resize(14 + 40, 0);
        [&frame[..], &[58, 0, 5, 2, 0, 0, 1, 0], message].concat()
    }

    fn said(frame: &[u8]) -> Vec<Said> {
        let mut all = Vec::new();
        read(frame, &mut |said| all.push(said));
        all
    }

    const HOST: [u8; 4] = [192, 0, 2, 7];
    const A: [u8; 6] = [0x01, 0x00, 0x5e, 1, 2, 3];
    const B: [u8; 6] = [0x01, 0x00, 0x5e, 0x7f, 2, 4];

    #[test]
    fn igmp_of_every_version() {
        let of = |message: &[u8]| said(&igmp(HOST, message));
        assert_eq!(of(&[0x11, 100, 0, 0, 0, 0, 0, 0]), [Said::Query]);
        assert_eq!(said(&igmp([0; 4], &[0x11, 100, 0, 0, 0, 0, 0, 0])), []);
        for version in [0x12, 0x16] {
            assert_eq!(of(&[version, 0, 0, 0, 239, 1, 2, 3]), [Said::Joined(A)]);
        }
        assert_eq!(of(&[0x17, 0, 0, 0, 239, 129, 2, 3]), [Said::Left(A)]);
        let third = [
            &[0x22, 0, 0, 0, 0, 0, 0, 4][..],
            &[4, 0, 0, 0, 239, 1, 2, 3],
            &[3, 1, 0, 0, 232, 255, 2, 4, 9, 9, 9, 9],
            &[5, 0, 0, 1, 239, 1, 2, 3, 192, 0, 2, 1],
            &[6, 0, 0, 1, 239, 1, 2, 3, 192, 0, 2, 1],
        ];
        let all = [Said::Joined(A), Said::Left(B), Said::Joined(A)];
        assert_eq!(of(&third.concat()), all);
        let cut = third.concat();
        for length in 0..cut.len() {
            let some = of(&cut[..length]);
            assert!(all.starts_with(&some), "{length}");
        }
    }

    #[test]
    fn mld_of_both_versions() {
        let link_local = |message: &[u8]| said(&mld([0xfe, 0x80], message));
        let mut group = [0; 16];
        group[..2].copy_from_slice(&[0xff, 0x05]);
        group[12..].copy_from_slice(&[1, 2, 3, 4]);
        let mac = [0x33, 0x33, 1, 2, 3, 4];
        let first = |kind| [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &group].concat();
        assert_eq!(link_local(&first(130)), [Said::Query]);
        assert_eq!(said(&mld([0x20, 1], &first(130))), []);
        assert_eq!(link_local(&first(131)), [Said::Joined(mac)]);
        assert_eq!(link_local(&first(132)), [Said::Left(mac)]);
        let record = |kind| [&[kind, 0, 0, 0][..], &group].concat();
        let second = [vec![143, 0, 0, 0, 0, 0, 0, 2], record(2), record(3)].concat();
        assert_eq!(link_local(&second), [Said::Joined(mac), Said::Left(mac)]);
        assert!(is_report(&mld([0xfe, 0x80], &second)));
        assert!(!is_report(&mld([0xfe, 0x80], &first(130))));
    }

    #[test]
    fn what_came_from_farther_is_none() {
        let mut far = igmp(HOST, &[0x16, 0, 0, 0, 239, 1, 2, 3]);
        far[14 + 8] = 2;
        assert_eq!(said(&far), []);
        assert!(!is_report(&far));
    }
}
