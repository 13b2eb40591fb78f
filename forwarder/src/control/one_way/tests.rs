use super::*;
use crate::doctor::probe::Mac;

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const VM: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 50);
const STATION: StationKey = StationKey::new(0, [0, 0x50, 0x56, 0, 0, 0x50]);

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
    Counts { taken, injected }
}

/// What comes of a number of seconds, in each of which `happens` and then the counts are looked at and we ask.
struct Seconds {
    it: OneWay,
    start: Instant,
    news: Vec<OneWayNews>,
    /// In which second we have asked.
    asked: Vec<u64>,
    /// In which second the station comes to our LAN.
    comes: u64,
}

impl Seconds {
    fn new() -> Self {
        let (it, start) = (OneWay::default(), Instant::now());
        let (news, asked) = (Vec::new(), Vec::new());
        Self {
            it,
            start,
            news,
            asked,
            comes: u64::MAX,
        }
    }

    /// `happens` gives the frames taken so far.
    fn run(
        mut self,
        seconds: std::ops::Range<u64>,
        mut happens: impl FnMut(&mut OneWay, u64, Instant) -> u64,
    ) -> Self {
        for second in seconds {
            let now = self.start + Duration::from_secs(second);
            let taken = happens(&mut self.it, second, now);
            self.news.extend(self.it.look(counts(taken, second), now));
            let is_there = |_| second < self.comes;
            if self.it.question(now, is_there).is_some() {
                self.asked.push(second);
            }
        }
        self
    }
}

#[test]
fn a_live_host_that_leaves_a_station_without_an_answer_is_not_heard() {
    let run = Seconds::new().run(0..40, |it, second, now| {
        if second % 10 == 0 {
            it.home(&arp(false, GATEWAY, Ipv4Addr::new(10, 77, 0, 3)), None, now);
        }
        it.away(&arp(false, VM, GATEWAY), now);
        0
    });
    assert_eq!(run.news, [OneWayNews::Deaf], "once");
    let warning = run.it.warning("ens1").unwrap();
    assert!(warning.contains("causeway doctor --lan ens1"), "{warning}");
    let run = run.run(40..42, |_, _, _| 1);
    assert_eq!(run.news, [OneWayNews::Deaf, OneWayNews::Over]);
    assert_eq!(run.it.warning("ens1"), None);
}

#[test]
fn nobody_has_to_answer_what_asks_nobody() {
    let (nobody, empty) = (Ipv4Addr::new(10, 77, 0, 9), Ipv4Addr::UNSPECIFIED);
    for what in [
        arp(false, VM, nobody),
        arp(false, VM, VM),
        arp(false, empty, GATEWAY),
        arp(true, VM, GATEWAY),
    ] {
        let run = Seconds::new().run(0..60, |it, _, now| {
            it.home(&arp(false, GATEWAY, nobody), None, now);
            it.away(&what, now);
            0
        });
        assert_eq!((run.news, run.asked), (vec![], vec![]), "{what:?}");
    }
}

/// A gateway that restarts is asked all the time, and answers when it is there again.
#[test]
fn who_has_gone_is_not_deaf() {
    let run = Seconds::new().run(0..200, |it, second, now| {
        if second == 0 || second == 100 {
            it.home(&arp(false, GATEWAY, GATEWAY), None, now);
        }
        it.away(&arp(false, VM, GATEWAY), now);
        second.saturating_sub(100)
    });
    assert_eq!(run.news, []);
}

#[test]
fn frames_that_come_in_are_no_trouble() {
    let run = Seconds::new().run(0..60, |it, second, now| {
        it.home(&arp(false, GATEWAY, VM), Some(STATION), now);
        it.away(&arp(false, VM, GATEWAY), now);
        second / 2
    });
    assert_eq!(run.news, []);
}

/// It is told where the station is, and says no more; asked in the station's name it answers, from time to time.
#[test]
fn a_monitor_that_only_asks_is_asked_and_answers() {
    let mut taken = 0;
    let mut run = Seconds::new();
    for second in 0..300 {
        let before = run.asked.len();
        run = run.run(second..second + 1, |it, _, now| {
            it.home(&arp(false, GATEWAY, VM), Some(STATION), now);
            taken
        });
        taken += (run.asked.len() - before) as u64;
    }
    assert_eq!(run.news, []);
    assert_eq!(run.asked, [2, 65, 128, 191, 254]);
}

/// The same, and the port hears none of its answers: it asks on, and so do we, less and less.
#[test]
fn a_host_that_asks_on_and_never_answers_is_not_heard() {
    let run = Seconds::new().run(0..100, |it, second, now| {
        if second % 10 == 0 {
            it.home(&arp(false, GATEWAY, VM), Some(STATION), now);
        }
        0
    });
    assert_eq!(run.news, [OneWayNews::Deaf]);
    assert!(run.asked.starts_with(&[2, 4]), "{:?}", run.asked);
    assert!(run.asked.len() < 14, "{:?}", run.asked);
}

/// One that asked once and went is forgotten.
#[test]
fn a_host_that_asks_and_leaves_is_no_trouble() {
    let run = Seconds::new().run(0..300, |it, second, now| {
        if second == 0 {
            it.home(&arp(false, GATEWAY, VM), Some(STATION), now);
        }
        0
    });
    assert_eq!(run.news, []);
    assert!(run.asked.iter().all(|s| *s < 60), "{:?}", run.asked);
}

#[test]
fn nobody_is_asked_in_the_name_of_a_station_that_has_come() {
    let mut run = Seconds::new();
    run.comes = 5;
    let run = run.run(0..60, |it, second, now| {
        if second < 4 {
            it.home(&arp(false, GATEWAY, VM), Some(STATION), now);
        }
        0
    });
    assert!(
        run.asked.last().is_some_and(|last| *last < 5),
        "{:?}",
        run.asked
    );
    assert_eq!(run.news, []);
}

/// The station that it was found out by has come since.
#[test]
fn what_is_deaf_stays_so_when_the_station_has_come() {
    let mut run = Seconds::new();
    run.comes = 30;
    let run = run.run(0..60, |it, second, now| {
        if second < 20 {
            it.home(&arp(false, GATEWAY, VM), Some(STATION), now);
        }
        0
    });
    assert_eq!(run.news, [OneWayNews::Deaf]);
    assert!(run.it.warning("ens1").is_some());
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
        let host = Ipv4Addr::from(0x0a00_0000 + n);
        it.home(&arp(false, host, VM), None, start);
    }
    assert_eq!(it.heard.len(), HOSTS);
    it.home(&arp(false, GATEWAY, VM), None, start + ALIVE);
    assert_eq!(it.heard.len(), 1);
}
