//! What the operator asks of the stations at the control socket.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::timeout};
use tracing::info;

use super::{
    super::{Control, api::Turn},
    ListedStation, Registry,
};
use crate::{
    spec::StationName,
    stations::{PeerIndex, StationKey, registry::Verb},
};

/// A request. Stations are written `[VLAN/]MAC`, peers by name.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StationRequest {
    /// All stations.
    List,
    /// A station lives behind a peer.
    Add {
        /// Which.
        station: String,
        /// Where.
        peer: String,
    },
    /// A station lives at home.
    Remove {
        /// Which.
        station: String,
    },
    /// A station lives behind another peer now.
    Move {
        /// Which.
        station: String,
        /// Where.
        peer: String,
    },
    /// The LAN is told where stations live, once more.
    Announce {
        /// Which; without it, all that are away.
        station: Option<String>,
    },
    /// A station is frozen or removed no longer.
    Clear {
        /// Which.
        station: String,
    },
}

/// The answer to a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StationAnswer {
    /// All stations.
    List(Vec<ListedStation>),
    /// So many are announced.
    Announced(usize),
    /// It is done.
    Done {
        /// Whether it survives a restart.
        kept: bool,
        /// It is being written to the state file still, for longer than anybody wants to wait.
        #[serde(default)]
        pending: bool,
    },
}

/// Who asks and waits.
pub(in crate::control) type Reply = Turn<Result<StationAnswer, String>>;

/// The disk has this long before the answer is given without it.
const DISK: Duration = Duration::from_secs(5);

impl Control {
    /// Does what the operator wants, and answers when it is kept.
    pub(in crate::control) fn station_request(&mut self, request: &StationRequest, reply: Reply) {
        let Some(reply) = reply.begin() else { return };
        if let StationRequest::Announce { station } = request {
            let announced = self.announce_request(station.as_deref());
            let _ = reply.send(announced.map(StationAnswer::Announced));
            return;
        }
        let answer = match self.obey(request) {
            Ok(None) => Ok(StationAnswer::List(self.list())),
            Ok(Some(kept)) => {
                tokio::spawn(async move {
                    let outcome = timeout(DISK, kept).await;
                    let pending = outcome.is_err();
                    let outcome = outcome.unwrap_or(Ok(Ok(false))).unwrap_or(Ok(false));
                    // Whoever asked may be gone.
                    let done = |kept| StationAnswer::Done { kept, pending };
                    let _ = reply.send(outcome.map(done));
                });
                return;
            }
            Err(e) => Err(e),
        };
        let _ = reply.send(answer);
    }

    /// Changes what is asked; gives what will tell whether it is kept. `None`: a list is wanted.
    fn obey(
        &mut self,
        request: &StationRequest,
    ) -> Result<Option<oneshot::Receiver<Result<bool, String>>>, String> {
        let (station, verb) = match request {
            StationRequest::List | StationRequest::Announce { .. } => return Ok(None),
            StationRequest::Add { station, peer } => (station, Verb::Add(self.peer_named(peer)?)),
            StationRequest::Move { station, peer } => (station, Verb::Move(self.peer_named(peer)?)),
            StationRequest::Remove { station } => (station, Verb::Remove),
            StationRequest::Clear { station } => (station, Verb::Clear),
        };
        let name: StationName = station.parse().map_err(|e| format!("{e}"))?;
        let vlans = &self.parts.config.vlans;
        let station = StationName(StationKey::new(vlans.ours(name.0.vlan), name.0.mac));
        if let Verb::Add(peer) | Verb::Move(peer) = verb
            && vlans.to_wire(peer, station.0).is_none()
        {
            return Err(format!(
                "the VLAN of {name} does not cross to that peer: see --vlans and --vlan-map"
            ));
        }
        self.command(station.0, verb)?;
        info!("control socket: {}", self.words_of(station, verb));
        Ok(Some(self.keep()))
    }

    fn command(&mut self, station: StationKey, verb: Verb) -> Result<(), String> {
        let Registry::Site(site) = &mut self.parts.segment.registry else {
            return Err(
                "this is a cloud end: which stations are here is said at the site; ask there"
                    .into(),
            );
        };
        let now = Instant::now();
        let result = site.command(station, verb, now);
        // An alarm is reason enough for `clear`.
        if verb == Verb::Clear && self.clear_alarms(station) > 0 && result.is_err() {
            return Ok(());
        }
        self.carry_out(&result?, now);
        Ok(())
    }

    fn peer_named(&self, name: &str) -> Result<PeerIndex, String> {
        let names = self.peers.iter().map(|p| p.spec.name.as_str());
        let index = names.clone().position(|n| n == name);
        index.map(|i| i as PeerIndex).ok_or_else(|| {
            let all: Vec<_> = names.collect();
            format!("there is no peer {name}; there are: {}", all.join(", "))
        })
    }

    fn words_of(&self, station: StationName, verb: Verb) -> String {
        let peer = |index: PeerIndex| &self.peers[usize::from(index)].spec.name;
        match verb {
            Verb::Add(index) => format!("station {station} is added behind {}", peer(index)),
            Verb::Move(index) => format!("station {station} moves to {}", peer(index)),
            Verb::Remove => format!("station {station} is removed"),
            Verb::Clear => format!("station {station} is cleared"),
        }
    }
}
