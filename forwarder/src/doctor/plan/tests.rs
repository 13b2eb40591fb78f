//! The course of the probes over switches and losses of all sorts, in virtual time.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const OWN: Mac = Mac([0x02, 0x77, 0, 0, 0, 2]);
const HOST: Mac = Mac([0x02, 0x77, 0, 0, 0, 1]);

fn target(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, n)
}

fn macs() -> Vec<Mac> {
    let mac = |n| Mac([0x0a, 0, 0, 0, 0, n]);
    (0..MOST_FRAMES as u8).map(mac).collect()
}

/// Runs a plan to its end; `answers` says how often the frame number `n` is answered. Gives the probes and
/// the time that passed.
fn run(
    targets: &[Ipv4Addr],
    mut answers: impl FnMut(usize, &Arp) -> usize,
) -> (Vec<Probe>, Duration) {
    let mut plan = Plan::new(OWN, 0, targets, macs());
    let time = follow(&mut plan, |plan, asked, answer, now| {
        for _ in 0..answers(plan.probes().len() - 1, asked) {
            plan.hear(answer, 0, now);
        }
    });
    (plan.probes().to_vec(), time)
}

/// Follows a plan to its end, in the time that it takes; `hears` is told of each question, and what HOST would answer.
fn follow(plan: &mut Plan, mut hears: impl FnMut(&mut Plan, &Arp, &Arp, Instant)) -> Duration {
    let start = Instant::now();
    let mut now = start;
    loop {
        match plan.step(now) {
            Step::Send(frame) => {
                let asked = Arp::parse(&frame).unwrap();
                let answer = Arp {
                    source: HOST,
                    is_reply: true,
                    sender: (HOST, asked.target.1),
                    target: asked.sender,
                };
                hears(plan, &asked, &answer, now);
            }
            Step::Wait(until) => {
                assert!(until > now, "time goes on");
                now = until;
            }
            Step::Done => return now - start,
        }
    }
}

