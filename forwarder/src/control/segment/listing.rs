//! The stations for people and programs.

use std::{collections::BTreeMap, time::Instant};

use serde::{Deserialize, Serialize};

use super::{super::Control, Registry};
use crate::{
    spec::StationName,
    stations::{
        PeerIndex, StationKey,
        registry::{Origin, Refusals},
    },
    status::{LearningStatus, StationStatus},
};

/// One station in a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ListedStation {
    /// `[VLAN/]MAC`.
    pub station: String,
    /// Where it lives, and who says so; `removed`: at home by the operator's word.
    #[serde(flatten)]
    pub status: StationStatus,
}

impl Control {
    /// All stations in order, those that the operator has removed too.
    pub(super) fn list(&self) -> Vec<ListedStation> {
        let mut stations = self.station_statuses();
        if let Registry::Site(site) = &self.parts.segment.registry {
            let status = || StationStatus {
                place: "home".into(),
                origin: "removed".into(),
                ..StationStatus::default()
            };
            stations.extend(site.removed().map(|key| (key, status())));
        }
        stations.sort_unstable_by_key(|(key, _)| *key);
        let listed = stations.into_iter().map(|(key, status)| ListedStation {
            station: StationName(key).to_string(),
            status,
        });
        listed.collect()
    }

    /// The stations that are away, or at the cloud end home, in no order.
    pub(in crate::control) fn station_statuses(&self) -> Vec<(StationKey, StationStatus)> {
        let now = Instant::now();
        let status = |peer: PeerIndex, place: &str, origin: Origin, since, frozen| StationStatus {
            place: place.into(),
            peer: self.peers[usize::from(peer)].spec.name.clone(),
            origin: origin.label().into(),
            age_s: now.duration_since(since).as_secs_f64(),
            frozen,
            addresses: Vec::new(),
        };
        let mut stations: Vec<_> = match &self.parts.segment.registry {
            Registry::Site(site) => site
                .iter()
                .map(|(key, a)| {
                    let frozen = site.is_frozen(key);
                    (key, status(a.peer, "away", a.origin, a.since, frozen))
                })
                .collect(),
            Registry::Cloud(cloud) => cloud
                .iter()
                .map(|(key, h)| (key, status(h.peer, "home", Origin::Granted, h.since, false)))
                .collect(),
        };
        for (key, status) in &mut stations {
            status.addresses = self.addresses_of(*key);
        }
        stations
    }
}

impl Control {
    /// What an operator should look at: that the state file is not written.
    pub(in crate::control) fn station_warnings(&self) -> Option<String> {
        let keeper = self.parts.segment.keeper.as_ref()?;
        keeper.last_failure()
    }

    /// At a cloud end: what was seen and not advertised, by reason.
    pub(in crate::control) fn not_advertised(&self) -> BTreeMap<String, u64> {
        match &self.parts.segment.registry {
            Registry::Site(_) => BTreeMap::new(),
            Registry::Cloud(cloud) => by_label(cloud.refusals()),
        }
    }

    /// What is learnt from a peer, or advertised to it.
    pub(in crate::control) fn learning_status(&self, index: usize) -> LearningStatus {
        let peer = index as PeerIndex;
        let (ranges, (seen, refusals)) = match &self.parts.segment.registry {
            Registry::Site(site) => (site.ranges(peer), site.learning(peer)),
            Registry::Cloud(cloud) => (cloud.ranges(peer), cloud.learning(peer)),
        };
        LearningStatus {
            ranges: ranges.iter().map(ToString::to_string).collect(),
            seen,
            refused: by_label(refusals),
        }
    }
}

fn by_label(refusals: &Refusals) -> BTreeMap<String, u64> {
    let labels = refusals.iter().map(|(why, n)| (why.label().to_owned(), n));
    labels.collect()
}
