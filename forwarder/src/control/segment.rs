//! The stations of the segment: what the site grants, and what the cloud end is granted.

use std::{collections::HashSet, sync::Arc};

use causeway_tunnel::{
    message::{Applied, Bye, ByeReason},
    stations::{Station as WireStation, Stations, StationsUpdate},
};
use tracing::{debug, info, warn};

use super::{Control, event::SessionId};
use crate::{
    spec::StationName,
    stations::{PeerIndex, Place, Role, Station, StationKey},
    worker::Command,
};

/// The site's table comes from its configuration, so it has one generation for the life of the
/// process.
const GENERATION: u64 = 1;

impl Control {
    /// Tells the peer which stations it has, unless it says that it knows.
    pub(super) fn offer_stations(&mut self, index: PeerIndex) {
        let Some(live) = &self.peers[usize::from(index)].live else {
            return;
        };
        let ours = Applied {
            instance: self.hellos.instance(),
            generation: GENERATION,
        };
        if self.stations.role != Role::Site || live.session.hello().stations_applied == Some(ours) {
            return;
        }
        let granted = self.stations.iter().filter(|(_, s)| s.peer == index);
        let vlans = &self.parts.config.vlans;
        let granted = granted.filter_map(|(key, _)| vlans.to_wire(index, key));
        let update = StationsUpdate {
            generation: GENERATION,
            since: 0,
            added: granted.map(to_wire).collect(),
            withdrawn: Vec::new(),
        };
        let (session, name) = (
            live.session.clone(),
            self.peers[usize::from(index)].spec.name.clone(),
        );
        tokio::spawn(async move {
            for message in update.into_messages() {
                if let Err(e) = session.send(&message).await {
                    // The next session begins with the whole table.
                    return debug!("peer {name}: stations not sent: {e}");
                }
            }
        });
    }

    /// Takes a part of the peer's station table.
    pub(super) fn take_stations(&mut self, index: PeerIndex, id: SessionId, part: Stations) {
        let peer = &mut self.peers[usize::from(index)];
        let Some(live) = peer.live.as_ref().filter(|live| live.id == id) else {
            return;
        };
        if self.stations.role != Role::Cloud {
            return debug!(
                "peer {}: a cloud end advertises no stations to this version",
                peer.spec.name
            );
        }
        let (session, instance) = (live.session.clone(), live.session.hello().instance);
        let update = match peer.joiner.push(part) {
            Ok(None) => return,
            Ok(Some(update)) => update,
            Err(e) => {
                warn!("peer {}: {e}", peer.spec.name);
                tokio::spawn(async move {
                    session
                        .close(Bye::new(ByeReason::Protocol, "stations"))
                        .await
                });
                return;
            }
        };
        let basis = Applied {
            instance,
            generation: update.since,
        };
        if !update.is_full() && peer.applied != Some(basis) {
            warn!(
                "peer {}: a station update for a table that we do not have",
                peer.spec.name
            );
            tokio::spawn(async move {
                session
                    .close(Bye::new(ByeReason::Protocol, "stations"))
                    .await
            });
            return;
        }
        let applied = Applied {
            instance,
            generation: update.generation,
        };
        peer.applied = Some(applied);
        self.hellos.note_applied(peer.spec.key, applied);
        self.grant(index, &update);
    }

    /// Changes what is home here by the will of the site.
    fn grant(&mut self, index: PeerIndex, update: &StationsUpdate) {
        let vlans = self.parts.config.vlans.clone();
        let ours = |key| vlans.from_wire(index, key);
        let named: Vec<_> = update.added.iter().filter_map(from_wire).collect();
        let none = update.added.len() - named.len();
        let added: Vec<_> = named.iter().copied().filter_map(ours).collect();
        let other_vlans = named.len() - added.len();
        let withdrawn: Vec<_> = if update.is_full() {
            let kept: HashSet<_> = added.iter().copied().collect();
            let its = self.stations.iter().filter(|(_, s)| s.peer == index);
            its.map(|(key, _)| key)
                .filter(|key| !kept.contains(key))
                .collect()
        } else {
            let named = update.withdrawn.iter().filter_map(from_wire);
            named.filter_map(ours).collect()
        };
        let mut changed = Vec::new();
        for key in withdrawn {
            if self.withdraw(index, key) {
                changed.push((key, index));
            }
        }
        let mut refusals = Vec::new();
        for key in added {
            match self.admit(index, key) {
                Ok(true) => changed.push((key, index)),
                Ok(false) => {}
                Err(why) => refusals.push(why),
            }
        }
        let name = &self.peers[usize::from(index)].spec.name;
        // One line, however many: the peer decides how many there are.
        if none > 0 {
            warn!("peer {name}: {none} of its stations are none (a group address or no VLAN)");
        }
        if other_vlans > 0 {
            warn!(
                "peer {name}: {other_vlans} of its stations are in VLANs that do not come in from it here: see --vlans and --vlan-map"
            );
        }
        if let Some(first) = refusals.first() {
            warn!(
                "peer {name}: {} stations are not taken; the first: {first}",
                refusals.len()
            );
        }
        let granted = self
            .stations
            .iter()
            .filter(|(_, s)| s.peer == index)
            .count();
        info!("peer {name}: it has granted us {granted} stations");
        let snapshot = Arc::new(self.stations.clone());
        self.tell_all(|| Command::Stations(Arc::clone(&snapshot)));
        self.announce(&changed);
    }

    /// Takes a station from what is home here; whether it was.
    fn withdraw(&mut self, index: PeerIndex, key: StationKey) -> bool {
        if self.stations.get(key).is_none_or(|s| s.peer != index) {
            return false;
        }
        self.stations.remove(key);
        if let Err(e) = self.parts.program.remove_station(key) {
            warn!("station {}: {e}", StationName(key));
        }
        true
    }

    /// Makes a station home here, and gives whether it was not; why not, if not.
    fn admit(&mut self, index: PeerIndex, key: StationKey) -> Result<bool, String> {
        match self.stations.get(key) {
            Some(station) if station.peer == index => return Ok(false),
            Some(station) => {
                let first = &self.peers[usize::from(station.peer)].spec.name;
                return Err(format!(
                    "{} stays with {first}, which granted it before",
                    StationName(key)
                ));
            }
            None => {}
        }
        let entered = self.parts.program.set_station(key, Place::Home);
        entered.map_err(|e| format!("{}: {e}", StationName(key)))?;
        let station = Station {
            place: Place::Home,
            peer: index,
        };
        self.stations.insert(key, station);
        Ok(true)
    }
}

fn to_wire(key: StationKey) -> WireStation {
    WireStation {
        vlan: key.vlan,
        mac: key.mac,
    }
}

/// A station as the peer names it, unless it is none: a group address or no VLAN.
fn from_wire(station: &WireStation) -> Option<StationKey> {
    let WireStation { vlan, mac } = *station;
    let is_station = vlan <= 4_094 && mac[0] & 1 == 0 && mac != [0; 6];
    is_station.then(|| StationKey::new(vlan, mac))
}
