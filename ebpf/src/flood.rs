//! Which broadcasts and multicasts may cross at all.

use crate::{ethernet::EthernetHeader, kind::Kind, packet::Packet};

/// What is flooded to the other side, of broadcast and multicast.
#[repr(u8)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FloodPolicy {
    /// Everything but the protocols of one link.
    #[default]
    All = 0,
    /// What hosts cannot do without ([`Kind::is_essential`]), and multicasts: user space knows which.
    EssentialAndMulticast = 1,
    /// What hosts cannot do without.
    Essential = 2,
    /// Nothing.
    Nothing = 3,
}

impl FloodPolicy {
    /// The policy of this number; what is none is the strictest.
    #[inline(always)]
    pub const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::All,
            1 => Self::EssentialAndMulticast,
            2 => Self::Essential,
            _ => Self::Nothing,
        }
    }

    /// Whether a frame to a group may cross.
    #[inline(always)]
    pub fn allows<P: Packet + ?Sized>(self, packet: &P, header: &EthernetHeader) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::EssentialAndMulticast if header.destination != [0xff; 6] => true,
            Self::EssentialAndMulticast | Self::Essential => {
                Kind::of(packet, header).is_some_and(Kind::is_essential)
            }
        }
    }
}

/// Whether the frame is a BPDU of a spanning tree by its LLC header (IEEE 802.1Q, 14.2 and 802.2: both service
/// access points 0x42), whatever group address it is sent to.
#[inline(always)]
pub fn is_bpdu<P: Packet + ?Sized>(packet: &P, header: &EthernetHeader) -> bool {
    // An ethertype below 1,536 is a length.
    header.ethertype < 0x0600 && packet.load(header.len) == Some([0x42, 0x42])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases::{
        BROADCAST, STRANGER,
        frames::{arp_request, dhcp_discover, dot1q, frame, solicitation, tcp},
    };

    const GROUP: [u8; 6] = [0x01, 0x00, 0x5e, 1, 2, 3];

    #[test]
    fn what_hosts_need_crosses_unless_nothing_does() {
        let tags = [dot1q(7)];
        let essential = [
            arp_request(STRANGER, &tags, [192, 0, 2, 9]),
            solicitation(STRANGER, &[], [0xfd; 16]),
            dhcp_discover(STRANGER, &tags),
        ];
        let (broadcast, multicast) = (tcp(BROADCAST, STRANGER, &tags), tcp(GROUP, STRANGER, &[]));
        let allowed = |policy: FloodPolicy, frame: &[u8]| {
            policy.allows(frame, &EthernetHeader::parse(frame).expect("a header"))
        };
        for (policy, expected) in [
            (FloodPolicy::All, [true, true, true]),
            (FloodPolicy::EssentialAndMulticast, [true, false, true]),
            (FloodPolicy::Essential, [true, false, false]),
            (FloodPolicy::Nothing, [false, false, false]),
        ] {
            assert_eq!(FloodPolicy::from_bits(policy as u8), policy);
            for frame in &essential {
                assert_eq!(allowed(policy, frame), expected[0], "{policy:?}");
            }
            assert_eq!(allowed(policy, &broadcast), expected[1], "{policy:?}");
            assert_eq!(allowed(policy, &multicast), expected[2], "{policy:?}");
        }
    }

    #[test]
    fn bpdus_are_known_by_their_llc_header() {
        for tags in [&[][..], &[dot1q(7)]] {
            let of = |ethertype, llc: &[u8]| {
                let frame = frame(GROUP, STRANGER, tags, ethertype, llc);
                is_bpdu(
                    &frame[..],
                    &EthernetHeader::parse(&frame[..]).expect("a header"),
                )
            };
            assert!(of(38, &[0x42, 0x42, 3]));
            assert!(!of(38, &[0xaa, 0xaa, 3]));
            assert!(!of(0x0800, &[0x42, 0x42, 3]));
        }
    }
}
