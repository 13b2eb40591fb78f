//! Local breakout: `--local-gateway`.
//!
//! A moved machine goes on sending what is for elsewhere to its default gateway, whose MAC address it knows, and which is at
//! the site: so traffic between it and its neighbour network in the cloud crosses the WAN twice. At the cloud end such frames
//! can be handed to a router of the cloud LAN instead. Nothing changes in the machine, and what it has in its ARP
//! cache stays true: its gateway is the site's, and is again the moment that this is switched off.
//!
//! The frame's destination becomes the router's MAC address and its source that of our port, out of which it goes back to
//! the LAN: the machine's own, out of our port, would draw its traffic to us. The packet in it is not touched. The router
//! answers the machine directly, whose address it resolves on its LAN.
//!
//! What is for an address of the gateway itself, or in one of the `--site-routes`, crosses as ever; so does what is no IP.

use std::net::IpAddr;

use causeway_ebpf::{
    ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetHeader},
    maps::StationKey,
    packet::Packet as _,
};

use super::outbox::Outbox;
use crate::{
    bindings::{Address, Neighbours, Segment},
    gateways::{Gateways, Network},
};

/// What becomes of a frame.
pub(super) enum Turn {
    /// It crosses.
    Crosses,
    /// A router here gets it, with this MAC address.
    Local([u8; 6]),
    /// It is for such a router already.
    Here,
}

/// A worker's part in it.
pub(super) struct Breakout {
    gateways: Vec<(StationKey, [u8; 6])>,
    site_routes: Vec<Network>,
    /// Our port's MAC address.
    port: [u8; 6],
    pub(super) outbox: Outbox,
}

impl Breakout {
    /// None if there is no gateway whose traffic stays here. With room for so many frames of so many bytes.
    pub(super) fn new(
        gateways: &Gateways,
        port: [u8; 6],
        (frames, length): (usize, usize),
    ) -> Option<Self> {
        let has_any = !gateways.local.is_empty();
        has_any.then(|| Self {
            gateways: gateways.local.clone(),
            site_routes: gateways.site_routes.clone(),
            port,
            outbox: Outbox::new(frames, length),
        })
    }

    /// Our port has this MAC address now.
    pub(super) fn set_port(&mut self, mac: [u8; 6]) {
        self.port = mac;
    }

    /// What becomes of a unicast frame of a machine that lives here, in this segment.
    pub(super) fn turn(&self, frame: &[u8], segment: Segment, known: &Neighbours) -> Turn {
        let Some(header) = EthernetHeader::parse(frame) else {
            return Turn::Crosses;
        };
        let to = header.destination_station();
        let Some((gateway, router)) = self
            .gateways
            .iter()
            .find(|(g, r)| g.vlan == to.vlan && (g.mac == to.mac || *r == to.mac))
        else {
            return Turn::Crosses;
        };
        if gateway.mac != to.mac {
            return Turn::Here;
        }
        let Some(ip) = destination(frame, &header) else {
            return Turn::Crosses;
        };
        let vlan = to.vlan;
        let owner = known.get(&Address { segment, vlan, ip });
        let is_its_own = owner.is_some_and(|owner| owner.mac == gateway.mac);
        let stays_with_it = self.site_routes.iter().any(|network| network.contains(ip));
        match is_its_own || stays_with_it || ip.is_multicast() {
            true => Turn::Crosses,
            false => Turn::Local(*router),
        }
    }

    /// Whether questions for this gateway's MAC address are answered here: they would have to cross, and a machine whose
    /// gateway is not there any more sends nothing to it.
    pub(super) fn stands_in_for(&self, station: StationKey) -> bool {
        self.gateways.iter().any(|(gateway, _)| *gateway == station)
    }

    /// Puts the frame out for the router; false: there is no room.
    pub(super) fn hand_over(&mut self, frame: &[u8], router: [u8; 6]) -> bool {
        let Ok(copy) = self.outbox.push(frame) else {
            return false;
        };
        copy[..6].copy_from_slice(&router);
        copy[6..12].copy_from_slice(&self.port);
        true
    }
}

