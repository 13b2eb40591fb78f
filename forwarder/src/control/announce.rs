//! Telling a LAN where a station lives now.
//!
//! Switches send frames for a MAC address to where they last saw it as a source. So whoever lives on the *other* side
//! of an end is announced on its LAN, with the station's address as the source: at the site each away station, at the
//! cloud one that has gone home. The switches turn to our port at once, and the frames cross.
//!
//! Who lives on *this* side, at the site one that came home, at the cloud one that was granted, must not be announced
//! so: the frame would come out of our port and draw its traffic to us, away from where the machine is. It is asked
//! instead, from our own address, and its answer teaches the switches. If no address of it is known, it is asked for the
//! IPv6 address that follows from its MAC address; has it none such, then it is for the machine or its hypervisor to
//! speak (they do: RARP after a migration) or for the switches to forget.

mod queue;

use std::{net::IpAddr, time::Instant};

use tracing::{debug, info};

pub(super) use self::queue::Announcer;
use super::Control;
use crate::{
    bindings::Segment,
    snoop::{Small, arp, nd},
    spec::StationName,
    stations::{PeerIndex, Place, Role, StationKey},
    status::AnnouncingStatus,
    worker::Command,
};

impl Control {
    /// Tells the LAN of these stations, each with the peer that it lives behind or that it was granted by: they are
    /// away or home now, by the table.
    pub(super) fn announce(&mut self, stations: &[(StationKey, PeerIndex)]) {
        if stations.is_empty() {
            return;
        }
        let role = self.stations.role;
        let segment = |peer: PeerIndex| match role {
            Role::Site => 0,
            Role::Cloud => peer,
        };
        let stations: Vec<_> = stations.iter().map(|(s, p)| (*s, segment(*p))).collect();
        let now = Instant::now();
        debug!("the LAN is told of {} station(s)", stations.len());
        self.announcer.begin(&stations, now);
        self.announce_due(now);
    }

    /// Announces the away stations of all peers, or of one; gives their number. At the cloud nobody is away.
    pub(super) fn announce_away(&mut self, of: Option<PeerIndex>) -> usize {
        let away = self
            .stations
            .iter()
            .filter(|(_, s)| s.place == Place::Away && of.is_none_or(|peer| s.peer == peer));
        let away: Vec<_> = away.map(|(key, s)| (key, s.peer)).collect();
        if !away.is_empty() {
            info!("announcing {} away station(s) to the LAN", away.len());
        }
        self.announce(&away);
        away.len()
    }

    /// Announces the station of this name, or all that are away; gives the number.
    pub(super) fn announce_request(&mut self, station: Option<&str>) -> Result<usize, String> {
        let Some(text) = station else {
            return Ok(self.announce_away(None));
        };
        let name: StationName = text.parse().map_err(|e| format!("{e}"))?;
        let vlan = self.parts.config.vlans.ours(name.0.vlan);
        let key = StationKey::new(vlan, name.0.mac);
        let known = self.stations.get(key).ok_or_else(|| {
            format!("{name} is no station that is away or granted to us: see causeway station list")
        })?;
        self.announce(&[(key, known.peer)]);
        Ok(1)
    }

    /// Sends what is due.
    pub(super) fn announce_due(&mut self, now: Instant) {
        let mut announcer = std::mem::take(&mut self.announcer);
        let frames = announcer.due(now, |station, segment| self.frames_of(station, segment));
        self.announcer = announcer;
        if frames.is_empty() {
            return;
        }
        // Any worker's port leads to the LAN.
        let worker = self.announcer.turn(self.context.workers.len());
        self.context.workers[worker].tell(Command::Inject(frames));
    }

    /// What tells the LAN where the station lives.
    fn frames_of(&self, station: StationKey, segment: Segment) -> Vec<Vec<u8>> {
        let addresses = self.snooping.bindings.of(segment, station);
        let place = self.stations.get(station).map(|s| s.place);
        let is_here = match self.stations.role {
            Role::Site => place != Some(Place::Away),
            Role::Cloud => place == Some(Place::Home),
        };
        if is_here {
            let us = StationKey::new(station.vlan, self.parts.lan.mac);
            let mut questions: Vec<_> =
                addresses.map(|(ip, _)| question(us, ip).to_vec()).collect();
            if questions.is_empty() {
                // Many hosts still make this address of their MAC address.
                questions.push(nd::solicitation(us, nd::link_local(station.mac)).to_vec());
            }
            return questions;
        }
        let announcements = addresses.filter_map(|(ip, router)| announcement(station, ip, router));
        std::iter::once(arp::reverse(station))
            .chain(announcements)
            .map(|frame| frame.to_vec())
            .collect()
    }

    pub(super) fn announcing_status(&self) -> AnnouncingStatus {
        self.announcer.status()
    }
}

fn question(us: StationKey, ip: IpAddr) -> Small {
    match ip {
        IpAddr::V4(v4) => arp::probe(us, v4),
        IpAddr::V6(v6) => nd::solicitation(us, v6),
    }
}

/// None for an IPv6 address of which it is not known whether a router has it: one that says of itself that it is none
/// is taken from its neighbours' lists of routers (RFC 4861, section 7.2.5), and switches learn by RARP as well.
fn announcement(station: StationKey, ip: IpAddr, router: Option<bool>) -> Option<Small> {
    match ip {
        IpAddr::V4(v4) => Some(arp::announcement(station, v4)),
        IpAddr::V6(v6) => router.map(|router| nd::advertisement(station, v6, router)),
    }
}
