//! What a stranger on the untrusted path can do: nothing that reaches a LAN, stops anything or goes uncounted.

use std::collections::BTreeMap;

use crate::{
    attack::{ATTACKER, Attack, Sights, account, books, of, seen, watch},
    lab::{Lab, PATIENCE, within},
    pings::Pings,
};
use causeway::status::Status;

/// What must not change while somebody attacks: processes, sessions, and where lanes go to.
fn standing(lab: &Lab) -> Vec<(u32, u64, String, Vec<Option<String>>)> {
    let of = |status: Status| {
        let peer = &status.peers[0];
        let session = peer.session.as_ref().unwrap();
        assert_eq!(peer.state, "up", "{:?}", peer.last_error);
        let lanes = session.tx_lanes.iter().map(|lane| lane.path.clone());
        (
            status.pid,
            peer.sessions,
            session.remote.clone(),
            lanes.collect(),
        )
    };
    ["site", "cloud"].map(|end| of(lab.status(end))).to_vec()
}

#[track_caller]
fn assert_nothing_strange(sights: &Sights) {
    assert!(
        sights.strange.is_empty() && sights.twice == 0 && sights.numbers.is_empty(),
        "{sights:?}"
    );
}

#[test]
fn replays_forgeries_and_noise_reach_no_lan_and_are_counted() {
    nothing_comes_of_it("udp");
}

#[test]
fn replays_forgeries_and_noise_reach_no_lan_and_are_counted_by_xdp() {
    nothing_comes_of_it("xdp");
}

fn nothing_comes_of_it(uplink: &str) {
    let lab = Lab::running(&[], &["--uplink", uplink]);
    lab.exec("dc", &["ping", "-q", "-c", "2", "-i", "0.1", "10.77.0.50"]);
    let before = standing(&lab);
    tampered_datagrams(&lab);
    let (dc, vm1) = (watch(&lab, "dc"), watch(&lab, "vm1"));
    let ping = Pings::start(&lab);
    replayed_datagrams(&lab);
    random_bytes(&lab);
    ping.assert_all_answered();
    for watching in [dc, vm1] {
        let sights = seen(watching);
        assert_nothing_strange(&sights);
        assert!(
            sights.lengths[&98] > 50,
            "the watch has seen the pings: {sights:?}"
        );
    }
    assert_eq!(standing(&lab), before);
}

/// The datagrams have arrived before, so each copy is one of a sequence number that was seen.
fn replayed_datagrams(lab: &Lab) {
    let before = ["cloud", "site"].map(|end| books(lab, end));
    let attack = Attack::run(lab, &["replay", "40"]);
    for ((end, port), before) in [("cloud", "cloud"), ("site", "worker")].iter().zip(&before) {
        assert_eq!(attack.sent[*port], 80);
        let added = account(lab, end, before, 80);
        assert_eq!(of(&added, &["replayed", "kernel"]), 80, "{added:?}");
    }
}

/// Every bit of a datagram that has not arrived yet is flipped, so that nothing but its tag is against it; then it is cut
/// and extended. In the end it arrives after all: it was genuine, and no forgery has spent its sequence number.
fn tampered_datagrams(lab: &Lab) {
    let before = ["cloud", "site"].map(|end| books(lab, end));
    let (dc, vm1) = (watch(lab, "dc"), watch(lab, "vm1"));
    let mut attacker = lab.spawn("path", &["python3", ATTACKER, "tamper"]);
    assert_eq!(attacker.line(), "holding");
    // Two lengths that nothing else has: 82 and 86 bytes of frame.
    for (host, target, size) in [("dc", "10.77.0.50", "40"), ("vm1", "10.77.0.1", "44")] {
        assert!(!lab.succeeds(
            host,
            &["ping", "-q", "-c", "1", "-W", "0.2", "-s", size, target]
        ));
    }
    assert_eq!(attacker.line(), "injecting");
    let ping = Pings::start(lab);
    let attack = Attack::parse(&attacker.output());
    for ((end, port), before) in [("cloud", "cloud"), ("site", "worker")].iter().zip(&before) {
        let (length, sent) = (attack.length[*port], attack.sent[*port]);
        assert_eq!(sent, 2 * 8 * length + length + 8 + 3);
        // All but the genuine one.
        let added = account(lab, end, before, sent - 1);
        let no_esp = |n: &u64| *n < 36 || !n.is_multiple_of(4);
        let cut: Vec<u64> = (0..length).chain(length + 1..=length + 8).collect();
        let malformed = cut.iter().filter(|n| no_esp(n)).count() as u64;
        let bad_tag = 2 * (8 * length - 32) + cut.len() as u64 - malformed;
        if !added.contains_key("kernel") {
            assert_eq!(of(&added, &["bad_tag"]), bad_tag, "{end}: {added:?}");
            assert_eq!(of(&added, &["replayed"]), 2, "{end}: {added:?}");
            // At the port that both share, what is shorter than an SPI is for QUIC, as is what has its bit; and an SPI
            // that names no worker of ours goes to either.
            let quic = [
                "quic_runt",
                "quic_no_fixed_bit",
                "quic_stray",
                "quic_bad_header",
                "quic_other_version",
            ];
            let others = [&["malformed_datagram", "unknown_spi"], &quic[..]].concat();
            assert_eq!(of(&added, &others), malformed + 2 * 32, "{end}: {added:?}");
        }
    }
    ping.assert_all_answered();
    for (watching, own, answer) in [(vm1, 82, 86), (dc, 86, 82)] {
        let sights = seen(watching);
        assert_nothing_strange(&sights);
        assert_eq!(
            (sights.lengths.get(&own), sights.lengths.get(&answer)),
            (Some(&1), Some(&1)),
            "{sights:?}"
        );
    }
}

