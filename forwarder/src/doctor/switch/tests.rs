//! Each pattern and what is said about it.

use std::net::Ipv4Addr;

use super::*;
use crate::doctor::probe::Mac;

const HOST: Mac = Mac([0x02, 0x77, 0, 0, 0, 1]);
const FRESH: Mac = Mac([0x0a, 0, 0, 0, 0, 1]);

fn probe(kind: Kind, answers: usize) -> Probe {
    let mut probe = Probe::new(kind, FRESH, Ipv4Addr::new(192, 0, 2, 1), 0);
    probe.answers = vec![HOST; answers];
    probe
}

fn probes(p0: bool, p2: bool, p1: bool, p3: bool) -> Vec<Probe> {
    let kinds = [
        (Kind::P2, p2),
        (Kind::P0, p0),
        (Kind::P1, p1),
        (Kind::P3, p3),
    ];
    kinds.map(|(kind, yes)| probe(kind, yes.into())).into()
}

/// Asked untagged.
fn checks(probes: &[Probe], platform: Platform) -> Vec<Check> {
    super::checks(probes, 0, &Meanwhile::default(), platform)
}

/// The first check that fails or that is not known.
fn first_bad(checks: &[Check]) -> (&'static str, &'static str, String) {
    let bad = checks.iter().find_map(|c| match &c.verdict {
        Verdict::Ok { .. } => None,
        Verdict::Failing { why, mend } => Some(("failing", c.name, format!("{why} {mend}"))),
        Verdict::Unknown { why } => Some(("unknown", c.name, why.clone())),
    });
    bad.unwrap_or(("ok", "", String::new()))
}

#[test]
fn each_pattern_has_its_line() {
    use Diagnosis::*;
    for (p2, p1, p3, expected, verdict, name, word) in [
        (true, true, true, Passes, "ok", "", ""),
        (
            false,
            true,
            false,
            ReceiveBlocked,
            "failing",
            RECEIVES,
            "Promiscuous Mode = Accept",
        ),
        (
            true,
            false,
            false,
            SendBlocked,
            "failing",
            SENDS,
            "Forged Transmits = Accept",
        ),
        (
            false,
            false,
            false,
            BothBlocked,
            "failing",
            RECEIVES,
            "Promiscuous Mode = Accept",
        ),
        (
            false,
            true,
            true,
            NoFlooding,
            "failing",
            RECEIVES,
            "allowUnicastFlooding",
        ),
        (
            false,
            false,
            true,
            ArpConsistency,
            "unknown",
            RECEIVES,
            "sender is not the frame's source",
        ),
        (true, false, true, SourceMustBeSender, "ok", "", ""),
        (
            true,
            true,
            false,
            OnlyTogetherBlocked,
            "unknown",
            SENDS,
            "limit of addresses",
        ),
    ] {
        let probes = probes(true, p2, p1, p3);
        assert_eq!(diagnose(&probes), Some(expected));
        let (is, of, text) = first_bad(&checks(&probes, Platform::Vsphere));
        assert_eq!((is, of), (verdict, name), "{expected:?}");
        assert!(text.contains(word), "{expected:?}: {text}");
    }
}

#[test]
fn two_settings_that_are_wrong_are_two_lines() {
    let checks = checks(&probes(true, false, false, false), Platform::Vsphere);
    let failing = checks
        .iter()
        .filter(|c| matches!(c.verdict, Verdict::Failing { .. }));
    assert_eq!(
        failing.map(|c| c.name).collect::<Vec<_>>(),
        [RECEIVES, SENDS]
    );
}

#[test]
fn silence_is_no_verdict() {
    for probes in [probes(false, false, false, false), Vec::new()] {
        let checks = checks(&probes, Platform::Unknown);
        let (is, _, text) = first_bad(&checks);
        assert_eq!((is, checks.len()), ("unknown", 1));
        assert!(text.contains("--target IP"), "{text}");
    }
    // An answer when it was too late to go on.
    assert_eq!(diagnose(&[probe(Kind::P2, 0), probe(Kind::P0, 1)]), None);
    // Only the port's own address is not answered: that much is chance.
    assert_eq!(
        diagnose(&probes(false, true, true, true)),
        Some(Diagnosis::Passes)
    );
}

