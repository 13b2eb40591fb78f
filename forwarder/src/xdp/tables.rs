//! The program's tables that change while it runs: stations, and the host's own addresses.

use std::{collections::HashSet, net::IpAddr};

use aya::maps::{HashMap, MapData, MapError};
use causeway_ebpf::{
    MAX_STATIONS, Place, StationEntry, StationKey,
    maps::{AddressKey, MAX_OWN_ADDRESSES, MAX_PROBES, probe_key},
};

use super::{
    LanProgram, XdpError,
    error::{self, failed},
};

/// What the kernel answers when a hash map is full.
const E2BIG: i32 = 7;
/// What the kernel answers when a key to remove is not in a map.
const ENOENT: i32 = 2;

impl LanProgram {
    /// Adds a station, or moves it. It counts as [heard](Self::heard).
    ///
    /// # Errors
    ///
    /// [`XdpError::StationsFull`], or [`XdpError::Map`] if the kernel refuses.
    pub fn set_station(&mut self, station: StationKey, place: Place) -> Result<(), XdpError> {
        let entry = StationEntry::new(place, self.epoch);
        let inserted = self
            .stations
            .insert(station.to_bytes(), entry.to_bytes(), 0);
        inserted.map_err(|error| match error::errno(&error) {
            Some(E2BIG) => XdpError::StationsFull { most: MAX_STATIONS },
            _ => failed("add a station")(error),
        })
    }

    /// Removes a station. Does nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`XdpError::Map`] if the kernel refuses.
    pub fn remove_station(&mut self, station: StationKey) -> Result<(), XdpError> {
        remove_if_present(&mut self.stations, &station.to_bytes())
            .map_err(failed("remove a station"))
    }

    /// Watches a station that is away, or no more: of its frames that come back the program tells whether
    /// they were [noted](super::Recorder). So the workers have to note them before.
    ///
    /// # Errors
    ///
    /// [`XdpError::Map`] if the kernel refuses, or [`MAX_WATCHED`](causeway_ebpf::maps::MAX_WATCHED) are watched already.
    pub fn watch(&mut self, station: StationKey, watch: bool) -> Result<(), XdpError> {
        match watch {
            true => self.watched.insert(station.to_bytes(), 1, 0),
            false => remove_if_present(&mut self.watched, &station.to_bytes()),
        }
        .map_err(failed("watch a station"))
    }

    /// Makes `addresses` the host's own addresses: adds what is new, removes what is gone.
    ///
    /// # Errors
    ///
    /// [`XdpError::OwnAddressesFull`] (the addresses added so far stay), or [`XdpError::Map`] if
    /// the kernel refuses.
    pub fn set_own_addresses(
        &mut self,
        addresses: impl IntoIterator<Item = IpAddr>,
    ) -> Result<(), XdpError> {
        replace_addresses(&mut self.own_addresses, &mut self.addresses, addresses)
    }

    /// Makes `macs` the addresses whose frames are passed to `causeway doctor`; none ends it. What is
    /// above [`MAX_PROBES`] is left out.
    ///
    /// # Errors
    ///
    /// [`XdpError::NotConfigured`] before [`configure`](Self::configure), or [`XdpError::Map`] if the kernel
    /// refuses.
    pub fn set_probes(&mut self, macs: &[[u8; 6]]) -> Result<(), XdpError> {
        let config = self.lan_config.ok_or(XdpError::NotConfigured)?;
        let known = self.probes.keys().collect::<Result<Vec<_>, _>>();
        for key in known.map_err(failed("read the probes"))? {
            remove_if_present(&mut self.probes, &key).map_err(failed("remove a probe"))?;
        }
        let macs = &macs[..macs.len().min(MAX_PROBES as usize)];
        for mac in macs {
            let added = self.probes.insert(probe_key(mac), 1, 0);
            added.map_err(failed("add a probe"))?;
        }
        self.configure(&config.with_probes(!macs.is_empty()))
    }

    /// Has the program tell of stations that nobody granted, or not: at the cloud end, as long as somebody wants to hear of
    /// any.
    ///
    /// # Errors
    ///
    /// As for [`set_probes`](Self::set_probes).
    pub fn tell_of_strangers(&mut self, told: bool) -> Result<(), XdpError> {
        let config = self.lan_config.ok_or(XdpError::NotConfigured)?;
        match config.strangers() == told {
            true => Ok(()),
            false => self.configure(&config.with_strangers(told)),
        }
    }

    /// The lan port has this MAC address now; all else is as it was.
    ///
    /// # Errors
    ///
    /// As for [`set_probes`](Self::set_probes).
    pub fn set_mac(&mut self, mac: [u8; 6]) -> Result<(), XdpError> {
        let config = self.lan_config.ok_or(XdpError::NotConfigured)?;
        self.configure(&config.with_mac(mac))
    }
}

/// Makes `addresses` what is in the `set`, of which `known` is a copy.
pub(super) fn replace_addresses(
    set: &mut HashMap<MapData, [u8; 16], u8>,
    known: &mut HashSet<[u8; 16]>,
    addresses: impl IntoIterator<Item = IpAddr>,
) -> Result<(), XdpError> {
    let wanted = addresses
        .into_iter()
        .map(|ip| AddressKey::from(ip).to_bytes());
    let wanted: HashSet<[u8; 16]> = wanted.collect();
    let gone: Vec<_> = known.difference(&wanted).copied().collect();
    for key in gone {
        remove_if_present(set, &key).map_err(failed("remove an own address"))?;
        known.remove(&key);
    }
    for key in wanted {
        if known.contains(&key) {
            continue;
        }
        set.insert(key, 1, 0)
            .map_err(|error| match error::errno(&error) {
                Some(E2BIG) => XdpError::OwnAddressesFull {
                    most: MAX_OWN_ADDRESSES,
                },
                _ => failed("add an own address")(error),
            })?;
        known.insert(key);
    }
    Ok(())
}

fn remove_if_present<K: aya::Pod, V: aya::Pod>(
    map: &mut HashMap<MapData, K, V>,
    key: &K,
) -> Result<(), MapError> {
    match map.remove(key) {
        Err(error) if error::errno(&error) == Some(ENOENT) => Ok(()),
        result => result,
    }
}