/// Where an IP packet goes.
fn destination(frame: &[u8], header: &EthernetHeader) -> Option<IpAddr> {
    match header.ethertype {
        ETHERTYPE_IPV4 => Some(IpAddr::from(frame.load::<4>(header.len + 16)?)),
        ETHERTYPE_IPV6 => Some(IpAddr::from(frame.load::<16>(header.len + 24)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use causeway_ebpf::cases::frames::{arp_request, dot1q, tcp};

    use super::*;
    use crate::bindings::Known;

    const VM: [u8; 6] = [0, 0x50, 0x56, 0, 0, 1];
    const GATEWAY: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const ROUTER: [u8; 6] = [2, 0, 0, 0, 0, 2];
    const PORT: [u8; 6] = [2, 0, 0, 0, 0, 3];

    /// The frame's packet goes to 192.0.2.9 or another address.
    fn breakout(site_routes: &[&str]) -> Breakout {
        let site = StationKey::new(7, GATEWAY);
        let gateways = Gateways {
            site: vec![site],
            local: vec![(site, ROUTER)],
            site_routes: site_routes.iter().map(|r| r.parse().unwrap()).collect(),
        };
        Breakout::new(&gateways, PORT, (1, 1_514)).unwrap()
    }

    fn turn(it: &Breakout, frame: &[u8], known: &Neighbours) -> &'static str {
        match it.turn(frame, 0, known) {
            Turn::Crosses => "crosses",
            Turn::Local(router) => {
                assert_eq!(router, ROUTER);
                "local"
            }
            Turn::Here => "here",
        }
    }

    #[test]
    fn packets_for_elsewhere_go_to_the_router_here_and_nothing_else_does() {
        let tags = [dot1q(7)];
        let (mut it, nobody) = (breakout(&[]), Neighbours::default());
        let frame = tcp(GATEWAY, VM, &tags);
        assert_eq!(turn(&it, &frame, &nobody), "local");
        for other in [
            tcp(GATEWAY, VM, &[]),
            tcp(GATEWAY, VM, &[dot1q(8)]),
            tcp([2, 0, 0, 0, 0, 9], VM, &tags),
            [&GATEWAY[..], &arp_request(VM, &tags, [10, 0, 0, 1])[6..]].concat(),
            frame[..30].to_vec(),
            frame[..10].to_vec(),
        ] {
            assert_eq!(turn(&it, &other, &nobody), "crosses");
        }
        assert_eq!(turn(&it, &tcp(ROUTER, VM, &tags), &nobody), "here");

        assert!(it.hand_over(&frame, ROUTER));
        assert!(!it.hand_over(&frame, ROUTER), "no room");
        let mut out = Vec::new();
        it.outbox.empty(|frame| out.push(frame.to_vec()));
        assert_eq!(out, [[&ROUTER[..], &PORT, &frame[12..]].concat()]);
        // The port may be given another address.
        it.set_port([2, 0, 0, 0, 0, 4]);
        assert!(it.hand_over(&frame, ROUTER));
        it.outbox
            .empty(|out| assert_eq!(out[6..12], [2, 0, 0, 0, 0, 4]));
    }

    #[test]
    fn what_is_for_the_gateway_itself_or_stays_with_the_site_crosses() {
        let frame = tcp(GATEWAY, VM, &[dot1q(7)]);
        let nobody = Neighbours::default();
        let header = EthernetHeader::parse(&frame[..]).unwrap();
        let ip = destination(&frame, &header).unwrap();
        let of = |mac| {
            let address = Address {
                segment: 0,
                vlan: 7,
                ip,
            };
            let router = None;
            Neighbours::new([(address, Known { mac, router })].into_iter())
        };
        assert_eq!(turn(&breakout(&[]), &frame, &of(GATEWAY)), "crosses");
        assert_eq!(turn(&breakout(&[]), &frame, &of(VM)), "local");
        assert_eq!(turn(&breakout(&["0.0.0.0/0"]), &frame, &nobody), "crosses");
        assert_eq!(
            turn(&breakout(&["::/0", "198.18.0.0/15"]), &frame, &nobody),
            "local"
        );
    }
}
