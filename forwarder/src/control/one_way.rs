//! Notices that the LAN port is deaf, or that nobody hears it: one way only.
//!
//! A switch that keeps frames of foreign addresses back does it without a word, and everything looks healthy. So
//! we look for the pattern: a station on the other side asks a host of our LAN by ARP, one that has been heard here
//! lately, or answers one, or is answered for here (`--arp-suppress`); then a frame for the other side has to come in at the LAN port soon. Where that goes
//! on for a while and none comes, that is worth one warning. And the reverse: frames for the other side come in and
//! cross, and for a long time none comes back.
//!
//! No sockets, no clock: counters and `now` in, news out.

use std::{
    collections::HashMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use causeway_tunnel::DropReason;

use super::Control;
use crate::{
    doctor::probe::Arp,
    snoop::Kind,
    worker::{Origin, Punted},
};

/// For how long nothing has to come in, and after how many questions. Of each station the workers show us one in
/// ten seconds.
const DEAF_AFTER: Duration = Duration::from_secs(6);
const QUESTIONS: u32 = 2;

/// For how long nothing has to come back, and after how many frames. Long, as a host that only listens still
/// answers ARP: Linux asks again after 45 s at most.
const UNANSWERED_AFTER: Duration = Duration::from_secs(120);
const FRAMES: u64 = 10;

/// A host counts as alive for this long after it was heard.
const ALIVE: Duration = Duration::from_secs(60);

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
    /// Questions of hosts of our LAN that were answered in the name of a station of the other side.
    pub(super) answered: u64,
}

/// What has been seen.
#[derive(Debug, Default)]
pub(super) struct OneWay {
    /// Hosts of our LAN, and when they were heard.
    heard: HashMap<Ipv4Addr, Instant>,
    /// The first question that a frame has to follow, and how many there were since.
    asked: Option<(Instant, u32)>,
    /// Since when frames have crossed without one coming back, and what the counts were.
    crossed: Option<(Instant, u64)>,
    last: Counts,
    trouble: Option<OneWayNews>,
}

impl OneWay {
    /// An ARP packet of a host of our LAN.
    pub(super) fn home(&mut self, arp: &Arp, now: Instant) {
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
    }

    /// An ARP packet of a station of the other side, which goes out at the LAN port.
    pub(super) fn away(&mut self, arp: &Arp, now: Instant) {
        let alive = |ip| self.heard.get(&ip).is_some_and(|at| now < *at + ALIVE);
        // A probe or an announcement, in which sender or target is empty or the same, is answered by nobody.
        let asks = !arp.sender.1.is_unspecified() && arp.sender.1 != arp.target.1;
        if asks && alive(arp.target.1) {
            self.asked.get_or_insert((now, 0)).1 += 1;
        }
    }

