//! The traffic class of inner and outer IP headers: six bits of DSCP (RFC 2474), two of ECN (RFC 3168).
//!
//! A datagram that is one whole frame is a tunnelled packet as RFC 6040 knows it. Sending, the outer ECN field is
//! the inner one's copy (normal mode, section 4.1) or "not ECN-capable" (compatibility mode). Receiving, the path's
//! marks go to the inner header by the table of section 4.2.
//!
//! In a bundle are parts of several frames, so RFC 9347, section 2.2.5, goes further: ECN is not mapped, in either
//! direction (the outer header says "not ECN-capable", so a router that is full drops instead of marking); and the
//! DSCP is not copied but where that is asked for. Then a datagram has frames of one DSCP only.

use causeway_ebpf::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader};
use causeway_tunnel::DropReason;

use crate::checksum::fold;

/// The ECN field, RFC 3168, section 5.
pub const ECN: u8 = 0b11;
/// Not ECN-capable.
pub const NOT_ECT: u8 = 0b00;
/// ECN-capable, the other of two equals (RFC 8311), or the L4S identifier (RFC 9331).
pub const ECT_1: u8 = 0b01;
/// Congestion experienced.
pub const CE: u8 = 0b11;

/// What of the inner header the outer header has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marking {
    /// The DSCP.
    pub dscp: bool,
    /// ECN, where a datagram is one frame.
    pub ecn: bool,
}

impl Marking {
    /// Whether the outer header depends on the frames at all.
    #[inline]
    pub fn is_on(self) -> bool {
        self.dscp || self.ecn
    }

    /// The outer traffic class of a bundle of frames of this class.
    #[inline]
    pub fn bundle(self, class: u8) -> u8 {
        if self.dscp { class & !ECN } else { 0 }
    }

    /// The outer traffic class of a datagram that is a frame of this class.
    #[inline]
    pub fn lone_frame(self, class: u8) -> u8 {
        self.bundle(class) | if self.ecn { class & ECN } else { NOT_ECT }
    }
}

/// The traffic class of the IP packet in a frame; 0, as most have, if there is none.
#[inline]
pub fn of(frame: &[u8]) -> u8 {
    locate(frame).map_or(0, |(_, class)| class)
}

/// Sets the ECN field of a frame that came alone in a datagram marked with `outer`, as a tunnel's egress does. True: the
/// frame is another now.
///
/// RFC 6040, section 4.2, figure 4: an arriving inner header (row) and outer header (column) make:
///
/// ```text
///            Not-ECT  ECT(0)   ECT(1)   CE
/// Not-ECT    Not-ECT  Not-ECT  Not-ECT  drop
/// ECT(0)     ECT(0)   ECT(0)   ECT(1)   CE
/// ECT(1)     ECT(1)   ECT(1)   ECT(1)   CE
/// CE         CE       CE       CE       CE
/// ```
///
/// # Errors
///
/// [`DropReason::CongestionMarked`]: there is nothing to say "congestion" with (a frame without IP included), and
/// the router meant to.
pub fn leave_tunnel(frame: &mut [u8], outer: u8) -> Result<bool, DropReason> {
    let (at, class) = locate(frame).unwrap_or((usize::MAX, 0));
    let ecn = match (class & ECN, outer & ECN) {
        (NOT_ECT, CE) => return Err(DropReason::CongestionMarked),
        (NOT_ECT, _) | (CE, _) => return Ok(false),
        (_, outer @ (ECT_1 | CE)) if class & ECN != outer => outer,
        _ => return Ok(false),
    };
    set_class(frame, at, class & !ECN | ecn);
    Ok(true)
}

/// Where a frame's IP header begins, and its traffic class.
#[inline]
fn locate(frame: &[u8]) -> Option<(usize, u8)> {
    let header = EthernetHeader::parse(frame)?;
    let start: &[u8; 2] = frame.get(header.len..)?.first_chunk()?;
    match (header.ethertype, start[0] >> 4) {
        (ETHERTYPE_IPV4, 4) if frame.len() >= header.len + 20 => Some((header.len, start[1])),
        (ETHERTYPE_IPV6, 6) => Some((header.len, start[0] << 4 | start[1] >> 4)),
        _ => None,
    }
}

