//! Notices that the LAN port is deaf, or that nobody hears it: one way only.
//!
//! A switch that keeps frames of foreign addresses back does it without a word, and everything looks healthy. What
//! proves it is a question that a live host leaves without an answer. Stations of the other side ask hosts of our LAN
//! by ARP, and each answer is a unicast frame for the other side that has to come in at the LAN port.
//!
//! That a host of ours asks for a station of the other side, and is told (by the station, or by us: `--arp-suppress`),
//! proves nothing: a monitor that only asks who is there has no more to say. But it makes us ask: if no frame for the
//! other side comes in, the host is asked by ARP in the name of the station that it has asked for, as that would itself.
//!
//! Whoever does not answer may have gone a moment ago. So it counts if the host is heard again after a question, and
//! leaves the next one unanswered as well. And the reverse: frames for the other side come in and cross, and for a
//! long time none comes back.
//!
//! No sockets, no clock: counters and `now` in, news out.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use causeway_ebpf::ethernet::{EthernetHeader, HEADER_LEN, TAG_LEN};
use tracing::debug;

use super::Control;
use crate::{
    doctor::probe::Arp,
    snoop::{Kind, Small, arp},
    stations::{Place, Role, StationKey, StationTable},
    worker::{Command, Origin, Punted},
};

/// For how long nothing has to come in since the first question, and since the last.
const DEAF_AFTER: Duration = Duration::from_secs(6);
const ANSWER: Duration = Duration::from_secs(2);

/// For how long nothing has to come back, and after how many frames. Long, as a host that only listens still
/// answers ARP: Linux asks again after 45 s at most.
const UNANSWERED_AFTER: Duration = Duration::from_secs(120);
const FRAMES: u64 = 10;

/// A host counts as alive for this long after it was heard.
const ALIVE: Duration = Duration::from_secs(60);

/// From what a host was told to our first question, and the longest pause between two.
const PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Hosts that are remembered at most.
const HOSTS: usize = 1_024;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OneWayNews {
    /// Frames of the other side go out at the LAN port, and nothing for it comes in.
    Deaf,
    /// Frames for the other side cross, and nothing comes back.
    Unanswered,
    /// It is over.
    Over,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Unicast frames that came in at the LAN port for the other side.
    pub(super) taken: u64,
    /// Frames of the other side that were put out there.
    pub(super) injected: u64,
}

/// A host of our LAN, and the station of the other side that it has asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    host: ([u8; 6], Ipv4Addr),
    station: (StationKey, Ipv4Addr),
}

/// Questions that a frame for the other side has to follow.
#[derive(Debug)]
struct Asked {
    since: Instant,
    /// Whom, the last time.
    host: Ipv4Addr,
    /// Whether a host that was asked was heard after that, and when the first question after that was.
    lives: bool,
    again: Option<Instant>,
}

/// A pair that has not been seen to talk.
#[derive(Debug)]
struct Silent {
    pair: Pair,
    /// When the host last asked.
    asked: Instant,
    /// When we ask, and the pause after that.
    next: Instant,
    pause: Duration,
}

/// What has been seen.
#[derive(Debug, Default)]
pub(super) struct OneWay {
    /// Hosts of our LAN, and when they were heard.
    heard: HashMap<Ipv4Addr, Instant>,
    asked: Option<Asked>,
    silent: Option<Silent>,
    /// Whoever has answered is left alone until then.
    rest_until: Option<Instant>,
    /// Since when frames have crossed without one coming back, and what the counts were.
    crossed: Option<(Instant, u64)>,
    last: Counts,
    trouble: Option<OneWayNews>,
}

