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
    let start = Instant::now();
    let mut now = start;
    let mut plan = Plan::new(OWN, 0, targets, macs());
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
                for _ in 0..answers(plan.probes().len() - 1, &asked) {
                    plan.hear(&answer, now);
                }
            }
            Step::Wait(until) => {
                assert!(until > now, "time goes on");
                now = until;
            }
            Step::Done => return (plan.probes().to_vec(), now - start),
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
    assert!(time <= Duration::from_secs(1), "{time:?}");
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
    plan.hear(&Arp::parse(&frame).unwrap(), Instant::now());
    assert_eq!(
        (plan.probes()[0].returned, plan.probes()[0].answered()),
        (1, false)
    );
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
