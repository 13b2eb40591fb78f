//! What the peers are told of our stations: one update at a time, each when the one before has left.

use std::time::Instant;

use causeway_tunnel::{
    message::{Bye, ByeReason, Message},
    session::Session,
};
use tracing::{debug, warn};

use super::{
    super::{
        Control,
        event::{Event, SessionId},
    },
    Registry, border,
};
use crate::stations::PeerIndex;

impl Control {
    /// A session with the peer has begun: it hears what it does not know yet.
    pub(in crate::control) fn begin_telling(&mut self, index: PeerIndex) {
        let instance = self.hellos.instance();
        let peer = &mut self.peers[usize::from(index)];
        let Some(live) = &peer.live else { return };
        let applied = live.session.hello().stations_applied;
        peer.telling = false;
        let first = match &mut self.parts.segment.registry {
            Registry::Site(site) => {
                site.begin(index, applied, instance);
                let allow = site.allow(index);
                let allow = border::allow_outward(&self.parts.config.vlans, index, allow);
                Some(Message::Allow(allow))
            }
            Registry::Cloud(cloud) => {
                cloud.begin(index, applied, instance);
                None
            }
        };
        self.tell(index, first);
    }

    /// The session with the peer is over.
    pub(in crate::control) fn end_telling(&mut self, index: PeerIndex) {
        match &mut self.parts.segment.registry {
            Registry::Site(site) => site.end(index, Instant::now()),
            Registry::Cloud(cloud) => cloud.end(index),
        }
    }

    /// Tells the peer what has changed, if it can be told.
    pub(super) fn tell_stations(&mut self, index: PeerIndex) {
        self.tell(index, None);
    }

    /// What was under way to the peer in the session has left.
    pub(in crate::control) fn told(&mut self, index: PeerIndex, id: SessionId) {
        if self.live_session(index, id).is_some() {
            self.peers[usize::from(index)].telling = false;
            self.tell(index, None);
        }
    }

    fn tell(&mut self, index: PeerIndex, first: Option<Message>) {
        let peer = &mut self.peers[usize::from(index)];
        let Some(live) = peer.live.as_ref().filter(|live| live.connected) else {
            return;
        };
        // What changes meanwhile goes into the next update.
        if peer.telling {
            return;
        }
        let update = match &mut self.parts.segment.registry {
            Registry::Site(site) => site.update(index),
            Registry::Cloud(cloud) => cloud.update(index),
        };
        if first.is_none() && update.is_none() {
            return;
        }
        let update = update.map(|u| border::outward(&self.parts.config.vlans, index, u));
        peer.telling = true;
        let (session, id, name) = (live.session.clone(), live.id, peer.spec.name.clone());
        let events = self.events.clone();
        tokio::spawn(async move {
            let parts = update.into_iter().flat_map(|update| update.into_messages());
            for message in first.into_iter().chain(parts) {
                if let Err(e) = session.send(&message).await {
                    // The next session begins with what the peer lacks.
                    return debug!("peer {name}: stations not sent: {e}");
                }
            }
            let _ = events.send(Event::Told { peer: index, id }).await;
        });
    }

    /// The peer's session, if it is still this one.
    pub(super) fn live_session(&self, index: PeerIndex, id: SessionId) -> Option<&Session> {
        let live = self.peers[usize::from(index)].live.as_ref();
        live.filter(|live| live.id == id).map(|live| &live.session)
    }

    /// From the next Hello on, the peer knows what we hold of it.
    pub(super) fn note_applied(&self, index: PeerIndex) {
        let key = self.peers[usize::from(index)].spec.key;
        self.hellos
            .note_applied(key, self.parts.segment.applied(index));
    }

    /// The peer's stations do not fit together: the next session begins with what we hold.
    pub(super) fn end_for_stations(&self, index: PeerIndex, why: &str) {
        let peer = &self.peers[usize::from(index)];
        warn!("peer {}: {why}", peer.spec.name);
        let Some(live) = &peer.live else { return };
        let session = live.session.clone();
        tokio::spawn(async move {
            session
                .close(Bye::new(ByeReason::Protocol, "stations"))
                .await;
        });
    }
}
