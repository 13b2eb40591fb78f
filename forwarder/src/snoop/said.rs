//! What a frame says of who has which address.

use std::net::{IpAddr, Ipv4Addr};

use causeway_ebpf::{
    ethernet::{EthernetHeader, HEADER_LEN, TAG_LEN, is_group},
    maps::StationKey,
};

use super::{Arp, Dhcp, Kind, Nd};

/// Something that a station says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// The source of the frame.
    pub station: StationKey,
    /// What it says.
    pub what: What,
}

/// What a station says of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It has the address.
    Has {
        /// The address.
        address: IpAddr,
        /// Whether it is a router, if that was said.
        router: Option<bool>,
    },
    /// It will have the address if nobody else does.
    Tries(IpAddr),
    /// It asks a DHCP server for the address.
    Wants(Ipv4Addr),
    /// As a DHCP server it gives the address to that station.
    Gives(StationKey, Ipv4Addr),
}

impl Said {
    /// What the beginning of a frame of this kind says, if anything that is of use.
    pub fn of(kind: Kind, frame: &[u8]) -> Option<Self> {
        // Behind a second tag are networks of their own, whose addresses may be the same.
        let header = EthernetHeader::parse(frame).filter(|h| h.len <= HEADER_LEN + TAG_LEN)?;
        let what = match kind {
            Kind::Arp => by_arp(&Arp::parse(frame, &header)?),
            Kind::Nd => by_nd(&Nd::parse(frame, &header)?),
            Kind::Dhcp4 => by_dhcp(Dhcp::parse(frame, &header)?, header.vlan),
            Kind::Dhcp6 | Kind::Igmp | Kind::Mld => return None,
        }?;
        let station = header.source_station();
        let sound = match what {
            What::Has { address, .. } | What::Tries(address) => is_a_hosts(address),
            What::Wants(address) => is_a_hosts(address.into()),
            What::Gives(to, address) => is_a_hosts(address.into()) && !is_group(&to.mac),
        };
        sound.then_some(Self { station, what })
    }
}

fn by_arp(arp: &Arp) -> Option<What> {
    let address = match arp.is_probe() {
        true => return Some(What::Tries(arp.target.into())),
        false => arp.sender.1.into(),
    };
    let router = None;
    Some(What::Has { address, router })
}

fn by_nd(nd: &Nd) -> Option<What> {
    let (address, router) = match *nd {
        Nd::Solicitation { from, target, .. } if from.is_unspecified() => {
            return Some(What::Tries(target.into()));
        }
        Nd::Solicitation {
            says_address: false,
            ..
        } => return None,
        Nd::Solicitation { from, .. } | Nd::LooksForRouter(from) => (from, None),
        Nd::Advertisement { target, router, .. } => (target, Some(router)),
        Nd::Router(from) => (from, Some(true)),
    };
    let address = address.into();
    Some(What::Has { address, router })
}

fn by_dhcp(dhcp: Dhcp, vlan: u16) -> Option<What> {
    Some(match dhcp {
        Dhcp::Has(address) => What::Has {
            address: address.into(),
            router: None,
        },
        Dhcp::Wants(address) => What::Wants(address),
        Dhcp::Gives(mac, address) => What::Gives(StationKey::new(vlan, mac), address),
    })
}

/// Whether one host can have the address.
fn is_a_hosts(address: IpAddr) -> bool {
    let none = match address {
        IpAddr::V4(v4) => v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(_) => address.is_unspecified(),
    };
    !none && !address.is_multicast() && !address.is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snoop::{arp, nd};

    const VM: StationKey = StationKey::new(7, [0, 0x50, 0x56, 0, 0, 0x50]);

    #[test]
    fn a_probe_tries_and_an_announcement_has() {
        let address = Ipv4Addr::new(10, 77, 0, 50);
        let says = |frame: &[u8]| Said::of(Kind::Arp, frame).map(|s| (s.station, s.what));
        let tries = What::Tries(address.into());
        assert_eq!(says(&arp::probe(VM, address)), Some((VM, tries)));
        let has = What::Has {
            address: address.into(),
            router: None,
        };
        assert_eq!(says(&arp::announcement(VM, address)), Some((VM, has)));
        for nobodys in [[224, 0, 0, 1], [255; 4], [127, 0, 0, 1], [0; 4]] {
            assert_eq!(says(&arp::announcement(VM, nobodys.into())), None);
        }
    }

    #[test]
    fn who_asks_says_its_own_address_and_who_answers_the_target() {
        let address = "fd77::50".parse().unwrap();
        let says = |frame: &[u8]| Said::of(Kind::Nd, frame).map(|s| s.what);
        let own = "fe80::250:56ff:fe00:50".parse().unwrap();
        let has = |address, router| Some(What::Has { address, router });
        assert_eq!(says(&nd::solicitation(VM, address)), has(own, None));
        let advertised = nd::advertisement(VM, address, true);
        assert_eq!(says(&advertised), has(address.into(), Some(true)));
        assert_eq!(
            says(&nd::advertisement(VM, "ff02::1".parse().unwrap(), true)),
            None
        );
    }
}
