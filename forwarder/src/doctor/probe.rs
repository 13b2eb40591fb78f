//! One probe: an ARP request in the form of RFC 5227, with addresses made up for it, and the answers to it.
//!
//! Its sender IP address is 0.0.0.0, so that nobody learns anything from it: RFC 826 would have a host note
//! the sender's address. The answer goes to the sender's *hardware* address in the ARP packet, whatever the
//! source of the Ethernet frame was. So the two can differ, and which of four combinations gets an answer
//! tells what the switch lets through in which direction.

use std::net::Ipv4Addr;

use causeway_ebpf::ethernet::{ETHERTYPE_ARP, EthernetHeader, TPID_CUSTOMER};
use serde::{Serialize, Serializer};

use crate::spec::MacName;

/// Bytes of the shortest Ethernet frame, without its checksum.
const SHORTEST: usize = 60;

/// ARP for IPv4 over Ethernet (RFC 826): hardware type, protocol, lengths.
const ARP_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
/// ARP operations.
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// Which addresses of a probe are the port's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Kind {
    /// Ethernet source and ARP sender: the target answers at all.
    P0,
    /// The ARP sender: a foreign source gets out.
    P1,
    /// The Ethernet source: a frame for a foreign address gets in.
    P2,
    /// Neither: what a moved station's frames are like. A port that learns has learnt its address when the
    /// answer comes.
    P3,
}

impl Kind {
    /// Every kind, by its number.
    pub const ALL: [Kind; 4] = [Kind::P0, Kind::P1, Kind::P2, Kind::P3];

    /// Whether the frame's source is foreign to the port.
    pub const fn foreign_source(self) -> bool {
        matches!(self, Kind::P1 | Kind::P3)
    }

    /// Whether the answer goes to an address that is foreign to the port.
    pub const fn foreign_sender(self) -> bool {
        matches!(self, Kind::P2 | Kind::P3)
    }
}

/// A MAC address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        MacName(self.0).fmt(f)
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// A probe that was sent, and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    /// Which addresses are foreign.
    pub kind: Kind,
    /// The address made up for it; of a P0 the port's own.
    pub mac: Mac,
    /// Who is asked.
    pub target: Ipv4Addr,
    /// VLAN that it is asked in; 0: untagged.
    pub vlan: u16,
    /// Who answered, once for each answer.
    pub answers: Vec<Mac>,
    /// VLANs (0: untagged) that answers came in, where they are others.
    pub strays: Vec<u16>,
    /// How often the probe itself came back.
    pub returned: u32,
}

impl Probe {
    /// A probe that is about to be sent.
    pub fn new(kind: Kind, mac: Mac, target: Ipv4Addr, vlan: u16) -> Self {
        Self {
            kind,
            mac,
            target,
            vlan,
            answers: Vec::new(),
            strays: Vec::new(),
            returned: 0,
        }
    }

    /// Whether anybody answered, in the VLAN that was asked in.
    pub fn answered(&self) -> bool {
        !self.answers.is_empty()
    }

    fn source(&self, own: Mac) -> Mac {
        if self.kind.foreign_source() {
            self.mac
        } else {
            own
        }
    }

    fn sender(&self, own: Mac) -> Mac {
        if self.kind.foreign_sender() {
            self.mac
        } else {
            own
        }
    }

    /// The frame, from a port whose address is `own`.
    pub fn frame(&self, own: Mac) -> Vec<u8> {
        let mut frame = Vec::with_capacity(SHORTEST + 4);
        frame.extend([0xff; 6]);
        frame.extend(self.source(own).0);
        if self.vlan != 0 {
            frame.extend(TPID_CUSTOMER.to_be_bytes());
            frame.extend(self.vlan.to_be_bytes());
        }
        frame.extend(ETHERTYPE_ARP.to_be_bytes());
        frame.extend(ARP_IPV4);
        frame.extend(REQUEST.to_be_bytes());
        frame.extend(self.sender(own).0);
        frame.extend(Ipv4Addr::UNSPECIFIED.octets());
        frame.extend([0; 6]);
        frame.extend(self.target.octets());
        frame.resize(frame.len().max(SHORTEST), 0);
        frame
    }
}

/// An ARP packet as it arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Source of the frame.
    pub source: Mac,
    /// Whether it is a reply, or else a request.
    pub is_reply: bool,
    /// Sender.
    pub sender: (Mac, Ipv4Addr),
    /// Target.
    pub target: (Mac, Ipv4Addr),
}