    /// Looks at the counts, once in a while.
    pub(super) fn look(&mut self, counts: Counts, now: Instant) -> Option<OneWayNews> {
        if counts.taken != self.last.taken {
            self.asked = None;
        } else {
            self.note_answers(counts.answered - self.last.answered, now);
        }
        if counts.injected != self.last.injected || counts.taken == 0 {
            self.crossed = None;
        } else if counts.taken != self.last.taken {
            self.crossed.get_or_insert((now, self.last.taken));
        }
        self.last = counts;
        let deaf = |&(since, questions): &(Instant, u32)| {
            questions >= QUESTIONS && now >= since + DEAF_AFTER
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

    fn note_answers(&mut self, answers: u64, now: Instant) {
        if answers > 0 {
            let asked = &mut self.asked.get_or_insert((now, 0)).1;
            *asked = asked.saturating_add(u32::try_from(answers).unwrap_or(u32::MAX));
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

impl Control {
    /// Looks at an ARP packet that a worker has shown us.
    pub(super) fn one_way_saw(&mut self, punted: &Punted, now: Instant) {
        if punted.kind != Kind::Arp {
            return;
        }
        if let Some(arp) = Arp::parse(punted.frame()) {
            match punted.origin {
                Origin::Lan => self.one_way.home(&arp, now),
                Origin::Peer(_) => self.one_way.away(&arp, now),
            }
        }
    }

    pub(super) fn look_for_one_way(&mut self, now: Instant) {
        let Ok(verdicts) = self.parts.program.counters() else {
            return;
        };
        let counts = Counts {
            taken: verdicts[causeway_ebpf::Verdict::Tunnel.index()],
            injected: self.sum(|c| c.lan_tx_frames.get()),
            answered: self.sum(|c| c.drops[DropReason::AnsweredNearby.index()].get()),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::probe::Mac;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const VM: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);

    fn arp(is_reply: bool, from: Ipv4Addr, to: Ipv4Addr) -> Arp {
        let mac = Mac([2, 0, 0, 0, 0, 1]);
        Arp {
            source: mac,
            is_reply,
            sender: (mac, from),
            target: (mac, to),
        }
    }

    fn counts(taken: u64, injected: u64) -> Counts {
        Counts {
            taken,
            injected,
            answered: 0,
        }
    }

    /// Has the VM say something once a second for so long, while nothing comes in.
    fn ask(it: &mut OneWay, start: Instant, what: &Arp, seconds: u64) -> Vec<OneWayNews> {
        let mut news = Vec::new();
        for second in 0..seconds {
            let now = start + Duration::from_secs(second);
            it.away(what, now);
            news.extend(it.look(counts(0, second + 1), now));
        }
        news
    }

    #[test]
    fn a_port_that_hears_no_answer_is_deaf_until_it_hears_one() {
        for what in [arp(false, VM, GATEWAY), arp(true, VM, GATEWAY)] {
            let (mut it, start) = (OneWay::default(), Instant::now());
            it.home(&arp(false, GATEWAY, VM), start);
            assert_eq!(ask(&mut it, start, &what, 20), [OneWayNews::Deaf], "once");
            let warning = it.warning("ens1").unwrap();
            assert!(warning.contains("causeway doctor --lan ens1"), "{warning}");
            let later = start + Duration::from_secs(21);
            assert_eq!(it.look(counts(1, 21), later), Some(OneWayNews::Over));
            assert_eq!(
                (it.look(counts(1, 21), later), it.warning("ens1")),
                (None, None)
            );
        }
    }

    #[test]
    fn nobody_has_to_answer_what_asks_nobody() {
        let start = Instant::now();
        let (nobody, empty) = (Ipv4Addr::new(10, 77, 0, 9), Ipv4Addr::UNSPECIFIED);
        for what in [
            arp(false, VM, nobody),
            arp(false, VM, VM),
            arp(false, empty, GATEWAY),
        ] {
            let mut it = OneWay::default();
            it.home(&arp(false, GATEWAY, VM), start);
            assert_eq!(ask(&mut it, start, &what, 30), [], "{what:?}");
        }
        let mut it = OneWay::default();
        it.home(&arp(false, GATEWAY, VM), start);
        let old = start + ALIVE;
        assert_eq!(
            ask(&mut it, old, &arp(false, VM, GATEWAY), 30),
            [],
            "not heard lately"
        );
    }

    #[test]
    fn a_few_questions_or_frames_that_come_in_are_no_trouble() {
        let (mut it, start) = (OneWay::default(), Instant::now());
        it.home(&arp(false, GATEWAY, VM), start);
        assert_eq!(ask(&mut it, start, &arp(false, VM, GATEWAY), 1), []);
        for second in 1..60 {
            let now = start + Duration::from_secs(second);
            assert_eq!(it.look(counts(0, 1), now), None);
        }
        let (mut it, start) = (OneWay::default(), Instant::now());
        for second in 0..60 {
            let now = start + Duration::from_secs(second);
            it.home(&arp(false, GATEWAY, VM), now);
            it.away(&arp(false, VM, GATEWAY), now);
            assert_eq!(it.look(counts(second / 2, second), now), None);
        }
    }

    #[test]
    fn who_was_answered_here_has_something_to_say() {
        let (mut it, start) = (OneWay::default(), Instant::now());
        let mut news = Vec::new();
        for second in 0..30 {
            let answered = second / 9;
            let counts = Counts {
                answered,
                ..counts(0, 0)
            };
            news.extend(it.look(counts, start + Duration::from_secs(second)));
        }
        assert_eq!(news, [OneWayNews::Deaf]);
    }

    #[test]
    fn what_crosses_and_is_never_answered_is_noticed() {
        let (mut it, start) = (OneWay::default(), Instant::now());
        let mut news = Vec::new();
        for second in 1..300 {
            let now = start + Duration::from_secs(second);
            news.extend(it.look(counts(second, 7), now));
        }
        assert_eq!(news, [OneWayNews::Unanswered]);
        assert!(
            it.warning("ens1")
                .unwrap()
                .contains("run `causeway doctor` there")
        );
        let later = start + Duration::from_secs(300);
        assert_eq!(it.look(counts(300, 8), later), Some(OneWayNews::Over));
    }

    #[test]
    fn few_hosts_are_remembered() {
        let (mut it, start) = (OneWay::default(), Instant::now());
        for n in 0..5_000_u32 {
            it.home(&arp(false, Ipv4Addr::from(0x0a00_0000 + n), VM), start);
        }
        assert_eq!(it.heard.len(), HOSTS);
        it.home(&arp(false, GATEWAY, VM), start + ALIVE);
        assert_eq!(it.heard.len(), 1);
    }
}
