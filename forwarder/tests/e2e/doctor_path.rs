//! `causeway doctor` and the path, before causeway runs: a session with its key, over paths with something wrong.

mod listening;
mod nat;
mod running;

use std::{
    io::Write as _,
    process::{Output, Stdio},
    time::{Duration, Instant},
};

use causeway_tunnel::message::Role;

use crate::{
    insider::{Insider, hello},
    lab::{Lab, PATIENCE, shown, within},
};

const CAUSEWAY: &str = env!("CARGO_BIN_EXE_causeway");
const CLOUD: &str = "203.0.113.2:24500";

/// A lab in which the clouds run and the site does not, with a configuration for it.
fn waiting(options: &[&str], more: &str) -> Lab {
    let lab = Lab::up(options);
    lab.start("cloud", &[]);
    configure(&lab, &[("cloud", CLOUD)], more);
    lab
}

fn configure(lab: &Lab, clouds: &[(&str, &str)], more: &str) {
    let peer = |(cloud, at): &(&str, &str)| format!("\"{cloud}={}@{at}\"", lab.public_key(cloud));
    let peers: Vec<_> = clouds.iter().map(peer).collect();
    let key = lab.dir().join("site.key");
    let text = format!(
        "role = \"site\"\nlan = \"lan\"\nkey = \"{}\"\npeer = [{}]\n{more}\n",
        key.display(),
        peers.join(", ")
    );
    std::fs::write(lab.dir().join("site.toml"), text).unwrap();
}

fn doctor(lab: &Lab, more: &[&str]) -> Output {
    let file = lab.dir().join("site.toml");
    let all = [CAUSEWAY, "doctor", "--target", "10.77.0.1", "--config"];
    let all = [&all[..], &[file.to_str().unwrap()], more].concat();
    lab.command("site", &all).output().unwrap()
}

/// Its exit code, and the first line that is not ok.
#[track_caller]
fn says(lab: &Lab, code: i32, first: &str, words: &[&str]) -> String {
    let output = doctor(lab, &[]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(code), "{}", shown(&output));
    let bad = text.lines().find(|line| !line.starts_with("ok "));
    let bad = bad.filter(|_| code != 0).unwrap_or_default();
    assert!(bad.starts_with(first), "first {first}: {text}");
    for word in words {
        assert!(text.contains(word), "no {word}: {text}");
    }
    text
}