impl Arp {
    /// The ARP packet in a frame, or `None` if there is none for IPv4 over Ethernet.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let header = EthernetHeader::parse(frame)?;
        let arp = frame.get(header.len..)?;
        if header.ethertype != ETHERTYPE_ARP || !arp.starts_with(&ARP_IPV4) {
            return None;
        }
        let is_reply = match u16::from_be_bytes(arp.get(6..8)?.try_into().ok()?) {
            REQUEST => false,
            REPLY => true,
            _ => return None,
        };
        let party = |at: usize| {
            let mac: [u8; 6] = arp.get(at..at + 6)?.try_into().ok()?;
            let ip: [u8; 4] = arp.get(at + 6..at + 10)?.try_into().ok()?;
            Some((Mac(mac), Ipv4Addr::from(ip)))
        };
        Some(Self {
            source: Mac(header.source),
            is_reply,
            sender: party(8)?,
            target: party(18)?,
        })
    }

    /// Whether this is an answer to `probe` of the port `own`, or one like it.
    pub fn answers(&self, probe: &Probe, own: Mac) -> bool {
        self.is_reply
            && self.sender.1 == probe.target
            && self.target == (probe.sender(own), Ipv4Addr::UNSPECIFIED)
    }

    /// Whether this is `probe` itself, or one like it.
    pub fn is(&self, probe: &Probe, own: Mac) -> bool {
        !self.is_reply
            && self.source == probe.source(own)
            && self.sender == (probe.sender(own), Ipv4Addr::UNSPECIFIED)
            && self.target.1 == probe.target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Mac = Mac([0x02, 0, 0, 0, 0, 1]);
    const FRESH: Mac = Mac([0x0a, 1, 2, 3, 4, 5]);
    const TARGET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);

    fn probe(kind: Kind, vlan: u16) -> Probe {
        let mac = if kind == Kind::P0 { OWN } else { FRESH };
        Probe::new(kind, mac, TARGET, vlan)
    }

    #[test]
    fn the_four_kinds_differ_in_their_two_addresses() {
        for (kind, source, sender) in [
            (Kind::P0, OWN, OWN),
            (Kind::P1, FRESH, OWN),
            (Kind::P2, OWN, FRESH),
            (Kind::P3, FRESH, FRESH),
        ] {
            for vlan in [0, 7] {
                let frame = probe(kind, vlan).frame(OWN);
                let header = EthernetHeader::parse(&frame[..]).unwrap();
                assert_eq!((header.vlan, frame.len()), (vlan, SHORTEST));
                let arp = Arp::parse(&frame).unwrap();
                assert_eq!(arp.source, source);
                assert_eq!(arp.sender, (sender, Ipv4Addr::UNSPECIFIED));
                assert_eq!(arp.target, (Mac([0; 6]), TARGET));
                assert!(arp.is(&probe(kind, 0), OWN) && !arp.answers(&probe(kind, 0), OWN));
            }
        }
    }

    #[test]
    fn an_answer_goes_to_the_sender() {
        for kind in Kind::ALL {
            let probe = probe(kind, 0);
            let asked = Arp::parse(&probe.frame(OWN)).unwrap();
            let answer = Arp {
                source: Mac([6; 6]),
                is_reply: true,
                sender: (Mac([6; 6]), TARGET),
                target: asked.sender,
            };
            assert!(answer.answers(&probe, OWN));
            for other in [
                Arp {
                    is_reply: false,
                    ..answer
                },
                Arp {
                    sender: (Mac([6; 6]), Ipv4Addr::LOCALHOST),
                    ..answer
                },
                Arp {
                    target: (Mac([9; 6]), Ipv4Addr::UNSPECIFIED),
                    ..answer
                },
                Arp {
                    target: (asked.sender.0, TARGET),
                    ..answer
                },
            ] {
                assert!(!other.answers(&probe, OWN), "{other:?}");
            }
        }
    }

    #[test]
    fn what_is_cut_or_something_else_is_no_arp() {
        let whole = probe(Kind::P3, 7).frame(OWN);
        for length in 0..46 {
            assert_eq!(Arp::parse(&whole[..length]), None, "{length}");
        }
        let mut other = whole.clone();
        other[18 + 7] = 3;
        assert_eq!(Arp::parse(&other), None, "reverse ARP");
    }
}
