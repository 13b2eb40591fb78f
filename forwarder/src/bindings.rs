//! Which station has which address, as far as frames have said so.
//!
//! The control plane's table. It is bounded, of each station and altogether, and what is not said again is
//! forgotten: a host that nobody granted after [`HOST_AGE`], a station of the table after [`STATION_AGE`]. Who may say
//! what of whom is asked before ([`crate::control`]).

mod snapshot;

use std::{
    collections::{HashMap, hash_map::Entry},
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

pub use self::snapshot::{Known, Neighbours};
use crate::{
    snoop::What,
    stations::{PeerIndex, StationKey},
};

/// How long a host that is no station of the table is remembered. Ordinary ones ask or answer every few
/// minutes; while one that is gone is remembered, questions for it are not sent to the other side.
pub const HOST_AGE: Duration = Duration::from_secs(10 * 60);

/// How long a station of the table is: routers keep ARP entries that long (4 hours), and one that is quiet for
/// longer is announced by its MAC address alone.
pub const STATION_AGE: Duration = Duration::from_secs(4 * 60 * 60);

/// A DHCP server answers within this time, or the client asks again.
const WANTS_AGE: Duration = Duration::from_secs(30);

/// Addresses that the table holds: of hosts at most half of them, and of these each segment its share.
pub const MOST: usize = 2 * causeway_ebpf::maps::MAX_STATIONS as usize;

/// Addresses of one station, the one not heard of for longest goes for another: IPv6 hosts make new ones.
pub const MOST_OF_STATION: usize = 16;

/// One of the segments that an end is part of: at the cloud the peer, its site; at the site 0, for there is one.
pub type Segment = PeerIndex;

/// An address in a VLAN of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The segment.
    pub segment: Segment,
    /// The VLAN, in the numbering of this end.
    pub vlan: u16,
    /// The address.
    pub ip: IpAddr,
}

/// Who has an address.
#[derive(Clone, Copy, Debug)]
struct Binding {
    mac: [u8; 6],
    /// Whether it is a router, if it has said so: for IPv6 an answer in its name must say the same.
    router: Option<bool>,
    /// Whether it is a station of the table.
    is_station: bool,
    seen: Instant,
}

#[derive(Debug, Default)]
struct OfStation {
    addresses: Vec<IpAddr>,
    wants: Option<(Ipv4Addr, Instant)>,
}

/// What became of something said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learnt {
    /// It is news.
    News,
    /// It was known.
    Known,
    /// It is not taken: another has the address, or nothing follows from it.
    Nothing,
    /// There is no place for it.
    Full,
}

/// Who has which address.
#[derive(Debug)]
pub struct Bindings {
    by_address: HashMap<Address, Binding>,
    by_station: HashMap<(Segment, StationKey), OfStation>,
    /// How many addresses of hosts there are of each segment, …
    hosts: Vec<usize>,
    /// … and may be.
    share: usize,
}

impl Bindings {
    /// None, of so many segments.
    pub fn new(segments: usize) -> Self {
        let segments = segments.max(1);
        Self {
            by_address: HashMap::new(),
            by_station: HashMap::new(),
            hosts: vec![0; segments],
            share: MOST / 2 / segments,
        }
    }

    /// Takes what the station was seen to say where it lives.
    pub fn learn(
        &mut self,
        segment: Segment,
        station: StationKey,
        is_station: bool,
        what: What,
        now: Instant,
    ) -> Learnt {
        match what {
            What::Has { address, router } => {
                self.bind(segment, station, is_station, address, router, now)
            }
            What::Tries(address) => self.bind_if_free(segment, station, is_station, address, now),
            What::Wants(address) => {
                if self.by_station.len() >= MOST {
                    return Learnt::Full;
                }
                let of = self.by_station.entry((segment, station)).or_default();
                of.wants = Some((address, now));
                Learnt::Nothing
            }
            // Only who lives here may be given something that it has asked for: see `give`.
            What::Gives(..) => Learnt::Nothing,
        }
    }

    /// A DHCP server, wherever it is, gives the station the address. It counts if the station has asked for it.
    pub fn give(
        &mut self,
        segment: Segment,
        station: StationKey,
        is_station: bool,
        address: Ipv4Addr,
        now: Instant,
    ) -> Learnt {
        let wanted = |of: &OfStation| {
            of.wants
                .is_some_and(|(wanted, at)| wanted == address && now < at + WANTS_AGE)
        };
        if !self.by_station.get(&(segment, station)).is_some_and(wanted) {
            return Learnt::Nothing;
        }
        self.bind_if_free(segment, station, is_station, address.into(), now)
    }

    fn bind_if_free(
        &mut self,
        segment: Segment,
        station: StationKey,
        is_station: bool,
        ip: IpAddr,
        now: Instant,
    ) -> Learnt {
        let vlan = station.vlan;
        match self.by_address.get(&Address { segment, vlan, ip }) {
            Some(other) if other.mac != station.mac => Learnt::Nothing,
            _ => self.bind(segment, station, is_station, ip, None, now),
        }
    }