impl OneWay {
    /// An ARP packet of a host of our LAN; `asks_for`, if it is a question: the station of the other side that has
    /// the address.
    pub(super) fn home(&mut self, arp: &Arp, asks_for: Option<StationKey>, now: Instant) {
        let ip = arp.sender.1;
        if ip.is_unspecified() {
            return;
        }
        if self.heard.len() >= HOSTS {
            self.heard.retain(|_, at| now < *at + ALIVE);
        }
        if self.heard.len() < HOSTS || self.heard.contains_key(&ip) {
            self.heard.insert(ip, now);
        }
        if let Some(asked) = &mut self.asked {
            // What is on its way at this moment is no silence.
            asked.lives |= asked.host == ip && now >= asked.since + ANSWER;
        }
        if let Some(station) = asks_for {
            let pair = Pair {
                host: (arp.sender.0.0, ip),
                station: (station, arp.target.1),
            };
            self.told(pair, now);
        }
    }

    /// The host will hear, from the station or from us, where that is.
    fn told(&mut self, pair: Pair, now: Instant) {
        if self.rest_until.is_some_and(|until| now < until) {
            return;
        }
        let soon = now + PAUSE;
        match &mut self.silent {
            Some(silent) => {
                silent.next = silent.next.min(soon);
                (silent.pair, silent.asked) = (pair, now);
            }
            None => {
                self.silent = Some(Silent {
                    pair,
                    asked: now,
                    next: soon,
                    pause: PAUSE,
                });
            }
        }
    }

    /// An ARP packet of a station of the other side, which goes out at the LAN port.
    pub(super) fn away(&mut self, arp: &Arp, now: Instant) {
        let host = arp.target.1;
        let alive = self.heard.get(&host).is_some_and(|at| now < *at + ALIVE);
        // A probe or an announcement, in which sender or target is empty or the same, is answered by nobody.
        if !arp.is_reply && !arp.sender.1.is_unspecified() && arp.sender.1 != host && alive {
            self.asks(host, now);
        }
    }

    fn asks(&mut self, host: Ipv4Addr, now: Instant) {
        // Whoever has not been heard again by then is gone.
        let old = |asked: &mut Asked| asked.again.is_none() && now >= asked.since + ALIVE;
        self.asked.take_if(old);
        let asked = self.asked.get_or_insert(Asked {
            since: now,
            host,
            lives: false,
            again: None,
        });
        if asked.lives && asked.host == host {
            asked.again.get_or_insert(now);
        }
        if !asked.lives {
            asked.host = host;
        }
    }

    /// A question that is to be asked now in the name of a station, if that `is_there` still: in the name of one that has
    /// come to our LAN, the question would draw its frames to our port.
    pub(super) fn question(
        &mut self,
        now: Instant,
        is_there: impl FnOnce(StationKey) -> bool,
    ) -> Option<Pair> {
        self.silent.take_if(|silent| now >= silent.asked + ALIVE);
        let station = self.silent.as_ref().map(|silent| silent.pair.station.0);
        if station.is_some_and(|station| !is_there(station)) {
            self.silent = None;
            // What it was asked for before, it may answer to the station itself. What is deaf stays so until a frame comes in.
            if self.trouble != Some(OneWayNews::Deaf) {
                self.asked = None;
            }
        }
        let silent = self.silent.as_mut().filter(|silent| now >= silent.next)?;
        silent.next = now + silent.pause;
        silent.pause = (2 * silent.pause).min(LONGEST_PAUSE);
        let pair = silent.pair;
        self.asks(pair.host.1, now);
        Some(pair)
    }

    /// Looks at the counts, once in a while.
    pub(super) fn look(&mut self, counts: Counts, now: Instant) -> Option<OneWayNews> {
        if counts.taken != self.last.taken {
            let answered = self.silent.take().is_some() && self.asked.take().is_some();
            self.asked = None;
            if answered {
                self.rest_until = Some(now + ALIVE);
            }
        }
        if counts.injected != self.last.injected || counts.taken == 0 {
            self.crossed = None;
        } else if counts.taken != self.last.taken {
            self.crossed.get_or_insert((now, self.last.taken));
        }
        self.last = counts;
        let deaf = |asked: &Asked| {
            let unanswered = asked.again.is_some_and(|again| now >= again + ANSWER);
            unanswered && now >= asked.since + DEAF_AFTER
        };
        let unanswered = |&(since, before): &(Instant, u64)| {
            counts.taken - before >= FRAMES && now >= since + UNANSWERED_AFTER
        };
        let trouble = if self.asked.as_ref().is_some_and(deaf) {
            Some(OneWayNews::Deaf)
        } else if self.crossed.as_ref().is_some_and(unanswered) {
            Some(OneWayNews::Unanswered)
        } else {
            None
        };
        // What was deaf is so until a frame comes in, also while nobody asks.
        let was = std::mem::replace(&mut self.trouble, trouble);
        match (was, trouble) {
            (was, now) if was == now => None,
            (_, Some(news)) => Some(news),
            (_, None) => Some(OneWayNews::Over),
        }
    }