/// IPv4's header checksum changes by the difference (RFC 1624, equation 3); IPv6 has none, and no checksum of a
/// transport covers the field.
fn set_class(frame: &mut [u8], ip: usize, class: u8) {
    let header = &mut frame[ip..];
    if header[0] >> 4 == 6 {
        header[0] = 0x60 | class >> 4;
        header[1] = header[1] & 0x0F | class << 4;
        return;
    }
    let before = u16::from_be_bytes([header[0], header[1]]);
    header[1] = class;
    let after = u16::from_be_bytes([header[0], header[1]]);
    let checksum = u16::from_be_bytes([header[10], header[11]]);
    let sum = u32::from(!checksum) + u32::from(!before) + u32::from(after);
    header[10..12].copy_from_slice(&(!fold(sum)).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::sum;

    const ECT_0: u8 = 0b10;
    const EF: u8 = 0xB8;

    fn ipv4(tags: usize, class: u8) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x81, 0, 0, 7].repeat(tags));
        frame.extend([8, 0]);
        let mut header = vec![
            0x45, class, 0, 20, 1, 2, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        ];
        let checksum = !fold(sum(&header));
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        [frame, header].concat()
    }

    fn ipv6(tags: usize, class: u8) -> Vec<u8> {
        let mut frame = vec![0; 12];
        frame.extend([0x81, 0, 0, 7].repeat(tags));
        frame.extend([0x86, 0xDD, 0x60 | class >> 4, class << 4 | 5, 0xAB, 0xCD]);
        frame.extend([0; 36]);
        frame
    }

    #[test]
    fn the_table_of_rfc_6040() {
        let table = [
            (NOT_ECT, [Some(NOT_ECT), Some(NOT_ECT), Some(NOT_ECT), None]),
            (ECT_0, [Some(ECT_0), Some(ECT_0), Some(ECT_1), Some(CE)]),
            (ECT_1, [Some(ECT_1), Some(ECT_1), Some(ECT_1), Some(CE)]),
            (CE, [Some(CE), Some(CE), Some(CE), Some(CE)]),
        ];
        for (inner, results) in table {
            for (outer, result) in [NOT_ECT, ECT_0, ECT_1, CE].into_iter().zip(results) {
                for make in [ipv4, ipv6] {
                    for tags in 0..3 {
                        let mut frame = make(tags, EF | inner);
                        let changed = leave_tunnel(&mut frame, EF | outer);
                        // As the sender would have made it, checksum included.
                        let expected = make(tags, EF | result.unwrap_or(inner));
                        assert_eq!(frame, expected, "{inner} in {outer}");
                        let expected = result.map(|result| result != inner);
                        assert_eq!(changed.ok(), expected, "{inner} in {outer}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_ip_is_not_capable() {
        let arp = [&[0; 12][..], &[8, 6], &[0; 28]].concat();
        assert_eq!(
            leave_tunnel(&mut arp.clone(), CE),
            Err(DropReason::CongestionMarked)
        );
        assert_eq!(leave_tunnel(&mut arp.clone(), ECT_1), Ok(false));
        assert_eq!(of(&arp), 0);
        for frame in [ipv4(1, EF), ipv6(1, EF)] {
            assert_eq!(of(&frame), EF);
            for length in 0..frame.len() {
                let mut cut = frame[..length].to_vec();
                let _ = (of(&cut), leave_tunnel(&mut cut, ECT_1));
            }
        }
    }

    #[test]
    fn a_bundle_never_says_that_it_is_capable() {
        let class = EF | ECT_0;
        for (dscp, ecn, bundle, lone) in [
            (false, false, 0, 0),
            (true, false, EF, EF),
            (false, true, 0, ECT_0),
            (true, true, EF, class),
        ] {
            let marking = Marking { dscp, ecn };
            assert_eq!(
                (marking.bundle(class), marking.lone_frame(class)),
                (bundle, lone)
            );
            assert_eq!(marking.is_on(), dscp || ecn);
        }
    }
}