fn kinds(probes: &[Probe]) -> String {
    let kinds = probes.iter().map(|p| format!("{:?}", p.kind));
    kinds.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_healthy_port_takes_four_frames_and_no_time() {
    let (probes, time) = run(&[target(1)], |_, _| 1);
    assert_eq!(kinds(&probes), "P2 P0 P1 P3");
    assert!(probes.iter().all(|p| p.answers == [HOST]));
    assert_eq!(time, LINGER);
}

#[test]
fn silence_sends_no_foreign_source() {
    let (probes, time) = run(&[target(1), target(2)], |_, _| 0);
    assert_eq!(kinds(&probes), "P2 P2 P0 P0 P0 P0 P0 P0");
    assert!(time <= Duration::from_millis(2_700), "{time:?}");
    assert!(run(&[], |_, _| 0).0.is_empty());
}

#[test]
fn only_those_who_answer_are_asked_on() {
    let targets = [target(1), target(2), target(3), target(4)];
    let own_only = |_, arp: &Arp| {
        usize::from(arp.target.1 == target(2) && arp.source == OWN && arp.sender.0 == OWN)
    };
    let (probes, time) = run(&targets, own_only);
    assert_eq!(
        kinds(&probes),
        "P2 P2 P2 P0 P0 P0 P2 P2 P2 P2 P1 P1 P1 P1 P3 P3 P3 P3 P0"
    );
    assert!(probes[6..].iter().all(|p| p.target == target(2)));
    assert!(time < Duration::from_secs(5), "{time:?}");
}

#[test]
fn answers_beyond_the_first_are_kept() {
    let (probes, _) = run(&[target(1)], |n, _| 1 + n % 2);
    let counts: Vec<_> = probes.iter().map(|p| p.answers.len()).collect();
    assert_eq!(counts, [1, 2, 1, 2]);
}

#[test]
fn a_probe_that_comes_back_is_noticed() {
    let mut plan = Plan::new(OWN, 0, &[target(1)], macs());
    let Step::Send(frame) = plan.step(Instant::now()) else {
        panic!("nothing to send");
    };
    plan.hear(&Arp::parse(&frame).unwrap(), 0, Instant::now());
    assert_eq!(
        (plan.probes()[0].returned, plan.probes()[0].answered()),
        (1, false)
    );
}

/// Asks two targets in VLAN `asked`, while frames of VLANs 30 and 20 come in; whoever is asked in VLAN `lives`
/// answers in VLAN `answers`.
fn astray(asked: u16, lives: u16, answers: u16) -> Vec<Probe> {
    let mut plan = Plan::new(OWN, asked, &[target(1), target(2)], macs());
    [30, 20, 20, 0].iter().for_each(|vlan| plan.overhear(*vlan));
    assert_eq!(plan.heard(), [20, 0, 30]);
    follow(&mut plan, |plan, _, answer, now| {
        if plan.probes().last().unwrap().vlan == lives {
            plan.hear(answer, answers, now);
        }
    });
    plan.probes().to_vec()
}

#[test]
fn a_vlan_that_is_heard_late_is_asked_in_at_once() {
    let mut now = Instant::now();
    let mut plan = Plan::new(OWN, 21, &[target(1)], macs());
    loop {
        match plan.step(now) {
            Step::Send(_) => {}
            // Untagged has been asked, and nothing was heard.
            Step::Wait(until)
                if plan.probes().last().unwrap().vlan == 0 && until > now + PATIENCE.1 =>
            {
                break;
            }
            Step::Wait(until) => now = until,
            Step::Done => panic!("it listens no longer"),
        }
    }
    plan.overhear(20);
    assert!(matches!(plan.step(now), Step::Send(_)));
    assert_eq!(plan.probes().last().unwrap().vlan, 20);
}

/// Somebody who is slow is no reason to believe that foreign sources are kept back.
#[test]
fn who_answers_at_last_is_asked_on() {
    let (mut now, mut slow) = (Instant::now(), None);
    let mut plan = Plan::new(OWN, 0, &[target(1), target(2), target(3)], macs());
    [20, 30, 40].iter().for_each(|vlan| plan.overhear(*vlan));
    loop {
        match plan.step(now) {
            Step::Send(frame) => {
                let asked = Arp::parse(&frame).unwrap();
                let answer = Arp {
                    source: HOST,
                    is_reply: true,
                    sender: (HOST, asked.target.1),
                    target: asked.sender,
                };
                let newest = plan.probes().last().unwrap().clone();
                if newest.vlan != 0 && slow.is_none() {
                    slow = Some(answer);
                } else if slow.is_some() && newest.vlan == 0 {
                    plan.hear(&answer, 0, now);
                }
            }
            Step::Wait(until) => {
                if let Some(answer) = slow.filter(|_| plan.probes().iter().all(|p| !p.answered())) {
                    plan.hear(&answer, 0, now);
                }
                now = until;
            }
            Step::Done => break,
        }
    }
    assert!(plan.probes().len() <= MOST_FRAMES);
    for kind in Kind::ALL {
        let answered = |p: &Probe| p.kind == kind && p.answered();
        // Which P2 was sent before, and is not sent again.
        assert!(
            kind == Kind::P2 || plan.probes().iter().any(answered),
            "{kind:?}"
        );
    }
}

#[test]
fn who_is_silent_is_asked_in_other_vlans() {
    let elsewhere = |probes: &[Probe], asked: u16| -> Vec<(u16, bool)> {
        let others = probes.iter().filter(|p| p.vlan != asked);
        others.map(|p| (p.vlan, p.answered())).collect()
    };
    let found = astray(21, 20, 20);
    assert!(found.iter().all(|p| !p.kind.foreign_source()));
    // The one target, and the other.
    let expected = [(0, false), (20, true), (30, false)].repeat(2);
    assert_eq!(elsewhere(&found, 21), expected);
    // On a trunk nothing may be untagged.
    let untagged = astray(0, 30, 30);
    assert_eq!(elsewhere(&untagged, 0), [(20, false), (30, true)].repeat(2));
    // A port that takes the tag and gives none.
    let native = astray(20, 20, 0);
    assert!(native.iter().all(|p| !p.answered()));
    assert_eq!(native[0].strays, [0]);
    assert!(astray(20, 20, 20).iter().all(|p| p.vlan == 20));
}

proptest! {
    /// Whatever is lost: few frames, a fresh address each, and an end.
    #[test]
    fn never_more_than_twenty_frames(
        targets in 0_u8..6,
        heard in proptest::collection::vec(0_usize..3, 64),
    ) {
        let targets: Vec<_> = (1..=targets).map(target).collect();
        let (probes, time) = run(&targets, |n, _| heard[n]);
        prop_assert!(probes.len() <= MOST_FRAMES);
        prop_assert!(time < Duration::from_secs(7));
        let foreign: Vec<_> = probes.iter().filter(|p| p.kind != Kind::P0).map(|p| p.mac).collect();
        let different: HashSet<_> = foreign.iter().collect();
        prop_assert_eq!(different.len(), foreign.len());
        prop_assert!(!foreign.contains(&OWN));
    }

    /// A port that passes everything is found out in spite of three lost answers of ten.
    #[test]
    fn lost_answers_are_asked_for_again(phase in 0_usize..10) {
        let lost = |n: usize| [0, 3, 7].contains(&((n + phase) % 10));
        let (probes, _) = run(&[target(1)], |n, _| usize::from(!lost(n)));
        // With an answer to P2 there is somebody, whether or not P0 is answered.
        for kind in [Kind::P1, Kind::P2, Kind::P3] {
            prop_assert!(probes.iter().any(|p| p.kind == kind && p.answered()), "{:?}", kind);
        }
    }
}