/// The rules of the path's router, instead of those before.
fn rules(lab: &Lab, rules: &str) {
    let mut nft = lab
        .command("path", &["nft", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let text = format!("flush ruleset\n{rules}\n");
    nft.stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    assert!(nft.wait().unwrap().success(), "{rules}");
}

/// Has the router drop what matches.
fn drops(lab: &Lab, matches: &str) {
    let chain = "type filter hook forward priority 0";
    rules(
        lab,
        &format!("table inet doctor {{\nchain forward {{\n{chain}\n{matches} drop\n}}\n}}"),
    );
}

/// Has the router put its own address in the place of the site's.
fn masquerades(lab: &Lab, how: &str) {
    let chain = "type nat hook postrouting priority 100";
    let site = "ip saddr 198.51.100.2";
    rules(
        lab,
        &format!("table ip doctor {{\nchain out {{\n{chain}\n{site} masquerade {how}\n}}\n}}"),
    );
}

/// Datagrams to or from the cloud that are not QUIC: the bit 0x40 of the first byte is not set.
const ESP: &str = "@th,64,8 & 0x40 == 0";

/// All of it is well within five seconds; then what is wrong with the path is the first line that fails.
#[test]
fn what_is_wrong_with_the_path_is_named_before_causeway_runs() {
    let lab = waiting(&[], "");
    let sessions = || lab.status("cloud").peers[0].sessions;
    let healthy = [
        "one with our key came up at 203.0.113.2:24500",
        "ESP datagrams of 1472 bytes of UDP payload arrive there and back, all that",
        "datagrams went on 2 lanes, 0 of them",
        // There may be keepalives among those that come.
        "0 of 100 and 0 of 100 there; 0 of 10",
        "none: the other end sees our own address and ports",
        "Mb/s there (500 kB of QUIC",
        "of ESP at once",
    ];
    // Whatever other tests do meanwhile: of three times, once.
    let mut took = (1..=3).map(|time| {
        let begun = Instant::now();
        says(&lab, 0, "", &healthy);
        assert_eq!(sessions(), time);
        begun.elapsed()
    });
    let in_time = took.any(|time| time < Duration::from_secs(5));
    assert!(in_time, "never within five seconds");
    assert!(lab.log("cloud").contains("doctor has seen enough"));

    drops(&lab, &format!("udp dport 24500 {ESP}"));
    says(
        &lab,
        1,
        "FAILING  ESP passes",
        &[
            "nothing arrives at 203.0.113.2:24500, though QUIC does",
            "nothing arrives of which a part could be lost",
            "the other end cannot say where it sees us",
        ],
    );
    drops(&lab, &format!("udp sport 24500 {ESP}"));
    says(
        &lab,
        1,
        "FAILING  ESP passes",
        &["of the other end's lane 0 nothing arrives here"],
    );
    drops(&lab, "meta length > 1400");
    let small = [
        "a link on the way carries IP packets of 1400 bytes",
        "no ICMP says so",
    ];
    says(&lab, 1, "FAILING  path MTU", &small);
    drops(&lab, "iifname \"cloud\" meta length > 1300");
    says(
        &lab,
        1,
        "FAILING  path MTU",
        &["1472 bytes of UDP payload arrive there, and only 1200 back"],
    );
    for way in ["udp dport 24500", "udp sport 24500"] {
        drops(&lab, &format!("{way} {ESP} numgen random mod 100 < 15"));
        says(&lab, 1, "FAILING  loss", &[]);
    }
    drops(&lab, "udp dport 24500");
    says(&lab, 1, "FAILING  session", &["no answer within 5 s"]);
    rules(&lab, "");

    // It is known to be so narrow.
    configure(&lab, &[("cloud", CLOUD)], "max-path-mtu = 1400");
    drops(&lab, "meta length > 1400");
    says(
        &lab,
        0,
        "",
        &["1372 bytes of UDP payload arrive there and back, all that"],
    );
    rules(&lab, "");
    without_a_key_the_doctor_says_what_gives_more(&lab);
    beside_a_causeway_with_the_key_there_is_no_session(&lab);
}

fn without_a_key_the_doctor_says_what_gives_more(lab: &Lab) {
    let sessions = lab.status("cloud").peers[0].sessions;
    let peer = format!("cloud={}@{CLOUD}", lab.public_key("cloud"));
    let program = [
        CAUSEWAY,
        "doctor",
        "--lan",
        "lan",
        "--target",
        "10.77.0.1",
        "--peer",
        &peer,
    ];
    let ask = |more: &[&str]| {
        let output = lab
            .command("site", &[&program[..], more].concat())
            .output()
            .unwrap();
        (output.status.code().unwrap(), shown(&output))
    };
    let (code, text) = ask(&[]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("which proved its key"), "{text}");
    assert!(text.contains("give --config FILE, or --key FILE"), "{text}");
    assert_eq!(lab.status("cloud").peers[0].sessions, sessions);
    // With it alone, not knowing which end we are.
    let key = lab.dir().join("site.key");
    let (code, text) = ask(&["--key", key.to_str().unwrap()]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("one with our key came up"), "{text}");
    // A stranger's key is refused, and it is said what to do.
    let (file, _) = lab.keygen("stranger");
    let (code, text) = ask(&["--key", &file]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("add our public key"), "{text}");
    // Neither port nor configuration; a file that is none.
    let lacks = lab.command("site", &[CAUSEWAY, "doctor"]).output().unwrap();
    assert_eq!(lacks.status.code(), Some(2), "{}", shown(&lacks));
    let (code, text) = ask(&["--key", "/dev/null"]);
    assert_eq!(code, 2, "{text}");
}

fn beside_a_causeway_with_the_key_there_is_no_session(lab: &Lab) {
    // The cloud is as it was: the doctor granted and took nothing.
    let file = lab.dir().join("site.toml");
    let file = file.to_str().unwrap();
    let station = ["--station", "00:50:56:00:00:50=cloud"];
    let site = [&["--config", file, "--control", "other"], &station[..]].concat();
    let _site = lab.run("site", "site", &[], &site);
    let up = || lab.status("cloud").peers[0].state == "up";
    assert!(within(PATIENCE, up));
    let sessions = lab.status("cloud").peers[0].sessions;
    let text = says(
        lab,
        1,
        "unknown  XDP program",
        &["a causeway on this machine works with"],
    );
    assert!(!text.contains("one with our key"), "{text}");
    configure(lab, &[("cloud", CLOUD)], "control = \"other\"");
    assert!(within(PATIENCE, || {
        let output = doctor(lab, &[]);
        let text = shown(&output);
        output.status.code() == Some(0) && text.contains("session") && text.contains("up for")
    }));
    assert_eq!(lab.status("cloud").peers[0].sessions, sessions);
    lab.dc_reaches("10.77.0.50");
}

/// Two sessions with a key at a time would end each other.
#[test]
fn doctors_with_one_key_take_turns() {
    let lab = waiting(&[], "");
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| doctor(&lab, &[])));
        for one in both {
            let output = one.join().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
        }
    });
    assert_eq!(lab.status("cloud").peers[0].sessions, 2);
}

/// A router that says how narrow it is, over IPv4 and IPv6.
#[test]
fn a_narrow_path_that_says_so_is_well() {
    for (family, at, payload) in [
        ("4", CLOUD, "1372"),
        ("6", "[2001:db8:113::2]:24500", "1352"),
    ] {
        let lab = Lab::up(&["--mtu", "1400", "--ip", family]);
        lab.start("cloud", &[]);
        configure(&lab, &[("cloud", at)], "");
        let seen = format!("ESP datagrams of {payload} bytes of UDP payload arrive there and back");
        says(&lab, 0, "", &[&seen, "a router says so by ICMP"]);
        // Nor does loss pass for a link that is narrower still.
        for way in ["udp dport 24500", "udp sport 24500"] {
            drops(&lab, &format!("{way} {ESP} numgen random mod 100 < 15"));
            says(&lab, 1, "FAILING  loss", &[&seen]);
        }
    }
}

/// An end that neither tells what arrives nor sends what it is asked for is no worse for it.
#[test]
fn a_peer_of_an_older_release_is_examined_as_far_as_it_goes() {
    let lab = Lab::up(&[]);
    // Keys, and nobody who uses them.
    lab.start("cloud", &[]);
    lab.stop("cloud", "TERM");
    configure(&lab, &[("cloud", CLOUD)], "");
    let cloud = Insider::new(&lab, "cloud", CLOUD, hello(Role::Cloud));
    let text = std::thread::scope(|scope| {
        let examined = scope.spawn(|| says(&lab, 3, "unknown  ESP passes", &[]));
        let (session, _lane) = cloud.accept();
        let text = examined.join().unwrap();
        drop(session);
        text
    });
    for words in [
        "one with our key came up",
        "QUIC datagrams of 1472 bytes of UDP payload arrive there",
        "(an older release?)",
    ] {
        assert!(text.contains(words), "no {words}: {text}");
    }
    assert!(!text.contains("FAILING"), "{text}");
}