    fn bind(
        &mut self,
        segment: Segment,
        station: StationKey,
        is_station: bool,
        ip: IpAddr,
        router: Option<bool>,
        now: Instant,
    ) -> Learnt {
        let (vlan, mac) = (station.vlan, station.mac);
        let address = Address { segment, vlan, ip };
        if let Some(known) = self.by_address.get_mut(&address).filter(|b| b.mac == mac) {
            let news = router.is_some_and(|router| known.router != Some(router));
            known.router = router.or(known.router);
            known.seen = now;
            // It was heard as what it is now.
            match (known.is_station, is_station) {
                (true, false) => self.hosts[usize::from(segment)] += 1,
                (false, true) => self.hosts[usize::from(segment)] -= 1,
                _ => {}
            }
            known.is_station = is_station;
            return if news { Learnt::News } else { Learnt::Known };
        }
        // Another had it: whoever says so last has it, as for every host that listens (RFC 826). And one that has as many
        // addresses as it may loses that which was not heard of for longest.
        let going = [Some(address), self.one_too_many(segment, station)];
        if !self.has_room(segment, is_station, &going) {
            return Learnt::Full;
        }
        going.into_iter().flatten().for_each(|a| self.unbind(a));
        let binding = Binding {
            mac,
            router,
            is_station,
            seen: now,
        };
        self.by_address.insert(address, binding);
        self.hosts[usize::from(segment)] += usize::from(!is_station);
        let of = self.by_station.entry((segment, station)).or_default();
        of.addresses.push(ip);
        Learnt::News
    }

    /// Whether there is room for one more when these are gone, as far as they are there.
    fn has_room(&self, segment: Segment, is_station: bool, going: &[Option<Address>]) -> bool {
        let going = going.iter().flatten();
        let (mut left, mut hosts) = (self.by_address.len(), self.hosts[usize::from(segment)]);
        for binding in going.filter_map(|address| self.by_address.get(address)) {
            left -= 1;
            hosts -= usize::from(!binding.is_station);
        }
        left < MOST && (is_station || hosts < self.share)
    }

    /// Of one that has as many addresses as it may, that which was not heard of for longest.
    fn one_too_many(&self, segment: Segment, station: StationKey) -> Option<Address> {
        let of = self.by_station.get(&(segment, station))?;
        if of.addresses.len() < MOST_OF_STATION {
            return None;
        }
        let vlan = station.vlan;
        let all = of.addresses.iter().map(|ip| Address {
            segment,
            vlan,
            ip: *ip,
        });
        all.min_by_key(|a| self.by_address.get(a).map(|b| b.seen))
    }

    fn unbind(&mut self, address: Address) {
        let Some(binding) = self.by_address.remove(&address) else {
            return;
        };
        self.hosts[usize::from(address.segment)] -= usize::from(!binding.is_station);
        let station = StationKey::new(address.vlan, binding.mac);
        if let Entry::Occupied(mut of) = self.by_station.entry((address.segment, station)) {
            of.get_mut().addresses.retain(|ip| *ip != address.ip);
            if of.get().addresses.is_empty() && of.get().wants.is_none() {
                of.remove();
            }
        }
    }

    /// The station that has an address, if that is known.
    pub fn owner(&self, segment: Segment, vlan: u16, ip: IpAddr) -> Option<StationKey> {
        let binding = self.by_address.get(&Address { segment, vlan, ip })?;
        Some(StationKey::new(vlan, binding.mac))
    }

    /// The addresses of a station, and of each whether it is a router's, as far as that is known.
    pub fn of(
        &self,
        segment: Segment,
        station: StationKey,
    ) -> impl Iterator<Item = (IpAddr, Option<bool>)> {
        let of = self.by_station.get(&(segment, station));
        let all = of.into_iter().flat_map(|of| &of.addresses);
        all.map(move |ip| {
            let vlan = station.vlan;
            let binding = self.by_address.get(&Address {
                segment,
                vlan,
                ip: *ip,
            });
            (*ip, binding.and_then(|b| b.router))
        })
    }

    /// Forgets what has not been said for long; whether there was any. Who is a station may have changed: of one that is
    /// none any more nothing is known until it is heard as that. It may still be where it was and silent, and whoever
    /// took it for a host here would keep questions for it from crossing.
    pub fn age(&mut self, now: Instant, is_station: impl Fn(Segment, StationKey) -> bool) -> bool {
        let mut old = Vec::new();
        self.hosts.fill(0);
        for (address, binding) in &mut self.by_address {
            let station = StationKey::new(address.vlan, binding.mac);
            let was_station = binding.is_station;
            binding.is_station = is_station(address.segment, station);
            self.hosts[usize::from(address.segment)] += usize::from(!binding.is_station);
            let age = match binding.is_station {
                true => STATION_AGE,
                false => HOST_AGE,
            };
            let left = was_station && !binding.is_station;
            if left || now.saturating_duration_since(binding.seen) >= age {
                old.push(*address);
            }
        }
        for address in &old {
            self.unbind(*address);
        }
        self.by_station.retain(|_, of| {
            of.wants = of.wants.filter(|(_, at)| now < *at + WANTS_AGE);
            !of.addresses.is_empty() || of.wants.is_some()
        });
        !old.is_empty()
    }

    /// Addresses in the table.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// What workers look up.
    pub fn snapshot(&self) -> Neighbours {
        let all = self.by_address.iter();
        Neighbours::new(all.map(|(address, b)| {
            let (mac, router) = (b.mac, b.router);
            (*address, Known { mac, router })
        }))
    }
}

#[cfg(test)]
mod tests;