/// At QUIC's port of the site, at its worker's, and at the one that both have at the cloud end.
fn random_bytes(lab: &Lab) {
    for end in ["cloud", "site"] {
        let before = books(lab, end);
        let attack = Attack::run(lab, &["noise", end]);
        let added = account(lab, end, &before, attack.sent.values().sum());
        let no_esp = ["unknown_spi", "malformed_datagram", "kernel"];
        let unknown = |name: &str| no_esp.contains(&name) || name.starts_with("quic_");
        assert!(added.keys().all(|name| unknown(name)), "{end}: {added:?}");
        for name in ["unknown_spi", "quic_runt", "quic_stray"] {
            assert!(added.contains_key(name), "{end}: {added:?}");
        }
    }
}

/// New keys are agreed on all the while, so that every kind of QUIC packet is there to be copied.
#[test]
fn quic_garbage_stops_no_session_and_no_rekeying() {
    let lab = Lab::running(&[], &["--rekey-after", "2s"]);
    let pids = ["site", "cloud"].map(|end| lab.status(end).pid);
    let (before, sessions) = (
        ["cloud", "site"].map(|end| lab.status(end).quic),
        lab.status("site").peers[0].sessions,
    );
    let (dc, vm1) = (watch(&lab, "dc"), watch(&lab, "vm1"));
    let ping = Pings::start(&lab);
    let attack = Attack::run(&lab, &["quic", "3"]);
    for ((end, port), before) in [("cloud", "cloud"), ("site", "quic")].iter().zip(&before) {
        let shown: BTreeMap<_, _> = attack
            .shown
            .iter()
            .filter_map(|(k, n)| Some((k.strip_prefix(port)?.trim(), n)))
            .collect();
        assert_eq!(shown.len(), 6, "{shown:?}");
        let counted = || {
            let after = lab.status(end).quic;
            shown
                .iter()
                .all(|(name, n)| after[*name] >= before[*name] + **n)
        };
        assert!(
            within(PATIENCE, counted),
            "{end}: {shown:?} sent; {before:?} before, {:?} now",
            lab.status(end).quic
        );
    }
    let rekeyed = || lab.status("site").peers[0].sessions >= sessions + 4;
    assert!(within(PATIENCE, rekeyed), "{}", lab.log("site"));
    ping.assert_all_answered();
    for watching in [dc, vm1] {
        assert_nothing_strange(&seen(watching));
    }
    assert_eq!(["site", "cloud"].map(|end| lab.status(end).pid), pids);
}

/// Somebody without a key that the cloud end knows, and a site that was given another key for the cloud end.
#[test]
fn a_stranger_is_refused_with_the_mend_and_gets_no_session() {
    let lab = Lab::running(&[], &[]);
    let before = standing(&lab);
    lab.exec(
        "path",
        &[
            "ip", "link", "add", "lan", "type", "veth", "peer", "name", "hosts",
        ],
    );
    for interface in ["lan", "hosts"] {
        lab.exec("path", &["ip", "link", "set", interface, "up"]);
    }
    let (key, public) = lab.keygen("stranger");
    let cloud = std::fs::read_to_string(lab.dir().join("cloud.pub")).unwrap();
    let mends = [
        (
            cloud.trim(),
            format!("refused our key: add our public key {public} as a --peer there"),
        ),
        (
            public_of_nobody(),
            format!(
                "has the key {} but {} is configured",
                cloud.trim(),
                public_of_nobody()
            ),
        ),
    ];
    for (expected, mend) in mends {
        let peer = format!("cloud={expected}@203.0.113.2:24500");
        let station = "00:50:56:00:00:50=cloud";
        let common = [
            "--role",
            "site",
            "--lan",
            "lan",
            "--key",
            &key,
            "--peer",
            &peer,
            "--station",
            station,
        ];
        let mut stranger = lab.run("path", "stranger", &[], &common);
        lab.status_when_up("path");
        let told = || {
            lab.status("path").peers[0]
                .last_error
                .as_ref()
                .is_some_and(|e| e.contains(&mend))
        };
        assert!(within(PATIENCE, told), "{mend}\n{}", lab.log("stranger"));
        let peer = lab.status("path").peers.remove(0);
        assert_eq!((peer.state.as_str(), peer.sessions), ("dialling", 0));
        let warned: Vec<_> = lab
            .log("stranger")
            .lines()
            .filter(|l| l.contains(&mend))
            .map(ToOwned::to_owned)
            .collect();
        assert!(
            warned.len() == 1 && warned[0].contains(" WARN "),
            "{warned:?}"
        );
        stranger.signal(rustix::process::Signal::TERM);
        assert_eq!(stranger.exit_code(PATIENCE), Some(0));
    }
    assert!(lab.status("cloud").quic["handshake_stranger"] > 0);
    let refusal =
        format!("its key {public} is none of our peers'; if it should be one, add it as a --peer");
    assert!(lab.log("cloud").contains(&refusal), "{}", lab.log("cloud"));
    assert_eq!(standing(&lab), before);
    lab.dc_reaches("10.77.0.50");
}

fn public_of_nobody() -> &'static str {
    "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
}
