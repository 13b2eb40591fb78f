//! ARP and RARP for IPv4 over Ethernet: RFC 826, 903, 5227.

use std::net::Ipv4Addr;

use causeway_ebpf::{
    ethernet::{ETHERTYPE_ARP, EthernetHeader, is_group},
    maps::StationKey,
    packet::Packet as _,
};

use super::frame::{BROADCAST, Small};

/// Ethertype of reverse ARP (RFC 903).
const ETHERTYPE_RARP: u16 = 0x8035;

/// Hardware type Ethernet, protocol type IPv4, lengths 6 and 4.
const IPV4_OVER_ETHERNET: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const REVERSE_REQUEST: u16 = 3;

/// An ARP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Whether it asks.
    pub is_request: bool,
    /// Who sends it: hardware and protocol address.
    pub sender: ([u8; 6], Ipv4Addr),
    /// Whose hardware address is asked for, or whom a reply is for.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Reads a request or a reply whose sender is who sends the frame: what somebody says for another (proxy
    /// ARP of a kind) or says wrongly is none.
    #[inline]
    pub fn parse(frame: &[u8], header: &EthernetHeader) -> Option<Self> {
        let at = header.len;
        if frame.load(at) != Some(IPV4_OVER_ETHERNET) {
            return None;
        }
        let is_request = match frame.load_u16(at + 6)? {
            REQUEST => true,
            REPLY => false,
            _ => return None,
        };
        let arp = Self {
            is_request,
            sender: (
                frame.load(at + 8)?,
                Ipv4Addr::from(frame.load::<4>(at + 14)?),
            ),
            target: Ipv4Addr::from(frame.load::<4>(at + 24)?),
        };
        (arp.sender.0 == header.source && !is_group(&arp.sender.0)).then_some(arp)
    }

    /// Whether somebody asks if an address is free (RFC 5227, section 1.1: the sender is all zero).
    pub const fn is_probe(&self) -> bool {
        self.is_request && self.sender.1.is_unspecified()
    }

    /// Whether somebody announces an address as its own (RFC 5227, section 3: sender and target are the same).
    pub fn is_announcement(&self) -> bool {
        self.sender.1 == self.target
    }
}