#[test]
fn what_comes_back_or_twice_is_a_reflection() {
    let mut back = probes(true, true, true, true);
    back[2].returned = 1;
    let mut twice = probes(true, true, true, true);
    twice[3] = probe(Kind::P3, 2);
    for probes in [back, twice] {
        let (is, name, text) = first_bad(&checks(&probes, Platform::Vsphere));
        assert_eq!((is, name), ("failing", REFLECTS));
        assert!(
            text.contains("Net.ReversePathFwdCheckPromisc = 1"),
            "{text}"
        );
    }
}

#[test]
fn two_hosts_with_one_address_are_no_reflection() {
    let mut probes = probes(true, true, true, true);
    probes[1].answers.push(Mac([0x02, 0x77, 0, 0, 0, 9]));
    let (is, name, text) = first_bad(&checks(&probes, Platform::Vsphere));
    assert_eq!((is, name), ("failing", ONE_HOST));
    assert!(
        text.contains("02:77:00:00:00:01 and 02:77:00:00:00:09"),
        "{text}"
    );
}

#[test]
fn a_port_that_dies_of_a_foreign_source_is_named() {
    let alive = |last: &[usize]| {
        let mut probes = probes(true, true, false, false);
        probes.extend(last.iter().map(|n| probe(Kind::P0, *n)));
        checks(&probes, Platform::Physical)
            .into_iter()
            .find(|c| c.name == ALIVE)
    };
    assert_eq!(alive(&[]), None);
    assert!(matches!(
        alive(&[0, 1]).unwrap().verdict,
        Verdict::Ok { .. }
    ));
    assert!(is_failing(&alive(&[0, 0]).unwrap()));
    // It is the first to be mended, and the platform's other gate is not blamed.
    let mut shut = probes(true, true, false, false);
    shut.extend([probe(Kind::P0, 0), probe(Kind::P0, 0)]);
    let checks = checks(&shut, Platform::Vsphere);
    let (is, name, text) = first_bad(&checks);
    assert_eq!((is, name), ("failing", ALIVE));
    assert!(text.contains("err-disabled"), "{text}");
    assert!(
        !format!("{checks:?}").contains("Forged Transmits"),
        "{checks:?}"
    );
}

#[test]
fn another_vlan_is_named() {
    let silent = |vlan| Probe {
        vlan,
        ..probe(Kind::P0, 0)
    };
    let there = |vlan| Probe {
        vlan,
        ..probe(Kind::P0, 1)
    };
    let ask = |probes: &[Probe], vlan, heard: &[u16]| {
        let meanwhile = Meanwhile {
            heard: heard.to_vec(),
            ..Meanwhile::default()
        };
        let checks = super::checks(probes, vlan, &meanwhile, Platform::Unknown);
        let (is, of, text) = first_bad(&checks);
        assert_eq!((of, checks.len()), (ANSWERS, 1));
        (is, text)
    };
    for (asked, lives, words) in [
        (
            21,
            20,
            "does not answer in VLAN 21, but does in VLAN 20 `--vlan 20` here",
        ),
        (21, 0, "but does untagged no `--vlan` here"),
        (0, 20, "does not answer untagged, but does in VLAN 20"),
    ] {
        let (is, text) = ask(&[silent(asked), there(lives)], asked, &[lives]);
        assert!(is == "failing" && text.contains(words), "{is}: {text}");
    }
    let stray = Probe {
        strays: vec![0],
        ..silent(20)
    };
    let (is, text) = ask(&[stray, silent(0)], 20, &[]);
    assert!(
        is == "failing" && text.contains("in VLAN 20 and answers untagged"),
        "{text}"
    );
    let (is, text) = ask(&[silent(21), silent(0)], 21, &[20, 0, 21, 30]);
    assert!(
        is == "unknown" && text.contains("(frames of VLAN 20, 30 come in)"),
        "{text}"
    );
}