    /// What is wrong now, for people; `lan` is the LAN port.
    pub(super) fn warning(&self, lan: &str) -> Option<String> {
        match self.trouble? {
            OneWayNews::Deaf => Some(format!(
                "frames of stations behind peers go out at {lan}, and none for them comes in, though hosts there were asked: the switch keeps frames back (on VMware: Promiscuous Mode, Forged Transmits); `causeway doctor --lan {lan}` says which setting it is"
            )),
            OneWayNews::Unanswered => Some(format!(
                "frames from {lan} cross to peers, and for minutes none has come back: the other end's switch keeps them back, or its stations are down; run `causeway doctor` there"
            )),
            OneWayNews::Over => None,
        }
    }
}

impl Pair {
    /// What the station would ask the host, to it alone.
    fn frame(&self) -> Small {
        arp::request(self.station, self.host)
    }
}

impl Control {
    /// Looks at an ARP packet that a worker has shown us.
    pub(super) fn one_way_saw(&mut self, punted: &Punted, now: Instant) {
        if punted.kind != Kind::Arp {
            return;
        }
        let Some(arp) = Arp::parse(punted.frame()) else {
            return;
        };
        match punted.origin {
            Origin::Lan => {
                let asks_for = self.other_side_has(punted.frame(), &arp);
                self.one_way.home(&arp, asks_for, now);
            }
            Origin::Peer(_) => self.one_way.away(&arp, now),
        }
    }

    /// The station of the other side that a host of ours asks for.
    fn other_side_has(&self, frame: &[u8], question: &Arp) -> Option<StationKey> {
        // Behind a second tag are networks of their own.
        let header = EthernetHeader::parse(frame).filter(|h| h.len <= HEADER_LEN + TAG_LEN)?;
        if question.is_reply || question.source != question.sender.0 {
            return None;
        }
        let segment = match self.stations.role {
            Role::Site => 0,
            Role::Cloud => self.stations.get(header.source_station())?.peer,
        };
        let target = IpAddr::V4(question.target.1);
        let bindings = &self.snooping.bindings;
        let owner = bindings.owner(segment, header.vlan, target)?;
        is_on_other_side(&self.stations, owner).then_some(owner)
    }

    pub(super) fn look_for_one_way(&mut self, now: Instant) {
        let Ok(verdicts) = self.parts.program.counters() else {
            return;
        };
        let counts = Counts {
            taken: verdicts[causeway_ebpf::Verdict::Tunnel.index()],
            injected: self.sum(|c| c.lan_tx_frames.get()),
        };
        let lan = &self.parts.lan.name;
        match self.one_way.look(counts, now) {
            Some(OneWayNews::Over) => tracing::info!("frames at {lan} go both ways again"),
            Some(_) => self
                .one_way
                .warning(lan)
                .iter()
                .for_each(|text| tracing::warn!("{text}")),
            None => {}
        }
        let is_there = |station| is_on_other_side(&self.stations, station);
        if let Some(pair) = self.one_way.question(now, is_there) {
            debug!("no frame for the other side comes in: {pair:?} is asked");
            // Any worker's port leads to the LAN.
            self.context.workers[0].tell(Command::Inject(vec![pair.frame().to_vec()]));
        }
    }
}

fn is_on_other_side(stations: &StationTable, station: StationKey) -> bool {
    let place = stations.get(station).map(|s| s.place);
    match stations.role {
        Role::Site => place == Some(Place::Away),
        Role::Cloud => place != Some(Place::Home),
    }
}

#[cfg(test)]
mod tests;