fn packet(
    mut frame: Small,
    ethertype: u16,
    operation: u16,
    sender: ([u8; 6], Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
) -> Small {
    frame.extend(&ethertype.to_be_bytes());
    frame.extend(&IPV4_OVER_ETHERNET);
    frame.extend(&operation.to_be_bytes());
    for (hardware, protocol) in [sender, target] {
        frame.extend(&hardware);
        frame.extend(&protocol.octets());
    }
    frame.padded()
}

/// What hypervisors send for a machine that has moved, whose addresses they do not know: a broadcast reverse ARP
/// request by which switches learn where the MAC address is (QEMU's `announce_self_create`, net/announce.c).
pub fn reverse(station: StationKey) -> Small {
    let head = Small::in_vlan(BROADCAST, station.mac, station.vlan);
    let who = (station.mac, Ipv4Addr::UNSPECIFIED);
    packet(head, ETHERTYPE_RARP, REVERSE_REQUEST, who, who)
}

/// An announcement of the station's address, in the form of a request (RFC 5227, section 2.3 and, for
/// why not a reply, section 3: some implementations take no notice of replies that they have not asked for).
pub fn announcement(station: StationKey, address: Ipv4Addr) -> Small {
    let head = Small::in_vlan(BROADCAST, station.mac, station.vlan);
    let (sender, target) = ((station.mac, address), ([0; 6], address));
    packet(head, ETHERTYPE_ARP, REQUEST, sender, target)
}

/// A question of `asker` who has the address, without one of its own: a probe, which no cache takes anything from.
pub fn probe(asker: StationKey, address: Ipv4Addr) -> Small {
    let head = Small::in_vlan(BROADCAST, asker.mac, asker.vlan);
    let sender = (asker.mac, Ipv4Addr::UNSPECIFIED);
    packet(head, ETHERTYPE_ARP, REQUEST, sender, ([0; 6], address))
}

/// A question of a station of whether a host is still there, to the host alone (RFC 1122, section 2.3.2.1).
pub fn request(
    (station, address): (StationKey, Ipv4Addr),
    (host, target): ([u8; 6], Ipv4Addr),
) -> Small {
    let head = Small::in_vlan(host, station.mac, station.vlan);
    let sender = (station.mac, address);
    packet(head, ETHERTYPE_ARP, REQUEST, sender, ([0; 6], target))
}

/// The answer of `owner` to a request, in its frame's VLAN.
pub fn reply(request: &Arp, frame: &[u8], header: &EthernetHeader, owner: [u8; 6]) -> Small {
    let head = Small::answer(frame, request.sender.0, owner, header.len);
    let sender = (owner, request.target);
    packet(head, ETHERTYPE_ARP, REPLY, sender, request.sender)
}

#[cfg(test)]
mod tests {
    use causeway_ebpf::cases::frames::{arp_request, dot1q};

    use super::*;

    const VM: StationKey = StationKey::new(7, [0, 0x50, 0x56, 0, 0, 0x50]);
    const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);

    fn parse(frame: &[u8]) -> Option<Arp> {
        Arp::parse(frame, &EthernetHeader::parse(frame)?)
    }

    #[test]
    fn reads_what_others_write() {
        for tags in [&[][..], &[dot1q(7)]] {
            let asks = parse(&arp_request(VM.mac, tags, [192, 0, 2, 9])).unwrap();
            let sender = (VM.mac, [192, 0, 2, 7].into());
            assert_eq!((asks.is_request, asks.sender), (true, sender));
            assert_eq!(asks.target, Ipv4Addr::from([192, 0, 2, 9]));
            assert!(!asks.is_probe() && !asks.is_announcement());
        }
    }

    #[test]
    fn what_is_said_for_another_or_cut_short_is_none() {
        let mut said = arp_request(VM.mac, &[], [192, 0, 2, 9]);
        for length in 0..42 {
            assert_eq!(parse(&said[..length]), None, "{length}");
        }
        said[14 + 8] ^= 2;
        assert_eq!(parse(&said), None);
    }

    #[test]
    fn an_answer_goes_to_who_asked_in_its_vlan() {
        for tags in [&[][..], &[dot1q(7)]] {
            let frame = arp_request([2, 0, 0, 0, 0, 9], tags, ADDRESS.octets());
            let header = EthernetHeader::parse(&frame[..]).unwrap();
            let asks = Arp::parse(&frame, &header).unwrap();
            let answer = reply(&asks, &frame, &header, VM.mac);
            assert_eq!(answer[..6], frame[6..12]);
            assert_eq!(answer[12..header.len], frame[12..header.len]);
            let says = parse(&answer).unwrap();
            assert!(!says.is_request && says.sender == (VM.mac, ADDRESS));
            assert_eq!(says.target, asks.sender.1);
        }
    }

    #[test]
    fn ours_are_what_the_rfcs_say() {
        let frame = announcement(VM, ADDRESS);
        assert_eq!(frame.len(), 60);
        assert_eq!(
            frame[..18],
            [&[0xff; 6][..], &VM.mac, &[0x81, 0, 0, 7, 8, 6]].concat()
        );
        let ours = parse(&frame).unwrap();
        assert!(ours.is_request && ours.is_announcement() && !ours.is_probe());
        assert_eq!(ours.sender, (VM.mac, ADDRESS));

        let ours = parse(&probe(VM, ADDRESS)).unwrap();
        assert!(ours.is_probe() && !ours.is_announcement());

        let untagged = StationKey { vlan: 0, ..VM };
        let frame = reverse(untagged);
        let expected = [
            &[0xff; 6][..],
            &VM.mac,
            &[0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3],
            &VM.mac,
            &[0; 4],
            &VM.mac,
            &[0; 22],
        ];
        assert_eq!(frame[..], expected.concat());
    }
}
